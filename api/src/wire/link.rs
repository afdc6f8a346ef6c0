//! `hzn-link/1`: a device and a gateway. Packets travel in DATAGRAMs, this is the control stream beside them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    assignment::Version, key::PublicKey, news::CarriedNews, section::NetworkId, signed::Signed, wire::Refusal,
};

/// What a device says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromDevice {
    Hello(LinkHello),
    /// The next grant, before the old one ends.
    Renew {
        #[serde(with = "serde_bytes")]
        grant: Vec<u8>,
        /// As [`LinkHello::delegation`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegation: Option<Signed>,
        /// The next card, as in [`LinkHello::card`].
        #[serde(default, with = "serde_bytes", skip_serializing_if = "Vec::is_empty")]
        card: Vec<u8>,
    },
    /// Which card has the device with this address? Only to gateways with the feature [`CARDS`](crate::card::CARDS).
    AskCard {
        address: IpAddr,
    },
    /// Whom the controller keeps out, carried to a gateway that asked for it: [`Accept::news_after`].
    News(CarriedNews),
    /// A signed [`TrafficReport`](crate::traffic::TrafficReport), for the controller: only to gateways with the feature
    /// [`TRAFFIC_REPORTS`](crate::traffic::TRAFFIC_REPORTS).
    Report(Signed),
    Close {
        reason: String,
    },
}

/// What a gateway says to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToDevice {
    Accept(Accept),
    Refuse(Refusal),
    /// The configuration changed; the link stays.
    Update(Accept),
    /// A signed [`Card`](crate::card::Card) as its device brought it.
    Card {
        address: IpAddr,
        #[serde(with = "serde_bytes")]
        card: Vec<u8>,
    },
    /// No device with this address is connected here, or it has no card.
    NoCard {
        address: IpAddr,
    },
    /// This device was revoked: what is sealed with its card reaches nobody. Said to those who brought a card.
    Gone {
        device: PublicKey,
    },
    Close {
        refusal: Option<Refusal>,
        reason: String,
    },
}

/// A device's first word: who it is by its grant, and for which network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkHello {
    pub version: String,
    pub features: Vec<String>,
    /// A signed [`crate::grant::Grant`], as bytes.
    #[serde(with = "serde_bytes")]
    pub grant: Vec<u8>,
    /// The root's word for the key that signed the grant: the gateway may not have heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Signed>,
    /// Which network of the grant this link is for.
    pub network: NetworkId,
    /// The device's signed [`Card`](crate::card::Card) in this network, for others; empty where nothing is sealed.
    #[serde(default, with = "serde_bytes", skip_serializing_if = "Vec::is_empty")]
    pub card: Vec<u8>,
}

/// What a device needs to carry packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    pub network: NetworkId,
    pub server: String,
    /// The device's own addresses, with the prefix lengths of their pools.
    pub addresses: Vec<IpNet>,
    /// What is reached through this link.
    pub routes: Vec<IpNet>,
    /// The gateway's own addresses in the network.
    pub gateway: Vec<IpAddr>,
    /// Bytes: the most that a packet of this network may have.
    pub mtu: u16,
    /// Unix milliseconds by the gateway's clock.
    pub server_time_ms: i64,
    pub features: Vec<String>,
    /// Whether the grant is expired and accepted because the controller is away.
    pub is_in_grace: bool,
    /// The gateway cannot reach the controller, and runs this: a device that can brings it what came after.
    #[serde(default)]
    pub news_after: Option<Version>,
}
