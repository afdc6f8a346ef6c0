//! The rules of two tables as one list: what both have is one rule, and a rule is known by what it says.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    cbor,
    verdict::{Action, Party, Rule, Selector, Table, Who},
};
use ipnet::IpNet;

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

/// Numbers of rules, sorted.
pub(crate) type RuleSet = Vec<usize>;

#[derive(Default)]
struct Index<'a> {
    by_selector: BTreeMap<&'a Selector, RuleSet>,
    /// Of the prefixes among the selectors: whether IPv4, and the length.
    lengths: BTreeSet<(bool, u8)>,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(before: &'a Table, after: &'a Table, when: When) -> Self {
        let mut rules = Self::default();
        let mut numbers: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (table, moment) in [(before, Moment::Before), (after, Moment::After)] {
            for rule in table.rules.iter().filter(|rule| when.covers(rule)) {
                let policy = rule.id.rsplit_once('#').map_or(rule.id.as_str(), |(policy, _)| policy);
                let content = cbor::encode(&Rule { id: policy.to_owned(), ..rule.clone() });
                let number = *numbers.entry(content).or_insert_with(|| rules.add(rule, policy));
                let facts = &mut rules.list[number];
                match moment {
                    Moment::Before => facts.is_before = true,
                    Moment::After => facts.is_after = true,
                }
            }
        }
        rules
    }

    fn add(&mut self, rule: &'a Rule, policy: &'a str) -> usize {
        let number = self.list.len();
        let flows = Flows::of(rule);
        self.list.push(RuleFacts { rule, policy, is_before: false, is_after: false, flows });
        rule.from.iter().for_each(|selector| self.from.add(selector, number));
        rule.to.iter().for_each(|selector| self.to.add(selector, number));
        number
    }

    /// Returns the rules that begin at a party.
    pub(crate) fn from(&self, party: &Party<'_>, moment: Moment) -> RuleSet {
        self.in_force(self.from.matching(party), moment)
    }

    /// Returns the rules that end at a party.
    pub(crate) fn to(&self, party: &Party<'_>, moment: Moment) -> RuleSet {
        self.in_force(self.to.matching(party), moment)
    }

    /// Returns what the rules that two ends share let pass between them.
    pub(crate) fn flows(&self, from: &RuleSet, to: &RuleSet) -> Flows {
        let (mut allowed, mut denied) = (Flows::default(), Flows::default());
        for number in shared(from, to) {
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
        let selectors = self.from.by_selector.keys().chain(self.to.by_selector.keys());
        selectors.filter_map(|selector| prefix_of(selector))
    }

    fn in_force(&self, mut numbers: RuleSet, moment: Moment) -> RuleSet {
        numbers.retain(|number| self.list[*number].is_in(moment));
        numbers
    }
}

impl RuleFacts<'_> {
    pub(crate) fn is_in(&self, moment: Moment) -> bool {
        match moment {
            Moment::Before => self.is_before,
            Moment::After => self.is_after,
        }
    }
}

impl<'a> Index<'a> {
    fn add(&mut self, selector: &'a Selector, number: usize) {
        if let Some(prefix) = prefix_of(selector) {
            self.lengths.insert((prefix.addr().is_ipv4(), prefix.prefix_len()));
        }
        let numbers = self.by_selector.entry(selector).or_default();
        if numbers.last() != Some(&number) {
            numbers.push(number);
        }
    }

    fn matching(&self, party: &Party<'_>) -> RuleSet {
        let mut wanted = vec![Selector::Any];
        match party.who {
            Who::Device(identity) => {
                wanted.extend([
                    Selector::Members,
                    Selector::User(identity.user.clone()),
                    Selector::Device(identity.device.clone()),
                ]);
                wanted.extend(identity.groups.iter().cloned().map(Selector::Group));
                wanted.extend(identity.tags.iter().cloned().map(Selector::Tag));
            }
            Who::Server(name) => wanted.extend([Selector::Members, Selector::Server(name.to_owned())]),
            Who::Host => {}
        }
        let is_ipv4 = party.address.is_ipv4();
        let lengths = self.lengths.iter().filter(|(family, _)| *family == is_ipv4);
        let around = lengths.filter_map(|(_, length)| IpNet::new(party.address, *length).ok());
        wanted.extend(around.map(|prefix| Selector::Cidr(prefix.trunc())));
        let mut numbers: RuleSet =
            wanted.iter().filter_map(|selector| self.by_selector.get(selector)).flatten().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Returns what is in both of two sorted lists.
pub(crate) fn shared<'s>(one: &'s [usize], other: &'s [usize]) -> impl Iterator<Item = usize> + 's {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short.iter().copied().filter(|number| long.binary_search(number).is_ok())
}

fn prefix_of(selector: &Selector) -> Option<IpNet> {
    match selector {
        Selector::Cidr(prefix) => Some(*prefix),
        Selector::Any
        | Selector::User(_)
        | Selector::Group(_)
        | Selector::Tag(_)
        | Selector::Device(_)
        | Selector::Server(_)
        | Selector::Members => None,
    }
}
