//! A held plan: what a change would do beyond a limit, which objects do it, and the hash that approves just that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use horizon_api::{
    problem::Problem,
    resource::{ObjectKey, ResourceSpec},
    section::ContentHash,
};

use crate::{
    compile::{Input, Stale, StaleReason},
    manifest::Origin,
    world::World,
};

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub hash: PlanHash,
    pub breach: Breach,
    /// The objects that stay at last good because of it, with the place of what is held back.
    pub causes: BTreeMap<ObjectKey, Origin>,
    /// What it would do, in one sentence.
    pub message: String,
}

/// Which limit a change is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// Too much of a source disappeared.
    Prune,
    /// Too many people would lose too much.
    AccessLoss,
    /// Nobody could operate the controller any more.
    LastOwner,
    /// Whoever made the change would lock themselves out.
    OwnWay,
    /// It was taken back because nobody confirmed it.
    Reverted,
}

/// Names the content of a plan: an approval is for what was looked at, and for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanHash(ContentHash);

/// Text that is not the hash of a plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hash of a plan: 12 to 64 of the letters 0-9 and a-f")]
pub struct NotAHash(String);

impl Breach {
    /// Returns the name in plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prune => "Prune",
            Self::AccessLoss => "AccessLoss",
            Self::LastOwner => "LastOwner",
            Self::OwnWay => "OwnWay",
            Self::Reverted => "Reverted",
        }
    }

    fn reason(self) -> StaleReason {
        match self {
            Self::Prune | Self::AccessLoss | Self::LastOwner | Self::OwnWay => StaleReason::AwaitingApproval,
            Self::Reverted => StaleReason::Reverted,
        }
    }
}

impl Plan {
    /// Makes the plan of a breach that these objects of the candidate cause.
    pub(crate) fn new(
        breach: Breach,
        causes: impl IntoIterator<Item = ObjectKey>,
        message: String,
        world: &World<'_>,
    ) -> Self {
        let causes: BTreeSet<_> = causes.into_iter().collect();
        let texts = causes.iter().map(|key| (key, world.members.get(key).map(|member| member.spec)));
        let hash = PlanHash::of(breach, texts);
        let causes = causes.into_iter().filter_map(|key| {
            let origin = world.origin_of(&key)?.clone();
            Some((key, origin))
        });
        Self { hash, breach, causes: causes.collect(), message }
    }

    /// Returns why its objects stay as they were.
    pub(crate) fn stale(&self) -> Stale {
        Stale { reason: self.breach.reason(), message: self.sentence() }
    }

    /// Returns what it would do and how to let it.
    pub fn sentence(&self) -> String {
        format!("{}; {}", self.message, self.fix())
    }

    /// Returns the problem to show, at the first of its places.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let (key, origin) = self.causes.first_key_value()?;
        let code = self.breach.reason().as_str();
        let problem = Problem::error(origin.file.as_str(), code, &self.message)
            .at(origin.place.line, origin.place.column)
            .about(key.clone(), "");
        Some(problem.fix(self.fix()))
    }

    fn fix(&self) -> String {
        format!("the last good stays; approve with `horizon-controller approve {}`", self.hash.short())
    }
}

impl PlanHash {
    fn of<'a>(
        breach: Breach,
        texts: impl Iterator<Item = (&'a ObjectKey, Option<&'a ResourceSpec>)>,
    ) -> Self {
        let mut content = format!("{}\n", breach.as_str());
        for (key, spec) in texts {
            let ObjectKey { kind, namespace, name } = key;
            let text = text_of(spec);
            content.push_str(&format!("{kind}/{namespace}/{name} {text}\n"));
        }
        Self(ContentHash::of(content.as_bytes()))
    }

    /// Returns as much of it as people copy.
    pub fn short(&self) -> String {
        self.to_string().chars().take(SHORT).collect()
    }

    /// Returns whether a text that a person gave names it.
    ///
    /// # Errors
    /// When the text is no such hash at all.
    pub fn is_named_by(&self, text: &str) -> Result<bool, NotAHash> {
        let is_hash = (SHORT..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            return Err(NotAHash(text.to_owned()));
        }
        Ok(self.to_string().starts_with(&text.to_ascii_lowercase()))
    }

    /// Returns its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns a hash that was computed before.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(ContentHash::from_bytes(bytes))
    }
}

/// Twelve hexadecimal digits: nobody finds a second plan with the same by accident.
const SHORT: usize = 12;

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names the text of an object, so that it is known again: what was taken back stays back until it changes.
pub fn text_hash(spec: Option<&ResourceSpec>) -> ContentHash {
    ContentHash::of(text_of(spec).as_bytes())
}

fn text_of(spec: Option<&ResourceSpec>) -> String {
    spec.map_or_else(|| "removed".to_owned(), ResourceSpec::canonical_json)
}

/// Returns the plan of the objects that say again what was taken back.
pub(crate) fn reverted(input: &Input, world: &World<'_>) -> Option<Plan> {
    let causes: Vec<_> = input
        .reverted
        .iter()
        .filter(|(key, hash)| differs(world, key) && said(world, key).is_some_and(|said| said == **hash))
        .map(|(key, _)| key.clone())
        .collect();
    let message = "it was taken back because nobody confirmed it in time".to_owned();
    (!causes.is_empty()).then(|| Plan::new(Breach::Reverted, causes, message, world))
}

/// Returns what was taken back and is not said differently since.
pub(crate) fn still_reverted(input: &Input, now: i64) -> BTreeMap<ObjectKey, ContentHash> {
    if input.reverted.is_empty() {
        return BTreeMap::new();
    }
    let world = World::merge(input, now);
    let is_still = |(key, hash): &(&ObjectKey, &ContentHash)| {
        said(&world, key).is_none_or(|said| said == **hash && differs(&world, key))
    };
    input.reverted.iter().filter(is_still).map(|(key, hash)| (key.clone(), *hash)).collect()
}

/// Returns whether what the sources say of an object is not in force already.
fn differs(world: &World<'_>, key: &ObjectKey) -> bool {
    world.members.get(key).map_or_else(|| world.pruned(key).is_some(), |member| member.seniority() != 0)
}

/// Returns the hash of what the sources say of an object, unless that is unknown: a file that cannot be read.
fn said(world: &World<'_>, key: &ObjectKey) -> Option<ContentHash> {
    match world.members.get(key) {
        Some(member) => member.manifest.map(|manifest| text_hash(Some(&manifest.spec))),
        None => Some(text_hash(None)),
    }
}
