//! Conditions from two sides: what the compiler found, and what the gateways answered.

use std::{collections::BTreeMap, fmt, sync::Arc};

use horizon_api::{
    condition::Condition,
    resource::{Kind, ObjectKey, ResourceSpec},
    section::NetworkId,
    wire::cfg::Nack,
};
use jiff::Timestamp;
use smol_str::SmolStr;

use crate::{
    alike::Alike,
    compile::{Committed, Compiled},
};

/// What is known of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayReport {
    pub is_connected: bool,
    /// When it connected, or when it was lost (unix seconds).
    pub since: i64,
    pub answer: Answer,
    /// The newest revision whose assignment it runs.
    pub applied_through: u64,
    /// The revision since which it carries the networks that it carries.
    pub carries_since: u64,
    /// What it found on its host that keeps traffic from passing, one sentence each.
    pub warnings: Vec<String>,
}

/// What a gateway said to its newest assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    Applied,
    Refused(Nack),
}

impl GatewayReport {
    /// Returns its answer as far as an object goes that last changed with `revision`: an assignment that is under way
    /// for the sake of others leaves applied what was applied.
    fn answer_about(&self, revision: u64) -> &Answer {
        let needed = revision.max(self.carries_since);
        if needed <= self.applied_through { &Answer::Applied } else { &self.answer }
    }
}

/// What is known of each object from before.
pub trait Earlier: fmt::Debug + Sync {
    /// Returns the revision with which it last changed.
    fn revision(&self, key: &ObjectKey) -> Option<u64>;
    /// Returns what was said of it last.
    fn conditions(&self, key: &ObjectKey) -> &[Condition];
}

/// Revisions of objects of which nothing was said yet.
impl Earlier for BTreeMap<ObjectKey, u64> {
    fn revision(&self, key: &ObjectKey) -> Option<u64> {
        self.get(key).copied()
    }

    fn conditions(&self, _: &ObjectKey) -> &[Condition] {
        &[]
    }
}

/// What happens to objects, as far as their statuses tell of it.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// By server; one without a report never connected.
    pub gateways: &'a BTreeMap<ObjectKey, GatewayReport>,
    pub earlier: &'a dyn Earlier,
    /// Unix seconds.
    pub now: i64,
}

impl Progress<'_> {
    fn answer(&self, server: &ObjectKey, object: &ObjectKey) -> Option<&Answer> {
        // What has no revision is not committed.
        let revision = self.earlier.revision(object).unwrap_or(u64::MAX);
        Some(self.gateways.get(server)?.answer_about(revision))
    }
}

/// Returns the conditions of the objects in force of which something else is to be said than before.
pub fn changed(compiled: &Compiled, progress: Progress<'_>) -> BTreeMap<ObjectKey, Arc<[Condition]>> {
    let statuses = Statuses::new(compiled, progress);
    let (mut changed, mut alike) = (BTreeMap::new(), Alike::default());
    for (key, object) in compiled.objects.iter() {
        let earlier = progress.earlier.conditions(key);
        let conditions = statuses.of(key, object).into_iter();
        let conditions: Vec<_> =
            conditions.map(|c| c.at_generation(object.generation).since(earlier)).collect();
        if conditions != earlier {
            changed.insert(key.clone(), alike.share(conditions));
        }
    }
    changed
}

/// Returns the servers whose gateways must run something because of an object in force, each with what its gateway
/// answered, if it ever connected.
pub fn answers(
    compiled: &Compiled,
    progress: Progress<'_>,
    key: &ObjectKey,
) -> Vec<(ObjectKey, Option<Answer>)> {
    let Some(object) = compiled.objects.get(key) else { return vec![] };
    let statuses = Statuses::new(compiled, progress);
    let servers = statuses.targets(key, &object.spec).into_iter().flatten();
    servers.map(|server| (server.clone(), progress.answer(server, key).cloned())).collect()
}

struct Statuses<'a> {
    compiled: &'a Compiled,
    progress: Progress<'a>,
    /// The servers that carry each network.
    carriers: BTreeMap<&'a NetworkId, Vec<&'a ObjectKey>>,
}

impl<'a> Statuses<'a> {
    fn new(compiled: &'a Compiled, progress: Progress<'a>) -> Self {
        let mut carriers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, server) in &compiled.effective.servers {
            for network in &server.networks {
                carriers.entry(network).or_default().push(key);
            }
        }
        Self { compiled, progress, carriers }
    }

    fn of(&self, key: &ObjectKey, object: &Committed) -> Vec<Condition> {
        let mut conditions = object.conditions.to_vec();
        if key.kind == Kind::Server {
            conditions.extend([self.enrolled(key), self.connected(key)]);
        }
        conditions.extend(self.programmed(key, object));
        conditions.push(self.ready(key, &conditions));
        conditions
    }

    fn enrolled(&self, server: &ObjectKey) -> Condition {
        let public_key = self.compiled.effective.servers.get(server).and_then(|server| server.public_key);
        match public_key {
            Some(key) => {
                Condition::holds("Enrolled", "Enrolled", format!("its key is {key}"), self.progress.now)
            }
            None => {
                let name = &server.name;
                let message =
                    format!("no gateway has joined as it; run `horizon-controller invite server {name}`");
                Condition::fails("Enrolled", "NotEnrolled", message, self.progress.now)
            }
        }
    }

    fn connected(&self, server: &ObjectKey) -> Condition {
        match self.progress.gateways.get(server) {
            Some(report) if report.is_connected => Condition::holds(
                "Connected",
                "Connected",
                format!("since {}", moment(report.since)),
                self.progress.now,
            ),
            Some(report) => {
                let message = format!("not seen since {}", moment(report.since));
                Condition::fails("Connected", "Disconnected", message, self.progress.now)
            }
            None => Condition::fails("Connected", "NeverConnected", "it was never seen", self.progress.now),
        }
    }

    fn programmed(&self, key: &ObjectKey, object: &Committed) -> Option<Condition> {
        let targets = self.targets(key, &object.spec)?;
        let refused = targets.iter().find_map(|server| match &self.progress.gateways.get(*server)?.answer {
            Answer::Refused(nack) if concerns(nack, key, object, server) => Some((*server, nack)),
            Answer::Refused(_) | Answer::Pending | Answer::Applied => None,
        });
        if let Some((server, nack)) = refused {
            let message = format!("{server} refused it: {}; it runs what it had before", nack.reason);
            return Some(Condition::fails("Programmed", "RejectedByGateway", message, self.progress.now));
        }
        let is_online =
            |server: &&&ObjectKey| self.progress.gateways.get(**server).is_some_and(|r| r.is_connected);
        let (online, offline): (Vec<_>, Vec<_>) = targets.iter().partition(is_online);
        if online.is_empty() {
            let message = SmolStr::new_static("no gateway that carries it is connected");
            return Some(Condition::fails("Programmed", "NoGateways", message, self.progress.now));
        }
        let is_pending =
            |server: &&&&ObjectKey| self.progress.answer(server, key).is_some_and(|a| *a != Answer::Applied);
        if let Some(server) = online.iter().find(is_pending) {
            let message = format!("{server} has not applied it yet");
            return Some(Condition::fails("Programmed", "Pending", message, self.progress.now));
        }
        Some(match offline.first() {
            None => {
                Condition::holds("Programmed", "Programmed", "every gateway applied it", self.progress.now)
            }
            Some(first) => {
                let message =
                    format!("{} of {} gateways applied it; {first} is away", online.len(), targets.len());
                Condition::holds("Programmed", "PartiallyProgrammed", message, self.progress.now)
            }
        })
    }

    /// Returns the servers that must run something because of an object; nothing for kinds that reach no gateway.
    fn targets(&self, key: &ObjectKey, spec: &ResourceSpec) -> Option<Vec<&ObjectKey>> {
        let network = match spec {
            ResourceSpec::Server(_) => {
                let server = self.compiled.effective.servers.get_key_value(key);
                return Some(server.map(|(server, _)| server).into_iter().collect());
            }
            ResourceSpec::Network(_) => crate::conflict::network_id(key),
            ResourceSpec::AccessPolicy(spec) => {
                crate::conflict::network_id(&key.sibling(Kind::Network, spec.network_ref.name.as_str()))
            }
            ResourceSpec::RegistrationKey(_)
            | ResourceSpec::User(_)
            | ResourceSpec::PersonalKey(_)
            | ResourceSpec::Device(_)
            | ResourceSpec::AccessTest(_)
            | ResourceSpec::ConnectionProfile(_)
            | ResourceSpec::Admin(_)
            | ResourceSpec::AlertRule(_) => return None,
        };
        Some(self.carriers.get(&network).cloned().unwrap_or_default())
    }

    /// Sums up: the first thing that stands in the way.
    fn ready(&self, key: &ObjectKey, conditions: &[Condition]) -> Condition {
        const IN_ORDER: [&str; 6] =
            ["Accepted", "ResolvedRefs", "Usable", "Enrolled", "Connected", "Programmed"];
        let failing = |kind: &str| conditions.iter().find(|c| c.kind == kind && !c.is_true());
        if let Some(blocked) = self.compiled.blocked.get(key) {
            return Condition::fails("Ready", &blocked.reason, &blocked.message, self.progress.now);
        }
        if let Some(first) = IN_ORDER.iter().find_map(|kind| failing(kind)) {
            return Condition::fails("Ready", &first.reason, first.message.clone(), self.progress.now);
        }
        match self.progress.gateways.get(key).and_then(|report| report.warnings.first()) {
            Some(warning) => Condition::fails("Ready", "ForwardingBlocked", warning, self.progress.now),
            None => Condition::holds("Ready", "Ready", "it does what it is for", self.progress.now),
        }
    }
}

/// Returns whether a refusal is about an object: it is named, or the refused section is made of its kind.
fn concerns(nack: &Nack, key: &ObjectKey, object: &Committed, server: &ObjectKey) -> bool {
    let is_named = nack.objects.iter().any(|named| named.parse::<ObjectKey>().as_ref() == Ok(key));
    if is_named || key == server {
        return true;
    }
    if !nack.objects.is_empty() {
        return false;
    }
    match (nack.section.as_deref(), &object.spec) {
        (Some("networks"), ResourceSpec::Network(_)) => true,
        (Some(section), ResourceSpec::AccessPolicy(spec)) => {
            section == format!("policy/{}/{}", key.namespace, spec.network_ref.name)
        }
        _ => false,
    }
}

fn moment(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
