//! AccessTests: a change after which a case fails keeps its objects out, if it is the change that makes it fail.
//!
//! What failed before goes on failing aloud: a test never takes what is in force away.

use std::collections::BTreeMap;

use horizon_api::{
    problem::Problem,
    resource::{Expectation, Kind, ObjectKey, OnFailure, ResourceSpec},
};

use super::changed;
use crate::{
    compile::{Input, Stale, StaleReason, draft::Draft},
    why::Scene,
    world::World,
};

/// A case of a test that does not come out as it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub test: ObjectKey,
    pub case: usize,
    /// What came out instead, with the rule that decides.
    pub sentence: String,
    /// The change that causes it stays out.
    pub blocks: bool,
}

/// Objects that were looked at one by one: with more, all of them wait.
const SINGLES_MAX: usize = 4;

/// Returns every case that fails in a draft.
pub(super) fn failures(draft: &Draft<'_>, now: i64) -> Vec<Failure> {
    let tests = draft.world.members.iter().filter(|(key, _)| key.kind == Kind::AccessTest);
    let picture = draft.picture();
    let scene = Scene::new(picture.access, picture.effective, picture.objects);
    let mut failures = Vec::new();
    for (key, member) in tests {
        let ResourceSpec::AccessTest(spec) = member.spec else { continue };
        let network = key.sibling(Kind::Network, spec.network_ref.name.as_str());
        for (number, case) in spec.cases.iter().enumerate() {
            let (sentence, can_block) = match scene.try_case(&network, case, now) {
                Ok(result) if result.passes => continue,
                Ok(result) => (format!("must be {}: {}", word(case.expect), result.sentence), true),
                // Whoever it names and is not there was complained about already.
                Err(_) if draft.unresolved.iter().any(|problem| problem.object.as_ref() == Some(key)) => {
                    continue;
                }
                Err(error) => (format!("cannot be tried: {error}"), false),
            };
            let blocks = can_block && spec.on_failure == OnFailure::Block;
            failures.push(Failure { test: key.clone(), case: number, sentence, blocks });
        }
    }
    failures
}

/// Returns the changed objects to keep as they were, so that the cases pass which the change makes fail; nothing
/// when keeping them would not help.
pub(super) fn to_keep(
    input: &Input,
    draft: &Draft<'_>,
    kept: &BTreeMap<ObjectKey, Stale>,
    failures: &[Failure],
    now: i64,
) -> BTreeMap<ObjectKey, Stale> {
    let blocking: Vec<_> = failures.iter().filter(|failure| failure.blocks).collect();
    let Some(first) = blocking.first() else { return BTreeMap::new() };
    let stale = Stale {
        reason: StaleReason::TestsFailed,
        message: format!("with it, {}; the last good stays", first.text()),
    };
    for attempt in attempts(draft, &blocking) {
        let attempt: BTreeMap<_, _> = attempt.into_iter().map(|key| (key, stale.clone())).collect();
        let all = kept.iter().chain(&attempt).map(|(key, stale)| (key.clone(), stale.clone())).collect();
        let left = self::failures(&Draft::new(input, &all, now), now);
        let is_left = |failure: &&Failure| {
            left.iter().any(|other| (&other.test, other.case) == (&failure.test, failure.case))
        };
        if !blocking.iter().any(is_left) {
            return attempt;
        }
    }
    // Some fail in any case. The others are a reason to keep everything that may be the cause.
    let all = attempts(draft, &blocking).pop().unwrap_or_default();
    let everything: BTreeMap<_, _> = all.into_iter().map(|key| (key, stale.clone())).collect();
    let both = kept.iter().chain(&everything).map(|(key, stale)| (key.clone(), stale.clone())).collect();
    let left = self::failures(&Draft::new(input, &both, now), now);
    let helps = blocking
        .iter()
        .any(|failure| !left.iter().any(|other| (&other.test, other.case) == (&failure.test, failure.case)));
    if helps { everything } else { BTreeMap::new() }
}

/// Returns what may be kept, from the least to the most.
fn attempts(draft: &Draft<'_>, blocking: &[&Failure]) -> Vec<Vec<ObjectKey>> {
    let changed = changed(draft);
    let is_of_test = |key: &&ObjectKey| blocking.iter().any(|f| f.test.namespace == key.namespace);
    let of = |kinds: &[Kind]| -> Vec<ObjectKey> {
        changed.iter().filter(is_of_test).filter(|key| kinds.contains(&key.kind)).cloned().collect()
    };
    let policies = of(&[Kind::AccessPolicy]);
    let all = of(&[Kind::AccessPolicy, Kind::User, Kind::Device]);
    let singles = if all.len() <= SINGLES_MAX { all.as_slice() } else { &[] };
    let singles = singles.iter().map(|key| vec![key.clone()]);
    singles.chain([policies, all.clone()]).filter(|attempt| !attempt.is_empty()).collect()
}

impl Failure {
    /// Returns `AccessTest/lan spec.cases[1] must be denied: …`.
    pub(crate) fn text(&self) -> String {
        format!("{} {} {}", self.test, self.path(), self.sentence)
    }

    /// Returns the problem at the line of the case.
    pub(crate) fn problem(&self, world: &World<'_>) -> Option<Problem> {
        let member = world.members.get(&self.test)?;
        let problem = member.problem(&self.test, &self.path(), "TestFailed", &self.sentence);
        Some(if self.blocks { problem } else { problem.warning() })
    }

    fn path(&self) -> String {
        format!("spec.cases[{}]", self.case)
    }
}

fn word(expect: Expectation) -> &'static str {
    match expect {
        Expectation::Allow => "allowed",
        Expectation::Deny => "denied",
    }
}
