//! The controller's own keys, as the verbs on the host ask for them.

use serde::{Deserialize, Serialize};

/// What is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnKey {
    /// What digests of tokens are kept under.
    Pepper,
    /// What links are answered with, and configuration and grants are signed with.
    Online {
        /// For how many seconds the key before it is believed after the next one signs.
        overlap_s: u32,
    },
}

/// `POST /v1/keys`: what an operator does about them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeysRequest {
    Rotate(OwnKey),
    /// Make the next online key, and the text that asks a root key for it which is kept elsewhere.
    Request,
    /// Take in what the root key signed.
    Install {
        /// The text of the file.
        text: String,
        overlap_s: u32,
    },
    /// Believe the key before no more, at once.
    Withdraw,
}

/// The answer: what was done, and what to carry to the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysAnswer {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `GET /v1/keys`: which keys the controller has, and nothing that is secret of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKeys {
    /// The fingerprint that nodes pin.
    pub root: String,
    /// Whether the root key is in the data folder.
    pub is_root_here: bool,
    /// The one that signs.
    pub online: String,
    /// When the root's word for the online key ends, in unix milliseconds.
    pub delegation_ends_at: u64,
    /// Every online key, the oldest first.
    #[serde(default)]
    pub online_keys: Vec<OnlineKeyView>,
    /// Keys that are to follow those of gateways.
    #[serde(default)]
    pub gateways: Vec<GatewayKeyView>,
    /// How many peppers lie over each digest of a token.
    pub peppers: u32,
}

/// A gateway that is to have another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayKeyView {
    /// `Server/name`.
    pub server: String,
    pub key: String,
    pub next: String,
    /// Unix milliseconds since when devices are told of the next key. The gateway says when it takes it up.
    pub since: u64,
}

/// Where an online key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It is announced to gateways and signs nothing yet.
    Next,
    Current,
    /// It signs nothing any more and is believed for a while.
    Previous,
    /// Nobody who heard so believes it.
    Withdrawn,
}

/// One online key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineKeyView {
    pub key: String,
    pub state: KeyState,
    /// When its state began, in unix milliseconds.
    pub since: u64,
    /// When its state ends by itself, in unix milliseconds; nothing where that depends on gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The connected servers whose gateways have not said yet that they believe it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}
