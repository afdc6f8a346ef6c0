//! `hzn-cfg/1`: a gateway and its controller. The gateway dials, one control stream, whole state, newest wins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    assignment::Version,
    kept::Kept,
    key::PublicKey,
    section::{ContentHash, NetworkId},
    signed::{Document, Signed},
    token::TokenText,
    tpm::Quote,
    traffic::PassedReport,
    wire::{Hello, Refusal, Welcome, rotation::RotationProof},
};

/// What a gateway says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToController {
    Hello(Hello),
    /// A token and evidence: bind this connection's key to a declared Server.
    Join(Join),
    /// An enrolled gateway is back.
    Attach(Attach),
    /// The sections that it lacks.
    Want {
        hashes: Vec<ContentHash>,
    },
    Ack {
        version: Version,
        assignment: ContentHash,
    },
    Nack(Nack),
    /// A signed [`Heartbeat`].
    Heartbeat(Signed),
    /// The answer to [`ToGateway::Recall`]; nothing where it ran nothing.
    Kept(Option<Kept>),
    /// A signed [`crate::wire::Attestation`] with the number of a challenge.
    Answer(Signed),
    /// The same with what the host's TPM signed: only to a controller that says [`crate::wire::QUOTE`].
    AnswerWith {
        attestation: Signed,
        quote: Quote,
    },
    /// Another key is to follow the one of this connection: only to a controller with the feature
    /// [`NEXT_KEY`](crate::wire::rotation::NEXT_KEY). The gateway attaches with it once devices know it.
    NextKey(Box<RotationProof>),
    /// The answer to [`ToGateway::Delegations`], once they are on disk: the hash of their bytes.
    Believes(ContentHash),
}

/// What a controller says to a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    Welcome(Welcome),
    /// The key is bound to this Server.
    Joined {
        namespace: String,
        server: String,
    },
    Refused(Refusal),
    /// A signed [`crate::assignment::Assignment`].
    Assignment(Signed),
    Section(SectionBytes),
    /// The answer to [`ToController::NextKey`]: grants and offers name that key, and for how long they have.
    NextKeyKnown {
        next: PublicKey,
        known_s: u32,
    },
    /// The other answer: the gateway keeps the key that it has.
    NextKeyRefused(Refusal),
    /// The controller's store was restored: what did this gateway run before? Asked before anything is assigned.
    Recall,
    /// Show again whose key this is: only to a gateway that says [`CHALLENGE`] in its features.
    Challenge(Challenge),
    /// The root's words for every online key that is believed, the one that signs first: only to a gateway that says
    /// [`ROTATION`] in its features.
    Delegations(Vec<Signed>),
}

/// The feature of a gateway that answers challenges.
pub const CHALLENGE: &str = "challenge";

/// The feature of a gateway that believes two online keys while one follows the other.
pub const ROTATION: &str = "rotation";

/// Returns what names these delegations.
pub fn name_of(delegations: &[Signed]) -> ContentHash {
    ContentHash::of(&crate::cbor::encode(&delegations))
}

/// A number that was never used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 32],
}

/// A section as bytes; its hash is computed by whoever receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionBytes {
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// A gateway's first request: bind this key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Join {
    /// The whole registration token. Sent only after the delegation was checked.
    pub token: TokenText,
    /// `join --name`: which declared Server, where the key fits several.
    pub name: Option<String>,
    /// A signed [`crate::wire::Attestation`].
    pub attestation: Signed,
}

/// A bound gateway's first request, with what it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    pub running: Option<Version>,
    /// BLAKE3 of the assignment that runs.
    pub assignment: Option<ContentHash>,
    pub attestation: Signed,
    /// What the host's TPM signed about the attestation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// Signed [`Succession`](crate::wire::rotation::Succession)s that led to this key, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follows: Vec<Signed>,
}

/// "I keep the old one, because …"
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    pub version: Version,
    pub section: Option<String>,
    /// `Kind/name` of the objects at fault, where they are known.
    pub objects: Vec<String>,
    pub reason: String,
    pub running: Option<Version>,
}

/// What a gateway says every few seconds, signed: counters are believed only in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Drawn at each start of the daemon.
    #[serde(with = "serde_bytes")]
    pub boot_id: [u8; 16],
    /// Rises by one with each heartbeat of a boot.
    pub counter: u64,
    /// Unix milliseconds by the gateway's clock.
    pub time_ms: i64,
    pub running: Option<Version>,
    pub assignment: Option<ContentHash>,
    pub links: Vec<LinkReport>,
    /// Packets dropped since the start, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Facts that the operator should know, one sentence each: a forward chain of somebody else that drops us, …
    pub warnings: Vec<String>,
}

impl Document for Heartbeat {
    const DOMAIN: &'static [u8] = b"hz-heartbeat-v1\0";
}

/// One link of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReport {
    pub device: PublicKey,
    pub name: String,
    pub user: String,
    pub network: NetworkId,
    /// Unix milliseconds.
    pub since_ms: i64,
    /// Address that the link is seen from.
    pub remote: String,
    /// Bytes of inner packets, from the gateway's point of view.
    pub inbound_bytes: u64,
    pub outbound_bytes: u64,
    pub rtt_us: u64,
    pub key_exchange: String,
    /// The cipher suite, such as `TLS13_AES_128_GCM_SHA256`.
    #[serde(default)]
    pub cipher: String,
    pub is_in_grace: bool,
    /// What the device said last of its own counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<PassedReport>,
}

impl Default for Version {
    /// Before the first revision.
    fn default() -> Self {
        Self { epoch: 0, revision: 0 }
    }
}
