//! The networks that a gateway carries, ready for look-ups.

use super::{Reject, Verdict};
use crate::drop_reason::DropReason;
use horizon_api::section::{Network, NetworkId, Policy, SubnetRoute};
use horizon_api::verdict::Table;
use ipnet::IpNet;
use rustc_hash::FxHashMap;
use std::net::IpAddr;

#[derive(Debug)]
pub(super) struct Networks {
    carried: Vec<Carried>,
    places: FxHashMap<NetworkId, usize>,
}

/// One network.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) id: NetworkId,
    pub(super) table: Table,
    pools: Vec<IpNet>,
    /// Nothing but sealed packets goes from device to device.
    pub(super) is_sealed: bool,
    /// The gateway's own addresses.
    own: Vec<IpAddr>,
    /// Prefixes behind the gateway, reached through its kernel.
    routes: Vec<IpNet>,
}

impl Networks {
    pub(super) fn new(networks: &[Network], policies: &[Policy], routes: &[SubnetRoute]) -> Self {
        let carried: Vec<_> = networks
            .iter()
            .map(|network| Carried {
                id: network.id.clone(),
                // A network without policy allows nothing.
                table: Table {
                    rules: policies
                        .iter()
                        .filter(|policy| policy.network == network.id)
                        .flat_map(|policy| policy.table.rules.iter().cloned())
                        .collect(),
                },
                is_sealed: network.is_sealed,
                pools: network.pools.clone(),
                own: network.addresses.clone(),
                routes: routes
                    .iter()
                    .filter(|route| route.network == network.id)
                    .map(|route| route.prefix)
                    .collect(),
            })
            .collect();
        let places = carried.iter().enumerate().map(|(place, network)| (network.id.clone(), place)).collect();
        Self { carried, places }
    }

    #[inline]
    pub(super) fn of(&self, id: &NetworkId) -> Option<&Carried> {
        // Nearly every gateway carries one.
        match &self.carried[..] {
            [only] => (only.id == *id).then_some(only),
            all => self.places.get(id).and_then(|place| all.get(*place)),
        }
    }

    /// Returns the network that gives out an address.
    #[inline]
    pub(super) fn of_pool(&self, address: IpAddr) -> Option<&Carried> {
        self.carried.iter().find(|network| network.pools.iter().any(|pool| pool.contains(&address)))
    }
}

impl Carried {
    /// Tells whether an address is the gateway's own in this network.
    #[inline]
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }

    /// Says whether an address that no member has is reached through the kernel, or why not.
    #[inline]
    pub(super) fn routes_to(&self, address: IpAddr) -> Result<(), Verdict> {
        if let Some(pool) = self.pools.iter().find(|pool| pool.contains(&address)) {
            let is_edge = address.is_ipv4() && (address == pool.broadcast() || address == pool.network());
            return Err(if is_edge {
                Verdict::Drop(DropReason::NotForwardable)
            } else {
                Verdict::Reject(Reject::Unreachable)
            });
        }
        let is_routed = self.routes.iter().any(|route| route.contains(&address));
        if is_routed { Ok(()) } else { Err(Verdict::Drop(DropReason::NoRoute)) }
    }
}
