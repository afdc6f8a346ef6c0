//! What a gateway may make of this host: no more than the controller offered, and nothing that cuts its own path.

use std::{collections::BTreeSet, net::IpAddr};

use horizon_api::{
    card::CARDS,
    grant::Grant,
    section::NetworkId,
    wire::{dev::ServerOffer, link::Accept},
};
use horizon_dataplane::envelope;
use ipnet::IpNet;

use crate::state::Target;

/// Why a gateway's terms are refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TermsError {
    #[error("server {server} speaks of network {found}, and {wanted} was asked for; tell an operator")]
    OtherNetwork { server: String, found: NetworkId, wanted: NetworkId },
    #[error("server {server} gives no address that the controller granted; tell an operator if it stays")]
    NoGrantedAddress { server: String },
}

/// The most that a Network may say.
const MTU_MAX: u16 = 9000;

/// Leaves out what the controller's offer of this server does not name, and returns the routes among it.
pub(crate) fn keep_offered(
    mut accept: Accept,
    grant: &Grant,
    servers: &[ServerOffer],
    target: &Target,
) -> Result<(Accept, Vec<IpNet>), TermsError> {
    let server = target.server.clone();
    if accept.network != target.network {
        let (found, wanted) = (accept.network, target.network.clone());
        return Err(TermsError::OtherNetwork { server, found, wanted });
    }
    let offers = servers.iter().filter(|server| server.key == target.key).flat_map(|server| &server.networks);
    let offers = offers.filter(|offer| offer.network == target.network);
    let offered: Vec<_> = offers.flat_map(|offer| offer.routes.iter().copied()).collect();
    let is_offered = |prefix: &IpNet| offered.iter().any(|route| route.contains(prefix));
    let granted: BTreeSet<_> = (grant.networks.iter())
        .filter(|network| network.network == target.network)
        .flat_map(|network| network.addresses.iter().copied())
        .collect();
    // With its prefix, which becomes a route as well.
    accept.addresses.retain(|address| granted.contains(&address.addr()) && is_offered(&address.trunc()));
    if accept.addresses.is_empty() {
        return Err(TermsError::NoGrantedAddress { server });
    }
    let (kept, unoffered) = accept.routes.into_iter().partition(is_offered);
    accept.routes = kept;
    accept.mtu = accept.mtu.min(MTU_MAX);
    Ok((accept, unoffered))
}

/// Leaves out routes that would lead the link's own packets, or the controller's, into the link.
pub(crate) fn keep_direct(mut accept: Accept, direct: &BTreeSet<IpAddr>) -> (Accept, Vec<IpNet>) {
    let leads_astray = |route: &IpNet| direct.iter().any(|address| route.contains(address));
    let (left_out, kept) = accept.routes.into_iter().partition(leads_astray);
    accept.routes = kept;
    (accept, left_out)
}

/// Says whether the gateway knows of a network in which packets are sealed. Whether they are is the grant's word.
pub(crate) fn demands_seal(accept: &Accept) -> bool {
    accept.features.iter().any(|feature| feature == CARDS)
}

/// Leaves room for the seal, where there is one.
pub(crate) fn leave_room(mut accept: Accept, is_sealed: bool) -> Accept {
    if is_sealed {
        accept.mtu = envelope::inner_mtu(accept.mtu);
    }
    accept
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::{grant::NetworkGrant, key::SecretKey, verdict::Identity, wire::dev::NetworkOffer};

    fn prefix(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    fn office() -> NetworkId {
        NetworkId::new("default", "office")
    }

    fn target() -> Target {
        Target {
            server: "gw-1".into(),
            key: SecretKey::from_seed(&[4; 32]).public(),
            next: None,
            network: office(),
            remote: ([192, 0, 2, 1], 7444).into(),
        }
    }

    fn grant() -> Grant {
        Grant {
            id: [0; 16],
            epoch: 1,
            device: SecretKey::from_seed(&[9; 32]).public(),
            identity: Identity::default(),
            audience: [target().key].into(),
            networks: vec![NetworkGrant {
                network: office(),
                addresses: vec![[10, 77, 0, 2].into()],
                sealed: None,
            }],
            issued_at: 0,
            not_before: 0,
            expires_at: 1,
        }
    }

    fn offer() -> ServerOffer {
        let routes = vec![prefix("10.77.0.0/24"), prefix("198.51.100.0/24")];
        ServerOffer {
            name: "gw-1".into(),
            key: target().key,
            next: None,
            previous: None,
            endpoints: vec![],
            networks: vec![NetworkOffer { network: office(), routes }],
            is_connected: true,
            links: 0,
        }
    }

    fn accept(addresses: &[&str], routes: &[&str]) -> Accept {
        Accept {
            network: office(),
            server: "gw-1".into(),
            addresses: addresses.iter().map(|text| prefix(text)).collect(),
            routes: routes.iter().map(|text| prefix(text)).collect(),
            gateway: vec![],
            mtu: 1380,
            server_time_ms: 0,
            features: vec![],
            is_in_grace: false,
            news_after: None,
        }
    }

    #[test]
    fn a_route_over_the_gateway_itself_is_left_out() {
        let accept = accept(&["10.77.0.2/24"], &["10.77.0.0/24", "192.0.2.0/24", "198.51.100.0/24"]);

        let (kept, left_out) = keep_direct(accept, &[IpAddr::from([192, 0, 2, 1])].into());

        assert_eq!(kept.routes, [prefix("10.77.0.0/24"), prefix("198.51.100.0/24")]);
        assert_eq!(left_out, [prefix("192.0.2.0/24")]);
    }

    #[test]
    fn a_gateway_takes_over_no_more_than_was_offered() {
        let greedy = accept(
            &["10.77.0.2/24", "10.77.0.3/24", "10.77.0.2/0"],
            &["10.77.0.0/24", "198.51.100.128/25", "0.0.0.0/1", "128.0.0.0/1"],
        );

        let (kept, unoffered) = keep_offered(greedy, &grant(), &[offer()], &target()).expect("usable");

        assert_eq!(kept.addresses, [prefix("10.77.0.2/24")]);
        assert_eq!(kept.routes, [prefix("10.77.0.0/24"), prefix("198.51.100.128/25")]);
        assert_eq!(unoffered, [prefix("0.0.0.0/1"), prefix("128.0.0.0/1")]);
    }

    #[test]
    fn no_packet_is_longer_than_a_network_may_have_it() {
        let huge = Accept { mtu: u16::MAX, ..accept(&["10.77.0.2/24"], &[]) };

        let (kept, _) = keep_offered(huge, &grant(), &[offer()], &target()).expect("usable");

        assert_eq!(kept.mtu, MTU_MAX);
    }

    #[test]
    fn terms_of_another_network_or_without_a_granted_address_are_refused() {
        let check = |accept: Accept, servers: &[ServerOffer]| {
            keep_offered(accept, &grant(), servers, &target()).expect_err("refused").to_string()
        };
        let other = Accept { network: NetworkId::new("default", "lab"), ..accept(&["10.77.0.2/24"], &[]) };

        assert!(check(other, &[offer()]).contains("default/lab"));
        assert!(check(accept(&["10.77.0.9/24"], &[]), &[offer()]).contains("no address"));
        assert!(check(accept(&["10.77.0.2/24"], &[]), &[]).contains("no address"));
    }
}
