//! What a TPM signed: who signed it, about what, and over which state of its host (TPM 2.0 Library, Part 2 §10.12).
//!
//! A quote that is believed here proves that some TPM made it for this challenge on this connection. Whose TPM that is
//! says [`crate::tpm`]; who built it says nobody.

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey},
};
use horizon_api::{
    signed::Signed,
    tpm::{
        AttestationKey, AttestationKeyError, ECDSA, PCR_COUNT, PCR_SELECT, Quote, SHA256, qualify,
        reader::{Malformed, Reader},
    },
};
use serde::{Deserialize, Serialize};

/// What came beside an attestation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Quoted {
    /// Nothing.
    #[default]
    Absent,
    /// What proves nothing, and why.
    Wrong(QuoteError),
    Genuine(Box<Facts>),
}

/// What a genuine quote says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub key: AttestationKey,
    pub state: State,
}

/// The state of a TPM and of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Registers 0 to 7.
    pub pcrs: Pcrs,
    pub clock: Clock,
}

/// Registers of a host: what it was started with.
pub type Pcrs = [[u8; 32]; PCR_COUNT];

/// How far a TPM has come. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Clock {
    /// Starts of the host since the TPM was made, or cleared.
    pub resets: u32,
    /// Wakes from sleep since the last of them.
    pub restarts: u32,
    /// Milliseconds that the TPM was on. They may go back by a while when the power went.
    pub on_ms: u64,
}

/// Why a quote proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    #[error("its key is not one that only a TPM can use: {0}")]
    Key(#[from] AttestationKeyError),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("it is not signed by its key")]
    Signature,
    #[error("it is no quote of a TPM")]
    Kind,
    #[error("another key signed it than it says")]
    Signer,
    #[error("it was made for another challenge, connection or evidence")]
    Qualification,
    #[error("it is about other registers than 0 to 7 of SHA-256")]
    Selection,
    #[error("the registers beside it are not those that were signed")]
    Registers,
}

/// Sorts what came beside an attestation that is believed.
pub fn check(quote: Option<&Quote>, attestation: &Signed) -> Quoted {
    let Some(quote) = quote else { return Quoted::Absent };
    match read(quote, &qualify(attestation)) {
        Ok(facts) => Quoted::Genuine(Box::new(facts)),
        Err(error) => Quoted::Wrong(error),
    }
}

/// `TPM_GENERATED_VALUE`: a restricted key signs nothing from outside that begins so.
const MAGIC: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
const ATTEST_QUOTE: u16 = 0x8018;

fn read(quote: &Quote, qualification: &[u8; 32]) -> Result<Facts, QuoteError> {
    let key = AttestationKey::from_public(&quote.key)?;
    let signature = signature(&quote.signature)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.point())
        .verify(&quote.attest, &signature)
        .map_err(|_| QuoteError::Signature)?;
    let mut attest = Reader::new(&quote.attest);
    if (attest.u32()?, attest.u16()?) != (MAGIC, ATTEST_QUOTE) {
        return Err(QuoteError::Kind);
    }
    if attest.sized()? != key.qualified_name() {
        return Err(QuoteError::Signer);
    }
    if attest.sized()? != qualification {
        return Err(QuoteError::Qualification);
    }
    let (on_ms, resets, restarts) = (attest.u64()?, attest.u32()?, attest.u32()?);
    // Whether the clock may have been ahead of this before (`safe`), and the version of the firmware.
    let (_is_safe, _firmware) = (attest.u8()?, attest.u64()?);
    if (attest.u32()?, attest.u16()?, attest.u8()?, attest.array()?) != (1, SHA256, 3, PCR_SELECT) {
        return Err(QuoteError::Selection);
    }
    let signed = attest.sized()?;
    attest.end()?;
    let pcrs = registers(&quote.pcrs)?;
    if digest::digest(&digest::SHA256, &quote.pcrs).as_ref() != signed {
        return Err(QuoteError::Registers);
    }
    Ok(Facts { key, state: State { pcrs, clock: Clock { resets, restarts, on_ms } } })
}

/// Returns both numbers of an ECDSA signature with SHA-256, one after the other.
fn signature(bytes: &[u8]) -> Result<[u8; 64], QuoteError> {
    let mut reader = Reader::new(bytes);
    if (reader.u16()?, reader.u16()?) != (ECDSA, SHA256) {
        return Err(QuoteError::Signature);
    }
    let mut both = [0; 64];
    both[..32].copy_from_slice(&reader.coordinate()?);
    both[32..].copy_from_slice(&reader.coordinate()?);
    reader.end()?;
    Ok(both)
}

fn registers(bytes: &[u8]) -> Result<Pcrs, QuoteError> {
    let mut reader = Reader::new(bytes);
    let mut pcrs = [[0; 32]; PCR_COUNT];
    for pcr in &mut pcrs {
        *pcr = reader.array()?;
    }
    reader.end()?;
    Ok(pcrs)
}

#[cfg(test)]
pub(crate) mod tests;
