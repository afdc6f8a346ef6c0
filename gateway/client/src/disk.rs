//! The agent's own files, versioned. Only this program reads them.

use std::collections::BTreeMap;

use horizon_api::{
    cbor,
    delegation::Pin,
    grant::Grant,
    key::PublicKey,
    signed::Signed,
    wire::{dev::Granted, link::Accept},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version that is written.
const VERSION: u32 = 1;

/// `waiting`: the controller that this device signed in at, while an admin has to approve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) pin: Pin,
}

/// `account`: the controller that this device is signed in at, and what it last gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) pin: Pin,
    /// What proves that the grant's signer acts for the pinned root.
    pub(crate) delegation: Signed,
    /// What the root said of other online keys: while one follows another, other devices show what either signed.
    #[serde(default)]
    pub(crate) others: Vec<Signed>,
    /// The grant and the servers, as they came.
    pub(crate) granted: Granted,
    /// Unix seconds by this host's clock.
    pub(crate) received_at: i64,
}

impl Account {
    /// Says whether the grant is for the device with this key. It is not checked here.
    pub(crate) fn is_for(&self, device: &PublicKey) -> bool {
        let grant = cbor::decode::<Signed>(&self.granted.grant).ok().and_then(|grant| grant.read_own().ok());
        grant.is_some_and(|grant: Grant| grant.device == *device)
    }

    pub(crate) fn home(&self) -> Home {
        Home { host: self.host.clone(), port: self.port, pin: self.pin }
    }
}

/// `connection`: what the person wants, and what is worth remembering of links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// What to be connected to; nothing while the person wants no connection.
    pub(crate) wish: Option<Wish>,
    /// The gateway of the last link.
    pub(crate) last: Option<PublicKey>,
    /// Microseconds, as measured on the last link to each gateway.
    pub(crate) rtts_us: BTreeMap<PublicKey, u64>,
    /// The terms of the last link: how the host is set until the next one is up.
    pub(crate) accept: Option<Accept>,
}

/// What the person asked to be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) server: Option<String>,
    pub(crate) network: Option<String>,
}

/// Why a file of ours cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("it is damaged ({0}); remove it and run `horizon login LINK` again")]
    Damaged(#[from] cbor::DecodeError),
    #[error("it is of version {0}, this program knows version {VERSION}; upgrade the agent")]
    Newer(u32),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    content: T,
}

/// Only the version, so that a later content is told from a damaged one.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Returns the bytes of a file.
pub(crate) fn write<T: Serialize>(content: &T) -> Vec<u8> {
    cbor::encode(&Versioned { version: VERSION, content })
}

/// Reads the bytes of a file.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DiskError> {
    let Version { version } = cbor::decode(bytes)?;
    if version > VERSION {
        return Err(DiskError::Newer(version));
    }
    Ok(cbor::decode::<Versioned<T>>(bytes)?.content)
}
