//! All sources and the last good objects merged to one world: who declares what, what stays, what goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
    pub members: BTreeMap<&'a ObjectKey, Member<'a>>,
    /// What goes, in the order of its keys.
    pub pruned: Vec<&'a Arc<Committed>>,
    pub problems: Vec<Problem>,
    /// What admins took out of force, as far as it is in effect.
    pub holds: BTreeMap<&'a ObjectKey, &'a Hold>,
}

/// An object in the world, and what it falls back on.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub metadata: &'a Arc<Metadata>,
    pub spec: &'a ResourceSpec,
    pub owner: OwnerRef<'a>,
    /// Its text, unless it is the last good that is in force.
    pub manifest: Option<&'a Manifest>,
    pub last_good: Option<&'a Arc<Committed>>,
    pub stale: Option<Stale>,
    seniority: u8,
}

/// Who declares an object, and where, as it stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnerRef<'a> {
    pub source: &'a str,
    pub origin: &'a Origin,
}

/// Somebody's word about an object.
enum Word<'a> {
    Manifest(&'a SourceSnapshot, &'a Manifest),
    Rejected(&'a SourceSnapshot, &'a Rejected),
    LastGood(&'a Arc<Committed>),
}

/// Who claims to be an object.
#[derive(Default)]
struct Claims<'a> {
    manifests: Vec<(&'a SourceSnapshot, &'a Manifest)>,
    rejected: Vec<(&'a SourceSnapshot, &'a Rejected)>,
    last_good: Option<&'a Arc<Committed>>,
}

impl<'a> World<'a> {
    pub(crate) fn merge(input: &'a Input, now: i64) -> Self {
        let holds = input.holds.iter().filter(|(_, hold)| hold.is_active(now)).collect();
        let mut world = Self { holds, ..Self::default() };
        for source in &input.sources {
            world.problems.extend(source.parsed.problems.iter().cloned());
        }
        let mut ratcheted = BTreeSet::new();
        let mut members = Vec::new();
        for words in words(input).chunk_by(|(one, _), (other, _)| one == other) {
            let key = words[0].0;
            let mut claims = Claims::of(words);
            ratcheted.extend(claims.ratchet());
            members.extend(world.decide(input, claims).map(|member| (key, member)));
        }
        world.members = members.into_iter().collect();
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
        let members = input.previous.iter().map(|committed| (&committed.key, Member::of(committed)));
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
                self.members.insert(&committed.key, Member::kept(committed, stale.clone()));
            }
        }
    }

    /// Returns whether an admin took an object out of force.
    pub(crate) fn is_held(&self, key: &ObjectKey) -> bool {
        self.holds.contains_key(key)
    }

    /// Returns an object that goes.
    pub(crate) fn pruned(&self, key: &ObjectKey) -> Option<&'a Arc<Committed>> {
        let found = self.pruned.binary_search_by(|committed| committed.key.cmp(key));
        found.ok().map(|place| self.pruned[place])
    }

    /// Returns where an object is declared, or was before it disappeared.
    pub(crate) fn origin_of(&self, key: &ObjectKey) -> Option<&Origin> {
        let pruned = || self.pruned(key).map(|committed| &committed.owner.origin);
        self.members.get(key).map(|member| member.owner.origin).or_else(pruned)
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

    /// Returns what is in force of an object, if anything is.
    fn decide(&mut self, input: &Input, mut claims: Claims<'a>) -> Option<Member<'a>> {
        claims.manifests.sort_by_key(|(source, manifest)| (&source.source, &manifest.origin));
        let Claims { manifests, rejected, last_good } = claims;
        let chosen = match manifests.as_slice() {
            [] => return self.decide_without_text(input, &rejected, last_good),
            [only] => Some(*only),
            several => established_among(several, last_good.map(Arc::as_ref)),
        };
        // A copy elsewhere does not take over because of a mistake in the text that is in force.
        let kept = last_good.and_then(|committed| {
            let is_its_own = |(source, manifest): (&SourceSnapshot, &Manifest)| {
                committed.is_of(source, &manifest.origin.file)
            };
            chosen.filter(|claim| !is_its_own(*claim)).and_then(|(source, _)| {
                let is_elsewhere = source.source != committed.owner.source;
                unread_claim(input, committed, &rejected, is_elsewhere)
            })
        });
        let chosen = if kept.is_some() { None } else { chosen };
        let is_chosen = |(source, manifest): (&SourceSnapshot, &Manifest)| {
            chosen.is_some_and(|(other, chosen)| {
                other.source == source.source && chosen.origin == manifest.origin
            })
        };
        let mut lost = None;
        for claim in manifests.iter().copied().filter(|claim| !is_chosen(*claim)) {
            let rival = match (chosen, last_good) {
                (Some((source, manifest)), _) => Rival::Text(source, manifest),
                (None, Some(committed)) if kept.is_some() => Rival::InForce(committed),
                (None, last_good) => {
                    let other = manifests.iter().copied().find(|other| !is_same_place(*other, claim));
                    Rival::Undecided { other, is_in_force: last_good.is_some() }
                }
            };
            let problem = declared_twice(claim, rival);
            lost.get_or_insert_with(|| problem.message.clone());
            self.problems.push(problem);
        }
        match (chosen, last_good) {
            (Some((source, manifest)), _) => Some(Member::declared(source, manifest, last_good)),
            (None, Some(committed)) => {
                let twice = || Stale { reason: StaleReason::Conflicted, message: lost.unwrap_or_default() };
                Some(Member::kept(committed, kept.unwrap_or_else(twice)))
            }
            (None, None) => None,
        }
    }

    fn decide_without_text(
        &mut self,
        input: &Input,
        rejected: &[(&SourceSnapshot, &Rejected)],
        last_good: Option<&'a Arc<Committed>>,
    ) -> Option<Member<'a>> {
        let committed = last_good?;
        let stale = match rejected.first() {
            Some((_, rejected)) => Some(Stale::of(StaleReason::SourceInvalid, &rejected.problem)),
            None => reason_to_keep(input, committed),
        };
        if stale.is_none() {
            self.pruned.push(committed);
        }
        stale.map(|stale| Member::kept(committed, stale))
    }
}

/// Returns what everybody says, in the order of the objects.
fn words(input: &Input) -> Vec<(&ObjectKey, Word<'_>)> {
    let mut words = Vec::new();
    for source in &input.sources {
        let manifests = source.parsed.manifests.iter();
        words.extend(manifests.map(|manifest| (&manifest.key, Word::Manifest(source, manifest))));
        let rejected = source.parsed.rejected.iter();
        words.extend(rejected.map(|rejected| (&rejected.key, Word::Rejected(source, rejected))));
    }
    words.extend(input.previous.iter().map(|committed| (&committed.key, Word::LastGood(committed))));
    words.sort_by_key(|(key, _)| *key);
    words
}

impl<'a> Claims<'a> {
    fn of(words: &[(&'a ObjectKey, Word<'a>)]) -> Self {
        let mut claims = Self::default();
        for (_, word) in words {
            match word {
                Word::Manifest(source, manifest) => claims.manifests.push((*source, *manifest)),
                Word::Rejected(source, rejected) => claims.rejected.push((*source, *rejected)),
                Word::LastGood(committed) => claims.last_good = Some(*committed),
            }
        }
        claims
    }

    /// Takes an object as declared although rules stand against it, if they stood against it when it was accepted
    /// too. Returns the problems, which are warnings then.
    fn ratchet(&mut self) -> Vec<&'a Problem> {
        let Some(committed) = self.last_good else { return vec![] };
        let is_its_own = |(source, rejected): &&(&SourceSnapshot, &Rejected)| {
            source.source == committed.owner.source
                && (self.manifests.is_empty() || committed.is_of(source, &rejected.origin.file))
        };
        let mut own = self.rejected.iter().filter(is_its_own);
        let (Some((source, rejected)), None) = (own.next().copied(), own.next()) else { return vec![] };
        match &rejected.readable {
            Some(readable) if ratchet::stays_accepted(readable, committed) => {
                self.manifests.push((source, &readable.manifest));
                self.rejected.retain(|(_, other)| !std::ptr::eq(*other, rejected));
                readable.faults.iter().map(|fault| &fault.problem).collect()
            }
            Some(_) | None => vec![],
        }
    }
}

impl<'a> Member<'a> {
    fn declared(
        source: &'a SourceSnapshot,
        manifest: &'a Manifest,
        last_good: Option<&'a Arc<Committed>>,
    ) -> Self {
        Self {
            metadata: &manifest.metadata,
            spec: &manifest.spec,
            owner: OwnerRef { source: &source.source, origin: &manifest.origin },
            manifest: Some(manifest),
            last_good,
            stale: None,
            seniority: match last_good {
                Some(committed) if committed.spec == manifest.spec => 0,
                Some(_) => 1,
                None => 2,
            },
        }
    }

    fn kept(committed: &'a Arc<Committed>, stale: Stale) -> Self {
        Self { stale: Some(stale), ..Self::of(committed) }
    }

    /// Returns what was in force, as it was.
    pub(crate) fn of(committed: &'a Arc<Committed>) -> Self {
        Self {
            metadata: &committed.metadata,
            spec: &committed.spec,
            owner: OwnerRef::from(&committed.owner),
            manifest: None,
            last_good: Some(committed),
            stale: None,
            seniority: 0,
        }
    }

    /// Returns 0 for what was in force before, 1 for a change of it, 2 for what is new: the lower one stays.
    pub(crate) fn seniority(&self) -> u8 {
        self.seniority
    }

    /// Returns what was in force, if this is a change of it.
    pub(crate) fn changes(&self) -> Option<&'a Arc<Committed>> {
        self.last_good.filter(|_| self.seniority == 1)
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
                let origin = self.owner.origin;
                Problem::error(origin.file.as_str(), code, message)
                    .at(origin.place.line, origin.place.column)
                    .about(key.clone(), path)
            }
        }
    }
}

impl OwnerRef<'_> {
    pub(crate) fn to_owner(self) -> Owner {
        Owner { source: self.source.into(), origin: self.origin.clone() }
    }
}

impl<'a> From<&'a Owner> for OwnerRef<'a> {
    fn from(owner: &'a Owner) -> Self {
        Self { source: &owner.source, origin: &owner.origin }
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

/// Because of what a text is not in force.
enum Rival<'a> {
    /// Another text.
    Text(&'a SourceSnapshot, &'a Manifest),
    /// What was in force before, whose own text cannot be read.
    InForce(&'a Committed),
    /// Nobody can tell which one is meant.
    Undecided { other: Option<(&'a SourceSnapshot, &'a Manifest)>, is_in_force: bool },
}

fn declared_twice((source, loser): (&SourceSnapshot, &Manifest), rival: Rival<'_>) -> Problem {
    let place = |of: &str, origin: &Origin| match of == source.source {
        true => origin.to_string(),
        false => format!("{origin} of {}", of.trim_start_matches("files:")),
    };
    let message = match rival {
        Rival::Text(other, manifest) => {
            format!(
                "is declared in {} too, and that one stays in force",
                place(&other.source, &manifest.origin)
            )
        }
        Rival::InForce(committed) => {
            let Owner { source, origin } = &committed.owner;
            format!("is declared in {} too, and that one stays in force", place(source, origin))
        }
        Rival::Undecided { other, is_in_force } => {
            let what = if is_in_force { "the last good stays in force" } else { "neither is in force" };
            match other {
                Some((other, manifest)) => {
                    format!("is declared in {} too, and {what}", place(&other.source, &manifest.origin))
                }
                None => format!("is declared twice, and {what}"),
            }
        }
    };
    loser.problem("", "Conflicted", message).fix("remove one of them")
}

fn is_same_place(one: (&SourceSnapshot, &Manifest), other: (&SourceSnapshot, &Manifest)) -> bool {
    one.0.source == other.0.source && one.1.origin == other.1.origin
}

/// Returns why what is in force stays although only another text declares it: its own may be there, and cannot be read.
fn unread_claim(
    input: &Input,
    committed: &Committed,
    rejected: &[(&SourceSnapshot, &Rejected)],
    is_elsewhere: bool,
) -> Option<Stale> {
    let Owner { source, origin } = &committed.owner;
    if let Some((_, own)) = rejected.iter().find(|(source, own)| committed.is_of(source, &own.origin.file)) {
        return Some(Stale::of(StaleReason::SourceInvalid, &own.problem));
    }
    if source_named(input, source).is_some_and(|own| own.parsed.broken_files.contains(origin.file.as_str())) {
        let message = format!("{} cannot be read; the last good stays", origin.file);
        return Some(Stale { reason: StaleReason::SourceInvalid, message });
    }
    let is_unsure = is_elsewhere && is_unsure(input, source);
    is_unsure.then(|| Stale {
        reason: StaleReason::Conflicted,
        message: format!("is declared twice, and {source} cannot be read completely; the last good stays"),
    })
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
    if broken.contains(origin.file.as_str()) {
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
