//! What gateway and controller must agree on about a TPM: which key signs its quotes, over which registers, and about
//! what. Names and numbers are of the TPM 2.0 Library, Part 2 (structures).

pub mod reader;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::reader::{Malformed, Reader};
use crate::signed::Signed;

/// SHA-256 (`TPM_ALG_SHA256`), for names and registers alike.
pub const SHA256: u16 = 0x000b;
/// ECDSA (`TPM_ALG_ECDSA`).
pub const ECDSA: u16 = 0x0018;
/// The hierarchy of the attestation key (`TPM_RH_ENDORSEMENT`). Only there a quote says the true counters of resets.
pub const ENDORSEMENT: u32 = 0x4000_000b;

/// Registers 0 to 7: firmware, its settings, boot loader, partition table, state of secure boot. Three bytes of bits.
pub const PCR_SELECT: [u8; 3] = [0xff, 0, 0];
/// How many registers that are.
pub const PCR_COUNT: usize = 8;

/// What a TPM shows in answer to a challenge, beside the attestation that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The public area of the key that signed it (`TPMT_PUBLIC`).
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// What was signed (`TPMS_ATTEST`).
    #[serde(with = "serde_bytes")]
    pub attest: Vec<u8>,
    /// The signature (`TPMT_SIGNATURE`).
    #[serde(with = "serde_bytes")]
    pub signature: Vec<u8>,
    /// The registers of which the quote has the digest, one after the other.
    #[serde(with = "serde_bytes")]
    pub pcrs: Vec<u8>,
}

/// Returns what a quote about an attestation must be qualified with. The attestation names connection and challenge.
pub fn qualify(attestation: &Signed) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"hz-tpm-quote-v1\0");
    hash.update(attestation.hash());
    hash.finalize().into()
}

/// The public area of a key that can sign nothing but what its TPM says of itself.
///
/// It is believed to be one because a TPM keeps to the attributes: restricted, made in it, and never to leave it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct AttestationKey {
    public: Vec<u8>,
    x: [u8; 32],
    y: [u8; 32],
}

/// Why a public area is not that of an attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationKeyError {
    #[error("it may sign other things than quotes, or may leave its TPM, or is no key of P-256")]
    Kind,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// All of `TPMT_PUBLIC` before the point: an ECC key, named by SHA-256; fixedTPM, fixedParent, sensitiveDataOrigin,
/// userWithAuth, noDA, restricted and sign; no policy, no symmetric cipher, ECDSA with SHA-256, P-256, no key derivation.
const PREFIX: [u8; 22] = [
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x04, 0x72, 0x00, 0x00, 0x00, 0x10, 0x00, 0x18, 0x00, 0x0b, 0x00,
    0x03, 0x00, 0x10, 0x00, 0x20,
];
/// The prefix without the length of the point's first coordinate, which some TPMs write without leading zeros.
const PREFIX_LEN: usize = PREFIX.len() - 2;

impl AttestationKey {
    /// Returns what a TPM makes such a key from. The same TPM makes the same key from the same seed each time.
    pub fn template(seed: &[u8; 32]) -> Vec<u8> {
        let mut template = PREFIX.to_vec();
        template.extend(seed);
        template.extend([0x00, 0x20]);
        template.extend([0; 32]);
        template
    }

    /// Reads a public area.
    ///
    /// # Errors
    /// When it is of another key than [`Self::template`] describes.
    pub fn from_public(public: &[u8]) -> Result<Self, AttestationKeyError> {
        let (prefix, point) = public.split_at_checked(PREFIX_LEN).ok_or(Malformed)?;
        if prefix != &PREFIX[..PREFIX_LEN] {
            return Err(AttestationKeyError::Kind);
        }
        let mut reader = Reader::new(point);
        let (x, y) = (reader.coordinate()?, reader.coordinate()?);
        reader.end()?;
        Ok(Self { public: public.to_vec(), x, y })
    }

    /// Returns the point in the uncompressed form of SEC 1 §2.3.3.
    pub fn point(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&self.x);
        point[33..].copy_from_slice(&self.y);
        point
    }

    /// Returns the name of the key (Part 1 §16): the algorithm and the hash of the public area.
    pub fn name(&self) -> [u8; 34] {
        named(Sha256::digest(&self.public).into())
    }

    /// Returns its name as a primary key of the endorsement hierarchy (Part 1 §26.5), which stands in what it signs.
    pub fn qualified_name(&self) -> [u8; 34] {
        let mut hash = Sha256::new();
        hash.update(ENDORSEMENT.to_be_bytes());
        hash.update(self.name());
        named(hash.finalize().into())
    }

    /// Returns sixteen hexadecimal digits by which people tell one TPM from another.
    pub fn short(&self) -> String {
        self.name()[2..10].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<serde_bytes::ByteBuf> for AttestationKey {
    type Error = AttestationKeyError;

    fn try_from(public: serde_bytes::ByteBuf) -> Result<Self, Self::Error> {
        Self::from_public(&public)
    }
}

impl From<AttestationKey> for serde_bytes::ByteBuf {
    fn from(key: AttestationKey) -> Self {
        Self::from(key.public)
    }
}

impl std::fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AttestationKey({})", self.short())
    }
}

fn named(digest: [u8; 32]) -> [u8; 34] {
    let mut name = [0; 34];
    name[..2].copy_from_slice(&SHA256.to_be_bytes());
    name[2..].copy_from_slice(&digest);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Vec<u8> {
        let mut public = AttestationKey::template(&[7; 32]);
        let end = public.len();
        public[end - 1] = 9;
        public
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = AttestationKey::from_public(&public()).expect("of the template");

        assert_eq!((key.point()[0], key.point()[1], key.point()[64]), (4, 7, 9));
        assert_eq!(crate::cbor::decode::<AttestationKey>(&crate::cbor::encode(&key)).expect("read"), key);
        assert_eq!(key.short().len(), 16);
    }

    #[test]
    fn a_key_that_may_sign_anything_or_leave_its_tpm_is_none() {
        for bit in 0..PREFIX_LEN * 8 {
            let mut other = public();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(AttestationKey::from_public(&other), Err(AttestationKeyError::Kind), "bit {bit}");
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_is_no_key() {
        let public = public();
        for length in 0..public.len() {
            assert_eq!(AttestationKey::from_public(&public[..length]), Err(Malformed.into()), "{length}");
        }
        assert_eq!(AttestationKey::from_public(&[public, vec![0]].concat()), Err(Malformed.into()));
    }

    #[test]
    fn a_coordinate_without_its_leading_zeros_is_the_same_point() {
        let mut short = public();
        let x = PREFIX.len();
        short.drain(x..=x);
        short[x - 1] = 31;
        let mut long = public();
        long[x] = 0;

        let [short, long] = [short, long].map(|public| AttestationKey::from_public(&public).expect("a key"));
        assert_eq!(short.point(), long.point());
    }
}
