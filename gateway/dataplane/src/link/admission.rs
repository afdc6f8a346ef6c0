//! Whom a gateway admits: a device with a grant that holds here and now. The controller is not asked.

use std::{collections::BTreeMap, net::IpAddr};

use horizon_api::{
    assignment::{GatewayConfig, Version},
    card::CARDS,
    delegation::Trust,
    grant::{GrantCheck, GrantError, UnverifiedGrant, VerifiedGrant},
    key::PublicKey,
    section::{Network, NetworkId, PostQuantum},
    signed::Signed,
    traffic::TRAFFIC_REPORTS,
    verdict::Identity,
    wire::{
        Refusal, RefusalCode,
        link::{Accept, LinkHello},
    },
};
use ipnet::IpNet;

/// Everything that an admission depends on. Immutable: a new configuration is a new value.
#[derive(Clone, Debug)]
pub struct Admission {
    pub trust: Trust,
    /// Every key that this gateway goes by: more than one while another key follows.
    pub gateway: Vec<PublicKey>,
    pub config: GatewayConfig,
    /// Whether expired grants hold for their network's `offlineGrace`: while the controller is away, and a little longer.
    pub has_grace: bool,
    /// What runs, while the controller is away: whoever brings news of a later one is heard.
    pub news_after: Option<Version>,
}

/// Who asks, as the handshake proved it.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub key: &'a PublicKey,
    /// Whether the key exchange holds against a quantum computer.
    pub is_post_quantum: bool,
}

/// A device that may use a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub device: PublicKey,
    pub identity: Identity,
    pub network: NetworkId,
    pub addresses: Vec<IpAddr>,
    /// Unix seconds.
    pub grant_expires_at: i64,
    pub accept: Accept,
}

impl Admission {
    /// Decides about a Hello, and again about the same Hello whenever the configuration or the time has changed.
    /// `now_ms` is never before the [`TimeFloor`](crate::time_floor::TimeFloor): a clock set back revives no grant.
    ///
    /// # Errors
    /// A refusal that can be sent as it is.
    pub fn admit(&self, hello: &LinkHello, asker: Asker<'_>, now_ms: i64) -> Result<Admitted, Refusal> {
        let network = self.config.networks.get(&hello.network).ok_or_else(|| no_network(&hello.network))?;
        if network.pq == PostQuantum::Required && !asker.is_post_quantum {
            return Err(Refusal::new(
                RefusalCode::PostQuantumRequired,
                format!("network {} demands post-quantum key exchange", network.id),
                "upgrade this agent",
            ));
        }
        let verified = self.check_grant(hello, asker.key, now_ms / 1000)?;
        let granted = verified.networks().iter().find(|granted| granted.network == hello.network);
        let granted = granted.ok_or_else(|| no_network(&hello.network))?;
        let grant = verified.grant();
        let accept = self.accept(network, &granted.addresses, verified.is_in_grace(), now_ms);
        if accept.addresses.is_empty() {
            return Err(no_address(&hello.network));
        }
        Ok(Admitted {
            device: grant.device,
            identity: grant.identity.clone(),
            network: network.id.clone(),
            addresses: accept.addresses.iter().map(IpNet::addr).collect(),
            grant_expires_at: grant.expires_at,
            accept,
        })
    }

    /// Says whether a word of the root that a device brings says more of the controller's keys than is known here.
    pub fn is_news(&self, word: &Signed, now_ms: i64) -> bool {
        self.trust.with_carried(word, now_ms / 1000) != self.trust
    }

    fn check_grant(&self, hello: &LinkHello, peer: &PublicKey, now: i64) -> Result<VerifiedGrant, Refusal> {
        let grace: BTreeMap<_, _> = if self.has_grace {
            self.config.networks.values().map(|n| (n.id.clone(), n.offline_grace_s)).collect()
        } else {
            BTreeMap::new()
        };
        let carried = hello.delegation.as_ref().map(|carried| self.trust.with_carried(carried, now));
        let check = GrantCheck {
            trust: carried.as_ref().unwrap_or(&self.trust),
            gateway: &self.gateway,
            peer,
            now,
            offline_grace_s: &grace,
            revoked: &self.config.revoked,
        };
        UnverifiedGrant::parse(&hello.grant)
            .and_then(|grant| grant.verify(&check))
            .map_err(|error| refusal_of(&error))
    }

    /// Addresses outside the network's pools are left out: nobody routes them here.
    fn accept(&self, network: &Network, granted: &[IpAddr], is_in_grace: bool, now_ms: i64) -> Accept {
        let pool_of = |address: &IpAddr| network.pools.iter().find(|pool| pool.contains(address));
        let addresses = granted
            .iter()
            .filter_map(|address| {
                let pool = pool_of(address)?;
                IpNet::new(*address, pool.prefix_len()).ok()
            })
            .collect();
        let behind = self.config.routes.iter().filter(|route| route.network == network.id);
        let routes = network.pools.iter().copied().chain(behind.map(|route| route.prefix)).collect();
        // Only there does a device look for others' cards.
        let cards = network.is_sealed.then(|| CARDS.to_owned());
        let features = [TRAFFIC_REPORTS.to_owned()].into_iter().chain(cards).collect();
        Accept {
            network: network.id.clone(),
            server: self
                .config
                .identity
                .as_ref()
                .map_or_else(String::new, |identity| identity.server.to_string()),
            addresses,
            routes,
            gateway: network.addresses.clone(),
            mtu: network.mtu,
            server_time_ms: now_ms,
            features,
            is_in_grace,
            news_after: self.news_after,
        }
    }
}

fn no_network(network: &NetworkId) -> Refusal {
    Refusal::new(
        RefusalCode::BadGrant,
        format!("this gateway does not carry network {network} for this device"),
        "ask for another server with `horizon servers`",
    )
}

fn no_address(network: &NetworkId) -> Refusal {
    Refusal::new(
        RefusalCode::BadGrant,
        format!("the grant has no address in the pools of network {network}"),
        "refresh the grant: `horizon disconnect`, then `horizon connect`",
    )
}

fn refusal_of(error: &GrantError) -> Refusal {
    let (code, hint) = match error {
        GrantError::Revoked => (RefusalCode::Revoked, "ask an administrator of this network"),
        GrantError::Expired { .. } => (
            RefusalCode::KeyExpired,
            "the agent asks for a new grant by itself when the controller is reachable",
        ),
        GrantError::NotYetValid { .. } => (RefusalCode::BadGrant, "set the clocks of both hosts"),
        GrantError::Unreadable(_)
        | GrantError::OtherEncoding
        | GrantError::Forged(_)
        | GrantError::NoSigner(_)
        | GrantError::ForeignDevice
        | GrantError::ForeignAudience
        | GrantError::OlderEpoch { .. }
        | GrantError::NoNetwork => (
            RefusalCode::BadGrant,
            "sign in again with `horizon login`, and tell an administrator if it stays",
        ),
    };
    Refusal::new(code, error.to_string(), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::{
        delegation::{Delegation, Pin, Role},
        grant::{Grant, NetworkGrant},
        key::{RootFingerprint, SecretKey},
        section::SubnetRoute,
    };

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn office() -> NetworkId {
        NetworkId::new("default", "office")
    }

    fn admission() -> Admission {
        let delegation = Delegation {
            root: key(1).public(),
            online: key(2).public(),
            roles: vec![Role::Grant],
            epoch: 1,
            serial: 0,
            floor: 0,
            not_after: i64::MAX,
        };
        let pin = Pin { root: RootFingerprint::of(&key(1).public()), epoch: 1, floor: 0 };
        let network = Network {
            id: office(),
            pools: vec!["10.77.0.0/24".parse().expect("a prefix")],
            addresses: vec![[10, 77, 0, 1].into()],
            mtu: 1380,
            pq: PostQuantum::Preferred,
            offline_grace_s: 3_600,
            is_sealed: false,
        };
        let route = SubnetRoute {
            network: office(),
            prefix: "198.51.100.0/24".parse().expect("a prefix"),
            masquerade: true,
        };
        Admission {
            trust: Trust::establish(&delegation.sign(&key(1)), &pin, 0).expect("valid"),
            gateway: vec![key(4).public()],
            config: GatewayConfig {
                networks: [(office(), network)].into(),
                routes: vec![route],
                ..GatewayConfig::default()
            },
            has_grace: false,
            news_after: None,
        }
    }

    fn hello() -> LinkHello {
        let grant = Grant {
            id: [0; 16],
            epoch: 1,
            device: key(3).public(),
            identity: Identity { device: "laptop".into(), user: "alice".into(), ..Identity::default() },
            audience: [key(4).public()].into(),
            networks: vec![NetworkGrant {
                network: office(),
                addresses: vec![[10, 77, 0, 2].into(), [192, 0, 2, 9].into()],
                sealed: None,
            }],
            issued_at: 1_000,
            not_before: 1_000,
            expires_at: 4_600,
        };
        let (version, grant) = ("1".into(), grant.sign(&key(2)));
        LinkHello { version, features: vec![], grant, delegation: None, network: office(), card: vec![] }
    }

    fn admit(admission: &Admission, hello: &LinkHello, now_s: i64) -> Result<Admitted, Refusal> {
        let asker = Asker { key: &key(3).public(), is_post_quantum: false };
        admission.admit(hello, asker, now_s * 1000)
    }

    #[test]
    fn a_device_gets_its_addresses_and_what_lies_behind() {
        let admitted = admit(&admission(), &hello(), 2_000).expect("admitted");

        assert_eq!(admitted.accept.addresses, ["10.77.0.2/24".parse().expect("a prefix")]);
        assert_eq!(admitted.addresses, [IpAddr::from([10, 77, 0, 2])]);
        assert_eq!(admitted.accept.routes.len(), 2);
        assert_eq!(admitted.accept.mtu, 1380);
    }

    #[test]
    fn an_expired_grant_holds_in_grace_only_and_not_for_ever() {
        let lenient = Admission { has_grace: true, ..admission() };

        assert_eq!(admit(&admission(), &hello(), 5_000).expect_err("expired").code, RefusalCode::KeyExpired);
        assert!(admit(&lenient, &hello(), 5_000).expect("in grace").accept.is_in_grace);
        assert!(admit(&lenient, &hello(), 9_000).is_err());
    }

    #[test]
    fn a_revoked_device_and_a_foreign_network_are_refused() {
        let mut revoking = admission();
        revoking.config.revoked.insert(key(3).public());
        let foreign = LinkHello { network: NetworkId::new("default", "lab"), ..hello() };

        assert_eq!(admit(&revoking, &hello(), 2_000).expect_err("revoked").code, RefusalCode::Revoked);
        assert_eq!(admit(&admission(), &foreign, 2_000).expect_err("foreign").code, RefusalCode::BadGrant);
    }

    #[test]
    fn what_a_device_brings_of_the_controllers_keys_is_news_once() {
        let word = |serial: u8, floor| {
            let (root, online, roles) = (key(1).public(), key(20 + serial).public(), vec![Role::Grant]);
            let serial = u64::from(serial);
            Delegation { root, online, roles, epoch: 1, serial, floor, not_after: 9 }.sign(&key(1))
        };
        let mut admission = admission();
        let before = admission.trust.clone();

        assert!(admission.is_news(&word(1, 0), 1_000) && admission.is_news(&word(1, 1), 1_000));
        assert!(!admission.is_news(&word(1, 1), 10_000), "it has ended");
        admission.trust = before.with_carried(&word(1, 0), 1);
        assert!(!admission.is_news(&word(1, 0), 1_000) && admission.is_news(&word(1, 1), 1_000));
        admission.trust = admission.trust.with_carried(&word(1, 1), 1);
        assert!(!admission.is_news(&word(1, 1), 1_000) && !admission.is_news(&word(1, 0), 1_000));
        assert!(!admission.is_news(&word(0, 0), 1_000), "it was withdrawn");
    }

    #[test]
    fn a_network_may_demand_post_quantum_links() {
        let mut demanding = admission();
        demanding.config.networks.get_mut(&office()).expect("there").pq = PostQuantum::Required;
        let device = key(3).public();
        let asker = |is_post_quantum| Asker { key: &device, is_post_quantum };

        let classical = demanding.admit(&hello(), asker(false), 2_000_000).expect_err("classical");

        assert_eq!(classical.code, RefusalCode::PostQuantumRequired);
        assert!(demanding.admit(&hello(), asker(true), 2_000_000).is_ok());
    }
}
