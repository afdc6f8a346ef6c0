//! The owner gate: a realm that had an owner keeps one, and whoever makes a change keeps their own way in.

use std::collections::BTreeSet;

use horizon_api::resource::{AdminRole, AdminSpec, ObjectKey, ResourceSpec};

use crate::{
    compile::{Input, draft::Draft},
    plan::{Breach, Plan},
};

/// Returns the changes after which a realm would have no owner that is enabled.
pub(super) fn last_owner(input: &Input, draft: &Draft<'_>, now: i64) -> Vec<Plan> {
    // Whom an admin holds is no owner that anybody can count on.
    let can_act = |key: &ObjectKey, spec: &ResourceSpec| is_owner(spec, now) && !draft.world.is_held(key);
    let before = input.previous.iter().filter(|object| can_act(&object.key, &object.spec));
    let before: BTreeSet<&ObjectKey> = before.map(|object| &object.key).collect();
    let after = draft.world.members.iter().filter(|(key, member)| can_act(key, member.spec));
    let owned: BTreeSet<&str> = after.map(|(key, _)| key.namespace.as_str()).collect();
    let namespaces: BTreeSet<&str> = before.iter().map(|key| key.namespace.as_str()).collect();
    let mut plans = Vec::new();
    for namespace in namespaces {
        if !owned.contains(namespace) {
            let lost = before.iter().filter(|key| key.namespace == namespace).map(|key| (*key).clone());
            let message = format!("it would leave no administrator in {namespace}: its last Owner goes");
            plans.push(Plan::new(Breach::LastOwner, lost, message, &draft.world));
        }
    }
    plans
}

/// Returns the changes by which somebody would take their own way in.
pub(super) fn own_ways(input: &Input, draft: &Draft<'_>, now: i64) -> Vec<Plan> {
    input.callers.iter().filter_map(|caller| own_way(caller, input, draft, now)).collect()
}

fn own_way(caller: &ObjectKey, input: &Input, draft: &Draft<'_>, now: i64) -> Option<Plan> {
    let role =
        |spec: &ResourceSpec| admin(spec).filter(|admin| is_enabled(admin, now)).map(|admin| admin.role);
    let before = input.previous.iter().find(|object| object.key == *caller).and_then(|o| role(&o.spec))?;
    let after = draft.world.members.get(caller).and_then(|member| role(member.spec));
    // Roles are in the order of what they may do, the most first.
    if after.is_some_and(|after| after <= before) {
        return None;
    }
    let message = format!("it would take {caller} their own way in, and they are who makes the change");
    Some(Plan::new(Breach::OwnWay, [caller.clone()], message, &draft.world))
}

fn admin(spec: &ResourceSpec) -> Option<&AdminSpec> {
    if let ResourceSpec::Admin(admin) = spec { Some(admin) } else { None }
}

fn is_owner(spec: &ResourceSpec, now: i64) -> bool {
    admin(spec).is_some_and(|admin| admin.role == AdminRole::Owner && is_enabled(admin, now))
}

fn is_enabled(admin: &AdminSpec, now: i64) -> bool {
    !admin.disabled && admin.expires_at.is_none_or(|end| end.as_second() > now)
}
