//! The controller's own keys, as the verbs on the host ask for them.

use serde::{Deserialize, Serialize};

/// What is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnKey {
    /// What digests of tokens are kept under.
    Pepper,
}

/// `POST /v1/keys/rotate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateRequest {
    pub key: OwnKey,
}

/// `GET /v1/keys`: which keys the controller has, and nothing that is secret of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKeys {
    /// The fingerprint that nodes pin.
    pub root: String,
    /// Whether the root key is in the data folder.
    pub is_root_here: bool,
    pub online: String,
    /// When the root's word for the online key ends, in unix milliseconds.
    pub delegation_ends_at: u64,
    /// How many peppers lie over each digest of a token.
    pub peppers: u32,
}
