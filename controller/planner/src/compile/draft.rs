//! A compilation as far as others are judged by it: who is who, with which addresses, under which policies.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    problem::Problem,
    resource::{Kind, ObjectKey, ResourceSpec},
};

use super::{Access, Effective, Input, Stale, effective};
use crate::{
    allocate::{Allocations, Claim, Exhausted, wants},
    change,
    conflict::{self, network_id},
    effect::picture::Picture,
    resolve,
    world::World,
};

pub(crate) struct Draft<'a> {
    pub world: World<'a>,
    pub unresolved: Vec<Problem>,
    pub allocations: Allocations,
    pub exhausted: Vec<Exhausted>,
    pub effective: Effective,
    pub access: Access,
}

impl<'a> Draft<'a> {
    /// Drafts what the sources say, but for the objects that are kept as they were.
    pub(crate) fn new(input: &'a Input, kept: &BTreeMap<ObjectKey, Stale>, now: i64) -> Self {
        let mut world = World::merge(input, now);
        world.keep(kept);
        change::settle(&mut world, &input.allocations);
        resolve::settle(&mut world);
        conflict::settle(&mut world, input);
        let unresolved = resolve::unresolved(&world);
        let (allocations, exhausted) = allocate(&world, &input.allocations);
        let effective = effective::effective(&world, &input.facts, &allocations, now);
        let access = Access::of(&world, &allocations, &effective);
        Self { world, unresolved, allocations, exhausted, effective, access }
    }

    /// Drafts what is in force, as it is at this moment.
    pub(crate) fn in_force(input: &'a Input, now: i64) -> Self {
        let world = World::in_force(input, now);
        let effective = effective::effective(&world, &input.facts, &input.allocations, now);
        let access = Access::of(&world, &input.allocations, &effective);
        let allocations = input.allocations.clone();
        Self { world, unresolved: vec![], allocations, exhausted: vec![], effective, access }
    }

    pub(crate) fn picture(&self) -> Picture<'_> {
        let members = self.world.members.iter();
        Picture {
            access: &self.access,
            effective: &self.effective,
            objects: members.map(|(key, member)| (*key, (member.spec, member.owner.origin))).collect(),
        }
    }
}

fn allocate(world: &World<'_>, previous: &Allocations) -> (Allocations, Vec<Exhausted>) {
    let mut claims: BTreeMap<ObjectKey, Vec<Claim<'_>>> = BTreeMap::new();
    for kind in [Kind::Server, Kind::Device] {
        for (owner, member) in world.members.iter().filter(|(key, _)| key.kind == kind) {
            let Some((networks, wanted)) = wants(member.spec) else { continue };
            let networks = networks.iter().map(|network| owner.sibling(Kind::Network, network.name.as_str()));
            for network in networks.collect::<BTreeSet<_>>() {
                claims.entry(network).or_default().push(Claim { owner, wanted });
            }
        }
    }
    let mut allocations = Allocations::default();
    let mut exhausted = Vec::new();
    for (network, claims) in &claims {
        if let Some(ResourceSpec::Network(spec)) = world.members.get(network).map(|member| member.spec) {
            exhausted.extend(allocations.allocate(&network_id(network), spec, claims, previous));
        }
    }
    (allocations, exhausted)
}
