//! What a gateway kept of a controller's word, given back to a controller whose store was restored from a backup:
//! whoever was revoked since the backup stays out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    assignment::{Assignment, AssignmentError, Version},
    delegation::{DelegationError, Pin, Trust},
    key::{PublicKey, RootFingerprint},
    section::{ContentHash, Section},
    signed::Signed,
};

/// The newest assignment that a gateway ran, with the revocations in it: all as signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub delegation: Signed,
    pub assignment: Signed,
    /// The bytes of the section.
    #[serde(with = "serde_bytes")]
    pub revocations: Vec<u8>,
}

/// Why it is not believed.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error(transparent)]
    Delegation(#[from] DelegationError),
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error("the revocations are not those that the assignment names")]
    Foreign,
}

impl Kept {
    /// Returns the place of the assignment in the order of all, and whom it revokes, if this root's controller signed it
    /// for this gateway. How old it is does not matter.
    ///
    /// # Errors
    /// Every way in which it must not be believed is a variant of [`KeptError`].
    pub fn verify(
        &self,
        root: RootFingerprint,
        gateway: &[PublicKey],
    ) -> Result<(Version, BTreeSet<PublicKey>), KeptError> {
        let trust = Trust::establish(&self.delegation, &Pin::new(root), i64::MIN)?;
        let verified = Assignment::verify(&self.assignment, &trust, gateway, None)?;
        let hash = ContentHash::of(&self.revocations);
        let is_named = verified.sections().iter().any(|header| header.hash == hash);
        match Section::decode(&self.revocations) {
            Ok(Section::Revocations(keys)) if is_named => {
                Ok((verified.version(), keys.into_iter().collect()))
            }
            Ok(_) | Err(_) => Err(KeptError::Foreign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delegation::{Delegation, Role},
        key::SecretKey,
    };

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn root(seed: u8) -> RootFingerprint {
        RootFingerprint::of(&key(seed).public())
    }

    fn kept(signer: u8, revoked: u8) -> Kept {
        let delegation = Delegation {
            root: key(1).public(),
            online: key(2).public(),
            roles: vec![Role::Config],
            epoch: 2,
            serial: 0,
            floor: 0,
            not_after: 0,
        };
        let section = Section::Revocations(vec![key(8).public()]).encode();
        let (gateway, sections) = (key(4).public(), vec![section.header]);
        let assignment = Assignment { epoch: 2, revision: 7, gateway, sections, provisional: None };
        Kept {
            delegation: delegation.sign(&key(1)),
            assignment: assignment.sign(&key(signer)),
            revocations: Section::Revocations(vec![key(revoked).public()]).encode().bytes,
        }
    }

    #[test]
    fn what_was_signed_is_believed_however_old_it_is() {
        let (version, revoked) = kept(2, 8).verify(root(1), &[key(4).public()]).expect("signed");

        assert_eq!((version, revoked), (Version { epoch: 2, revision: 7 }, [key(8).public()].into()));
    }

    #[test]
    fn a_gateway_can_add_nobody_and_speak_for_no_other() {
        assert!(kept(2, 9).verify(root(1), &[key(4).public()]).is_err(), "another key");
        assert!(kept(3, 8).verify(root(1), &[key(4).public()]).is_err(), "another signer");
        assert!(kept(2, 8).verify(root(9), &[key(4).public()]).is_err(), "another root");
        assert!(kept(2, 8).verify(root(1), &[key(5).public()]).is_err(), "another gateway");
    }
}
