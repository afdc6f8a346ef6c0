//! What a host must look like: for a gateway by its configuration, for a device by what its gateway accepted.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{assignment::GatewayConfig, wire::link::Accept};
use ipnet::IpNet;

use crate::apply::{Firewall, HostState, Interface, InterfaceName, Link, Masquerade, Route};

/// Frames that the kernel may queue towards us. The queue that can be ordered is ours, so this one is short.
const TUN_QUEUE_FRAMES: u32 = 32;
/// The least that IPv6 asks of a link (RFC 8200 §5).
const MTU_MIN: u16 = 1280;

/// Returns what a gateway's host must look like, but for the settings behind [`forwards`], which depend on the host.
pub fn gateway_host(config: &GatewayConfig, tun: &InterfaceName) -> HostState {
    let networks = config.networks.values();
    let mtu = networks.clone().map(|network| network.mtu).max().unwrap_or(MTU_MIN);
    let addresses = networks.clone().flat_map(|network| {
        let pool_of = |address| network.pools.iter().find(move |pool| pool.contains(address));
        let own = network.addresses.iter();
        own.filter_map(move |address| IpNet::new(*address, pool_of(address)?.prefix_len()).ok())
    });
    let masquerades: BTreeSet<_> = config
        .routes
        .iter()
        .filter(|route| route.masquerade)
        .flat_map(|route| {
            let pools = config.networks.get(&route.network).map(|network| network.pools.as_slice());
            let pools = pools.unwrap_or_default().iter();
            pools.filter_map(|pool| Masquerade::new(*pool, route.prefix).ok())
        })
        .collect();
    let has_routes = !config.routes.is_empty();
    HostState {
        interfaces: [(tun.clone(), interface(mtu, addresses.collect()))].into(),
        routes: BTreeSet::new(),
        sysctls: BTreeMap::new(),
        firewall: has_routes.then(|| Firewall {
            tuns: [tun.clone()].into(),
            masquerades,
            guards: BTreeSet::new(),
        }),
    }
}

/// Returns what a device's host must look like while its link is up.
pub fn device_host(accept: &Accept, tun: &InterfaceName) -> HostState {
    let addresses: BTreeSet<_> = accept.addresses.iter().copied().collect();
    let is_connected = |route: &IpNet| addresses.iter().any(|address| address.trunc() == route.trunc());
    let source_of = |route: &IpNet| {
        let own = addresses.iter().map(IpNet::addr);
        own.into_iter().find(|address| address.is_ipv4() == route.addr().is_ipv4())
    };
    let routes = accept
        .routes
        .iter()
        .filter(|route| !is_connected(route) && source_of(route).is_some())
        .map(|route| Route::new(*route, tun.clone()).with_source(source_of(route)))
        .collect();
    HostState {
        interfaces: [(tun.clone(), interface(accept.mtu, addresses))].into(),
        routes,
        sysctls: BTreeMap::new(),
        firewall: None,
    }
}

fn interface(mtu: u16, addresses: BTreeSet<IpNet>) -> Interface {
    let link = Link { mtu: u32::from(mtu), queue_packets: TUN_QUEUE_FRAMES, is_up: true };
    Interface { link, addresses }
}

/// Returns whether the kernel must forward IPv4, and whether IPv6: only where something lies behind the gateway.
pub fn forwards(config: &GatewayConfig) -> Forwards {
    let has = |is_v4: bool| config.routes.iter().any(|route| route.prefix.addr().is_ipv4() == is_v4);
    Forwards { ipv4: has(true), ipv6: has(false) }
}

/// Which IP versions the kernel forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwards {
    pub ipv4: bool,
    pub ipv6: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::section::{Network, NetworkId, PostQuantum, SubnetRoute};

    fn prefix(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    fn tun() -> InterfaceName {
        "hzn0".parse().expect("a name")
    }

    fn office() -> Network {
        Network {
            id: NetworkId::new("default", "office"),
            pools: vec![prefix("10.77.0.0/24"), prefix("fd77:1::/64")],
            addresses: vec![[10, 77, 0, 1].into(), "fd77:1::1".parse().expect("an address")],
            mtu: 1380,
            pq: PostQuantum::Preferred,
            offline_grace_s: 0,
            is_sealed: false,
        }
    }

    fn config(routes: Vec<SubnetRoute>) -> GatewayConfig {
        GatewayConfig { networks: [(office().id, office())].into(), routes, ..GatewayConfig::default() }
    }

    #[test]
    fn a_gateway_without_routes_changes_only_its_own_interface() {
        let host = gateway_host(&config(vec![]), &tun());

        let expected = [prefix("10.77.0.1/24"), prefix("fd77:1::1/64")].into();
        assert_eq!(host.interfaces[&tun()].addresses, expected);
        assert_eq!(host.interfaces[&tun()].link.mtu, 1380);
        assert_eq!(host.firewall, None);
        assert_eq!(forwards(&config(vec![])), Forwards { ipv4: false, ipv6: false });
    }

    #[test]
    fn a_subnet_route_forwards_and_hides_its_own_family() {
        let route = SubnetRoute { network: office().id, prefix: prefix("198.51.100.0/24"), masquerade: true };

        let config = config(vec![route]);
        let host = gateway_host(&config, &tun());

        let hidden = Masquerade::new(prefix("10.77.0.0/24"), prefix("198.51.100.0/24")).expect("one family");
        assert_eq!(host.firewall.expect("wanted").masquerades, [hidden].into());
        assert_eq!(forwards(&config), Forwards { ipv4: true, ipv6: false });
    }

    #[test]
    fn a_device_routes_what_lies_behind_and_not_its_own_pool_twice() {
        let accept = Accept {
            network: office().id,
            server: "gw-1".into(),
            addresses: vec![prefix("10.77.0.2/24")],
            routes: vec![prefix("10.77.0.0/24"), prefix("198.51.100.0/24"), prefix("2001:db8::/32")],
            gateway: vec![],
            mtu: 1380,
            server_time_ms: 0,
            features: vec![],
            is_in_grace: false,
            news_after: None,
        };

        let host = device_host(&accept, &tun());

        let route = Route::new(prefix("198.51.100.0/24"), tun()).with_source(Some([10, 77, 0, 2].into()));
        assert_eq!(host.routes, [route].into());
    }
}
