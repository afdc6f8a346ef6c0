//! What travels on control streams: length-prefixed frames of deterministic CBOR.
//!
//! The version rule, for all three protocols: the ALPN names the major version, and a change that an older peer
//! would misread needs another ALPN. Within it, unknown fields are ignored, an unknown message is refused by name,
//! and what a peer can do is said in `features`.

pub mod cfg;
pub mod dev;
pub mod frame;
pub mod link;
pub mod rotation;

use serde::{Deserialize, Serialize};

use crate::{
    card::SealWord,
    key::PublicKey,
    signed::{Document, Signed},
    verdict::Posture,
};

/// Gateway to controller.
pub const ALPN_CFG: &[u8] = b"hzn-cfg/1";
/// Device to controller.
pub const ALPN_DEV: &[u8] = b"hzn-dev/1";
/// Device to gateway.
pub const ALPN_LINK: &[u8] = b"hzn-link/1";

/// What a device says in its Hello if it knows [`RefusalCode::AwaitingApproval`].
pub const APPROVAL: &str = "approval";

/// What a controller says in its Welcome if it knows [`cfg::ToController::AnswerWith`].
pub const QUOTE: &str = "quote";

/// What a controller says in its Welcome if it knows [`dev::FromDevice::RefreshWith`].
pub const POSTURE: &str = "posture";

/// The label of the TLS exporter (RFC 8446 §7.5) that binds evidence to one connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-horizon-attest-v1";

/// The first frame of whoever dials a controller. It says nothing secret: the other end is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the program, for people.
    pub version: String,
    pub features: Vec<String>,
}

/// The controller's first frame on every link: why it may be believed, and a number that was never used before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub delegation: Signed,
    /// The root's words for other online keys that are believed as well: one follows another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Signed>,
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 32],
    /// Unix milliseconds by the controller's clock.
    pub server_time_ms: i64,
    /// What it understands, beside what every controller does.
    #[serde(default)]
    pub features: Vec<String>,
}

/// A clean no, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: RefusalCode,
    /// One sentence of what is wrong.
    pub message: String,
    /// One sentence of what to do.
    pub hint: String,
}

impl Refusal {
    /// Returns a refusal with its sentence and what to do about it.
    pub fn new(code: RefusalCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

/// The kind of a refusal: a metric label, and what a program decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RefusalCode {
    /// Authority: the credential is unknown, used up, expired, revoked, or from a wrong place.
    UnknownKey,
    KeyExpired,
    KeyExhausted,
    KeyDisabled,
    SourceNotAllowed,
    /// The declared object has another key already, or none waits for this one.
    AlreadyBound,
    NoCandidate,
    ManyCandidates,
    NotEnrolled,
    TooManyDevices,
    /// A grant that is not believed.
    BadGrant,
    Revoked,
    /// The same device made a newer link, from here or from elsewhere.
    Replaced,
    /// The network demands post-quantum key exchange.
    PostQuantumRequired,
    /// The evidence does not fit this connection.
    BadEvidence,
    /// The device is known, and an admin has not approved it yet: it asks again by itself.
    AwaitingApproval,
    /// Limits and state.
    Busy,
    NotReady,
    Protocol,
}

impl RefusalCode {
    /// Says whether the other end refuses by policy or authority (exit code 3) and not for now only.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::AwaitingApproval | Self::Busy | Self::NotReady)
    }
}

/// What a node says of itself. It finds accidents and clones; it proves nothing against an attacker with root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub version: String,
    pub hostname: String,
    pub kernel: String,
    /// BLAKE3 of the running binary, hex.
    pub binary_hash: String,
    /// BLAKE3 of the machine id under the controller's root, hex: the same host, not traceable elsewhere.
    pub machine: String,
    /// BLAKE3 of what firmware, processor and network cards say of themselves, under the controller's root, hex.
    #[serde(default)]
    pub hardware: String,
    /// The kernel's name of this boot of the host.
    #[serde(default)]
    pub host_boot: String,
    /// Its key is kept on disk as only this host's TPM opens it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_key_sealed: bool,
    /// What policies may demand of a device; gateways state none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<Posture>,
}

fn is_false(claim: &bool) -> bool {
    !claim
}

/// Evidence bound to one connection and one nonce: what a joining node signs with its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// 32 bytes of the TLS exporter, equal on both sides of the connection.
    #[serde(with = "serde_bytes")]
    pub exporter: [u8; 32],
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 32],
    pub evidence: Evidence,
    /// A device's signed [`SealWord`](crate::card::SealWord): the key that packets for it are sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Signed>,
}

impl Document for Attestation {
    const DOMAIN: &'static [u8] = b"hz-attestation-v1\0";
}

impl Attestation {
    /// Returns the evidence if `peer` signed it for this connection and this nonce.
    ///
    /// # Errors
    /// A refusal that can be sent as it is.
    pub fn check(
        signed: &Signed,
        peer: &PublicKey,
        exporter: &[u8; 32],
        nonce: &[u8; 32],
    ) -> Result<Evidence, Refusal> {
        Self::read(signed, peer, exporter, nonce).map(|attestation| attestation.evidence)
    }

    /// As [`Attestation::check`], with what a device says beside the evidence.
    ///
    /// # Errors
    /// A refusal that can be sent as it is.
    pub fn read(
        signed: &Signed,
        peer: &PublicKey,
        exporter: &[u8; 32],
        nonce: &[u8; 32],
    ) -> Result<Self, Refusal> {
        let hint = "connect again; if it stays, somebody is between the two ends";
        let bad = |message: &str| Refusal::new(RefusalCode::BadEvidence, message, hint);
        let attestation: Self = signed
            .verify(peer)
            .map_err(|_| bad("the evidence is not signed by the key of this connection"))?;
        if attestation.exporter != *exporter || attestation.nonce != *nonce {
            return Err(bad("the evidence was made for another connection"));
        }
        let is_own = |word: &Signed| SealWord::check(word, peer).is_ok();
        if !attestation.seal.as_ref().is_none_or(is_own) {
            return Err(bad("the key for sealed packets is not signed by the key of this connection"));
        }
        Ok(attestation)
    }
}
