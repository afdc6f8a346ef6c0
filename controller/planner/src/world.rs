//! All sources and the last good objects merged to one world: who declares what, what stays, what goes.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    problem::{Problem, Severity},
    resource::{Metadata, ObjectKey, ResourceSpec},
};

use crate::{
    compile::{Committed, Input, Owner, SourceSnapshot, Stale, StaleReason},
    hold::Hold,
    manifest::{Manifest, Origin, Rejected},
    ratchet,
};

/// What is, as far as one object at a time can tell.
#[derive(Debug, Default)]
pub(crate) struct World<'a> {
    pub members: BTreeMap<ObjectKey, Member<'a>>,
    pub pruned: Vec<&'a Committed>,
    pub problems: Vec<Problem>,
    /// What admins took out of force, as far as it is in effect.
    pub holds: BTreeMap<&'a ObjectKey, &'a Hold>,
}

/// An object in the world, and what it falls back on.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub metadata: &'a Metadata,
    pub spec: &'a ResourceSpec,
    pub owner: Owner,
    /// Its text, unless it is the last good that is in force.
    pub manifest: Option<&'a Manifest>,
    pub last_good: Option<&'a Committed>,
    pub stale: Option<Stale>,
}

/// Who claims to be an object.
#[derive(Default)]
struct Claims<'a> {
    manifests: Vec<(&'a SourceSnapshot, &'a Manifest)>,
    rejected: Vec<(&'a SourceSnapshot, &'a Rejected)>,
    last_good: Option<&'a Committed>,
}

impl<'a> World<'a> {
    pub(crate) fn merge(input: &'a Input, now: i64) -> Self {
        let holds = input.holds.iter().filter(|(_, hold)| hold.is_active(now)).collect();
        let mut world = Self { holds, ..Self::default() };
        let mut claims: BTreeMap<&ObjectKey, Claims<'a>> = BTreeMap::new();
        for source in &input.sources {
            world.problems.extend(source.parsed.problems.iter().cloned());
            for manifest in &source.parsed.manifests {
                claims.entry(&manifest.key).or_default().manifests.push((source, manifest.as_ref()));
            }
            for rejected in &source.parsed.rejected {
                claims.entry(&rejected.key).or_default().rejected.push((source, rejected));
            }
        }
        for committed in &input.previous {
            claims.entry(&committed.key).or_default().last_good = Some(committed);
        }
        let mut ratcheted = BTreeSet::new();
        for (key, mut claims) in claims {
            ratcheted.extend(claims.ratchet());
            world.decide(input, key, claims);
        }
        for problem in &mut world.problems {
            if ratcheted.contains(problem) {
                problem.severity = Severity::Warning;
                problem.code = "RatchetedInvalid".to_owned();
            }
        }
        world
    }

    /// Returns what is in force, as if no source said anything any more.
    pub(crate) fn in_force(input: &'a Input, now: i64) -> Self {
        let holds = input.holds.iter().filter(|(_, hold)| hold.is_active(now)).collect();
        let members = input.previous.iter().map(|committed| (committed.key.clone(), Member::of(committed)));
        Self { members: members.collect(), holds, ..Self::default() }
    }

    /// Keeps objects as they were, whatever their sources say: changed, new or removed.
    pub(crate) fn keep(&mut self, kept: &BTreeMap<ObjectKey, Stale>) {
        let (returning, pruned): (Vec<_>, Vec<_>) =
            self.pruned.iter().partition(|committed| kept.contains_key(&committed.key));
        self.pruned = pruned;
        let mut last_goods: BTreeMap<_, _> =
            returning.into_iter().map(|committed| (&committed.key, committed)).collect();
        for (key, stale) in kept {
            let last_good = match self.members.remove(key) {
                Some(member) => member.last_good,
                None => last_goods.remove(key),
            };
            if let Some(committed) = last_good {
                self.members.insert(key.clone(), Member::kept(committed, stale.clone()));
            }
        }
    }

    /// Returns whether an admin took an object out of force.
    pub(crate) fn is_held(&self, key: &ObjectKey) -> bool {
        self.holds.contains_key(key)
    }

    /// Returns where an object is declared, or was before it disappeared.
    pub(crate) fn origin_of(&self, key: &ObjectKey) -> Option<&Origin> {
        let pruned = || self.pruned.iter().find(|committed| committed.key == *key).map(|c| &c.owner);
        self.members.get(key).map(|member| &member.owner).or_else(pruned).map(|owner| &owner.origin)
    }

    /// Puts the last good in force again, or takes the object out if there is none.
    pub(crate) fn refuse(&mut self, key: &ObjectKey, problem: Problem) {
        let Some(member) = self.members.get_mut(key) else { return };
        match member.last_good {
            Some(committed) => {
                *member = Member::kept(committed, Stale::of(StaleReason::SourceInvalid, &problem))
            }
            None => drop(self.members.remove(key)),
        }
        self.problems.push(problem);
    }

    fn decide(&mut self, input: &Input, key: &ObjectKey, mut claims: Claims<'a>) {
        claims.manifests.sort_by_key(|(source, manifest)| (&source.source, &manifest.origin));
        let Claims { manifests, rejected, last_good } = claims;
        let chosen = match manifests.as_slice() {
            [] => return self.decide_without_text(input, key, &rejected, last_good),
            [only] => Some(*only),
            several => established_among(several, last_good),
        };
        let held = last_good.filter(|committed| {
            chosen.is_some_and(|(source, _)| source.source != committed.owner.source)
                && is_unsure(input, &committed.owner.source)
        });
        let chosen = if held.is_some() { None } else { chosen };
        let winner = chosen.map(|(_, manifest)| &manifest.origin).or(last_good.map(|c| &c.owner.origin));
        let losers: Vec<_> = manifests
            .iter()
            .filter(|(_, manifest)| chosen.is_none_or(|(_, chosen)| chosen.origin != manifest.origin))
            .collect();
        for (_, loser) in &losers {
            let other = manifests.iter().map(|(_, m)| &m.origin).find(|origin| **origin != loser.origin);
            self.problems.push(declared_twice(loser, other, winner));
        }
        match (chosen, last_good) {
            (Some((source, manifest)), _) => {
                self.members.insert(key.clone(), Member::declared(source, manifest, last_good));
            }
            (None, Some(committed)) => {
                let message = losers.first().map(|(_, loser)| declared_twice(loser, None, winner).message);
                let stale = Stale { reason: StaleReason::Conflicted, message: message.unwrap_or_default() };
                self.members.insert(key.clone(), Member::kept(committed, stale));
            }
            (None, None) => {}
        }
    }

    fn decide_without_text(
        &mut self,
        input: &Input,
        key: &ObjectKey,
        rejected: &[(&SourceSnapshot, &Rejected)],
        last_good: Option<&'a Committed>,
    ) {
        let Some(committed) = last_good else { return };
        let stale = match rejected.first() {
            Some((_, rejected)) => Some(Stale::of(StaleReason::SourceInvalid, &rejected.problem)),
            None => reason_to_keep(input, committed),
        };
        match stale {
            Some(stale) => drop(self.members.insert(key.clone(), Member::kept(committed, stale))),
            None => self.pruned.push(committed),
        }
    }
}

impl<'a> Claims<'a> {
    /// Takes an object as declared although rules stand against it, if they stood against it when it was accepted
    /// too. Returns the problems, which are warnings then.
    fn ratchet(&mut self) -> Vec<&'a Problem> {
        let ([], [(source, rejected)], Some(committed)) =
            (self.manifests.as_slice(), self.rejected.as_slice(), self.last_good)
        else {
            return vec![];
        };
        let is_same_source = source.source == committed.owner.source;
        match &rejected.readable {
            Some(readable) if is_same_source && ratchet::stays_accepted(readable, committed) => {
                self.manifests.push((source, &readable.manifest));
                self.rejected.clear();
                readable.faults.iter().map(|fault| &fault.problem).collect()
            }
            Some(_) | None => vec![],
        }
    }
}

impl<'a> Member<'a> {
    fn declared(source: &SourceSnapshot, manifest: &'a Manifest, last_good: Option<&'a Committed>) -> Self {
        Self {
            metadata: &manifest.metadata,
            spec: &manifest.spec,
            owner: Owner { source: source.source.clone(), origin: manifest.origin.clone() },
            manifest: Some(manifest),
            last_good,
            stale: None,
        }
    }

    fn kept(committed: &'a Committed, stale: Stale) -> Self {
        Self { stale: Some(stale), ..Self::of(committed) }
    }

    fn of(committed: &'a Committed) -> Self {
        Self {
            metadata: &committed.metadata,
            spec: &committed.spec,
            owner: committed.owner.clone(),
            manifest: None,
            last_good: Some(committed),
            stale: None,
        }
    }

    /// Returns 0 for what was in force before, 1 for a change of it, 2 for what is new: the lower one stays.
    pub(crate) fn seniority(&self) -> u8 {
        match self.last_good {
            Some(committed) if committed.spec == *self.spec => 0,
            Some(_) => 1,
            None => 2,
        }
    }

    /// Returns a problem of this object, at the place of a path where its text is at hand.
    pub(crate) fn problem(
        &self,
        key: &ObjectKey,
        path: &str,
        code: &str,
        message: impl Into<String>,
    ) -> Problem {
        match self.manifest {
            Some(manifest) => manifest.problem(path, code, message),
            None => {
                let origin = &self.owner.origin;
                Problem::error(&origin.file, code, message)
                    .at(origin.place.line, origin.place.column)
                    .about(key.clone(), path)
            }
        }
    }
}

/// Returns the claim that continues what was in force: the same source and file, and the same content if that
/// is not enough to tell.
fn established_among<'a>(
    claims: &[(&'a SourceSnapshot, &'a Manifest)],
    last_good: Option<&Committed>,
) -> Option<(&'a SourceSnapshot, &'a Manifest)> {
    let committed = last_good?;
    let same_file: Vec<_> = claims
        .iter()
        .filter(|(source, manifest)| {
            source.source == committed.owner.source && manifest.origin.file == committed.owner.origin.file
        })
        .collect();
    let same_content: Vec<_> =
        same_file.iter().filter(|(_, manifest)| manifest.spec == committed.spec).collect();
    match (same_file.as_slice(), same_content.as_slice()) {
        ([only], _) => Some(**only),
        (_, [only]) => Some(***only),
        _ => None,
    }
}

fn declared_twice(loser: &Manifest, other: Option<&Origin>, winner: Option<&Origin>) -> Problem {
    let (message, fix) = match (winner, other) {
        (Some(winner), _) => {
            (format!("is declared in {winner} too, and that one stays in force"), "remove one of them")
        }
        (None, Some(other)) => {
            (format!("is declared in {other} too, and neither is in force"), "remove one of them")
        }
        (None, None) => ("is declared twice".to_owned(), "remove one of them"),
    };
    loser.problem("", "Conflicted", message).fix(fix)
}

/// Says why an object that no text declares stays, or nothing if it goes.
fn reason_to_keep(input: &Input, committed: &Committed) -> Option<Stale> {
    let Owner { source, origin } = &committed.owner;
    let keep = |reason, message: String| Some(Stale { reason, message });
    let Some(snapshot) = source_named(input, source) else {
        return keep(
            StaleReason::SourceMissing,
            format!(
                "{source} is not among the sources any more; the last good stays until another declares it"
            ),
        );
    };
    if !snapshot.is_complete {
        return keep(
            StaleReason::SourceMissing,
            format!("{source} cannot be read completely; the last good stays"),
        );
    }
    let broken: &BTreeSet<String> = &snapshot.parsed.broken_files;
    if broken.contains(&origin.file) {
        return keep(
            StaleReason::SourceInvalid,
            format!("{} cannot be read; the last good stays", origin.file),
        );
    }
    broken.first().and_then(|file| {
        let message =
            format!("is gone from {}, but nothing is removed while {file} cannot be read", origin.file);
        keep(StaleReason::SourceInvalid, message)
    })
}

/// Says whether a source may still declare what nobody has read. One that is not among the sources cannot: the
/// folder was moved or is not asked any more, and whoever declares its objects takes them over.
fn is_unsure(input: &Input, source: &str) -> bool {
    source_named(input, source)
        .is_some_and(|snapshot| !snapshot.is_complete || !snapshot.parsed.broken_files.is_empty())
}

fn source_named<'a>(input: &'a Input, source: &str) -> Option<&'a SourceSnapshot> {
    input.sources.iter().find(|snapshot| snapshot.source == source)
}
