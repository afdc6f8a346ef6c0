//! What can be said about each object before any gateway answers.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{
    condition::Condition,
    problem::Problem,
    resource::{EndToEnd, ObjectKey, ResourceSpec},
};
use smol_str::SmolStr;

use super::{Committed, Effective, StaleReason, Standing};
use crate::{
    alike::Alike,
    gate::Failure,
    not_yet::not_yet_effective,
    resolve::has_references,
    world::{Member, OwnerRef, World},
};

/// Returns the objects in force with their conditions.
pub(super) fn objects(
    world: &World<'_>,
    unresolved: &[Problem],
    effective: &Effective,
    failures: &[Failure],
    now: i64,
) -> BTreeMap<ObjectKey, Arc<Committed>> {
    let mut missing: BTreeMap<&ObjectKey, &Problem> = BTreeMap::new();
    for problem in unresolved {
        if let Some(key) = &problem.object {
            missing.entry(key).or_insert(problem);
        }
    }
    let blocking = failures.iter().rev().filter(|failure| failure.blocks);
    let mut alike = Alike::default();
    let failing: BTreeMap<_, _> = blocking.map(|failure| (&failure.test, failure)).collect();
    world
        .members
        .iter()
        .map(|(key, member)| {
            let generation = generation(member);
            let facts = [
                Some(accepted(member, failing.get(key).copied(), now)),
                resolved_refs(key, missing.get(key).copied(), now),
                stale(member, now),
                usable(effective.standing_of_key(key), now),
                world
                    .holds
                    .get(key)
                    .map(|hold| Condition::holds("Held", hold.reason(), hold.sentence(), now)),
            ];
            let earlier = member.last_good.map_or(&[][..], |committed| &*committed.conditions);
            let conditions = facts.into_iter().flatten().map(|c| c.at_generation(generation).since(earlier));
            ((*key).clone(), committed(key, member, generation, alike.share(conditions.collect())))
        })
        .collect()
}

fn committed(
    key: &ObjectKey,
    member: &Member<'_>,
    generation: i64,
    conditions: Arc<[Condition]>,
) -> Arc<Committed> {
    let is_as_it_was = |old: &&Arc<Committed>| {
        old.generation == generation
            && old.conditions == conditions
            && old.stale == member.stale
            && OwnerRef::from(&old.owner) == member.owner
            && old.metadata == *member.metadata
    };
    if let Some(old) = member.last_good.filter(is_as_it_was) {
        return Arc::clone(old);
    }
    Arc::new(Committed {
        key: key.clone(),
        metadata: Arc::clone(member.metadata),
        spec: member.spec.clone(),
        owner: member.owner.to_owner(),
        generation,
        conditions,
        stale: member.stale.clone(),
    })
}

fn generation(member: &Member<'_>) -> i64 {
    match member.last_good {
        None => 1,
        Some(committed) if member.seniority() == 0 => committed.generation,
        Some(committed) => committed.generation + 1,
    }
}

fn accepted(member: &Member<'_>, failing: Option<&Failure>, now: i64) -> Condition {
    if let Some(failure) = failing {
        return Condition::fails("Accepted", "TestsFailed", failure.text(), now);
    }
    match &member.stale {
        Some(stale) => match stale.reason {
            StaleReason::SourceInvalid => Condition::fails("Accepted", "Invalid", &stale.message, now),
            StaleReason::Conflicted => Condition::fails("Accepted", "Conflicted", &stale.message, now),
            StaleReason::AwaitingApproval | StaleReason::TestsFailed | StaleReason::Reverted => {
                Condition::fails("Accepted", stale.reason.as_str(), &stale.message, now)
            }
            // Nothing was said against it.
            StaleReason::SourceMissing => {
                Condition::holds("Accepted", "Accepted", "it was fine when it was last seen", now)
            }
        },
        None => declared(member, now),
    }
}

/// Says where, and what of it nothing enforces yet.
fn declared(member: &Member<'_>, now: i64) -> Condition {
    let origin = member.owner.origin;
    let is_sealed = matches!(member.spec, ResourceSpec::Network(spec) if spec.e2e == EndToEnd::Required);
    let demand = if is_sealed { "; packets between two devices are sealed from end to end" } else { "" };
    let not_yet = not_yet_effective(member.spec);
    if not_yet.is_empty() {
        return Condition::holds("Accepted", "Accepted", format!("declared in {origin}{demand}"), now);
    }
    let list: Vec<_> = not_yet.iter().map(|(path, sentence)| format!("{path}: {sentence}")).collect();
    let message = format!("declared in {origin}{demand}, and without effect so far: {}", list.join("; "));
    Condition::holds("Accepted", "NotYetEffective", message, now)
}

fn resolved_refs(key: &ObjectKey, missing: Option<&Problem>, now: i64) -> Option<Condition> {
    if !has_references(key.kind) {
        return None;
    }
    Some(match missing {
        Some(problem) => Condition::fails("ResolvedRefs", "RefNotFound", problem.to_string(), now),
        None => Condition::holds("ResolvedRefs", "ResolvedRefs", "every reference exists", now),
    })
}

fn stale(member: &Member<'_>, now: i64) -> Option<Condition> {
    let stale = member.stale.as_ref()?;
    Some(Condition::holds("Stale", stale.reason.as_str(), &stale.message, now))
}

fn usable(standing: Option<Standing>, now: i64) -> Option<Condition> {
    let standing = standing?;
    Some(if standing == Standing::Active {
        Condition::holds("Usable", standing.as_str(), SmolStr::new_static(standing.sentence()), now)
    } else {
        Condition::fails("Usable", standing.as_str(), SmolStr::new_static(standing.sentence()), now)
    })
}
