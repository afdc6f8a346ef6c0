//! The root key's word for an online key: what a node checks before it believes anything else.

use serde::{Deserialize, Serialize};

use crate::{
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::{Document, Signed, SignedError},
};

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
    /// Unix seconds.
    pub not_after: i64,
}

impl Document for Delegation {
    const DOMAIN: &'static [u8] = b"hz-delegation-v1\0";
}

/// What a node remembers of its controller: the root it joined and the highest epoch it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub root: RootFingerprint,
    pub epoch: u64,
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
        "the controller is in epoch {found}, this node has already seen {pinned}: its store was rolled back"
    )]
    OlderEpoch { found: u64, pinned: u64 },
}

/// A delegation that was checked against a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    delegation: Delegation,
}

impl Delegation {
    /// Returns the delegation with the root's signature.
    pub fn sign(&self, root: &SecretKey) -> Signed {
        Signed::new(self, root)
    }
}

impl Trust {
    /// Checks a stored delegation against what this node pinned. `now` is unix seconds.
    ///
    /// # Errors
    /// Every way in which it must not be believed is a variant of [`DelegationError`].
    pub fn establish(signed: &Signed, pin: &Pin, now: i64) -> Result<Self, DelegationError> {
        let claimed: Delegation =
            signed.peek().map_err(|e| DelegationError::Unsigned(SignedError::Decode(e)))?;
        let found = RootFingerprint::of(&claimed.root);
        if found != pin.root {
            return Err(DelegationError::ForeignRoot { found, pinned: pin.root });
        }
        let delegation: Delegation = signed.verify(&claimed.root).map_err(DelegationError::Unsigned)?;
        if delegation.epoch < pin.epoch {
            return Err(DelegationError::OlderEpoch { found: delegation.epoch, pinned: pin.epoch });
        }
        if delegation.not_after < now {
            return Err(DelegationError::Expired { not_after: delegation.not_after, now });
        }
        Ok(Self { delegation })
    }

    /// Checks that the peer of a link is the key that the delegation names for links.
    ///
    /// # Errors
    /// [`DelegationError::ForeignPeer`] or [`DelegationError::MissingRole`].
    pub fn check_peer(&self, peer: &PublicKey) -> Result<(), DelegationError> {
        if self.delegation.online != *peer {
            return Err(DelegationError::ForeignPeer { delegated: self.delegation.online, peer: *peer });
        }
        self.key_for(Role::Link).map(|_| ())
    }

    /// Returns the key that may sign in this role.
    ///
    /// # Errors
    /// [`DelegationError::MissingRole`] when the delegation does not give it.
    pub fn key_for(&self, role: Role) -> Result<PublicKey, DelegationError> {
        if self.delegation.roles.contains(&role) {
            Ok(self.delegation.online)
        } else {
            Err(DelegationError::MissingRole(role))
        }
    }

    /// Returns the epoch that the delegation was made in.
    pub fn epoch(&self) -> u64 {
        self.delegation.epoch
    }

    /// Returns the pin that remembers this epoch.
    pub fn pin(&self) -> Pin {
        Pin { root: RootFingerprint::of(&self.delegation.root), epoch: self.delegation.epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn delegation() -> Delegation {
        Delegation {
            root: key(1).public(),
            online: key(2).public(),
            roles: vec![Role::Link, Role::Config],
            epoch: 3,
            not_after: 1_000,
        }
    }

    fn pin() -> Pin {
        Pin { root: RootFingerprint::of(&key(1).public()), epoch: 3 }
    }

    #[test]
    fn the_pinned_root_is_believed_for_what_it_delegates() {
        let trust = Trust::establish(&delegation().sign(&key(1)), &pin(), 1_000).expect("valid");

        assert!(trust.check_peer(&key(2).public()).is_ok());
        assert!(matches!(trust.check_peer(&key(3).public()), Err(DelegationError::ForeignPeer { .. })));
        assert!(matches!(trust.key_for(Role::Grant), Err(DelegationError::MissingRole(Role::Grant))));
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
}
