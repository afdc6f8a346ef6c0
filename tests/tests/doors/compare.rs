//! How one door differs from the folder, and whether the table has a reason for it.

use std::collections::BTreeMap;

use super::{
    table::{Door, REASONS, Way},
    verdict::{Verdict, Word},
};

/// What was found at the doors, against the table.
#[derive(Default)]
pub(crate) struct Comparison {
    /// Differences that no reason covers.
    unlisted: Vec<String>,
    /// How often each way of each reason occurred at each door.
    occurred: BTreeMap<(usize, usize, Door), usize>,
}

impl Comparison {
    /// Compares what a door says of every document with what the folder says.
    pub(crate) fn add(
        &mut self,
        door: Door,
        folder: &BTreeMap<String, Verdict>,
        said: &BTreeMap<String, Verdict>,
    ) {
        for (id, ours) in folder {
            let Some(theirs) = said.get(id) else {
                self.unlisted.push(format!("{door} says nothing of {id}"));
                continue;
            };
            self.document(door, id, ours, theirs);
        }
    }

    fn document(&mut self, door: Door, id: &str, ours: &Verdict, theirs: &Verdict) {
        let is_same_verdict = ours.is_accepted() == theirs.is_accepted();
        if !is_same_verdict || *theirs == Verdict::NotSent {
            let is_unsendable = !ours.is_accepted() && *theirs == Verdict::NotSent;
            let is_listed = is_unsendable && self.occurs(door, |way| matches!(way, Way::NotSent))
                || self.occurs(door, |way| matches!(way, Way::Verdict(case) if *case == id));
            if !is_listed {
                self.unlisted.push(format!("{door} {id}: {ours:?}, and there {theirs:?}"));
            }
            return;
        }
        if matches!(theirs, Verdict::KeptOut(_)) && !self.occurs(door, |way| matches!(way, Way::InStatus)) {
            self.unlisted.push(format!("{door} {id} is taken, and kept out: {theirs:?}"));
        }
        let mut is_matched = vec![false; theirs.words().len()];
        let mut unsaid = vec![];
        for word in ours.words() {
            match self.find(door, word, theirs.words(), &is_matched) {
                Some(index) => is_matched[index] = true,
                None => unsaid.push(word),
            }
        }
        let is_first_told = matches!(theirs, Verdict::KeptOut(_)) && is_matched.contains(&true);
        for word in unsaid {
            let place = format!("{id} {}", word.path);
            let is_listed = is_first_told && self.occurs(door, |way| matches!(way, Way::FirstOnly))
                || self.occurs(door, |way| matches!(way, Way::Unsaid(case) if *case == place.trim_end()));
            if !is_listed {
                self.unlisted.push(format!("{door} {place}: unsaid ({}) {}", word.code, word.text));
            }
        }
        for (word, _) in theirs.words().iter().zip(is_matched).filter(|(_, is_matched)| !is_matched) {
            if !self.occurs(door, |way| matches!(way, Way::More(words) if word.text.contains(words))) {
                self.unlisted.push(format!("{door} {id} {}: more: {}", word.path, word.text));
            }
        }
    }

    /// Finds which of their words is the same as one of ours, or as the table says.
    fn find(&mut self, door: Door, ours: &Word, theirs: &[Word], is_matched: &[bool]) -> Option<usize> {
        let says_it = |word: &Word| word.text.contains(&ours.text);
        let is_there = |word: &Word| word.path == ours.path || word.path.is_empty();
        if let Some(index) = theirs.iter().position(|word| says_it(word) && is_there(word)) {
            return Some(index);
        }
        let is_around = |word: &Word| is_within(&ours.path, &word.path) || is_within(&word.path, &ours.path);
        if let Some(index) = theirs.iter().position(|word| says_it(word) && is_around(word))
            && self.occurs(door, |way| matches!(way, Way::Place))
        {
            return Some(index);
        }
        // Each is said for one of ours, as far as there are enough.
        let mut order: Vec<usize> = (0..theirs.len()).collect();
        order.sort_by_key(|index| is_matched[*index]);
        order.into_iter().find(|index| {
            let word = &theirs[*index];
            let is_meant = |way: &Way| {
                matches!(way, Way::Words { ours: code, theirs } if *code == ours.code && word.text.contains(theirs))
            };
            is_around(word) && self.occurs(door, is_meant)
        })
    }

    /// Notes that a way of the table occurred, and says whether there is one.
    fn occurs(&mut self, door: Door, is_it: impl Fn(&Way) -> bool) -> bool {
        for (number, reason) in REASONS.iter().enumerate().filter(|(_, reason)| reason.doors.contains(&door))
        {
            if let Some(way) = reason.ways.iter().position(&is_it) {
                *self.occurred.entry((number, way, door)).or_default() += 1;
                return true;
            }
        }
        false
    }

    /// Returns what is wrong with the table: differences that it lacks, and those that do not occur any more.
    pub(crate) fn finish(self, doors: &[Door]) -> Vec<String> {
        let mut wrong = self.unlisted;
        for (number, reason) in REASONS.iter().enumerate() {
            for door in reason.doors.iter().filter(|door| doors.contains(door)) {
                for (index, way) in reason.ways.iter().enumerate() {
                    if !self.occurred.contains_key(&(number, index, *door)) {
                        wrong.push(format!("{door}: {way:?} of {:?} does not occur", reason.title));
                    }
                }
            }
        }
        wrong
    }
}

/// Says whether a place is at or below another one.
fn is_within(place: &str, outer: &str) -> bool {
    let rest = place.strip_prefix(outer);
    outer.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[test]
fn a_difference_that_is_not_listed_fails() {
    let said = |verdict| BTreeMap::from([("a.yaml#1".to_owned(), verdict)]);
    let refused = |path: &str, text: &str| said(Verdict::Refused(vec![Word::new("Range", path, text)]));
    let ours = refused("spec.mtu", "must be an integer");
    let wrong = |theirs| {
        let mut comparison = Comparison::default();
        comparison.add(Door::Alone, &ours, &theirs);
        comparison.unlisted.len()
    };

    assert_eq!(wrong(refused("spec.mtu", "Invalid value: 7: must be an integer")), 0);
    assert_eq!(wrong(said(Verdict::Accepted)), 1);
    assert_eq!(wrong(BTreeMap::new()), 1);
    // One is not said, the other is more than ours.
    assert_eq!(wrong(refused("spec.pq", "must be an integer")), 2);
    assert_eq!(wrong(refused("spec.mtu", "no")), 2);
}

#[test]
fn a_line_of_the_table_that_is_not_true_fails() {
    let lines = REASONS.iter().filter(|reason| reason.doors.contains(&Door::Alone));
    let lines: usize = lines.map(|reason| reason.ways.len()).sum();

    assert_eq!(Comparison::default().finish(&[Door::Alone]).len(), lines);
}
