//! What a change may not do, whatever it would come to: rules about before and after.

use std::net::IpAddr;

use horizon_api::{
    problem::Problem,
    resource::{NetworkSpec, ObjectKey, ResourceSpec},
};
use serde_json::json;

use crate::{
    allocate::Allocations,
    cel,
    conflict::network_id,
    world::{Member, World},
};

/// How many objects a message names.
const NAMED_MAX: usize = 5;

/// Refuses changes that may not be; what was in force stays.
pub(crate) fn settle(world: &mut World<'_>, allocations: &Allocations) {
    let refused: Vec<(&ObjectKey, Vec<Problem>)> = world
        .members
        .iter()
        .map(|(key, member)| (*key, check(key, member, allocations)))
        .filter(|(_, problems)| !problems.is_empty())
        .collect();
    for (key, problems) in refused {
        let mut problems = problems.into_iter();
        problems.next().into_iter().for_each(|first| world.refuse(key, first));
        world.problems.extend(problems);
    }
}

fn check(key: &ObjectKey, member: &Member<'_>, allocations: &Allocations) -> Vec<Problem> {
    let Some(committed) = member.changes() else { return vec![] };
    if let ResourceSpec::Network(spec) = member.spec
        && let Some(problem) = loses_addresses(key, member, spec, allocations)
    {
        return vec![problem];
    }
    let (old, new) = (json!(committed.spec), json!(member.spec));
    let violations = cel::check_change(key.kind, &old, &new).into_iter();
    violations.map(|v| member.problem(key, &v.path, v.code, v.message).fix(v.fix)).collect()
}

/// Refuses to take a pool away under the feet of those who live in it.
fn loses_addresses(
    key: &ObjectKey,
    member: &Member<'_>,
    spec: &NetworkSpec,
    allocations: &Allocations,
) -> Option<Problem> {
    let network = network_id(key);
    let is_lost = |address: &IpAddr| !spec.address_pools.iter().any(|pool| pool.cidr.contains(address));
    let losers: Vec<_> = allocations
        .in_network(&network)
        .filter(|(_, addresses)| addresses.iter().any(is_lost))
        .map(|(owner, _)| owner.to_string())
        .collect();
    if losers.is_empty() {
        return None;
    }
    let named = losers.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = if losers.len() > NAMED_MAX { ", …" } else { "" };
    let addresses = if losers.len() == 1 { "address" } else { "addresses" };
    let message = format!("{} {addresses} in use would be lost ({named}{more})", losers.len());
    let fix = "keep the pool, and reserve its addresses first";
    Some(member.problem(key, "spec.addressPools", "PoolInUse", message).fix(fix))
}
