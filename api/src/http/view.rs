//! The controller's whole picture, as the console and `status` show it.

use serde::{Deserialize, Serialize};

use super::{ArmedView, HeldPlan, HoldView, StaleView, TrustView};
use crate::{
    problem::Problem,
    resource::{Kind, ObjectKey},
};

/// Everything there is to show: one committed revision, what runs it, and what is wrong with its sources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub epoch: u64,
    /// The committed revision in force; 0 while there is none.
    pub revision: u64,
    pub controller_version: String,
    pub started_at: u64,
    /// Whether every source was read in full; while not, nothing is pruned.
    pub complete: bool,
    /// Whether objects are declared in a Kubernetes cluster: then they are changed there, by whoever has the right.
    #[serde(default)]
    pub cluster: bool,
    pub sources: Vec<SourceView>,
    pub servers: Vec<ServerView>,
    pub devices: Vec<DeviceView>,
    pub problems: Vec<Problem>,
    /// The keys that were used last, newest first; the controller bounds the list.
    #[serde(default)]
    pub keys: Vec<KeyView>,
    /// Changes that wait for a person.
    #[serde(default)]
    pub plans: Vec<HeldPlan>,
    /// Objects that admins took out of force.
    #[serde(default)]
    pub holds: Vec<HoldView>,
    /// Whether a change must be confirmed.
    #[serde(default)]
    pub armed: Option<ArmedView>,
    /// Objects whose last good is in force.
    #[serde(default)]
    pub stale: Vec<StaleView>,
    /// The latest security events, newest first; the controller bounds the list.
    pub events: Vec<EventView>,
}

/// A folder of manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    pub path: String,
    pub complete: bool,
    /// Why it is incomplete, in one sentence; empty when it is complete.
    pub reason: String,
    pub files: u32,
    pub objects: u32,
    /// The commit that Git has checked out there, if it is a work tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A server and what its gateway last said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerView {
    pub namespace: String,
    pub name: String,
    /// Whether a gateway's key is bound to it.
    pub enrolled: bool,
    pub connected: bool,
    pub ready: bool,
    /// One word, such as `AwaitingEnrolment`; empty when ready.
    pub reason: String,
    /// One sentence for a person; empty when ready.
    pub message: String,
    pub desired_revision: u64,
    pub applied_revision: u64,
    /// The gateway's version; empty until it was heard.
    pub version: String,
    pub endpoints: Vec<String>,
    pub networks: Vec<String>,
    pub links: u32,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// Bits a second.
    pub rx_bps: f64,
    pub tx_bps: f64,
    pub last_seen: Option<u64>,
    /// Where it is declared, as `file:line`.
    pub owner: String,
    /// How far it is believed.
    #[serde(default)]
    pub trust: TrustView,
}

impl ServerView {
    /// Returns what names this server.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(Kind::Server, &self.namespace, &self.name)
    }
}

/// A device and where it is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    pub namespace: String,
    pub name: String,
    /// Empty when it is nobody's.
    pub user: String,
    pub networks: Vec<String>,
    pub addresses: Vec<String>,
    /// Whether it waits until an admin approves it.
    #[serde(default)]
    pub awaits_approval: bool,
    /// What it says of itself, in words; empty when it says nothing. Self-reported.
    #[serde(default)]
    pub posture: String,
    /// The server that carries its link.
    pub server: Option<String>,
    pub connected: bool,
    /// Of its link, while it is up.
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// When it last asked for a grant, or a gateway spoke of its link.
    pub last_seen: Option<u64>,
    /// Its public key; empty until one is bound.
    #[serde(default)]
    pub public_key: String,
    /// The key exchange of its link, such as `X25519MLKEM768`; empty when not connected.
    pub key_exchange: String,
    /// The cipher suite of its link, such as `TLS13_AES_128_GCM_SHA256`; empty when not connected.
    #[serde(default)]
    pub cipher: String,
}

impl DeviceView {
    /// Returns what names this device.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(Kind::Device, &self.namespace, &self.name)
    }
}

/// A RegistrationKey or PersonalKey as it was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    pub object: ObjectKey,
    pub uses: u32,
    /// Without it, it may be used as often as wanted.
    pub max_uses: Option<u32>,
    /// One word, such as `Usable` or `Exhausted`.
    pub standing: String,
    pub last_use: Option<LastUse>,
}

/// The newest use of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    pub at: u64,
    /// The address that it came from; empty when it is not known any more.
    pub from: String,
    /// `Kind/name` of what it enrolled or signed in.
    pub node: String,
}

/// A security event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    pub id: u64,
    pub at: u64,
    pub severity: EventSeverity,
    /// One word, such as `RegistrationRefused`.
    pub kind: String,
    /// Whom or what it is about.
    pub subject: String,
    pub message: String,
}

/// How bad a security event is, by the Open Cybersecurity Schema Framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventSeverity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl EventSeverity {
    /// Returns the severity with this OCSF number; numbers outside 1–5 become the nearest.
    pub fn from_ocsf(number: u8) -> Self {
        match number {
            0 | 1 => Self::Informational,
            2 => Self::Low,
            3 => Self::Medium,
            4 => Self::High,
            5.. => Self::Critical,
        }
    }
}
