//! Keys of nodes: every node is its ed25519 public key.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The ed25519 public key that *is* a node's identity. Text form: `ed25519:` and 44 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteArray<32>", into = "serde_bytes::ByteArray<32>")]
pub struct PublicKey([u8; 32]);

/// Why text or bytes are not a public key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("must begin with `ed25519:`")]
    Prefix,
    #[error("must have 44 characters of base64 after `ed25519:`")]
    Encoding,
    #[error("is not a point of the curve")]
    Point,
    #[error("has {0} bytes, a raw ed25519 public key (RFC 8410) has 44")]
    SpkiLength(usize),
    #[error("is not an ed25519 key (RFC 8410)")]
    SpkiAlgorithm,
}

/// The twelve constant bytes of the SubjectPublicKeyInfo of an ed25519 key (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The sixteen constant bytes of the PKCS #8 form of an ed25519 seed (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

impl PublicKey {
    /// Checks that the bytes are a point of the curve.
    ///
    /// # Errors
    /// [`KeyError::Point`] when they are not.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Point)?;
        Ok(Self(bytes))
    }

    /// Reads the SubjectPublicKeyInfo that a TLS peer shows (RFC 7250).
    ///
    /// # Errors
    /// When it is not exactly one ed25519 key.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let (prefix, key) =
            spki.split_at_checked(SPKI_PREFIX.len()).ok_or(KeyError::SpkiLength(spki.len()))?;
        let key: [u8; 32] = key.try_into().map_err(|_| KeyError::SpkiLength(spki.len()))?;
        if prefix != SPKI_PREFIX {
            return Err(KeyError::SpkiAlgorithm);
        }
        Self::from_bytes(key)
    }

    /// Returns the 44 bytes of the SubjectPublicKeyInfo.
    pub fn to_spki(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    /// Returns the 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first twelve characters of the key's text, for people and logs.
    pub fn short(&self) -> String {
        STANDARD.encode(self.0).chars().take(12).collect()
    }

    /// Checks a signature over `domain ‖ message` strictly (no malleable or small-order keys).
    pub(crate) fn verify(&self, domain: &[u8], message: &[u8], signature: &[u8; 64]) -> bool {
        let signed = [domain, message].concat();
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(&signed, &signature).is_ok())
    }
}

impl TryFrom<serde_bytes::ByteArray<32>> for PublicKey {
    type Error = KeyError;
    fn try_from(bytes: serde_bytes::ByteArray<32>) -> Result<Self, KeyError> {
        Self::from_bytes(bytes.into_array())
    }
}

impl From<PublicKey> for serde_bytes::ByteArray<32> {
    fn from(key: PublicKey) -> Self {
        Self::new(key.0)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix("ed25519:").ok_or(KeyError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Encoding)?;
        Self::from_bytes(bytes.try_into().map_err(|_| KeyError::Encoding)?)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A node's secret key. It never leaves the node; it has no `Debug`, no `PartialEq`, no `Serialize`.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes the key of a seed of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Returns the seed, to be written to a file that only its owner may read.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Returns the PKCS #8 form, which TLS libraries read.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&PKCS8_PREFIX[..], self.0.as_bytes()].concat())
    }

    pub(crate) fn sign(&self, domain: &[u8], message: &[u8]) -> [u8; 64] {
        self.0.sign(&[domain, message].concat()).to_bytes()
    }
}

/// The BLAKE3 of a root key: what a join string carries, so that a node knows whom to believe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RootFingerprint(#[serde(with = "serde_bytes")] [u8; 32]);

impl RootFingerprint {
    /// Returns the fingerprint of a root key.
    pub fn of(root: &PublicKey) -> Self {
        Self(*blake3::hash(root.as_bytes()).as_bytes())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for RootFingerprint {
    type Err = blake3::HexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(*blake3::Hash::from_hex(text)?.as_bytes()))
    }
}

impl fmt::Display for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for RootFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_text_and_spki() {
        let key = SecretKey::from_seed(&[7; 32]).public();

        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(PublicKey::from_spki(&key.to_spki()), Ok(key));
    }

    #[test]
    fn wrong_text_says_what_is_wrong() {
        assert_eq!("rsa:AAAA".parse::<PublicKey>(), Err(KeyError::Prefix));
        assert_eq!("ed25519:AAAA".parse::<PublicKey>(), Err(KeyError::Encoding));
        assert_eq!(PublicKey::from_spki(&[0; 44]), Err(KeyError::SpkiAlgorithm));
        assert_eq!(PublicKey::from_spki(&[0; 3]), Err(KeyError::SpkiLength(3)));
    }

    #[test]
    fn a_signature_holds_in_its_domain_only() {
        let key = SecretKey::from_seed(&[1; 32]);
        let signature = key.sign(b"a", b"message");

        assert!(key.public().verify(b"a", b"message", &signature));
        assert!(!key.public().verify(b"b", b"message", &signature));
        assert!(!key.public().verify(b"a", b"massage", &signature));
    }
}
