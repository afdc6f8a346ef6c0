//! What each gateway must run, as sections.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    key::PublicKey,
    resource::{EndToEnd, Kind, NetworkSpec, ObjectKey, PostQuantum, ResourceSpec, ServerSpec},
    section::{self, EncodedSection, Endpoint, Identity, NetworkId, Section, SubnetRoute},
};

use super::{Access, Effective, Standing, policy};
use crate::{allocate::Allocations, conflict::network_id, world::World};

/// Returns the sections of every server, in the order of their names.
pub(super) fn sections(
    world: &World<'_>,
    allocations: &Allocations,
    access: &Access,
    effective: &Effective,
    revoked: &BTreeSet<PublicKey>,
) -> BTreeMap<ObjectKey, Vec<EncodedSection>> {
    let policies = policy::sections(access);
    let revocations = Section::Revocations(revoked.iter().copied().collect()).encode();
    let mut sections = BTreeMap::new();
    for (key, member) in &world.members {
        let ResourceSpec::Server(spec) = member.spec else { continue };
        let carried = carried(world, key, spec, allocations, effective);
        let identity = Identity {
            namespace: key.namespace.clone(),
            server: key.name.clone(),
            endpoints: endpoints(spec),
        };
        let mut of_server = vec![
            Section::Identity(identity).encode(),
            Section::Networks(carried.iter().map(|(id, spec)| network(id, spec, key, allocations)).collect())
                .encode(),
            Section::Routes(routes(key, spec, &carried)).encode(),
            revocations.clone(),
        ];
        of_server.extend(carried.keys().filter_map(|id| policies.get(id).cloned()));
        of_server.sort_by(|a, b| a.header.name.cmp(&b.header.name));
        sections.insert((*key).clone(), of_server);
    }
    sections
}

pub(super) fn endpoints(spec: &ServerSpec) -> Vec<Endpoint> {
    spec.endpoints.iter().map(|e| Endpoint { host: e.host.clone(), port: e.port }).collect()
}

/// Returns the networks that a server carries: those that exist and gave it an address, none if it is out of effect.
pub(super) fn carried<'a>(
    world: &World<'a>,
    server: &ObjectKey,
    spec: &ServerSpec,
    allocations: &Allocations,
    effective: &Effective,
) -> BTreeMap<NetworkId, &'a NetworkSpec> {
    if effective.servers.get(server).is_none_or(|server| server.standing != Standing::Active) {
        return BTreeMap::new();
    }
    spec.network_refs
        .iter()
        .filter_map(|network| {
            let network = server.sibling(Kind::Network, network.name.as_str());
            if world.is_held(&network) {
                return None;
            }
            let ResourceSpec::Network(spec) = world.members.get(&network)?.spec else { return None };
            let id = network_id(&network);
            (!allocations.of(&id, server).is_empty()).then_some((id, &**spec))
        })
        .collect()
}

fn network(
    id: &NetworkId,
    spec: &NetworkSpec,
    server: &ObjectKey,
    allocations: &Allocations,
) -> section::Network {
    let mut pools: Vec<_> = spec.address_pools.iter().map(|pool| pool.cidr).collect();
    pools.sort_unstable();
    section::Network {
        id: id.clone(),
        pools,
        addresses: allocations.of(id, server).to_vec(),
        mtu: spec.mtu,
        pq: match spec.pq {
            PostQuantum::Preferred => section::PostQuantum::Preferred,
            PostQuantum::Required => section::PostQuantum::Required,
        },
        offline_grace_s: i64::from(spec.offline_grace.as_seconds()),
        is_sealed: spec.e2e == EndToEnd::Required,
    }
}

pub(super) fn routes(
    server: &ObjectKey,
    spec: &ServerSpec,
    carried: &BTreeMap<NetworkId, &NetworkSpec>,
) -> Vec<SubnetRoute> {
    let routes = spec.subnet_routes.iter().filter_map(|route| {
        let reference = route.network_ref.as_ref().or(spec.network_refs.first())?;
        let network = network_id(&server.sibling(Kind::Network, reference.name.as_str()));
        let route = SubnetRoute { network, prefix: route.cidr, masquerade: route.masquerade };
        carried.contains_key(&route.network).then_some(route)
    });
    routes.collect::<BTreeSet<_>>().into_iter().collect()
}
