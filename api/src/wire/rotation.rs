//! A node takes another key: both keys say so, on one connection and for one nonce.

use serde::{Deserialize, Serialize};

use crate::{
    key::{PublicKey, SecretKey},
    signed::{Document, Signed},
    wire::{Refusal, RefusalCode},
};

/// What a controller says in its Welcome if it knows [`super::dev::FromDevice::RotateKey`].
pub const KEY_ROTATION: &str = "key-rotation";

/// What a controller says in its Welcome if it knows [`super::cfg::ToController::NextKey`].
pub const NEXT_KEY: &str = "next-key";

/// "This key follows that one": worth nothing on another connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotation {
    /// 32 bytes of the TLS exporter, equal on both sides of the connection.
    #[serde(with = "serde_bytes")]
    pub exporter: [u8; 32],
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 32],
    pub old: PublicKey,
    pub next: PublicKey,
}

impl Document for KeyRotation {
    const DOMAIN: &'static [u8] = b"hz-key-rotation-v1\0";
}

/// "That key follows this one", for good, signed by the one before: what a controller is shown whose store was restored
/// to a moment before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    pub old: PublicKey,
    pub next: PublicKey,
}

/// More keys than a node takes between two backups.
pub const SUCCESSIONS_MAX: usize = 8;

impl Document for Succession {
    const DOMAIN: &'static [u8] = b"hz-succession-v1\0";
}

impl Succession {
    /// Has a key say which one follows it.
    pub fn sign(old: &SecretKey, next: &PublicKey) -> Signed {
        Signed::new(&Self { old: old.public(), next: *next }, old)
    }

    /// Returns the newest key before `last` that is known, where each on the way to it has said which one follows.
    /// `words` has the newest last.
    pub fn predecessor(
        words: &[Signed],
        last: &PublicKey,
        is_known: impl Fn(&PublicKey) -> bool,
    ) -> Option<PublicKey> {
        let mut current = *last;
        for word in words.iter().rev().take(SUCCESSIONS_MAX) {
            let old = word.peek::<Self>().ok()?.old;
            let said: Self = word.verify(&old).ok()?;
            if said.next != current {
                return None;
            }
            if is_known(&old) {
                return Some(old);
            }
            current = old;
        }
        None
    }
}

/// The same words, signed by both keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationProof {
    pub next: PublicKey,
    pub by_old: Signed,
    pub by_next: Signed,
}

impl RotationProof {
    /// Signs with both keys.
    pub fn new(exporter: [u8; 32], nonce: [u8; 32], old: &SecretKey, next: &SecretKey) -> Self {
        let words = KeyRotation { exporter, nonce, old: old.public(), next: next.public() };
        Self { next: words.next, by_old: Signed::new(&words, old), by_next: Signed::new(&words, next) }
    }

    /// Returns the key that follows the peer's, if both keys say so on this connection and for this nonce.
    ///
    /// # Errors
    /// A refusal that can be sent as it is.
    pub fn check(
        &self,
        peer: &PublicKey,
        exporter: &[u8; 32],
        nonce: &[u8; 32],
    ) -> Result<PublicKey, Refusal> {
        let hint = "connect again; if it stays, somebody is between the two ends";
        let bad = |message: &str| Refusal::new(RefusalCode::BadEvidence, message, hint);
        let wanted = KeyRotation { exporter: *exporter, nonce: *nonce, old: *peer, next: self.next };
        for (signed, signer) in [(&self.by_old, peer), (&self.by_next, &self.next)] {
            let said: KeyRotation =
                signed.verify(signer).map_err(|_| bad("one of the two keys did not sign the rotation"))?;
            if said != wanted {
                return Err(bad("the rotation was signed for another connection or another key"));
            }
        }
        if self.next == *peer {
            return Err(bad("a key cannot follow itself"));
        }
        Ok(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn both_keys_say_so_on_this_connection_or_it_is_refused() {
        let proof = RotationProof::new([1; 32], [2; 32], &key(3), &key(4));
        let check = |proof: &RotationProof, peer: u8, exporter, nonce| {
            proof.check(&key(peer).public(), &exporter, &nonce).ok()
        };
        assert_eq!(check(&proof, 3, [1; 32], [2; 32]), Some(key(4).public()));

        assert_eq!(check(&proof, 5, [1; 32], [2; 32]), None, "another peer");
        assert_eq!(check(&proof, 3, [9; 32], [2; 32]), None, "another connection");
        assert_eq!(check(&proof, 3, [1; 32], [9; 32]), None, "another nonce");
        let stolen = RotationProof { next: key(6).public(), ..proof.clone() };
        assert_eq!(check(&stolen, 3, [1; 32], [2; 32]), None, "a key that did not sign");
        let once = RotationProof { by_old: proof.by_next.clone(), ..proof };
        assert_eq!(check(&once, 3, [1; 32], [2; 32]), None, "one key alone");
        let same = RotationProof::new([1; 32], [2; 32], &key(3), &key(3));
        assert_eq!(check(&same, 3, [1; 32], [2; 32]), None, "itself");
    }

    #[test]
    fn keys_lead_back_to_one_that_is_known_where_each_has_said_so() {
        let public = |seed: u8| key(seed).public();
        let words: Vec<_> =
            [(1, 2), (2, 3), (3, 4)].map(|(old, next)| Succession::sign(&key(old), &public(next))).into();
        let known = |words: &[Signed], last: u8, seed: u8| {
            Succession::predecessor(words, &public(last), |old| *old == public(seed))
        };

        assert_eq!(known(&words, 4, 1), Some(public(1)));
        assert_eq!(known(&words, 4, 3), Some(public(3)));
        assert_eq!(known(&words, 3, 1), None, "the last word is about another key");
        assert_eq!(known(&[words[0].clone(), words[2].clone()], 4, 1), None, "one is missing");
        let forged = Signed::new(&Succession { old: public(3), next: public(4) }, &key(9));
        assert_eq!(known(&[words[0].clone(), words[1].clone(), forged], 4, 1), None);
        assert_eq!(known(&[], 4, 4), None, "nothing leads to itself");
    }
}
