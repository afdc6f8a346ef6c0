//! How far a server is believed: what its host says of itself, and how it answers challenges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What evidence is worth, by how it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceLevel {
    /// The daemon says it, and signs it with its own key.
    #[default]
    SelfReported,
    /// The daemon says that its key is sealed to a TPM.
    SealedKey,
    /// The TPM that was seen first signs what the host was started with, for each challenge.
    TpmQuote,
}

impl EvidenceLevel {
    /// Returns what it proves, and what it does not.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::SelfReported => {
                "self-reported: finds accidents and clones, proves nothing against root on the host"
            }
            Self::SealedKey => {
                "key sealed to a TPM, says the host: a copied disk lacks it; proves nothing against root on the host"
            }
            Self::TpmQuote => {
                "TPM quote: the TPM that was seen first signs how the host was started; its maker is not verified, and root on the host can have it sign"
            }
        }
    }
}

/// A server as its challenges, heartbeats and addresses show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustView {
    pub level: EvidenceLevel,
    /// The newest; nothing until its gateway was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceView>,
    /// What of it is not as it was when the server was bound, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// When it answered a challenge last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<u64>,
    /// Challenges in the log, and those of them that were answered well and in time.
    pub challenges: u32,
    pub answered: u32,
    /// Of those answers, in microseconds.
    pub latency_p50_us: u64,
    pub latency_max_us: u64,
    /// Since the server was bound.
    pub answered_total: u64,
    pub failed_total: u64,
    /// The newest failure, unless the log has lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// From where its gateway connected, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AddressView>,
    /// How often what was noticed, by the kind of its security event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub noticed: BTreeMap<String, u64>,
    /// Why the controller itself holds the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

/// What a host said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    pub version: String,
    pub hostname: String,
    pub kernel: String,
    pub binary_hash: String,
    pub machine: String,
    pub hardware: String,
    pub host_boot: String,
}

/// The TPM of a server's host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmView {
    /// The first digits of the name of its key.
    pub key: String,
    /// When it was seen first, and believed to be the server's.
    pub since: u64,
    /// Starts of the host, by its count.
    pub resets: u32,
    /// Whether it signed what came last.
    pub is_shown: bool,
}

/// A challenge that was not answered well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureView {
    pub at: u64,
    pub reason: String,
}

/// An address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressView {
    pub address: String,
    pub first_seen: u64,
    pub last_seen: u64,
}

/// One challenge and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeView {
    pub at: u64,
    /// From the challenge to its answer, or to the end of the wait.
    pub latency_us: u64,
    /// What is wrong with the answer; empty where nothing is.
    pub failure: String,
}

/// What is known of a server beside its conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerReport {
    pub trust: TrustView,
    /// The newest challenges, newest first.
    pub challenges: Vec<ChallengeView>,
    /// Whether its host says that its key is sealed to a TPM.
    #[serde(default)]
    pub is_key_sealed: bool,
    /// The TPM that it has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmView>,
}
