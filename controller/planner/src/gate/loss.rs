//! The access gate: a policy edit after which most people could do next to nothing was rather a mistake.
//!
//! Pairs are counted by what policies can tell apart (user, groups and tags), so that a thousand phones of one
//! person count as one. Devices that are there before and after, and may connect, are what is counted.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    resource::ObjectKey,
    section::NetworkId,
    verdict::{Action, Identity, Posture},
};
use smol_str::SmolStr;

use crate::{
    compile::{Input, Standing, draft::Draft},
    effect::{
        losers,
        picture::{Pair, Picture},
        rules::{Moment, When},
        stage::{Class, End, EndKind, Stage, can_talk},
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
    withholdable: &BTreeSet<ObjectKey>,
    now: i64,
) -> Option<Plan> {
    let in_force = Draft::in_force(input, now);
    if in_force.access == draft.access && in_force.effective.devices == draft.effective.devices {
        return None;
    }
    let (before, after) = (in_force.picture(), draft.picture());
    let pair = Pair { before: &before, after: &after };
    let counts = |network: &NetworkId, end: &End| stays(pair, network, end);
    let networks = || before.access.networks.keys();
    // Most changes take nothing from anybody, and counting everything costs more than all the rest.
    let lost_at_most = networks().map(|network| {
        lost_at_most(&Stage::of_change(pair, network, &|end| counts(network, end), When::Ever(now)))
    });
    if lost_at_most.sum::<u64>() <= PAIRS_MAX {
        return None;
    }
    let tallies = networks().map(|network| {
        Tally::of(&Stage::new(pair, network, &|end| counts(network, end), When::Ever(now)), &before)
    });
    let (all, lost) = tallies.fold((0, 0), |(all, lost), tally| (all + tally.all, lost + tally.lost));
    if lost <= PAIRS_MAX || lost * 100 <= all * PERCENT_MAX {
        return None;
    }
    // Where the causes cannot be told, everything that changed waits, and may.
    let causes = losers(pair, &counts, When::Ever(now)).unwrap_or_else(|| withholdable.clone());
    let mut causes: Vec<_> = causes.into_iter().filter(|key| withholdable.contains(key)).collect();
    if causes.is_empty() {
        causes = withholdable.iter().cloned().collect();
    }
    let message = format!(
        "{lost} of {all} ways between people and what they reach would be lost ({} %)",
        lost * 100 / all
    );
    (!causes.is_empty()).then(|| Plan::new(Breach::AccessLoss, causes, message, &draft.world))
}

/// Says whether an end is there before and after, so that what it loses is lost to a policy.
fn stays(pair: Pair<'_>, network: &NetworkId, end: &End) -> bool {
    let servers = &pair.after.effective.servers;
    let is_active =
        |server: &ObjectKey| servers.get(server).is_some_and(|server| server.standing == Standing::Active);
    // A server that is not declared any more was rather lost than disabled.
    let carries = |server: &ObjectKey| !servers.contains_key(server) || is_active(server);
    let Some(access) = pair.before.access.networks.get(network) else { return false };
    match end {
        End::Device(key) => {
            let is_carried = access.servers.keys().any(carries);
            let device = pair.after.effective.devices.get(key);
            is_carried && device.is_some_and(|device| device.standing == Standing::Active)
        }
        End::Server(key) => is_active(key),
        End::Host(prefix) => {
            let mut routes = access.prefixes.iter().filter(|(route, _)| route.contains(prefix));
            routes.any(|(_, servers)| servers.iter().any(carries))
        }
    }
}

/// Returns how many pairs are lost, or more: every device counts, and every end that it reached.
fn lost_at_most(stage: &Stage<'_>) -> u64 {
    let mut lost = 0;
    for source in stage.sources.iter().filter(|class| class.kind == EndKind::Device) {
        for destination in stage.candidates(source).filter(|destination| can_talk(source, destination)) {
            let passes = |moment| passes(stage, source, destination, moment);
            if passes(Moment::Before) && !passes(Moment::After) {
                lost += (source.members.len() * destination.members.len()) as u64;
            }
        }
    }
    lost
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
        // Groups of the same classes reach the same, but for themselves.
        let mut alike: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (group, classes) in groups.classes(stage) {
            alike.entry(classes).or_default().push(group);
        }
        let mut tally = Self { all: 0, lost: 0 };
        for (classes, members) in alike {
            let reached = |moment| {
                let mut bits = Bits::new(groups.sizes.len());
                for class in &classes {
                    reach(stage, &stage.sources[*class], &masks, moment, &mut bits);
                }
                bits
            };
            let old = reached(Moment::Before);
            let lost = old.without(&reached(Moment::After));
            for group in members {
                // The only device of its kind does not reach itself.
                let is_alone = groups.sizes[group] == 1;
                tally.all += old.count() - u64::from(is_alone && old.has(group));
                tally.lost += lost.count() - u64::from(is_alone && lost.has(group));
            }
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
            Device(&'a str, &'a BTreeSet<SmolStr>, &'a BTreeSet<SmolStr>, Option<&'a Posture>),
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
                    let Identity { user, groups, tags, posture, device: _ } = &device.identity;
                    Likeness::Device(user, groups, tags, posture.as_deref())
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

    /// Returns every group that begins something, with its classes of sources.
    fn classes(&self, stage: &Stage<'_>) -> BTreeMap<usize, Vec<usize>> {
        let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let devices = stage.sources.iter().enumerate().filter(|(_, class)| class.kind == EndKind::Device);
        for (number, class) in devices {
            for group in class.members.iter().map(|member| self.of_end[*member]).collect::<BTreeSet<_>>() {
                classes.entry(group).or_default().push(number);
            }
        }
        classes
    }

    fn mask(&self, class: &Class) -> Bits {
        let mut bits = Bits::new(self.sizes.len());
        class.members.iter().for_each(|member| bits.set(self.of_end[*member]));
        bits
    }
}

/// Adds what a class reaches at all, by whatever flow.
fn reach(stage: &Stage<'_>, source: &Class, masks: &[Bits], moment: Moment, bits: &mut Bits) {
    for (destination, mask) in stage.destinations.iter().zip(masks) {
        if can_talk(source, destination) && passes(stage, source, destination, moment) {
            bits.add(mask);
        }
    }
}

fn passes(stage: &Stage<'_>, source: &Class, destination: &Class, moment: Moment) -> bool {
    let (from, to) = (source.meets(moment), destination.meets(moment));
    let pairs = || {
        from.iter().flat_map(|(family, from)| {
            to.iter().filter(move |(other, _)| other == family).map(move |(_, to)| (from, to))
        })
    };
    let is_there = |action: Action| {
        pairs().any(|(from, to)| {
            let shared = stage.rules.shared(from, to, moment);
            shared.into_iter().any(|number| stage.rules.list[number].rule.action == action)
        })
    };
    // Most pairs share nothing or no deny; what passes in detail matters only between the others.
    is_there(Action::Allow) && (!is_there(Action::Deny) || !stage.flows(from, to, moment).is_empty())
}

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn has(&self, bit: usize) -> bool {
        self.0[bit / 64] & (1 << (bit % 64)) != 0
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
