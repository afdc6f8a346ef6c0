//! The root key's word for an online key: what a node checks before it believes anything else.
//!
//! Online keys are numbered. While one follows another both are believed; then the newer one's delegation says from
//! which number on keys are believed, and a node that has heard so believes none before it again.

mod trust;

use serde::{Deserialize, Serialize};

use crate::{
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::{Document, Signed, SignedError},
};

pub use trust::Trust;

/// What an online key may do in the name of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Be the controller's end of a link.
    Link,
    /// Sign assignments.
    Config,
    /// Sign grants.
    Grant,
}

/// "This online key acts for this root, in this epoch, until then."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    pub root: PublicKey,
    pub online: PublicKey,
    pub roles: Vec<Role>,
    /// The store's epoch. A host without a clock battery can still compare epochs.
    pub epoch: u64,
    /// Which of the root's online keys it is: each rotation makes the next one.
    #[serde(default)]
    pub serial: u64,
    /// Keys with a smaller number are withdrawn.
    #[serde(default)]
    pub floor: u64,
    /// Unix seconds.
    pub not_after: i64,
}

impl Document for Delegation {
    const DOMAIN: &'static [u8] = b"hz-delegation-v1\0";
}

/// What a node remembers of its controller: the root it joined, the highest epoch it saw, and which of its online keys
/// are withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub root: RootFingerprint,
    pub epoch: u64,
    /// The least number of an online key that is believed.
    #[serde(default)]
    pub floor: u64,
}

/// Why a delegation is not believed.
#[derive(Debug, thiserror::Error)]
pub enum DelegationError {
    #[error(
        "the controller shows root {found}, but this node joined root {pinned}: it is another controller, or somebody is in between"
    )]
    ForeignRoot { found: RootFingerprint, pinned: RootFingerprint },
    #[error("the delegation is not signed by its root")]
    Unsigned(#[source] SignedError),
    #[error("the delegation is for key {delegated}, but the peer of this link is {peer}")]
    ForeignPeer { delegated: PublicKey, peer: PublicKey },
    #[error("the delegation lacks the role {0:?}")]
    MissingRole(Role),
    #[error(
        "the delegation ended at {not_after} (unix time) and it is {now}: check the clock, or renew the controller's key"
    )]
    Expired { not_after: i64, now: i64 },
    #[error(
        "the controller speaks with its online key {serial}, and those before {floor} are withdrawn: whoever speaks has a key that was rotated away"
    )]
    Withdrawn { serial: u64, floor: u64 },
    #[error(
        "the controller is in epoch {found}, this node has already seen {pinned}: its store was rolled back"
    )]
    OlderEpoch { found: u64, pinned: u64 },
}

impl Pin {
    /// Pins a root of which nothing else is known.
    pub fn new(root: RootFingerprint) -> Self {
        Self { root, epoch: 0, floor: 0 }
    }

    /// Pins a root with what is known of it. What is known of another root says nothing about this one.
    pub fn with_known(root: RootFingerprint, known: impl IntoIterator<Item = Self>) -> Self {
        known.into_iter().filter(|known| known.root == root).fold(Self::new(root), Self::later)
    }

    /// Returns what both pins of one root say.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self { epoch: self.epoch.max(other.epoch), floor: self.floor.max(other.floor), ..self }
    }

    /// Returns the pin for what was believed when it came: a key that was withdrawn since signed it all the same.
    #[must_use]
    pub fn of_then(self) -> Self {
        Self { floor: 0, ..self }
    }
}

impl Delegation {
    /// Returns the delegation with the root's signature.
    pub fn sign(&self, root: &SecretKey) -> Signed {
        Signed::new(self, root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::Assignment;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn delegation() -> Delegation {
        Delegation {
            root: key(1).public(),
            online: key(2).public(),
            roles: vec![Role::Link, Role::Config],
            epoch: 3,
            serial: 0,
            floor: 0,
            not_after: 1_000,
        }
    }

    fn pin() -> Pin {
        Pin { root: RootFingerprint::of(&key(1).public()), epoch: 3, floor: 0 }
    }

    #[test]
    fn the_pinned_root_is_believed_for_what_it_delegates() {
        let trust = Trust::establish(&delegation().sign(&key(1)), &pin(), 1_000).expect("valid");

        assert!(trust.check_peer(&key(2).public()).is_ok());
        assert!(matches!(trust.check_peer(&key(3).public()), Err(DelegationError::ForeignPeer { .. })));
        let signed = assignment(2);
        assert_eq!(trust.signer::<Assignment>(Role::Config, &signed).expect("a signer"), key(2).public());
        let none = trust.signer::<Assignment>(Role::Grant, &signed);
        assert!(matches!(none, Err(DelegationError::MissingRole(Role::Grant))));
    }

    #[test]
    fn a_root_is_pinned_with_all_that_is_known_of_it_and_of_no_other() {
        let [root, other] = [1, 9].map(|seed| RootFingerprint::of(&key(seed).public()));
        let known = [
            Pin { root, epoch: 3, floor: 1 },
            Pin { root, epoch: 2, floor: 2 },
            Pin { root: other, epoch: 7, floor: 7 },
        ];

        assert_eq!(Pin::with_known(root, known), Pin { root, epoch: 3, floor: 2 });
        assert_eq!(Pin::with_known(root, []), Pin::new(root));
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let other = Delegation { root: key(9).public(), ..delegation() };
        type Case = (Signed, Pin, i64, fn(&DelegationError) -> bool);
        let cases: [Case; 4] = [
            (other.sign(&key(9)), pin(), 0, |e| matches!(e, DelegationError::ForeignRoot { .. })),
            (delegation().sign(&key(9)), pin(), 0, |e| matches!(e, DelegationError::Unsigned(_))),
            (delegation().sign(&key(1)), pin(), 1_001, |e| matches!(e, DelegationError::Expired { .. })),
            (delegation().sign(&key(1)), Pin { epoch: 4, ..pin() }, 0, |e| {
                matches!(e, DelegationError::OlderEpoch { .. })
            }),
        ];
        for (signed, pin, now, is_right) in cases {
            let error = Trust::establish(&signed, &pin, now).expect_err("must be refused");

            assert!(is_right(&error), "{error}");
        }
    }
    fn assignment(signer: u8) -> Signed {
        let gateway = key(4).public();
        Assignment { epoch: 3, revision: 1, gateway, sections: vec![], provisional: None }.sign(&key(signer))
    }

    /// The word for the key with a number, which is also its seed, and the numbers before `floor` withdrawn.
    fn numbered(serial: u8, floor: u64) -> Signed {
        let online = key(10 + serial).public();
        Delegation { online, serial: u64::from(serial), floor, ..delegation() }.sign(&key(1))
    }

    #[test]
    fn while_one_key_follows_another_both_are_believed() {
        let trust = Trust::establish(&numbered(0, 0), &pin(), 0).expect("valid");
        let both = trust.also(&[numbered(1, 0)], 0);

        for seed in [10, 11] {
            let signer = both.signer::<Assignment>(Role::Config, &assignment(seed)).expect("a signer");
            assert_eq!(signer, key(seed).public());
            assert!(both.check_peer(&signer).is_ok());
        }
        assert!(both.check_peer(&key(12).public()).is_err());
        assert_eq!(both.pin(), pin());
    }

    #[test]
    fn a_key_that_is_withdrawn_is_never_believed_again() {
        let both = Trust::establish(&numbered(0, 0), &pin(), 0).expect("valid").also(&[numbered(1, 0)], 0);

        let closed = both.also(&[numbered(1, 1)], 0);

        assert!(closed.check_peer(&key(11).public()).is_ok());
        assert!(closed.check_peer(&key(10).public()).is_err());
        assert_eq!(closed.pin(), Pin { floor: 1, ..pin() });
        let back = Trust::establish(&numbered(0, 0), &closed.pin(), 0);
        assert!(matches!(back, Err(DelegationError::Withdrawn { serial: 0, floor: 1 })));
        let smuggled = closed.also(&[numbered(0, 0)], 0);
        assert!(smuggled.check_peer(&key(10).public()).is_err());
    }

    #[test]
    fn who_was_away_during_the_whole_overlap_believes_the_newest_at_first_contact() {
        let trust = Trust::establish(&numbered(3, 3), &pin(), 0).expect("valid");

        assert!(trust.check_peer(&key(13).public()).is_ok());
        assert_eq!(trust.pin().floor, 3);
    }

    #[test]
    fn what_somebody_brings_withdraws_keys_too() {
        let both = Trust::establish(&numbered(0, 0), &pin(), 0).expect("valid").also(&[numbered(1, 0)], 0);
        let forged = Delegation { online: key(11).public(), serial: 1, floor: 1, ..delegation() };

        assert_eq!(both.with_carried(&numbered(1, 0), 0), both, "it is known");
        assert_eq!(both.with_carried(&forged.sign(&key(9)), 0), both);
        let closed = both.with_carried(&numbered(1, 1), 0);

        assert!(closed.check_peer(&key(10).public()).is_err());
        assert!(closed.check_peer(&key(11).public()).is_ok());
        assert_eq!((closed.pin().floor, both.raised(1).pin().floor), (1, 1));
        assert!(both.raised(1).check_peer(&key(10).public()).is_err());
        assert_eq!(both.raised(2).words().count(), 0);
        assert_eq!(closed.raised(0), closed);
    }

    #[test]
    fn a_word_that_does_not_hold_adds_nobody() {
        let trust = Trust::establish(&numbered(0, 0), &pin(), 0).expect("valid");
        let forged = Delegation { online: key(20).public(), serial: 1, floor: 1, ..delegation() };
        let older = Delegation { epoch: 2, ..forged.clone() };
        let ended = Delegation { not_after: 5, ..forged.clone() };

        for word in [forged.sign(&key(9)), older.sign(&key(1)), ended.sign(&key(1))] {
            assert_eq!(trust.also(&[word], 10), trust);
        }
    }

    #[test]
    fn what_runs_keeps_its_epoch_and_learns_of_withdrawn_keys() {
        let running = Trust::establish(&numbered(0, 0), &pin(), 0).expect("valid");
        let newer = Delegation { epoch: 4, online: key(11).public(), serial: 1, floor: 1, ..delegation() };
        let heard = Trust::establish(&newer.sign(&key(1)), &pin(), 0).expect("valid");

        let merged = running.merged(&heard);

        assert_eq!((merged.epoch(), merged.pin().floor), (3, 1));
        assert!(
            merged.check_peer(&key(10).public()).is_err() && merged.check_peer(&key(11).public()).is_ok()
        );
    }
}
