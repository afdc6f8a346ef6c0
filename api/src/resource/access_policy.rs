//! `AccessPolicy`: who may talk to what.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{PortRange, PostureSelector, Reference, Window};
use crate::name::Name;

/// Who may talk to what in a network. Nothing is allowed by default, a Deny always wins, order never matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "AccessPolicy",
        plural = "accesspolicies",
        namespaced,
        status = "super::Status",
        shortname = "hap",
        category = "horizon",
        selectable = ".spec.networkRef.name",
        doc = "Who may talk to what in a network. Nothing is allowed by default, a Deny always wins, order never matters.",
        printcolumn(name = "Action", type_ = "string", json_path = ".spec.action"),
        printcolumn(name = "Network", type_ = "string", json_path = ".spec.networkRef.name"),
        printcolumn(
            name = "Programmed",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Programmed')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::destination_is_own_network()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessPolicySpec {
    /// The network that it is about.
    pub network_ref: Reference,
    /// What happens to traffic that matches.
    pub action: Action,
    /// Who begins the traffic: any of these.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 64)))]
    pub from: Vec<SourceSelector>,
    /// What they may reach, or may not: any of these.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 64)))]
    pub rules: Vec<PolicyRule>,
    /// When the policy has its effect, in weekly windows: inside any of them; always when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    pub windows: Vec<Window>,
    /// Until when the policy has its effect, such as 2027-01-31T00:00:00Z; the gateway keeps to it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Time>"))]
    pub valid_until: Option<Timestamp>,
    /// Which services may be discovered on the LAN by those in `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discover: Option<Discover>,
}

/// Which services may be discovered on the LAN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Discover {
    /// Kinds of services that are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub allow: Vec<ServiceClass>,
    /// Kinds of services that are hidden; wins over allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub deny: Vec<ServiceClass>,
}

/// A kind of service that hosts announce on a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum ServiceClass {
    /// Every kind.
    Any,
    Printers,
    Scanners,
    FileShares,
    Media,
    Cameras,
    Games,
    RemoteDesktops,
    Web,
    HomeAutomation,
}

/// What happens to traffic that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Action {
    Allow,
    /// Wins over every Allow.
    Deny,
}

/// A destination with protocol and ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::ports_need_a_protocol()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRule {
    /// The destinations: any of these.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 64)))]
    pub to: Vec<DestinationSelector>,
    /// The protocol; `Any` when left out.
    #[serde(default)]
    pub protocol: Protocol,
    /// Destination ports, such as "445" or "8000-8010"; all when empty. Only with Tcp and Udp.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Ports>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub ports: Vec<PortRange>,
}

/// A protocol over IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Protocol {
    #[default]
    Any,
    Tcp,
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
}

/// Who begins the traffic: exactly one of the fields before `posture`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["user", "group", "tag", "device", "cidr", "any"])))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::any_is_true()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceSelector {
    /// All devices of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub user: Option<Name>,
    /// All devices of all users of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub group: Option<Name>,
    /// All devices with a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub tag: Option<Name>,
    /// One device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub device: Option<Name>,
    /// Addresses, such as 10.77.4.0/24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Cidr>"))]
    pub cidr: Option<IpNet>,
    /// Everybody; must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any: Option<bool>,
    /// Of these, only devices that say so of themselves. Self-reported: it finds what was forgotten, not who lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<PostureSelector>,
}

/// Where the traffic goes: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["user", "group", "tag", "device", "cidr", "server", "network", "service", "any"])))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::any_is_true()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationSelector {
    /// All devices of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub user: Option<Name>,
    /// All devices of all users of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub group: Option<Name>,
    /// All devices with a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub tag: Option<Name>,
    /// One device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub device: Option<Name>,
    /// Addresses, such as 192.168.10.0/24: of members, and of hosts behind a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Cidr>"))]
    pub cidr: Option<IpNet>,
    /// The gateway itself, not what lies behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub server: Option<Name>,
    /// All members of the policy's network, but not what lies behind its gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub network: Option<Name>,
    /// A service that a gateway or a device advertises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub service: Option<Name>,
    /// Everything; must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any: Option<bool>,
}
