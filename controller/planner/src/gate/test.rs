//! AccessTests: a change after which a case fails keeps its objects out, if it is the change that makes it fail.
//!
//! What failed before goes on failing aloud: a test never takes what is in force away.

use std::collections::BTreeMap;

use horizon_api::{
    problem::Problem,
    resource::{Expectation, Kind, ObjectKey, OnFailure, ResourceSpec},
};

use super::withholdable;
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

/// What is kept because of tests.
#[derive(Default)]
pub(super) struct Verdict {
    pub kept: BTreeMap<ObjectKey, Stale>,
    /// The cases that it is kept for.
    pub failures: Vec<Failure>,
}

/// Returns every case that fails in a draft.
pub(super) fn failures(draft: &Draft<'_>, now: i64) -> Vec<Failure> {
    failures_in(draft, draft, now)
}

/// Returns every case of a draft that fails in another one.
fn failures_in(of: &Draft<'_>, draft: &Draft<'_>, now: i64) -> Vec<Failure> {
    let tests: Vec<_> = of.world.members.iter().filter(|(key, _)| key.kind == Kind::AccessTest).collect();
    if tests.is_empty() {
        return vec![];
    }
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
                Err(_) if of.unresolved.iter().any(|problem| problem.object.as_ref() == Some(key)) => {
                    continue;
                }
                Err(error) => (format!("cannot be tried: {error}"), false),
            };
            let blocks = can_block && spec.on_failure == OnFailure::Block;
            failures.push(Failure { test: (*key).clone(), case: number, sentence, blocks });
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
    now: i64,
) -> Verdict {
    let failures = failures(draft, now);
    if !failures.iter().any(|failure| failure.blocks) {
        return Verdict::default();
    }
    let in_force = Draft::in_force(input, now);
    let caused = |draft: &Draft<'_>, failures: Vec<Failure>| -> Vec<Failure> {
        let before = failures_in(draft, &in_force, now);
        let is_new =
            |failure: &Failure| failure.blocks && !before.iter().any(|old| old.is_same_case(failure));
        failures.into_iter().filter(is_new).collect()
    };
    let blocking = caused(draft, failures);
    let Some(first) = blocking.first() else { return Verdict::default() };
    let stale = Stale {
        reason: StaleReason::TestsFailed,
        message: format!("with it, {}; the last good stays", first.text()),
    };
    let mut least = blocking.len();
    let mut best = BTreeMap::new();
    for attempt in attempts(draft, &blocking) {
        let attempt: BTreeMap<_, _> = attempt.into_iter().map(|key| (key, stale.clone())).collect();
        let all = kept.iter().chain(&attempt).map(|(key, stale)| (key.clone(), stale.clone())).collect();
        let attempted = Draft::new(input, &all, now);
        let left = caused(&attempted, self::failures(&attempted, now)).len();
        if left < least {
            (least, best) = (left, attempt);
        }
        if least == 0 {
            break;
        }
    }
    Verdict { kept: best, failures: blocking }
}

/// Returns what may be kept, from the least to the most.
fn attempts(draft: &Draft<'_>, blocking: &[Failure]) -> Vec<Vec<ObjectKey>> {
    let is_of_test = |key: &&ObjectKey| blocking.iter().any(|f| f.test.namespace == key.namespace);
    let all: Vec<ObjectKey> = withholdable(draft).iter().filter(is_of_test).cloned().collect();
    let of = |kinds: &[Kind]| -> Vec<ObjectKey> {
        all.iter().filter(|key| kinds.contains(&key.kind)).cloned().collect()
    };
    let policies = of(&[Kind::AccessPolicy]);
    let ways = of(&[Kind::AccessPolicy, Kind::Network, Kind::Server]);
    let singles = if all.len() <= SINGLES_MAX { all.as_slice() } else { &[] };
    let singles = singles.iter().map(|key| vec![key.clone()]);
    singles.chain([policies, ways, all.clone()]).filter(|attempt| !attempt.is_empty()).collect()
}

impl Failure {
    pub(super) fn is_same_case(&self, other: &Self) -> bool {
        (&self.test, self.case) == (&other.test, other.case)
    }

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
