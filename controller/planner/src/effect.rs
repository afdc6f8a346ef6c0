//! What a change does to people: who gains and who loses the way to what, which object causes it, and whose
//! links drop. Not the text but what comes of it.

mod cause;
mod flows;
pub(crate) mod picture;
pub(crate) mod rules;
pub(crate) mod stage;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use horizon_api::{
    key::PublicKey,
    resource::{Kind, ObjectKey},
    section::NetworkId,
};

pub use self::flows::Flows;
use self::{
    cause::{Causes, LineFacts, LineKey},
    picture::{Pair, Picture},
    rules::When,
    stage::{End, Stage},
};
use crate::{
    compile::{Compiled, EffectiveDevice, Standing},
    manifest::Origin,
};

/// Everything that a change does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Losses first, each in the order of its cause.
    pub lines: Vec<Effect>,
    /// Not every difference was looked at: there are too many.
    pub is_cut: bool,
    /// Devices whose live links end.
    pub drops: BTreeSet<ObjectKey>,
}

/// Somebody gains or loses something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub change: Change,
    pub network: NetworkId,
    pub source: String,
    pub destination: String,
    pub flows: Flows,
    /// How many devices gain or lose.
    pub devices: usize,
    /// Not at this moment, but at some hour of the week.
    pub is_timed: bool,
    /// The object that does it, and where it stands.
    pub cause: ObjectKey,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Loss,
    Gain,
}

/// Two seconds of work at most, in the worst of worlds: an honest "and more" comes sooner than a whole answer.
const PAIRS_MAX: usize = 2_000_000;

/// Returns what it does to go from one state to another. `live` are the keys of devices with a link, `now` is
/// unix seconds.
pub fn effects(before: &Compiled, after: &Compiled, live: &BTreeSet<PublicKey>, now: i64) -> Effects {
    let drops = drops(before, after, live);
    if before.access == after.access && before.effective.devices == after.effective.devices {
        return Effects { drops, ..Effects::default() };
    }
    let (old, new) = (Picture::of(before), Picture::of(after));
    let pair = Pair { before: &old, after: &new };
    let mut effects = Effects { drops, ..Effects::default() };
    let networks: BTreeSet<_> = before.access.networks.keys().chain(after.access.networks.keys()).collect();
    for network in networks {
        let mut lines: BTreeMap<LineKey, LineFacts> = BTreeMap::new();
        for (number, instant) in instants(pair, network, now).into_iter().enumerate() {
            let stage = Stage::new(pair, network, &|_| true, When::At(instant));
            let (found, is_whole) = explain(&stage, pair, PAIRS_MAX);
            effects.is_cut |= !is_whole;
            for (key, facts) in found {
                let facts = LineFacts { is_timed: number > 0, ..facts };
                lines
                    .entry(key)
                    .or_insert_with(|| LineFacts { is_timed: number > 0, ..LineFacts::default() })
                    .add(facts);
            }
        }
        effects.lines.extend(lines.into_iter().map(|(key, facts)| Effect::new(network, pair, key, &facts)));
    }
    effects.lines.sort_by(|a, b| (a.change, &a.origin, &a.cause).cmp(&(b.change, &b.origin, &b.cause)));
    effects
}

/// Returns the moments to look at: this one first, then one in which each window is the other way.
fn instants(pair: Pair<'_>, network: &NetworkId, now: i64) -> Vec<i64> {
    let tables =
        [pair.before, pair.after].into_iter().filter_map(|picture| picture.access.networks.get(network));
    let windows = tables.flat_map(|access| access.table.rules.iter().flat_map(|rule| &rule.windows));
    let edges: BTreeSet<i64> = windows.map(|window| window.at(now).1).filter(|edge| *edge > now).collect();
    std::iter::once(now).chain(edges.into_iter().take(INSTANTS_MAX)).collect()
}

/// Shifts and opening hours of a house; each costs as much as one look.
const INSTANTS_MAX: usize = 16;

/// Returns the objects that take something from somebody who `counts`, if they can be told.
pub(crate) fn losers(
    pair: Pair<'_>,
    counts: &dyn Fn(&NetworkId, &End) -> bool,
    when: When,
) -> Option<BTreeSet<ObjectKey>> {
    let networks = pair.before.access.networks.keys();
    let mut causes = BTreeSet::new();
    for network in networks {
        let stage = Stage::new(pair, network, &|end| counts(network, end), when);
        let (lines, is_whole) = explain(&stage, pair, PAIRS_MAX);
        if !is_whole {
            return None;
        }
        let losses = lines.into_iter().map(|(key, _)| key).filter(|key| key.change == Change::Loss);
        causes.extend(losses.map(|key| key.cause));
    }
    Some(causes)
}

fn explain(stage: &Stage<'_>, pair: Pair<'_>, pairs_max: usize) -> (Vec<(LineKey, LineFacts)>, bool) {
    let mut causes = Causes::new(stage, pair);
    let is_whole = stage.deltas(pairs_max, |delta| causes.explain(delta)) && causes.is_whole;
    (causes.lines().into_iter().collect(), is_whole)
}

/// Returns the live devices that lose their link, or one of their networks.
fn drops(before: &Compiled, after: &Compiled, live: &BTreeSet<PublicKey>) -> BTreeSet<ObjectKey> {
    let ends = |(key, old): &(&ObjectKey, &EffectiveDevice)| {
        let is_live = old.public_key.is_some_and(|public| live.contains(&public));
        let stays = after.effective.devices.get(*key).is_some_and(|new| {
            new.standing == Standing::Active
                && new.public_key == old.public_key
                && old.networks.iter().all(|grant| {
                    let is_in = new.networks.iter().any(|other| other.network == grant.network);
                    let is_carried = |compiled: &Compiled| {
                        let access = compiled.access.networks.get(&grant.network);
                        access.is_some_and(|access| !access.servers.is_empty())
                    };
                    is_in && (is_carried(after) || !is_carried(before))
                })
        });
        is_live && !stays
    };
    before.effective.devices.iter().filter(ends).map(|(key, _)| key.clone()).collect()
}

impl Effect {
    fn new(network: &NetworkId, pair: Pair<'_>, key: LineKey, facts: &LineFacts) -> Self {
        let LineKey { change, cause, source, destination } = key;
        Self {
            change,
            network: network.clone(),
            source,
            destination,
            flows: facts.flows.clone(),
            devices: facts.devices.len(),
            is_timed: facts.is_timed,
            origin: pair.origin_of(&cause),
            cause,
        }
    }
}

/// `+ group contractors → tag prod tcp/22 (7 devices gain) [policy.yaml:12]`
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, flows, devices, cause, origin, .. } = self;
        let (sign, verb) = match self.change {
            Change::Gain => ('+', "gain"),
            Change::Loss => ('-', "lose"),
        };
        write!(f, "{sign} {source} → {destination} {flows}")?;
        if self.is_timed {
            f.write_str(" at other hours")?;
        }
        match devices {
            0 => {}
            1 => write!(f, " (1 device {verb}s)")?,
            devices => write!(f, " ({devices} devices {verb})")?,
        }
        if cause.kind == Kind::AccessPolicy {
            write!(f, " [{origin}]")
        } else {
            write!(f, " [{cause} {origin}]")
        }
    }
}
