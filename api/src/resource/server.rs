//! `Server`: which gateway host carries which networks, and how it is reached.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Reference;
use crate::key::PublicKey;

/// A gateway host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "Server",
        namespaced,
        status = "super::Status",
        shortname = "hsrv",
        category = "horizon",
        doc = "A gateway host: which networks it carries, where it is reached, and which subnets lie behind it.",
        printcolumn(
            name = "Networks",
            type_ = "string",
            json_path = ".spec.networkRefs[*].name",
            priority = 1
        ),
        printcolumn(
            name = "Connected",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Connected')].status"
        ),
        printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision"),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].reason"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::routes_name_their_network()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::networks_are_carried("subnetRoutes")))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::networks_are_carried("lan")))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::routes_differ()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerSpec {
    /// The networks that this gateway carries.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()])))]
    pub network_refs: Vec<Reference>,
    /// Where clients reach it, best first.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 8)))]
    #[cfg_attr(
        feature = "crd",
        x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["host".into(), "port".into()]))
    )]
    pub endpoints: Vec<Endpoint>,
    /// How the host proves that it is this server.
    pub identity: ServerIdentity,
    /// Subnets behind the gateway that members of a network may reach through it, if a policy allows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 64)))]
    pub subnet_routes: Vec<SubnetRoute>,
    /// Whether the gateway works, and whether clients are sent to it.
    #[serde(default)]
    pub admin_state: AdminState,
    /// Offers its members a way to the Internet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What the host can carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// Interfaces of the host whose LANs are joined with a network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    pub lan: Vec<LanInterface>,
    /// What follows when the host does not prove that it is this server, or is noticed as a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

/// What follows from a verification that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verification {
    /// What is done about it.
    #[serde(default)]
    pub on_failure: OnSuspicion,
}

/// What is done about a server that fails its verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum OnSuspicion {
    /// A security event says so, and the server goes on.
    #[default]
    Alert,
    /// It is held until somebody releases it: it carries nothing, and no client is sent to it.
    Quarantine,
}

/// Whether a gateway works, and whether clients are sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum AdminState {
    #[default]
    Active,
    /// Whoever is connected stays, nobody else is sent to it.
    Draining,
    /// Has no effect: no client is sent to it and it gets an empty configuration.
    Disabled,
}

/// A way to the Internet through a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exit {
    /// Whether it is offered.
    pub enabled: bool,
}

/// What a host can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capacity {
    /// The most links at a time; who comes later is sent to another server.
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 100000)))]
    pub max_sessions: u32,
}

/// An interface of the host whose LAN is joined with a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LanInterface {
    /// The network.
    pub network_ref: Reference,
    /// The interface, such as eth1.
    #[cfg_attr(
        feature = "crd",
        schemars(length(min = 1, max = 15), regex(pattern = super::pattern::INTERFACE))
    )]
    pub interface: String,
}

/// Where a gateway listens for links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// A host name or an address, without port and brackets.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 253), regex(pattern = super::pattern::HOST)))]
    pub host: String,
    /// A UDP port; 7444 when left out.
    #[serde(default = "port_default")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 65535)))]
    pub port: u16,
}

/// How a host proves that it is a server: exactly one of the first two fields, and from where it may do so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["registrationKeyRef", "publicKey"])))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerIdentity {
    /// The key with which the host enrols; the public key that it shows then is its identity from there on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_key_ref: Option<Reference>,
    /// The public key of a host that is known already, as `horizon-gateway status` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::key_text")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::PublicKey>"))]
    pub public_key: Option<PublicKey>,
    /// From where the host may connect to the controller; from everywhere when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Cidr>", length(max = 32)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub source_cidrs: Vec<IpNet>,
}

/// A subnet behind a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::subnet_is_no_exit()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubnetRoute {
    /// The subnet in its canonical form, such as 192.168.10.0/24.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Cidr"))]
    pub cidr: IpNet,
    /// The network whose members may use it. May be left out when the server carries only one network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_ref: Option<Reference>,
    /// Hides members behind the gateway's own address, so that hosts in the subnet need no route back; `true` when left out.
    #[serde(default = "masquerade_default")]
    pub masquerade: bool,
}

fn port_default() -> u16 {
    7444
}

/// Works without touching anything in the subnet.
fn masquerade_default() -> bool {
    true
}
