//! The gateway's own files, versioned. Only this program reads them.

use std::collections::BTreeSet;

use horizon_api::{
    assignment::Version,
    cbor,
    delegation::{Pin, Trust},
    key::PublicKey,
    section::ContentHash,
    signed::Signed,
};
use serde::{Deserialize, Serialize};

/// The version that is written.
const VERSION: u32 = 1;

/// The file of an [`Enrolment`].
pub(crate) const ENROLMENT: &str = "enrolment";
/// The file of [`Delegations`].
pub(crate) const DELEGATIONS: &str = "delegations";

/// `enrolment`: which controller this gateway belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    version: u32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) pin: Pin,
    pub(crate) namespace: String,
    pub(crate) server: String,
}

/// `config/current`: the last assignment that was taken, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Current {
    version: u32,
    pub(crate) delegation: Signed,
    pub(crate) assignment: Signed,
    pub(crate) running: Version,
    pub(crate) sections: Vec<ContentHash>,
    /// Unix milliseconds: the least that it can be at the next start.
    pub(crate) time_floor_ms: i64,
    /// Whom a configuration revokes that came after this one and does not run.
    #[serde(default)]
    pub(crate) revoked_later: BTreeSet<PublicKey>,
}

/// `delegations`: what the controller's root said of its online keys, and from which on they are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delegations {
    version: u32,
    pin: Pin,
    words: Vec<Signed>,
}

/// `keys`: which key is to follow this gateway's, and which it had before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    version: u32,
    pub(crate) next: Option<Following>,
    pub(crate) previous: Option<PublicKey>,
    /// What the keys before said of the one that follows, the newest last.
    #[serde(default)]
    pub(crate) follows: Vec<Signed>,
}

/// The key that is to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Following {
    pub(crate) key: PublicKey,
    /// How long devices are told of it before it is taken up.
    pub(crate) overlap_s: u32,
    /// Unix milliseconds by this host's clock: since when the controller tells devices of it.
    pub(crate) known_since_ms: Option<i64>,
}

/// Why a file of ours cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("it is damaged ({0})")]
    Damaged(#[from] cbor::DecodeError),
    #[error("it is of version {0}, this program knows version {VERSION}: upgrade the gateway")]
    Newer(u32),
}

impl Enrolment {
    pub(crate) fn new(host: String, port: u16, pin: Pin, namespace: String, server: String) -> Self {
        Self { version: VERSION, host, port, pin, namespace, server }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DiskError> {
        let read: Self = cbor::decode(bytes)?;
        check(read.version).map(|()| read)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}

impl KeyRecord {
    pub(crate) fn new(next: Option<Following>, previous: Option<PublicKey>, follows: Vec<Signed>) -> Self {
        Self { version: VERSION, next, previous, follows }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DiskError> {
        let read: Self = cbor::decode(bytes)?;
        check(read.version).map(|()| read)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}

impl Delegations {
    pub(crate) fn new(trust: &Trust) -> Self {
        Self { version: VERSION, pin: trust.pin(), words: trust.words().cloned().collect() }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DiskError> {
        let read: Self = cbor::decode(bytes)?;
        check(read.version).map(|()| read)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    pub(crate) fn pin(&self) -> Pin {
        self.pin
    }

    /// Returns what is believed by them, whatever the time: what a delegation signed stays good beyond its end.
    pub(crate) fn trust(&self) -> Option<Trust> {
        let (first, others) = self.words.split_first()?;
        Some(Trust::establish(first, &self.pin, i64::MIN).ok()?.also(others, i64::MIN))
    }
}

impl Current {
    pub(crate) fn new(
        delegation: Signed,
        assignment: Signed,
        running: Version,
        sections: Vec<ContentHash>,
        time_floor_ms: i64,
        revoked_later: BTreeSet<PublicKey>,
    ) -> Self {
        Self { version: VERSION, delegation, assignment, running, sections, time_floor_ms, revoked_later }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DiskError> {
        let read: Self = cbor::decode(bytes)?;
        check(read.version).map(|()| read)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}

fn check(version: u32) -> Result<(), DiskError> {
    if version > VERSION { Err(DiskError::Newer(version)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::running::testing::running;

    /// The file as it was before revocations were kept beside it.
    #[derive(Serialize)]
    struct Earlier {
        version: u32,
        delegation: Signed,
        assignment: Signed,
        running: Version,
        sections: Vec<ContentHash>,
        time_floor_ms: i64,
    }

    #[test]
    fn a_file_of_an_earlier_program_is_read() {
        let (running, _) = running(7);
        let earlier = Earlier {
            version: 1,
            delegation: running.delegation,
            assignment: running.signed,
            running: running.verified.version(),
            sections: vec![],
            time_floor_ms: 5,
        };

        let read = Current::read(&cbor::encode(&earlier)).expect("readable");

        assert_eq!((read.time_floor_ms, read.revoked_later), (5, BTreeSet::new()));
    }
}
