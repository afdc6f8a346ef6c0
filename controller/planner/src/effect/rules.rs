//! The rules of two tables as one list: what both have is one rule, and a rule is known by what it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use horizon_api::{
    cbor,
    verdict::{Action, Party, Protocol, Rule, Selector, Stated, Table, Who, Window},
};
use ipnet::IpNet;
use serde::Serialize;

use super::flows::Flows;

/// Every rule that is in force before or after.
#[derive(Default)]
pub(crate) struct Rules<'a> {
    pub list: Vec<RuleFacts<'a>>,
    from: Index<'a>,
    to: Index<'a>,
}

/// A rule and when it is in force.
pub(crate) struct RuleFacts<'a> {
    pub rule: &'a Rule,
    /// The name of its policy.
    pub policy: &'a str,
    pub is_before: bool,
    pub is_after: bool,
    pub flows: Flows,
    from: Selectors,
    to: Selectors,
}

/// Which of two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Before,
    After,
}

/// At which time rules are looked at (unix seconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(i64),
    /// At whatever hour of the week from then on: what somebody may do at some hour, they may do.
    Ever(i64),
}

impl When {
    fn covers(self, rule: &Rule) -> bool {
        match self {
            Self::At(now) => rule.is_valid(now),
            Self::Ever(now) => {
                let is_over = rule.valid_until.is_some_and(|end| end <= now);
                !is_over && (rule.windows.is_empty() || rule.action == Action::Allow)
            }
        }
    }
}

/// The selectors that select an end, as numbers, sorted: it meets the rules of all of them. Selectors and not rules,
/// because one group may have ten thousand rules, and ten thousand people the group.
pub(crate) type Selectors = Vec<u32>;

/// On which side of a rule an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    From,
    To,
}

/// A selector, borrowed from a rule or from who it selects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word<'a> {
    Any,
    User(&'a str),
    Group(&'a str),
    Tag(&'a str),
    Device(&'a str),
    Cidr(IpNet),
    Server(&'a str),
    Members,
    /// In rules with this action.
    Stated(&'a Stated, Action),
}

/// What a rule says, beside its place in its policy.
#[derive(Serialize)]
struct Content<'a> {
    policy: &'a str,
    action: Action,
    from: &'a [Selector],
    to: &'a [Selector],
    protocol: Protocol,
    ports: &'a [RangeInclusive<u16>],
    valid_until: Option<i64>,
    windows: &'a [Window],
}

#[derive(Default)]
struct Index<'a> {
    numbers: BTreeMap<Word<'a>, u32>,
    /// The rules of each selector, sorted.
    rules: Vec<Vec<usize>>,
    /// Those of them that are in force at one of the moments only.
    changed: Vec<Vec<usize>>,
    /// Of the prefixes among the selectors: whether IPv4, and the length.
    lengths: BTreeSet<(bool, u8)>,
    /// The selectors by what devices state: they are asked one by one, because a statement is no name.
    stated: Vec<(&'a Stated, Action, u32)>,
}

/// Whom the rules select that have come or gone.
#[derive(Default)]
pub(crate) struct Touch<'a> {
    from: Index<'a>,
    to: Index<'a>,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(before: &'a Table, after: &'a Table, when: When) -> Self {
        let mut rules = Self::default();
        let mut numbers: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (table, moment) in [(before, Moment::Before), (after, Moment::After)] {
            for rule in table.rules.iter().filter(|rule| when.covers(rule)) {
                let policy = rule.id.rsplit_once('#').map_or(rule.id.as_str(), |(policy, _)| policy);
                let content = cbor::encode(&Content::of(rule, policy));
                let number = *numbers.entry(content).or_insert_with(|| rules.add(rule, policy));
                let facts = &mut rules.list[number];
                match moment {
                    Moment::Before => facts.is_before = true,
                    Moment::After => facts.is_after = true,
                }
            }
        }
        let list = &rules.list;
        rules.from.note_changes(list);
        rules.to.note_changes(list);
        rules
    }

    fn add(&mut self, rule: &'a Rule, policy: &'a str) -> usize {
        let number = self.list.len();
        let flows = Flows::of(rule);
        let from = rule.from.iter().map(|selector| self.from.add(selector, rule.action, number)).collect();
        let to = rule.to.iter().map(|selector| self.to.add(selector, rule.action, number)).collect();
        self.list.push(RuleFacts { rule, policy, is_before: false, is_after: false, flows, from, to });
        number
    }

    /// Returns the selectors on a side that select a party.
    pub(crate) fn selecting(&self, party: &Party<'_>, side: Side) -> Selectors {
        self.index(side).selecting(party)
    }

    /// Returns whether an end meets a rule, in force or not.
    pub(crate) fn meets(&self, selectors: &[u32], side: Side, number: usize) -> bool {
        let of_rule = match side {
            Side::From => &self.list[number].from,
            Side::To => &self.list[number].to,
        };
        of_rule.iter().any(|selector| selectors.binary_search(selector).is_ok())
    }

    /// Returns the rules in force that are about what goes from one end to another, sorted.
    pub(crate) fn shared(&self, from: &[u32], to: &[u32], moment: Moment) -> Vec<usize> {
        let (fewer, others, side) = if self.from.count(from) <= self.to.count(to) {
            (self.from.rules_of(from), to, Side::To)
        } else {
            (self.to.rules_of(to), from, Side::From)
        };
        let mut numbers: Vec<usize> = fewer
            .filter(|number| self.list[*number].is_in(moment) && self.meets(others, side, *number))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Returns the rules of an end that are in force at one of the moments only.
    pub(crate) fn changed<'s>(
        &'s self,
        selectors: &'s [u32],
        side: Side,
    ) -> impl Iterator<Item = usize> + 's {
        let changed = &self.index(side).changed;
        selectors.iter().flat_map(|selector| &changed[*selector as usize]).copied()
    }

    /// Returns what the rules that are in force at one of the moments only select.
    pub(crate) fn touch(&self) -> Touch<'a> {
        let mut touch = Touch::default();
        for (number, facts) in self.list.iter().enumerate().filter(|(_, facts)| facts.has_changed()) {
            for selector in &facts.rule.from {
                touch.from.add(selector, facts.rule.action, number);
            }
            for selector in &facts.rule.to {
                touch.to.add(selector, facts.rule.action, number);
            }
        }
        touch
    }

    /// Returns the selectors of a rule on a side.
    pub(crate) fn selectors(&self, number: usize, side: Side) -> &[u32] {
        match side {
            Side::From => &self.list[number].from,
            Side::To => &self.list[number].to,
        }
    }

    /// Returns what the rules that two ends share let pass between them.
    pub(crate) fn flows(&self, from: &[u32], to: &[u32], moment: Moment) -> Flows {
        let (mut allowed, mut denied) = (Flows::default(), Flows::default());
        for number in self.shared(from, to, moment) {
            let facts = &self.list[number];
            match facts.rule.action {
                Action::Allow => allowed = allowed.union(&facts.flows),
                Action::Deny => denied = denied.union(&facts.flows),
            }
        }
        if denied.is_empty() { allowed } else { allowed.minus(&denied) }
    }

    /// Returns every prefix that a rule names.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        let words = self.from.numbers.keys().chain(self.to.numbers.keys());
        words.filter_map(|word| match word {
            Word::Cidr(prefix) => Some(*prefix),
            Word::Stated(stated, _) => prefix_of(&stated.who),
            Word::Any
            | Word::User(_)
            | Word::Group(_)
            | Word::Tag(_)
            | Word::Device(_)
            | Word::Server(_)
            | Word::Members => None,
        })
    }

    fn index(&self, side: Side) -> &Index<'a> {
        match side {
            Side::From => &self.from,
            Side::To => &self.to,
        }
    }
}

impl Touch<'_> {
    /// Returns whether such a rule is about a party.
    pub(crate) fn is_about(&self, party: &Party<'_>, side: Side) -> bool {
        let index = match side {
            Side::From => &self.from,
            Side::To => &self.to,
        };
        !index.numbers.is_empty() && !index.selecting(party).is_empty()
    }
}

impl RuleFacts<'_> {
    pub(crate) fn is_in(&self, moment: Moment) -> bool {
        match moment {
            Moment::Before => self.is_before,
            Moment::After => self.is_after,
        }
    }

    fn has_changed(&self) -> bool {
        self.is_before != self.is_after
    }
}

impl<'a> Index<'a> {
    /// Returns the number of the selector in a rule with this action.
    fn add(&mut self, selector: &'a Selector, action: Action, rule: usize) -> u32 {
        if let Some(prefix) = prefix_of(selector) {
            self.lengths.insert((prefix.addr().is_ipv4(), prefix.prefix_len()));
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(Word::of(selector, action)).or_insert(next);
        if number == next {
            self.rules.push(vec![]);
            if let Selector::Stated(stated) = selector {
                self.stated.push((stated, action, number));
            }
        }
        let rules = &mut self.rules[number as usize];
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
        number
    }

    fn note_changes(&mut self, list: &[RuleFacts<'_>]) {
        let changed = |rules: &Vec<usize>| -> Vec<usize> {
            rules.iter().copied().filter(|number| list[*number].has_changed()).collect()
        };
        self.changed = self.rules.iter().map(changed).collect();
    }

    fn rules_of<'s>(&'s self, selectors: &'s [u32]) -> impl Iterator<Item = usize> + 's {
        selectors.iter().flat_map(|selector| &self.rules[*selector as usize]).copied()
    }

    fn count(&self, selectors: &[u32]) -> usize {
        selectors.iter().map(|selector| self.rules[*selector as usize].len()).sum()
    }

    fn selecting(&self, party: &Party<'_>) -> Selectors {
        let mut wanted = vec![Word::Any];
        match party.who {
            Who::Device(identity) => {
                wanted.extend([Word::Members, Word::User(&identity.user), Word::Device(&identity.device)]);
                wanted.extend(identity.groups.iter().map(|group| Word::Group(group)));
                wanted.extend(identity.tags.iter().map(|tag| Word::Tag(tag)));
            }
            Who::Server(name) => wanted.extend([Word::Members, Word::Server(name)]),
            Who::Host => {}
        }
        let is_ipv4 = party.address.is_ipv4();
        let lengths = self.lengths.iter().filter(|(family, _)| *family == is_ipv4);
        let around = lengths.filter_map(|(_, length)| IpNet::new(party.address, *length).ok());
        wanted.extend(around.map(|prefix| Word::Cidr(prefix.trunc())));
        let mut numbers: Selectors =
            wanted.iter().filter_map(|word| self.numbers.get(word)).copied().collect();
        let stated = self.stated.iter().filter(|(stated, action, _)| {
            stated.who.selects(party, *action) && stated.demand.concerns(party.posture(), *action)
        });
        numbers.extend(stated.map(|(_, _, number)| number));
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

impl<'a> Word<'a> {
    fn of(selector: &'a Selector, action: Action) -> Self {
        match selector {
            Selector::Any => Self::Any,
            Selector::User(name) => Self::User(name),
            Selector::Group(name) => Self::Group(name),
            Selector::Tag(name) => Self::Tag(name),
            Selector::Device(name) => Self::Device(name),
            Selector::Cidr(prefix) => Self::Cidr(*prefix),
            Selector::Server(name) => Self::Server(name),
            Selector::Members => Self::Members,
            Selector::Stated(stated) => Self::Stated(stated, action),
        }
    }
}

impl<'a> Content<'a> {
    fn of(rule: &'a Rule, policy: &'a str) -> Self {
        let Rule { id: _, action, from, to, protocol, ports, valid_until, windows } = rule;
        let (action, protocol, valid_until) = (*action, *protocol, *valid_until);
        Self { policy, action, from, to, protocol, ports, valid_until, windows }
    }
}

/// Returns the prefix of a selector by address.
pub(crate) fn prefix_of(selector: &Selector) -> Option<IpNet> {
    match selector {
        Selector::Cidr(prefix) => Some(*prefix),
        Selector::Stated(stated) => prefix_of(&stated.who),
        Selector::Any
        | Selector::User(_)
        | Selector::Group(_)
        | Selector::Tag(_)
        | Selector::Device(_)
        | Selector::Server(_)
        | Selector::Members => None,
    }
}
