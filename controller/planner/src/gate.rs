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
    compile::{Input, Stale, draft::Draft},
    plan::{self, Plan},
};

/// Each round keeps at least one object more; what takes more rounds than this is held by the plans so far.
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
    let mut kept: BTreeMap<ObjectKey, Stale> = BTreeMap::new();
    let mut plans: Vec<Plan> = Vec::new();
    let mut draft = Draft::new(input, &kept, now);
    // At the first start there is nothing to fall back on.
    if input.previous.is_empty() {
        let failures = test::failures(&draft, now);
        return Judged { draft, plans, failures };
    }
    let mut held = waiting(input, plan::reverted(input, &draft.world).into_iter().collect());
    // Whatever is kept later makes a prune smaller, and what a person approved is the whole of it.
    let mut has_judged_prunes = false;
    for _ in 0..ROUNDS_MAX {
        if held.is_empty() && !has_judged_prunes {
            has_judged_prunes = true;
            held = waiting(input, prune::plans(input, &draft));
        }
        if held.is_empty() {
            held = breaches(input, &draft, now);
        }
        if held.is_empty() {
            break;
        }
        for plan in &held {
            for key in plan.causes.keys().filter(|key| !kept.contains_key(*key)).collect::<Vec<_>>() {
                kept.insert(key.clone(), plan.stale());
            }
        }
        plans.append(&mut held);
        draft = Draft::new(input, &kept, now);
    }
    let failures = test::failures(&draft, now);
    let failing = test::to_keep(input, &draft, &kept, &failures, now);
    if !failing.is_empty() {
        kept.extend(failing);
        draft = Draft::new(input, &kept, now);
    }
    Judged { draft, plans, failures }
}

fn waiting(input: &Input, mut plans: Vec<Plan>) -> Vec<Plan> {
    plans.retain(|plan| !input.approved.contains(&plan.hash));
    plans
}

/// Returns every breach of a draft, beside prunes, that nobody approved. What a prune would take is not in force
/// before a person has said so: it is judged first.
fn breaches(input: &Input, draft: &Draft<'_>, now: i64) -> Vec<Plan> {
    let mut plans = owner::last_owner(input, draft, now);
    plans.extend(owner::own_way(input, draft, now));
    let mut plans = waiting(input, plans);
    let changed = changed(draft);
    let is_about_access = |key: &ObjectKey| match key.kind {
        Kind::Network | Kind::Server | Kind::User | Kind::Device | Kind::AccessPolicy => true,
        Kind::RegistrationKey
        | Kind::PersonalKey
        | Kind::AccessTest
        | Kind::ConnectionProfile
        | Kind::Admin
        | Kind::AlertRule => false,
    };
    if !changed.iter().any(is_about_access) {
        return plans;
    }
    plans.extend(waiting(input, loss::plan(input, draft, &changed, now).into_iter().collect()));
    plans
}

/// Returns the objects that are not what they were.
fn changed(draft: &Draft<'_>) -> BTreeSet<ObjectKey> {
    let world = &draft.world;
    let changed = world.members.iter().filter(|(_, member)| member.seniority() != 0).map(|(key, _)| key);
    changed.chain(world.pruned.iter().map(|committed| &committed.key)).cloned().collect()
}
