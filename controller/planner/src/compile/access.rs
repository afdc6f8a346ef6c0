//! Between whom policies decide: the tables, the gateways that evaluate them, and what lies behind those.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use horizon_api::{
    resource::{ObjectKey, ResourceSpec},
    section::NetworkId,
    verdict::Table,
};
use ipnet::IpNet;

use super::{Effective, gateway, policy};
use crate::{allocate::Allocations, world::World};

/// Every network with what decides about its traffic. Devices are in [`super::Effective`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub networks: BTreeMap<NetworkId, NetworkAccess>,
}

/// One network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkAccess {
    pub table: Table,
    /// The servers that carry it, with their own addresses in it.
    pub servers: BTreeMap<ObjectKey, Vec<IpAddr>>,
    /// What lies behind gateways, and behind which.
    pub prefixes: BTreeMap<IpNet, BTreeSet<ObjectKey>>,
}

impl Access {
    pub(crate) fn of(world: &World<'_>, allocations: &Allocations, effective: &Effective) -> Self {
        let tables = policy::tables(world).into_iter();
        let mut networks: BTreeMap<_, _> =
            tables.map(|(id, table)| (id, NetworkAccess { table, ..NetworkAccess::default() })).collect();
        for (key, member) in &world.members {
            let ResourceSpec::Server(spec) = member.spec else { continue };
            let carried = gateway::carried(world, key, spec, allocations, effective);
            for id in carried.keys() {
                let addresses = allocations.of(id, key).to_vec();
                networks.entry(id.clone()).or_default().servers.insert((*key).clone(), addresses);
            }
            for route in gateway::routes(key, spec, &carried) {
                let network = networks.entry(route.network).or_default();
                network.prefixes.entry(route.prefix.trunc()).or_default().insert((*key).clone());
            }
        }
        Self { networks }
    }
}
