//! Why two classes of ends gain or lose: a rule that came or went, or an end that is another one now.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    resource::{Kind, ObjectKey},
    verdict::{Action, Selector, Who},
};

use super::{
    Change,
    flows::Flows,
    picture::{Pair, network_key},
    rules::{Moment, Selectors, Side},
    stage::{Class, Delta, End, EndKind, Stage},
};

/// Collects lines for people from deltas between classes.
pub(super) struct Causes<'s, 'a> {
    stage: &'s Stage<'a>,
    pair: Pair<'a>,
    lines: BTreeMap<LineKey, LineFacts>,
    matched: BTreeMap<(usize, usize, Moment), BTreeMap<String, Vec<usize>>>,
    /// Whether there was room for every line.
    pub(super) is_whole: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineKey {
    pub(super) change: Change,
    pub(super) cause: ObjectKey,
    pub(super) source: String,
    pub(super) destination: String,
}

#[derive(Default)]
pub(super) struct LineFacts {
    pub(super) flows: Flows,
    /// Numbers of the devices that gain or lose.
    pub(super) devices: BTreeSet<usize>,
    /// Only at other moments than this one.
    pub(super) is_timed: bool,
}

impl LineFacts {
    /// Adds what is so at another moment.
    pub(super) fn add(&mut self, other: Self) {
        self.flows = self.flows.union(&other.flows);
        self.devices.extend(other.devices);
        self.is_timed &= other.is_timed;
    }
}

/// What a part of a delta comes from.
enum Cause {
    Rule(usize),
    Source,
    Destination,
}

/// More than anybody reads, and few enough to hold.
const LINES_MAX: usize = 20_000;

/// The state that had the flows, and the one that has them no more.
#[derive(Clone, Copy)]
struct Turn {
    change: Change,
    had: Moment,
    has: Moment,
}

impl<'s, 'a> Causes<'s, 'a> {
    pub(super) fn new(stage: &'s Stage<'a>, pair: Pair<'a>) -> Self {
        Self { stage, pair, lines: BTreeMap::new(), matched: BTreeMap::new(), is_whole: true }
    }

    pub(super) fn lines(self) -> BTreeMap<LineKey, LineFacts> {
        self.lines
    }

    pub(super) fn explain(&mut self, delta: &Delta<'_>) {
        let loss = Turn { change: Change::Loss, had: Moment::Before, has: Moment::After };
        let gain = Turn { change: Change::Gain, had: Moment::After, has: Moment::Before };
        for (turn, flows) in [(loss, &delta.lost), (gain, &delta.gained)] {
            if !flows.is_empty() {
                self.explain_turn(delta, turn, flows);
            }
        }
    }

    fn explain_turn(&mut self, delta: &Delta<'_>, turn: Turn, flows: &Flows) {
        for (family, from) in delta.source.meets(turn.had) {
            for (_, to) in delta.destination.meets(turn.had).iter().filter(|(other, _)| other == family) {
                for number in self.stage.rules.shared(from, to, turn.had) {
                    let facts = &self.stage.rules.list[number];
                    let of_rule = facts.flows.both(flows);
                    if facts.rule.action == Action::Allow && !of_rule.is_empty() {
                        for (cause, flows) in self.causes(delta, turn, *family, number, &of_rule) {
                            self.add(delta, turn, number, &cause, &flows);
                        }
                    }
                }
            }
        }
    }

    /// Returns why a rule that allowed these flows does so no more.
    fn causes(
        &self,
        delta: &Delta<'_>,
        turn: Turn,
        family: bool,
        number: usize,
        flows: &Flows,
    ) -> Vec<(Cause, Flows)> {
        let whole = |cause| vec![(cause, flows.clone())];
        let of = |class: &Class, moment| -> Vec<Selectors> {
            let meets = class.meets(moment).iter().filter(|(other, _)| *other == family);
            meets.map(|(_, selectors)| selectors.clone()).collect()
        };
        let rules = &self.stage.rules;
        let meets = |ends: &[Selectors], side: Side, number: usize| {
            ends.iter().any(|selectors| rules.meets(selectors, side, number))
        };
        let (from, to) = (of(delta.source, turn.has), of(delta.destination, turn.has));
        let rule = &self.stage.rules.list[number];
        if from.is_empty() {
            return whole(Cause::Source);
        }
        if to.is_empty() {
            return whole(Cause::Destination);
        }
        if !rule.is_in(turn.has) {
            return whole(Cause::Rule(number));
        }
        if !meets(&from, Side::From, number) {
            return whole(Cause::Source);
        }
        if !meets(&to, Side::To, number) {
            return whole(Cause::Destination);
        }
        let had_from = of(delta.source, turn.had);
        let mut causes = Vec::new();
        let denies: BTreeSet<usize> =
            from.iter().flat_map(|from| to.iter().flat_map(|to| rules.shared(from, to, turn.has))).collect();
        for deny in denies {
            let facts = &self.stage.rules.list[deny];
            let denied = facts.flows.both(flows);
            if facts.rule.action == Action::Deny && !denied.is_empty() {
                let cause = match (facts.is_in(turn.had), meets(&had_from, Side::From, deny)) {
                    (false, _) => Cause::Rule(deny),
                    (true, false) => Cause::Source,
                    (true, true) => Cause::Destination,
                };
                causes.push((cause, denied));
            }
        }
        causes
    }

    fn add(&mut self, delta: &Delta<'_>, turn: Turn, allow: usize, cause: &Cause, flows: &Flows) {
        let (source, destination) = (delta.source, delta.destination);
        match cause {
            Cause::Rule(number) => {
                let rule = &self.stage.rules.list[*number];
                let moment = if rule.is_in(turn.had) { turn.had } else { turn.has };
                let policy = network_key(self.stage.network).sibling(Kind::AccessPolicy, rule.policy);
                let to = self.selected(destination, *number, moment);
                for (from, members) in self.selected(source, *number, moment) {
                    for to in to.keys() {
                        self.put(turn.change, policy.clone(), &from, to, flows, &members, destination);
                    }
                }
            }
            Cause::Source => {
                let to = self.selected(destination, allow, turn.had);
                for member in &source.members {
                    let end = &self.stage.ends[*member].end;
                    let cause = self.pair.blame(self.stage.network, end);
                    let from = self.name(*member, true);
                    for to in to.keys() {
                        self.put(turn.change, cause.clone(), &from, to, flows, &[*member], destination);
                    }
                }
            }
            Cause::Destination => {
                let from = self.selected(source, allow, turn.had);
                for member in &destination.members {
                    let end = &self.stage.ends[*member].end;
                    let cause = self.pair.blame(self.stage.network, end);
                    let to = self.name(*member, false);
                    for (from, members) in &from {
                        self.put(turn.change, cause.clone(), from, &to, flows, members, destination);
                    }
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a line has as many parts")]
    fn put(
        &mut self,
        change: Change,
        cause: ObjectKey,
        source: &str,
        destination: &str,
        flows: &Flows,
        members: &[usize],
        class: &Class,
    ) {
        let (source, destination) = (source.to_owned(), destination.to_owned());
        let key = LineKey { change, cause, source, destination };
        if self.lines.len() >= LINES_MAX && !self.lines.contains_key(&key) {
            self.is_whole = false;
            return;
        }
        let facts = self.lines.entry(key).or_default();
        facts.flows = facts.flows.union(flows);
        let ends = &self.stage.ends;
        let devices = members.iter().filter(|member| ends[**member].end.kind() == EndKind::Device);
        // Nobody gains or loses the way to oneself.
        facts.devices.extend(devices.filter(|member| class.members != [**member]));
    }

    /// Returns the selectors of a rule that select members of a class, with those members.
    fn selected(&mut self, class: &Class, number: usize, moment: Moment) -> BTreeMap<String, Vec<usize>> {
        if let Some(known) = self.matched.get(&(class.number, number, moment)) {
            return known.clone();
        }
        let rule = self.stage.rules.list[number].rule;
        let action = rule.action;
        let selectors = if class.is_source { &rule.from } else { &rule.to };
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for member in &class.members {
            let parties = self.stage.ends[*member].parties(moment);
            let selector = selectors.iter().find(|s| parties.iter().any(|party| s.selects(party, action)));
            if let Some(selector) = selector {
                found.entry(label(selector)).or_default().push(*member);
            }
        }
        self.matched.insert((class.number, number, moment), found.clone());
        found
    }

    /// Names one end; a device that begins is its person.
    fn name(&self, member: usize, is_source: bool) -> String {
        let ends = &self.stage.ends[member];
        let parties = ends.parties(Moment::Before).iter().chain(ends.parties(Moment::After));
        let mut users = parties.filter_map(|party| match party.who {
            Who::Device(identity) => Some(identity.user.clone()).filter(|user| !user.is_empty()),
            Who::Server(_) | Who::Host => None,
        });
        match (&ends.end, users.next_back()) {
            (End::Device(_), Some(user)) if is_source => user.into(),
            (End::Device(key), Some(_) | None) => format!("device {}", key.name),
            (End::Server(key), Some(_) | None) => format!("server {}", key.name),
            (End::Host(prefix), Some(_) | None) => prefix.to_string(),
        }
    }
}

fn label(selector: &Selector) -> String {
    match selector {
        Selector::Any => "everybody".into(),
        Selector::User(name) => name.to_string(),
        Selector::Group(name) => format!("group {name}"),
        Selector::Tag(name) => format!("tag {name}"),
        Selector::Device(name) => format!("device {name}"),
        Selector::Cidr(prefix) => prefix.to_string(),
        Selector::Server(name) => format!("server {name}"),
        Selector::Members => "every member".into(),
        Selector::Stated(stated) => format!("{} with {}", label(&stated.who), stated.demand),
    }
}
