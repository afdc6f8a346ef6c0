//! What a shard tells of itself, twice a second.

use std::{collections::BTreeMap, net::SocketAddr};

use horizon_api::{key::PublicKey, section::NetworkId, traffic::PassedReport};
use horizon_node::negotiated::Negotiated;
use horizon_seal::PeerStatus;

/// All links of a shard, and what it dropped.
#[derive(Clone, Debug, Default)]
pub struct ShardStatus {
    pub links: Vec<LinkStatus>,
    /// Packets by reason, since the start.
    pub drops: BTreeMap<&'static str, u64>,
    /// The interface was removed: the shard must be made again.
    pub is_tun_lost: bool,
    /// Device: with whom packets are sealed; nothing where none are.
    pub sealed: Option<Vec<PeerStatus>>,
}

/// One accepted link.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    /// The key at the other end.
    pub peer: PublicKey,
    /// Gateway: name and user of the device. Device: name of the server, and nothing.
    pub name: String,
    pub user: String,
    pub network: NetworkId,
    pub remote: SocketAddr,
    /// Unix milliseconds.
    pub since_ms: i64,
    /// Bytes of inner packets.
    pub inbound_bytes: u64,
    pub outbound_bytes: u64,
    pub rtt_us: u64,
    /// Bytes that a packet of the path may have, as found so far.
    pub path_mtu: u16,
    pub negotiated: Negotiated,
    pub is_in_grace: bool,
    /// Gateway: what the device said last of its own counters.
    pub reported: Option<PassedReport>,
}
