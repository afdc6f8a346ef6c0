//! The one pure snapshot compiler: everything that is known in, one revision out.
//!
//! An object with a problem keeps its last good, the others go on; what is missing from a source that cannot be
//! read completely stays. A mistake anywhere never shrinks what is published.

mod access;
mod conditions;
pub(crate) mod draft;
mod effective;
mod enrolled;
mod facts;
mod gateway;
pub(crate) mod policy;
mod standing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    condition::Condition,
    key::PublicKey,
    problem::Problem,
    resource::{Metadata, ObjectKey, ResourceSpec},
    section::{ContentHash, EncodedSection},
};
use smol_str::SmolStr;

use self::draft::Draft;
pub use self::{
    access::{Access, NetworkAccess},
    effective::{
        Effective, EffectiveDevice, EffectivePersonalKey, EffectiveRegistrationKey, EffectiveServer,
        EffectiveUser,
    },
    enrolled::{Enrolled, EnrolledBy},
    facts::{Blocked, Facts},
    standing::Standing,
};
use crate::{
    allocate::{Allocations, Exhausted},
    gate::{self, Judged},
    hold::Holds,
    manifest::{Origin, Parsed},
    plan::{self, Plan, PlanHash},
    remarks,
    world::World,
};

/// The source of objects that logins, invitations and API calls make.
pub const API_SOURCE: &str = "api";
/// Where objects stand, in that source, which clients of the resource API wrote.
pub const RESOURCE_API: &str = "the resource API";

/// Says whether an object was made by a login or an invitation, which is nobody's edit.
pub fn is_login(source: &str, origin: &Origin) -> bool {
    source == API_SOURCE && origin.file != RESOURCE_API
}

/// Everything that a revision depends on, beside the time.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// What is in force.
    pub previous: Vec<Arc<Committed>>,
    pub sources: Vec<SourceSnapshot>,
    pub facts: Facts,
    pub allocations: Allocations,
    /// What admins took out of force.
    pub holds: Holds,
    /// Plans that a person let pass.
    pub approved: BTreeSet<PlanHash>,
    /// The Admins who make the change, where any do: it must not take their own way in.
    pub callers: BTreeSet<ObjectKey>,
    /// Objects of which a text was taken back, with the hash of that text.
    pub reverted: BTreeMap<ObjectKey, ContentHash>,
}

/// What a source says at one moment.
#[derive(Clone, Debug)]
pub struct SourceSnapshot {
    /// Its name, such as `files:/etc/horizon` or `api`.
    pub source: String,
    /// Shared: it is the largest part of what a compilation is given.
    pub parsed: Arc<Parsed>,
    /// Everything that there is was read. If not, nothing of this source is removed.
    pub is_complete: bool,
}

/// Who declares an object, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub source: SmolStr,
    pub origin: Origin,
}

/// An object in force, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub key: ObjectKey,
    /// What the manifest says, and the same allocation where that is what was taken in.
    pub metadata: Arc<Metadata>,
    pub spec: ResourceSpec,
    pub owner: Owner,
    /// Rises by one with every change of the spec.
    pub generation: i64,
    pub conditions: Arc<[Condition]>,
    /// Its text says something else, or cannot be read.
    pub stale: Option<Stale>,
}

/// Why the last good is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub reason: StaleReason,
    /// One sentence, with the place.
    pub message: String,
}

/// The cause of a last good, as the reason of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The text of the object is wrong, or the file that it stood in is.
    SourceInvalid,
    /// The source is gone or cannot be read completely.
    SourceMissing,
    /// It is declared twice.
    Conflicted,
    /// What its text says now waits for a person.
    AwaitingApproval,
    /// With what its text says now, an AccessTest fails.
    TestsFailed,
    /// What its text says was taken back, because nobody confirmed it.
    Reverted,
}

/// One revision, before it is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// What is in force with it, each with its conditions as far as they do not depend on gateways. What did not change
    /// is the same allocation as in [`Input::previous`].
    pub objects: Arc<BTreeMap<ObjectKey, Arc<Committed>>>,
    pub pruned: Vec<ObjectKey>,
    /// In the order of files.
    pub problems: Vec<Problem>,
    pub allocations: Allocations,
    /// What each server must run.
    pub sections: BTreeMap<ObjectKey, Vec<EncodedSection>>,
    /// Keys that no gateway may let in.
    pub revoked: BTreeSet<PublicKey>,
    /// Objects that cannot do what they are for, and why.
    pub blocked: BTreeMap<ObjectKey, Blocked>,
    pub effective: Effective,
    pub access: Access,
    /// What waits for a person, and which objects are at last good because of it.
    pub plans: Vec<Plan>,
    /// What of [`Input::reverted`] is still said, or may be.
    pub reverted: BTreeMap<ObjectKey, ContentHash>,
    /// When time alone changes the result (unix seconds).
    pub next_wake: Option<i64>,
}

/// Compiles one revision. `now` is unix seconds.
pub fn compile(input: &Input, now: i64) -> Compiled {
    let Judged { draft, plans, failures } = gate::judge(input, now);
    let Draft { mut world, unresolved, allocations, exhausted, effective, access } = draft;
    let revoked = revoked(&world, &input.facts, &effective);
    let sections = gateway::sections(&world, &allocations, &access, &effective, &revoked);
    let blocked = facts::blocked(&world, &effective, &exhausted, &failures);
    let mut problems = std::mem::take(&mut world.problems);
    problems.extend(exhausted.iter().filter_map(|exhausted| pool_exhausted(&world, exhausted)));
    problems.extend(unresolved.iter().map(|problem| problem.clone().warning()));
    problems.extend(plans.iter().filter_map(Plan::problem));
    problems.extend(failures.iter().filter_map(|failure| failure.problem(&world)));
    problems.extend(remarks::remarks(&world, &effective, now));
    problems.sort();
    problems.dedup();
    Compiled {
        objects: Arc::new(conditions::objects(&world, &unresolved, &effective, &failures, now)),
        pruned: world.pruned.iter().map(|committed| committed.key.clone()).collect(),
        problems,
        allocations,
        sections,
        revoked,
        blocked,
        next_wake: effective.next_wake(now),
        effective,
        access,
        reverted: plan::still_reverted(input, now),
        plans,
    }
}

impl Committed {
    /// Returns whether a file of a source is where it stands.
    pub(crate) fn is_of(&self, source: &SourceSnapshot, file: &str) -> bool {
        self.owner.source == source.source && self.owner.origin.file == file
    }
}

impl Stale {
    pub(crate) fn of(reason: StaleReason, problem: &Problem) -> Self {
        Self { reason, message: format!("{problem}; the last good stays") }
    }
}

impl StaleReason {
    /// Returns the reason for conditions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceInvalid => "SourceInvalid",
            Self::SourceMissing => "SourceMissing",
            Self::Conflicted => "Conflicted",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::TestsFailed => "TestsFailed",
            Self::Reverted => "Reverted",
        }
    }
}

fn pool_exhausted(world: &World<'_>, exhausted: &Exhausted) -> Option<Problem> {
    let Exhausted { network, owner, is_ipv4 } = exhausted;
    let family = if *is_ipv4 { "IPv4" } else { "IPv6" };
    let message = format!("no {family} address of {network} is left for it");
    let problem = world.members.get(owner)?.problem(owner, "spec.networkRefs", "PoolExhausted", message);
    Some(problem.fix("add a pool to the network").warning())
}

/// Returns every key that was revoked or belongs to something without access, unless something has access with it.
fn revoked(world: &World<'_>, facts: &Facts, effective: &Effective) -> BTreeSet<PublicKey> {
    let device_key = |committed: &Committed| match &committed.spec {
        ResourceSpec::Device(spec) => spec.public_key,
        ResourceSpec::Network(_)
        | ResourceSpec::Server(_)
        | ResourceSpec::RegistrationKey(_)
        | ResourceSpec::User(_)
        | ResourceSpec::PersonalKey(_)
        | ResourceSpec::AccessPolicy(_)
        | ResourceSpec::AccessTest(_)
        | ResourceSpec::ConnectionProfile(_)
        | ResourceSpec::Admin(_)
        | ResourceSpec::AlertRule(_) => None,
    };
    // A key that a device had before, whether the device is gone or has another key.
    let former = world.members.values().filter_map(|member| member.last_good);
    let pruned = world.pruned.iter().copied();
    let former = pruned.chain(former).filter_map(|committed| device_key(committed));
    let of_devices = |is_active: bool| {
        let devices = effective.devices.values();
        devices.filter(move |d| (d.standing == Standing::Active) == is_active).filter_map(|d| d.public_key)
    };
    let mut revoked: BTreeSet<_> =
        facts.revoked.iter().copied().chain(former).chain(of_devices(false)).collect();
    for key in of_devices(true) {
        revoked.remove(&key);
    }
    revoked
}
