//! The access gate: a policy edit after which most people could do next to nothing was rather a mistake.
//!
//! Pairs are counted by what policies can tell apart (user, groups and tags), so that a thousand phones of one
//! person count as one. Devices that are there before and after, and may connect, are what is counted.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    resource::ObjectKey,
    section::NetworkId,
    verdict::{Action, Identity},
};

use crate::{
    compile::{Input, Standing, draft::Draft},
    effect::{
        losers,
        picture::{Pair, Picture},
        rules::{Moment, When, shared},
        stage::{Class, End, EndKind, Meets, Stage, can_talk},
    },
    plan::{Breach, Plan},
};

/// Of the pairs that reach each other.
const PERCENT_MAX: u64 = 50;
/// In a small world, half is an ordinary edit.
const PAIRS_MAX: u64 = 5;

pub(super) fn plan(
    input: &Input,
    draft: &Draft<'_>,
    changed: &BTreeSet<ObjectKey>,
    now: i64,
) -> Option<Plan> {
    let in_force = Draft::in_force(input, now);
    if in_force.access == draft.access && in_force.effective.devices == draft.effective.devices {
        return None;
    }
    let (before, after) = (in_force.picture(), draft.picture());
    let pair = Pair { before: &before, after: &after };
    let counts = |network: &NetworkId, end: &End| stays(pair, network, end);
    let (mut all, mut lost) = (0, 0);
    for network in before.access.networks.keys() {
        let stage = Stage::new(pair, network, &|end| counts(network, end), When::Ever(now));
        let tally = Tally::of(&stage, &before);
        all += tally.all;
        lost += tally.lost;
    }
    if lost <= PAIRS_MAX || lost * 100 <= all * PERCENT_MAX {
        return None;
    }
    // Where the causes cannot be told, everything that changed waits.
    let causes = losers(pair, &counts, When::Ever(now)).unwrap_or_else(|| changed.clone());
    let causes: Vec<_> = causes.into_iter().filter(|key| changed.contains(key)).collect();
    let message = format!(
        "{lost} of {all} ways between people and what they reach would be lost ({} %)",
        lost * 100 / all
    );
    (!causes.is_empty()).then(|| Plan::new(Breach::AccessLoss, causes, message, &draft.world))
}

/// Says whether an end is there before and after, so that what it loses is lost to a policy.
fn stays(pair: Pair<'_>, network: &NetworkId, end: &End) -> bool {
    let is_active = |server: &ObjectKey| {
        let servers = &pair.after.effective.servers;
        servers.get(server).is_some_and(|server| server.standing == Standing::Active)
    };
    let Some(access) = pair.before.access.networks.get(network) else { return false };
    match end {
        End::Device(key) => {
            let is_carried = access.servers.keys().any(is_active);
            let device = pair.after.effective.devices.get(key);
            is_carried && device.is_some_and(|device| device.standing == Standing::Active)
        }
        End::Server(key) => is_active(key),
        End::Host(prefix) => {
            let mut routes = access.prefixes.iter().filter(|(route, _)| route.contains(prefix));
            routes.any(|(_, servers)| servers.iter().any(is_active))
        }
    }
}

/// How many pairs there are in a network, and how many of them are lost.
struct Tally {
    all: u64,
    lost: u64,
}

/// A set of destinations, one bit each.
#[derive(Clone, PartialEq)]
struct Bits(Vec<u64>);

impl Tally {
    fn of(stage: &Stage<'_>, before: &Picture<'_>) -> Self {
        let groups = Groups::of(stage, before);
        let masks: Vec<Bits> = stage.destinations.iter().map(|class| groups.mask(class)).collect();
        let mut reached: BTreeMap<usize, (Bits, Bits)> = BTreeMap::new();
        let count = groups.sizes.len();
        for source in stage.sources.iter().filter(|class| class.kind == EndKind::Device) {
            let old = reach(stage, source, &masks, count, Moment::Before);
            let new = reach(stage, source, &masks, count, Moment::After);
            let members: BTreeSet<usize> =
                source.members.iter().map(|member| groups.of_end[*member]).collect();
            for group in members {
                let slot = reached.entry(group).or_insert_with(|| (Bits::new(count), Bits::new(count)));
                slot.0.add(&old);
                slot.1.add(&new);
            }
        }
        let mut tally = Self { all: 0, lost: 0 };
        for (group, (mut old, new)) in reached {
            // The only device of its kind does not reach itself.
            if groups.sizes[group] == 1 {
                old.remove(group);
            }
            tally.all += old.count();
            tally.lost += old.without(&new).count();
        }
        tally
    }
}

/// Ends that policies tell apart only by name or address are one group.
struct Groups {
    of_end: Vec<usize>,
    sizes: Vec<usize>,
}

impl Groups {
    fn of(stage: &Stage<'_>, before: &Picture<'_>) -> Self {
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Likeness<'a> {
            Device(&'a str, &'a BTreeSet<String>, &'a BTreeSet<String>),
            Other(&'a End),
        }
        let mut known: BTreeMap<Likeness<'_>, usize> = BTreeMap::new();
        let mut groups = Self { of_end: Vec::with_capacity(stage.ends.len()), sizes: vec![] };
        for ends in &stage.ends {
            let device = match &ends.end {
                End::Device(key) => before.effective.devices.get(key),
                End::Server(_) | End::Host(_) => None,
            };
            let likeness = match device {
                Some(device) => {
                    let Identity { user, groups, tags, .. } = &device.identity;
                    Likeness::Device(user, groups, tags)
                }
                None => Likeness::Other(&ends.end),
            };
            let next = known.len();
            let group = *known.entry(likeness).or_insert(next);
            if group == groups.sizes.len() {
                groups.sizes.push(0);
            }
            groups.sizes[group] += 1;
            groups.of_end.push(group);
        }
        groups
    }

    fn mask(&self, class: &Class) -> Bits {
        let mut bits = Bits::new(self.sizes.len());
        class.members.iter().for_each(|member| bits.set(self.of_end[*member]));
        bits
    }
}

/// Returns what a class reaches at all, by whatever flow.
fn reach(stage: &Stage<'_>, source: &Class, masks: &[Bits], count: usize, moment: Moment) -> Bits {
    let mut bits = Bits::new(count);
    let from = source.meets(moment);
    for (destination, mask) in stage.destinations.iter().zip(masks) {
        if can_talk(source, destination) && passes(stage, from, destination, moment) {
            bits.add(mask);
        }
    }
    bits
}

fn passes(stage: &Stage<'_>, from: &Meets, destination: &Class, moment: Moment) -> bool {
    let to = destination.meets(moment);
    let pairs = || {
        from.iter().flat_map(|(family, from)| {
            to.iter().filter(move |(other, _)| other == family).map(move |(_, to)| (from, to))
        })
    };
    let is_there = |action: Action| {
        pairs()
            .any(|(from, to)| shared(from, to).any(|number| stage.rules.list[number].rule.action == action))
    };
    // Most pairs share nothing or no deny; what passes in detail matters only between the others.
    is_there(Action::Allow) && (!is_there(Action::Deny) || !stage.flows(from, to).is_empty())
}

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn remove(&mut self, bit: usize) {
        self.0[bit / 64] &= !(1 << (bit % 64));
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one |= other);
    }

    fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one & !other).collect())
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
