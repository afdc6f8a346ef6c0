//! `Network`: which virtual LAN exists.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Period, PortRange};

/// A virtual LAN: its addresses and what its links must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "Network",
        namespaced,
        status = "super::Status",
        shortname = "hnet",
        category = "horizon",
        doc = "A virtual LAN: which addresses it has and what its links must be like.",
        printcolumn(name = "Pools", type_ = "string", json_path = ".spec.addressPools[*].cidr"),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::pools_are_apart()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::mtu_fits_ipv6()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::pools_stay()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::lan_mode_stays()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// Where the addresses of devices and gateways come from. Pools of two networks may not overlap.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 8)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["cidr".into()])))]
    pub address_pools: Vec<AddressPool>,
    /// Largest packet, in bytes. Links that carry less tell the senders so. IPv6 needs at least 1280.
    #[serde(default = "mtu_default")]
    #[cfg_attr(feature = "crd", schemars(range(min = 576, max = 9000)))]
    pub mtu: u16,
    /// Whether links must use post-quantum key exchange.
    #[serde(default)]
    pub pq: PostQuantum,
    /// How long gateways go on accepting expired grants while the controller is away; from 1m to 720h.
    #[serde(default = "offline_grace_default")]
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Duration"))]
    #[cfg_attr(feature = "crd", x_kube(validation = super::rule::between("1m", "720h", "12h")))]
    pub offline_grace: Period,
    /// Whether packets between two devices are sealed so that gateways cannot read them.
    #[serde(default)]
    pub e2e: EndToEnd,
    /// What happens to devices that sign in for the first time. Those that are declared, or were there before, count as
    /// approved.
    #[serde(default, skip_serializing_if = "NewDevices::is_admit")]
    pub new_devices: NewDevices,
    /// Names: what devices of this network are called, and who answers for other names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// What of a real LAN is emulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan: Option<Lan>,
}

/// What happens to devices that sign in for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum NewDevices {
    /// A key that is good lets them in.
    #[default]
    Admit,
    /// They wait until an admin has approved them, with all their networks.
    Approve,
}

impl NewDevices {
    fn is_admit(&self) -> bool {
        *self == Self::Admit
    }
}

/// Whether packets between two devices are sealed from end to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum EndToEnd {
    /// Gateways read what they forward, so that policies may name ports.
    #[default]
    Disabled,
    /// Gateways forward what they cannot read.
    Required,
}

/// Names in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dns {
    /// The zone of this network's own names, such as office.internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::DnsName>"))]
    pub domain: Option<String>,
    /// Who answers for names that the gateway does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Ip>", length(max = 8)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub servers: Vec<IpAddr>,
    /// Zones that short names are tried in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::DnsName>", length(max = 8)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub search_domains: Vec<String>,
}

/// What of a real LAN is emulated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lan {
    /// Whether the network carries IP packets or Ethernet frames. It never changes.
    #[serde(default)]
    pub mode: LanMode,
    /// What happens to broadcasts.
    #[serde(default)]
    pub broadcast: Broadcast,
    /// Broadcasts and multicasts a second that a device may send.
    #[serde(default = "lan_packets_default")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 10000)))]
    pub packets_per_second: u32,
    /// Protocols of discovery that are relayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub presets: Vec<LanPreset>,
    /// Multicast groups that are relayed beside the presets, such as 239.1.2.3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Ip>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    #[cfg_attr(feature = "crd", x_kube(validation = super::rule::all_are_multicast()))]
    pub groups: Vec<IpAddr>,
    /// UDP ports whose broadcasts are relayed beside the presets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Ports>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub ports: Vec<PortRange>,
}

/// What a network carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum LanMode {
    /// IP packets.
    #[default]
    L3,
    /// Ethernet frames, for protocols that are not IP.
    L2,
}

/// What happens to broadcasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Broadcast {
    #[default]
    Drop,
    /// Only those of the presets and ports.
    Limited,
    /// All of them.
    Relay,
}

/// A protocol by which hosts find each other on a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum LanPreset {
    /// Multicast DNS (RFC 6762).
    Mdns,
    /// SSDP, which UPnP and DLNA use.
    Ssdp,
    WsDiscovery,
    /// RFC 4795.
    Llmnr,
    /// RFC 1001.
    NetBios,
    Steam,
    /// Broadcasts of common games.
    Games,
}

/// A range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::pool_length()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::pool_is_ordinary()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::reserved_is_inside()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressPool {
    /// The range in its canonical form, such as 10.77.0.0/16 or fd77:1::/48.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Cidr"))]
    pub cidr: IpNet,
    /// Addresses in the range that are given to nobody.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Ip>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub reserved: Vec<IpAddr>,
}

/// Whether key exchange must withstand quantum computers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum PostQuantum {
    /// Used when both ends can, which ours always can.
    #[default]
    Preferred,
    /// A link without it is refused.
    Required,
}

/// Fits into every path that carries IPv6's 1500 bytes less a tunnel's overhead.
fn mtu_default() -> u16 {
    1380
}

/// A night: an outage that begins after work is noticed in the morning.
fn offline_grace_default() -> Period {
    Period::from_seconds(12 * 3600)
}

/// Discovery needs a few; a storm has thousands.
fn lan_packets_default() -> u32 {
    50
}
