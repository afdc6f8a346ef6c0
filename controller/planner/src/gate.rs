//! Safety gates between what the sources say and what is in force: a change beyond a limit waits for a person.
//!
//! Only the objects that cause a breach stay as they were; everything else goes on. What takes access away on
//! purpose, by revoking, holding, disabling or by time, is never held back.

mod loss;
mod owner;
mod prune;
mod test;

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::resource::{Kind, ObjectKey};

pub(crate) use self::test::Failure;
use crate::{
    compile::{Input, Stale, Standing, draft::Draft, is_login},
    plan::{self, Breach, Plan},
};

/// Each round keeps at least one object more. What takes more rounds than this waits as a whole.
const ROUNDS_MAX: usize = 16;

/// What may be in force, and what does not get in.
pub(crate) struct Judged<'a> {
    pub draft: Draft<'a>,
    /// What waits for a person.
    pub plans: Vec<Plan>,
    /// The cases of AccessTests that fail, or would with what is kept out.
    pub failures: Vec<Failure>,
}

/// Judges what the sources say by what is in force.
pub(crate) fn judge(input: &Input, now: i64) -> Judged<'_> {
    let draft = Draft::new(input, &BTreeMap::new(), now);
    // At the first start there is nothing to fall back on.
    if input.previous.is_empty() {
        let failures = test::failures(&draft, now);
        return Judged { draft, plans: vec![], failures };
    }
    let mut judge = Judge { input, now, draft, kept: BTreeMap::new(), plans: vec![], failures: vec![] };
    judge.run();
    let Judge { draft, plans, mut failures, .. } = judge;
    let mut still = test::failures(&draft, now);
    still.retain(|failure| !failures.iter().any(|known| known.is_same_case(failure)));
    failures.append(&mut still);
    failures.sort_by(|a, b| (&a.test, a.case).cmp(&(&b.test, b.case)));
    Judged { draft, plans, failures }
}

/// A draft that loses, round by round, what may not be in force.
struct Judge<'a> {
    input: &'a Input,
    now: i64,
    draft: Draft<'a>,
    kept: BTreeMap<ObjectKey, Stale>,
    plans: Vec<Plan>,
    /// The cases because of which something was kept.
    failures: Vec<Failure>,
}

impl Judge<'_> {
    fn run(&mut self) {
        let reverted = plan::reverted(self.input, &self.draft.world);
        self.keep_plans(waiting(self.input, reverted.into_iter().collect()));
        // Whatever is kept later makes a prune smaller, and what a person approved is the whole of it.
        self.keep_plans(waiting(self.input, prune::plans(self.input, &self.draft)));
        for _ in 0..ROUNDS_MAX {
            let held = breaches(self.input, &self.draft, self.now);
            if !held.is_empty() {
                self.keep_plans(held);
                continue;
            }
            // What a test keeps out is judged like everything else: half of a change can be worse than the whole.
            let verdict = test::to_keep(self.input, &self.draft, &self.kept, self.now);
            if verdict.kept.is_empty() {
                return;
            }
            self.failures.extend(verdict.failures);
            self.keep(verdict.kept);
        }
        let rest = withholdable(&self.draft);
        let message = format!("what it would do to people was not settled in {ROUNDS_MAX} rounds");
        let plan = Plan::new(Breach::AccessLoss, rest, message, &self.draft.world);
        self.keep_plans(waiting(self.input, vec![plan]));
    }

    fn keep_plans(&mut self, plans: Vec<Plan>) {
        let causes = plans.iter().flat_map(|plan| plan.causes.keys().map(|key| (key.clone(), plan.stale())));
        self.keep(causes.collect());
        self.plans.extend(plans);
    }

    /// Keeps objects as they were. The first reason stays.
    fn keep(&mut self, more: BTreeMap<ObjectKey, Stale>) {
        if more.is_empty() {
            return;
        }
        for (key, stale) in more {
            self.kept.entry(key).or_insert(stale);
        }
        self.draft = Draft::new(self.input, &self.kept, self.now);
    }
}

fn waiting(input: &Input, mut plans: Vec<Plan>) -> Vec<Plan> {
    plans.retain(|plan| !input.approved.contains(&plan.hash));
    plans
}

/// Returns every breach of a draft, beside prunes, that nobody approved. What a prune would take is not in force
/// before a person has said so: it is judged first.
fn breaches(input: &Input, draft: &Draft<'_>, now: i64) -> Vec<Plan> {
    let mut plans = owner::last_owner(input, draft, now);
    plans.extend(owner::own_ways(input, draft, now));
    let mut plans = waiting(input, plans);
    if !changed(draft).iter().any(|key| is_about_access(key.kind)) {
        return plans;
    }
    let withholdable = withholdable(draft);
    plans.extend(waiting(input, loss::plan(input, draft, &withholdable, now).into_iter().collect()));
    plans
}

/// Returns the changed objects that may wait. What takes somebody's own access away, by removing or disabling them or by
/// time, never waits with others, and nobody's login does.
fn withholdable(draft: &Draft<'_>) -> BTreeSet<ObjectKey> {
    let is_active = |key: &ObjectKey| match key.kind {
        Kind::User => draft.effective.users.get(key).is_some_and(|user| user.standing == Standing::Active),
        Kind::Device => {
            draft.effective.devices.get(key).is_some_and(|device| device.standing == Standing::Active)
        }
        Kind::Network
        | Kind::Server
        | Kind::AccessPolicy
        | Kind::RegistrationKey
        | Kind::PersonalKey
        | Kind::AccessTest
        | Kind::ConnectionProfile
        | Kind::Admin
        | Kind::AlertRule => true,
    };
    let is_login = |key: &ObjectKey| {
        let member = draft.world.members.get(key);
        member.is_some_and(|member| is_login(member.owner.source, member.owner.origin))
    };
    let mut changed = changed(draft);
    changed.retain(|key| is_about_access(key.kind) && is_active(key) && !is_login(key));
    changed
}

fn is_about_access(kind: Kind) -> bool {
    match kind {
        Kind::Network | Kind::Server | Kind::User | Kind::Device | Kind::AccessPolicy => true,
        Kind::RegistrationKey
        | Kind::PersonalKey
        | Kind::AccessTest
        | Kind::ConnectionProfile
        | Kind::Admin
        | Kind::AlertRule => false,
    }
}

/// Returns the objects that are not what they were.
fn changed(draft: &Draft<'_>) -> BTreeSet<ObjectKey> {
    let world = &draft.world;
    let changed = world.members.iter().filter(|(_, member)| member.seniority() != 0).map(|(key, _)| *key);
    changed.chain(world.pruned.iter().map(|committed| &committed.key)).cloned().collect()
}
