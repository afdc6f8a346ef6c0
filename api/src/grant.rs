//! A grant: the signed, short-lived permission of a device to connect, checked without the controller.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    cbor::{self, DecodeError},
    delegation::{DelegationError, Role, Trust},
    key::{PublicKey, SecretKey},
    section::NetworkId,
    signed::{Document, Signed, SignedError},
    verdict::Identity,
};

/// What the controller says of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    #[serde(with = "serde_bytes")]
    pub id: [u8; 16],
    pub epoch: u64,
    /// The only key that may use it.
    pub device: PublicKey,
    pub identity: Identity,
    /// The gateways that may accept it.
    pub audience: BTreeSet<PublicKey>,
    pub networks: Vec<NetworkGrant>,
    /// Unix seconds, all three.
    pub issued_at: i64,
    pub not_before: i64,
    pub expires_at: i64,
}

/// A device's place in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkGrant {
    pub network: NetworkId,
    pub addresses: Vec<IpAddr>,
    /// Said of networks with `e2e: Required`: between which addresses packets are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealScope>,
}

/// Where packets are sealed from end to end: in all of a network but at the gateways' own addresses. It is the
/// controller's word, because a gateway that could say it would say that a device is a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealScope {
    pub pools: Vec<IpNet>,
    pub gateways: BTreeSet<IpAddr>,
}

impl SealScope {
    /// Says whether the address is a device's.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.pools.iter().any(|pool| pool.contains(&address)) && !self.gateways.contains(&address)
    }
}

impl Document for Grant {
    const DOMAIN: &'static [u8] = b"hz-grant-v1\0";
}

impl Grant {
    /// Returns the unix second at which a device asks for the next one: half of its life.
    pub fn refresh_at(&self) -> i64 {
        self.issued_at + (self.expires_at - self.issued_at) / 2
    }
}

/// What a gateway knows when it checks a grant.
#[derive(Debug)]
pub struct GrantCheck<'a> {
    pub trust: &'a Trust,
    /// Every key that the gateway goes by.
    pub gateway: &'a [PublicKey],
    /// The key that the link's handshake proved.
    pub peer: &'a PublicKey,
    /// Unix seconds: the highest this gateway has ever seen, so that a clock set back revives nothing.
    pub now: i64,
    /// Seconds that an expired grant is still good for, by network. Empty while the controller is there.
    pub offline_grace_s: &'a BTreeMap<NetworkId, i64>,
    pub revoked: &'a BTreeSet<PublicKey>,
}

/// Why a grant is refused.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    #[error("the grant cannot be read")]
    Unreadable(#[from] DecodeError),
    #[error("the grant is not encoded as a controller encodes it")]
    OtherEncoding,
    #[error("the grant is not signed by this network's controller")]
    Forged(#[source] SignedError),
    #[error("no key may sign grants here")]
    NoSigner(#[source] DelegationError),
    #[error("the grant is for another device")]
    ForeignDevice,
    #[error("the grant is for other gateways")]
    ForeignAudience,
    #[error("the grant is of epoch {found}, the controller is in epoch {current}")]
    OlderEpoch { found: u64, current: u64 },
    #[error("the grant begins at {not_before} and it is {now} (unix time): one of the clocks is wrong")]
    NotYetValid { not_before: i64, now: i64 },
    #[error("the grant ended at {expires_at} and it is {now} (unix time)")]
    Expired { expires_at: i64, now: i64 },
    #[error("the device was revoked")]
    Revoked,
    #[error("the grant gives no network")]
    NoNetwork,
}

/// Clocks of two hosts may differ by so many seconds.
const CLOCK_SKEW_S: i64 = 60;

/// A grant as it came, of which nothing is believed.
#[derive(Clone, Debug)]
pub struct UnverifiedGrant(Signed);

/// A grant that passed every check. There is no other way to make one.
#[derive(Clone, Debug)]
pub struct VerifiedGrant {
    grant: Grant,
    networks: Vec<NetworkGrant>,
    is_in_grace: bool,
}

impl UnverifiedGrant {
    /// # Errors
    /// When the bytes are not a signed document at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, GrantError> {
        let signed: Signed = cbor::decode(bytes)?;
        // The same words in another encoding are another text, whatever a lenient reader makes of it.
        if cbor::encode(&signed) == bytes { Ok(Self(signed)) } else { Err(GrantError::OtherEncoding) }
    }

    /// Checks everything that can be checked without the controller.
    ///
    /// # Errors
    /// The first reason to refuse; see [`GrantError`].
    pub fn verify(&self, check: &GrantCheck<'_>) -> Result<VerifiedGrant, GrantError> {
        let signer = check.trust.signer::<Grant>(Role::Grant, &self.0).map_err(GrantError::NoSigner)?;
        let grant: Grant = self.0.verify(&signer).map_err(GrantError::Forged)?;
        if grant.device != *check.peer {
            return Err(GrantError::ForeignDevice);
        }
        if !check.gateway.iter().any(|key| grant.audience.contains(key)) {
            return Err(GrantError::ForeignAudience);
        }
        if grant.epoch < check.trust.epoch() {
            return Err(GrantError::OlderEpoch { found: grant.epoch, current: check.trust.epoch() });
        }
        if check.revoked.contains(&grant.device) {
            return Err(GrantError::Revoked);
        }
        if check.now + CLOCK_SKEW_S < grant.not_before {
            return Err(GrantError::NotYetValid { not_before: grant.not_before, now: check.now });
        }
        grant.admit(check)
    }
}

impl Grant {
    fn admit(self, check: &GrantCheck<'_>) -> Result<VerifiedGrant, GrantError> {
        if self.networks.is_empty() {
            return Err(GrantError::NoNetwork);
        }
        let end_of = |network: &NetworkId| {
            self.expires_at + CLOCK_SKEW_S + check.offline_grace_s.get(network).copied().unwrap_or(0)
        };
        let networks: Vec<_> =
            self.networks.iter().filter(|n| check.now <= end_of(&n.network)).cloned().collect();
        if networks.is_empty() {
            return Err(GrantError::Expired { expires_at: self.expires_at, now: check.now });
        }
        let is_in_grace = check.now > self.expires_at + CLOCK_SKEW_S;
        Ok(VerifiedGrant { grant: self, networks, is_in_grace })
    }

    /// Signs the grant and returns the bytes that travel.
    pub fn sign(&self, key: &SecretKey) -> Vec<u8> {
        cbor::encode(&Signed::new(self, key))
    }
}

impl VerifiedGrant {
    /// Returns the grant as it was signed, with all of its networks.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns the networks in which it is good at the time of the check.
    pub fn networks(&self) -> &[NetworkGrant] {
        &self.networks
    }

    /// Says whether it is expired and accepted only because the controller is away.
    pub fn is_in_grace(&self) -> bool {
        self.is_in_grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delegation::{Delegation, Pin},
        key::RootFingerprint,
    };
    use proptest::prelude::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn trust() -> Trust {
        let delegation = Delegation {
            root: key(1).public(),
            online: key(2).public(),
            roles: vec![Role::Grant],
            epoch: 5,
            serial: 0,
            floor: 0,
            not_after: i64::MAX,
        };
        let pin = Pin { root: RootFingerprint::of(&key(1).public()), epoch: 5, floor: 0 };
        Trust::establish(&delegation.sign(&key(1)), &pin, 0).expect("valid")
    }

    fn office() -> NetworkId {
        NetworkId::new("default", "office")
    }

    fn grant() -> Grant {
        Grant {
            id: [1; 16],
            epoch: 5,
            device: key(3).public(),
            identity: Identity { device: "laptop".into(), user: "alice".into(), ..Identity::default() },
            audience: [key(4).public()].into(),
            networks: vec![NetworkGrant {
                network: office(),
                addresses: vec![[10, 77, 0, 2].into()],
                sealed: None,
            }],
            issued_at: 1_000,
            not_before: 1_000,
            expires_at: 4_600,
        }
    }

    struct World {
        gateway: PublicKey,
        peer: PublicKey,
        now: i64,
        grace: BTreeMap<NetworkId, i64>,
        revoked: BTreeSet<PublicKey>,
    }

    impl Default for World {
        fn default() -> Self {
            Self {
                gateway: key(4).public(),
                peer: key(3).public(),
                now: 2_000,
                grace: BTreeMap::new(),
                revoked: BTreeSet::new(),
            }
        }
    }

    fn verify(bytes: &[u8], world: &World) -> Result<VerifiedGrant, GrantError> {
        UnverifiedGrant::parse(bytes)?.verify(&GrantCheck {
            trust: &trust(),
            gateway: std::slice::from_ref(&world.gateway),
            peer: &world.peer,
            now: world.now,
            offline_grace_s: &world.grace,
            revoked: &world.revoked,
        })
    }

    #[test]
    fn a_good_grant_gives_its_networks() {
        let verified = verify(&grant().sign(&key(2)), &World::default()).expect("valid");

        assert_eq!(verified.networks(), grant().networks);
        assert!(!verified.is_in_grace());
    }

    #[test]
    fn each_wrong_world_is_refused_by_name() {
        type Case = (World, fn(&GrantError) -> bool);
        let cases: [Case; 5] = [
            (World { gateway: key(9).public(), ..World::default() }, |e| {
                matches!(e, GrantError::ForeignAudience)
            }),
            (World { peer: key(9).public(), ..World::default() }, |e| matches!(e, GrantError::ForeignDevice)),
            (World { now: 900, ..World::default() }, |e| matches!(e, GrantError::NotYetValid { .. })),
            (World { now: 4_661, ..World::default() }, |e| matches!(e, GrantError::Expired { .. })),
            (World { revoked: [key(3).public()].into(), ..World::default() }, |e| {
                matches!(e, GrantError::Revoked)
            }),
        ];
        for (world, is_right) in cases {
            let error = verify(&grant().sign(&key(2)), &world).expect_err("must be refused");

            assert!(is_right(&error), "{error}");
        }
    }

    #[test]
    fn clocks_may_differ_by_a_minute_and_no_more() {
        let at = |now| World { now, ..World::default() };
        let is_good = |now| verify(&grant().sign(&key(2)), &at(now)).is_ok();

        assert_eq!([939, 940, 1_000].map(is_good), [false, true, true]);
        assert_eq!([4_600, 4_660, 4_661].map(is_good), [true, true, false]);
    }

    #[test]
    fn no_bit_of_a_grant_can_be_turned() {
        let genuine = grant().sign(&key(2));

        for position in 0..genuine.len() {
            for bit in 0..8 {
                let mut bytes = genuine.clone();
                bytes[position] ^= 1 << bit;

                assert!(verify(&bytes, &World::default()).is_err(), "byte {position}, bit {bit}");
            }
        }
        for length in 0..genuine.len() {
            assert!(verify(&genuine[..length], &World::default()).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn grant_swapped_for_that_of_another_device_is_refused_both_ways() {
        let of = |device: u8| Grant { device: key(device).public(), ..grant() }.sign(&key(2));
        let with = |device: u8| World { peer: key(device).public(), ..World::default() };

        assert!(verify(&of(3), &with(3)).is_ok() && verify(&of(5), &with(5)).is_ok());
        for (grant, peer) in [(3, 5), (5, 3)] {
            assert!(matches!(verify(&of(grant), &with(peer)), Err(GrantError::ForeignDevice)));
        }
    }

    #[test]
    fn another_signer_and_an_older_epoch_are_refused() {
        let forged = verify(&grant().sign(&key(9)), &World::default());
        let older = verify(&Grant { epoch: 4, ..grant() }.sign(&key(2)), &World::default());

        assert!(matches!(forged, Err(GrantError::Forged(_))));
        assert!(matches!(older, Err(GrantError::OlderEpoch { found: 4, current: 5 })));
    }

    #[test]
    fn grace_is_for_the_networks_that_give_it_and_ends() {
        let bytes = grant().sign(&key(2));
        let at = |now| World { now, grace: [(office(), 3_600)].into(), ..World::default() };

        assert!(verify(&bytes, &at(4_661)).expect("in grace").is_in_grace());
        assert!(matches!(verify(&bytes, &at(4_661 + 3_600)), Err(GrantError::Expired { .. })));
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_believed(position in 0usize..10_000, flip in 1u8..=255) {
            let mut bytes = grant().sign(&key(2));
            let position = position % bytes.len();
            bytes[position] ^= flip;

            prop_assert!(verify(&bytes, &World::default()).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(verify(&bytes, &World::default()).is_err());
        }
    }
}
