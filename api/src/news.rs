//! Whom the controller keeps out, as a signed word that anybody may carry: a device that still reaches the controller
//! brings it to a gateway that does not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    assignment::Version,
    delegation::{DelegationError, Pin, Role, Trust},
    key::PublicKey,
    signed::{Document, Signed, SignedError},
};

/// "As of this revision, these keys are kept out": all of them, or a part, where they are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationNews {
    pub version: Version,
    pub revoked: Vec<PublicKey>,
}

impl Document for RevocationNews {
    const DOMAIN: &'static [u8] = b"hz-revocation-news-v1\0";
}

/// One part of the news, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedNews {
    /// A signed [`Delegation`](crate::delegation::Delegation): the gateway may know an older one.
    pub delegation: Signed,
    /// A signed [`RevocationNews`].
    pub news: Signed,
}

/// Keys of one part: some 24 KiB, so that a part is one frame of any link.
pub const KEYS_MAX: usize = 700;
/// Parts that are carried: more than 22,000 keys are for gateways that reach the controller.
pub const PARTS_MAX: usize = 32;

/// Why news is not believed.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    #[error(transparent)]
    Delegation(#[from] DelegationError),
    #[error("the news is not signed by this network's controller")]
    Forged(#[from] SignedError),
}

impl RevocationNews {
    /// Returns the news in parts.
    pub fn parts(version: Version, revoked: &BTreeSet<PublicKey>) -> Vec<Self> {
        let keys: Vec<_> = revoked.iter().copied().collect();
        let parts = keys.chunks(KEYS_MAX).take(PARTS_MAX);
        parts.map(|part| Self { version, revoked: part.to_vec() }).collect()
    }
}

impl CarriedNews {
    /// Returns the news if this root's controller signed it. `now` is unix seconds.
    ///
    /// # Errors
    /// When it is signed by nobody whom the pinned root delegated, in an epoch before the pinned one, or too late.
    pub fn verify(&self, pin: &Pin, now: i64) -> Result<RevocationNews, NewsError> {
        let trust = Trust::establish(&self.delegation, pin, now)?;
        let signer = trust.signer::<RevocationNews>(Role::Config, &self.news)?;
        Ok(self.news.verify(&signer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delegation::Delegation,
        key::{RootFingerprint, SecretKey},
    };

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn carried(root: u8, signer: u8, epoch: u64) -> CarriedNews {
        let delegation = Delegation {
            root: key(root).public(),
            online: key(2).public(),
            roles: vec![Role::Config],
            epoch,
            serial: 0,
            floor: 0,
            not_after: 1_000,
        };
        let news = RevocationNews { version: Version { epoch, revision: 7 }, revoked: vec![key(8).public()] };
        CarriedNews { delegation: delegation.sign(&key(root)), news: Signed::new(&news, &key(signer)) }
    }

    fn is_believed(carried: &CarriedNews, now: i64) -> bool {
        let pin = Pin { root: RootFingerprint::of(&key(1).public()), epoch: 2, floor: 0 };
        carried.verify(&pin, now).is_ok_and(|news| news.revoked == [key(8).public()])
    }

    #[test]
    fn only_the_pinned_roots_controller_is_believed() {
        assert!(is_believed(&carried(1, 2, 2), 0));
        assert!(is_believed(&carried(1, 2, 3), 0), "a later epoch");

        assert!(!is_believed(&carried(9, 2, 2), 0), "another root");
        assert!(!is_believed(&carried(1, 3, 2), 0), "another signer");
        assert!(!is_believed(&carried(1, 2, 1), 0), "an epoch of before");
        assert!(!is_believed(&carried(1, 2, 2), 1_001), "a delegation that ended");
    }

    #[test]
    fn many_keys_make_several_parts_and_none_is_lost() {
        let seed = |low: u8, high: u8| {
            SecretKey::from_seed(&std::array::from_fn(|i| if i == 0 { low } else { high }))
        };
        let lows = 0..=u8::MAX;
        let revoked: BTreeSet<_> =
            lows.flat_map(|low| [1, 2, 3].map(|high| seed(low, high).public())).collect();

        let parts = RevocationNews::parts(Version { epoch: 1, revision: 1 }, &revoked);

        assert_eq!(parts.len(), revoked.len().div_ceil(KEYS_MAX));
        assert_eq!(parts.into_iter().flat_map(|part| part.revoked).collect::<BTreeSet<_>>(), revoked);
    }
}
