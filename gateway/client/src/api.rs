//! What the agent's socket speaks: JSON that is also what `--json` prints. Field names are a promise.

use std::net::IpAddr;

use horizon_api::section::NetworkId;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Name of the socket in the data folder.
pub(crate) const SOCKET: &str = "agent.sock";

/// `POST /v1/login`.
#[derive(Serialize, Deserialize)]
pub(crate) struct LoginRequest {
    /// The whole link. It holds a secret, and is not kept.
    pub(crate) link: String,
    /// What the device is called; its host name where absent.
    pub(crate) name: Option<String>,
    /// The seed of the person's key pair, where the link has no token. It is a secret, and is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<[u8; 32]>,
}

/// `POST /v1/connect`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectRequest {
    /// The one server to use; the best one and its replacements where absent.
    pub(crate) server: Option<String>,
    /// `NAME` or `NAMESPACE/NAME`; the first that a server offers where absent.
    pub(crate) network: Option<String>,
}

/// `GET /v1/status`, and the answer of every `POST`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) state: StateName,
    pub(crate) since: Timestamp,
    /// One sentence: what happened.
    pub(crate) message: String,
    /// One sentence: what to do; empty when there is nothing to do.
    pub(crate) hint: String,
    /// Whether the device is signed in and an admin has to approve it first.
    #[serde(default)]
    pub(crate) awaits_approval: bool,
    /// Whether the agent keeps trying until it is told otherwise.
    pub(crate) wants_connection: bool,
    pub(crate) server: Option<String>,
    pub(crate) network: Option<NetworkId>,
    /// The gateway's own addresses in the network.
    pub(crate) gateway: Vec<IpAddr>,
    /// This device's addresses in the network.
    pub(crate) addresses: Vec<IpNet>,
    /// What is reached through the link.
    pub(crate) routes: Vec<IpNet>,
    pub(crate) rtt_ms: Option<f64>,
    /// Bytes of packets in this link.
    pub(crate) inbound_bytes: u64,
    pub(crate) outbound_bytes: u64,
    /// The key that the gateway proved in the handshake.
    pub(crate) server_key: Option<String>,
    pub(crate) key_exchange: Option<String>,
    /// The cipher suite of the link.
    pub(crate) cipher: Option<String>,
    pub(crate) post_quantum: Option<bool>,
    /// Whether the gateway accepts an expired grant because the controller is away.
    pub(crate) is_in_grace: bool,
    pub(crate) grant_expires_at: Option<Timestamp>,
    pub(crate) controller: Option<ControllerStatus>,
    pub(crate) user: Option<String>,
    pub(crate) device: Option<String>,
    /// The device's public key.
    pub(crate) key: String,
    /// Where its secret half is kept.
    pub(crate) key_storage: KeyStorage,
    pub(crate) last_error: Option<LastError>,
    /// How packets between devices are sealed; absent where the network does not demand it.
    #[serde(default)]
    pub(crate) sealing: Option<SealingStatus>,
    pub(crate) warnings: Vec<String>,
}

/// The states of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StateName {
    Disconnected,
    Connecting,
    Connected,
    Reconnecting,
    Blocked,
}

/// Where the device's key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyStorage {
    /// A file of mode 0600 in the data folder.
    File,
}

/// The controller that this device is signed in at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControllerStatus {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// Whether it answered when it was last asked; absent before that.
    pub(crate) is_reachable: Option<bool>,
    /// Why it gives this device no more grants.
    pub(crate) refusal: Option<String>,
}

/// Packets between two devices, sealed so that the gateway cannot read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealingStatus {
    /// Whether the controller signed this device's key for others; without that nobody believes it.
    pub(crate) has_card: bool,
    /// What goes through the link without a seal of its own.
    pub(crate) not_sealed: Vec<String>,
    /// Packets of other devices that came without a seal, and were dropped.
    pub(crate) dropped_unsealed: u64,
    pub(crate) peers: Vec<SealedPeer>,
}

/// A device that packets are sealed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedPeer {
    /// Its name; empty until its card is here.
    pub(crate) device: String,
    pub(crate) key: Option<String>,
    pub(crate) address: IpAddr,
    /// Of the keys in use; absent while there are none.
    pub(crate) suite: Option<String>,
    pub(crate) age_s: Option<u64>,
    /// How often keys were agreed on.
    pub(crate) handshakes: u64,
    /// Packets.
    pub(crate) sealed: u64,
    pub(crate) opened: u64,
    pub(crate) replayed: u64,
    pub(crate) broken: u64,
    /// Waited for keys in vain.
    pub(crate) waited: u64,
    /// Handshakes and cards that were not believed, and why the last one was not.
    pub(crate) refused: u64,
    pub(crate) refusal: Option<String>,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastError {
    pub(crate) at: Timestamp,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// `GET /v1/servers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Servers {
    /// The best first.
    pub(crate) servers: Vec<Server>,
    /// When the controller told of them.
    pub(crate) as_of: Timestamp,
}

/// A gateway that this device may connect to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) endpoints: Vec<String>,
    pub(crate) networks: Vec<NetworkId>,
    pub(crate) routes: Vec<IpNet>,
    /// Whether the controller heard from it lately.
    pub(crate) is_ready: bool,
    /// Links that it carries, as the controller said.
    pub(crate) links: u32,
    /// As measured on the last link to it.
    pub(crate) rtt_ms: Option<f64>,
    pub(crate) is_current: bool,
}
