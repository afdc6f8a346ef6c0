//! The sign-in of this device at its controller: what was given, checked, and when to ask for more.

pub(crate) mod renewal;
pub(crate) mod sealing;

use anyhow::Context;
use horizon_api::{
    cbor,
    delegation::{Role, Trust},
    grant::Grant,
    key::PublicKey,
    section::NetworkId,
    signed::Signed,
};

use crate::disk;

/// A sign-in whose grant was checked.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    stored: disk::Account,
    grant: Grant,
    trust: Trust,
}

impl Account {
    /// Checks what a controller gave, or what was stored of it.
    ///
    /// # Errors
    /// When the grant is not for this device, or not by the pinned root's controller.
    pub(crate) fn new(stored: disk::Account, device: &PublicKey) -> anyhow::Result<Self> {
        // What a delegation signed stays good beyond its end: the gateway judges the grant by its own time.
        let trust =
            Trust::establish(&stored.delegation, &stored.pin, i64::MIN).context("check the delegation")?;
        let trust = trust.also(&stored.others, i64::MIN);
        let signed: Signed = cbor::decode(&stored.granted.grant).context("read the grant")?;
        let signer = trust.signer::<Grant>(Role::Grant, &signed).context("check who signs grants")?;
        let grant: Grant = signed.verify(&signer).context("check the grant")?;
        anyhow::ensure!(
            grant.device == *device,
            "the grant is for another device; run `horizon login LINK` again"
        );
        Ok(Self { stored, grant, trust })
    }

    pub(crate) fn stored(&self) -> &disk::Account {
        &self.stored
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Says whether this device has a place in a network.
    pub(crate) fn grants(&self, network: &NetworkId) -> bool {
        self.grant.networks.iter().any(|granted| granted.network == *network)
    }

    /// Returns whom this device believes.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Returns the seconds until half of the grant's life is over by this host's clock, which may differ from the
    /// controller's: only its own two readings are compared. A clock that was set back makes the refresh due.
    pub(crate) fn refresh_in_s(&self, now_s: i64) -> i64 {
        let age = now_s - self.stored.received_at;
        let half_life = self.grant.refresh_at() - self.grant.issued_at;
        if age < 0 { 0 } else { (half_life - age).max(0) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use horizon_api::{
        delegation::{Delegation, Pin},
        grant::{NetworkGrant, SealScope},
        key::{RootFingerprint, SecretKey},
        section::{Endpoint, NetworkId},
        verdict::Identity,
        wire::dev::{Granted, NetworkOffer, ServerOffer},
    };

    pub(crate) fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    pub(crate) fn delegation() -> Signed {
        let roles = vec![Role::Link, Role::Grant];
        let (root, online) = (key(1).public(), key(2).public());
        Delegation { root, online, roles, epoch: 3, serial: 0, floor: 0, not_after: i64::MAX }.sign(&key(1))
    }

    pub(crate) fn pin() -> Pin {
        Pin { root: RootFingerprint::of(&key(1).public()), epoch: 3, floor: 0 }
    }

    fn grant(device: &PublicKey, networks: &[(&str, Option<SealScope>)]) -> Grant {
        let network = |(name, sealed): &(&str, Option<SealScope>)| NetworkGrant {
            network: NetworkId::new("default", name),
            addresses: vec![],
            sealed: sealed.clone(),
        };
        Grant {
            id: [7; 16],
            epoch: 3,
            device: *device,
            identity: Identity { device: "laptop".into(), user: "alice".into(), ..Identity::default() },
            audience: [key(4).public()].into(),
            networks: networks.iter().map(network).collect(),
            issued_at: 5_000,
            not_before: 5_000,
            expires_at: 8_600,
        }
    }

    /// What the controller grants to the device with key 9, in these networks.
    pub(crate) fn granted_in(networks: &[(&str, Option<SealScope>)]) -> Granted {
        let grant = grant(&key(9).public(), networks).sign(&key(2));
        Granted { grant, servers: vec![], cards: vec![] }
    }

    pub(crate) fn granted(device: &PublicKey, signer: &SecretKey) -> Granted {
        let office = NetworkId::new("default", "office");
        let grant = grant(device, &[("office", None)]);
        let server = ServerOffer {
            name: "gw-1".into(),
            key: key(4).public(),
            next: None,
            previous: None,
            endpoints: vec![Endpoint { host: "192.0.2.1".into(), port: 7444 }],
            networks: vec![NetworkOffer { network: office, routes: vec![] }],
            is_connected: true,
            links: 0,
        };
        Granted { grant: grant.sign(signer), servers: vec![server], cards: vec![] }
    }

    pub(crate) fn stored(granted: Granted) -> disk::Account {
        disk::Account {
            host: "controller.example.net".into(),
            port: 7443,
            pin: pin(),
            delegation: delegation(),
            others: vec![],
            granted,
            received_at: 100,
        }
    }

    #[test]
    fn a_grant_of_the_pinned_controller_is_read() {
        let device = key(9).public();

        let account = Account::new(stored(granted(&device, &key(2))), &device).expect("valid");

        assert_eq!(account.grant().identity.user, "alice");
    }

    #[test]
    fn a_forged_and_a_foreign_grant_are_refused() {
        let device = key(9).public();

        let forged = Account::new(stored(granted(&device, &key(8))), &device);
        let foreign = Account::new(stored(granted(&key(8).public(), &key(2))), &device);

        assert!(forged.is_err());
        assert!(foreign.expect_err("foreign").to_string().contains("another device"));
    }

    #[test]
    fn the_refresh_is_due_at_half_life_by_our_own_clock() {
        let device = key(9).public();
        let account = Account::new(stored(granted(&device, &key(2))), &device).expect("valid");

        let waits = [100, 1_000, 1_900, 9_999, 50].map(|now| account.refresh_in_s(now));

        assert_eq!(waits, [1_800, 900, 0, 0, 0]);
    }
}
