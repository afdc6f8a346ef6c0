//! What is kept of a server between two starts of the controller, versioned. Only this program reads it.

use std::collections::BTreeMap;

use horizon_api::{
    assignment::Version,
    cbor::{self, DecodeError},
    key::PublicKey,
    wire::Evidence,
};
use serde::{Deserialize, Serialize};

use crate::{address::Addresses, boot::Boots, tpm::Tpm};

/// The version that is written.
const VERSION: u32 = 1;

/// What is known of a server and holds for one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) key: PublicKey,
    /// What the host said when it was bound, or was heard first.
    pub(crate) bound: Option<Evidence>,
    pub(crate) newest: Option<Evidence>,
    pub(crate) boots: Boots,
    /// The newest configuration that it acknowledged for good.
    pub(crate) acknowledged: Option<Version>,
    pub(crate) addresses: Addresses,
    pub(crate) failures_in_a_row: u32,
    pub(crate) answered_total: u64,
    pub(crate) failed_total: u64,
    /// Unix milliseconds of the last good answer.
    pub(crate) verified_at_ms: Option<i64>,
    /// How often what was noticed, by the kind of its event.
    pub(crate) noticed: BTreeMap<String, u64>,
    /// The TPM that it has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tpm: Option<Tpm>,
}

/// Why what was kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error(transparent)]
    Damaged(#[from] DecodeError),
    #[error("it is of version {0}, this program knows version {VERSION}")]
    Newer(u32),
}

impl Record {
    pub(crate) fn new(key: PublicKey) -> Self {
        Self {
            version: VERSION,
            key,
            bound: None,
            newest: None,
            boots: Boots::default(),
            acknowledged: None,
            addresses: Addresses::default(),
            failures_in_a_row: 0,
            answered_total: 0,
            failed_total: 0,
            verified_at_ms: None,
            noticed: BTreeMap::new(),
            tpm: None,
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DiskError> {
        let read: Self = cbor::decode(bytes)?;
        if read.version > VERSION { Err(DiskError::Newer(read.version)) } else { Ok(read) }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}
