//! `Network`: which virtual LAN exists.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Period;

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
    pub offline_grace: Period,
}

/// A range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
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
