//! `ConnectionProfile`: what the launcher offers, and how it connects.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Reference, is_false};
use crate::name::Name;

/// A way to connect, as a person chooses it in the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "ConnectionProfile",
        namespaced,
        status = "super::Status",
        shortname = "hcp",
        category = "horizon",
        selectable = ".spec.networkRef.name",
        doc = "A way to connect, as a person chooses it in the launcher: network, servers, routing, names, kill switch.",
        printcolumn(name = "Network", type_ = "string", json_path = ".spec.networkRef.name"),
        printcolumn(name = "Servers", type_ = "string", json_path = ".spec.serverRefs[*].name"),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::servers_are_chosen_once()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionProfileSpec {
    /// What the launcher calls it; the name of the object when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 128)))]
    pub display_name: Option<String>,
    /// The network that it connects to.
    pub network_ref: Reference,
    /// The servers that may be used, by their labels. Exactly one of serverSelector and serverRefs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_selector: Option<ServerSelector>,
    /// The servers that may be used, by name, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()])))]
    pub server_refs: Vec<Reference>,
    /// Whom it is offered to; everybody in the network when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 64)))]
    pub audience: Vec<AudienceSelector>,
    /// Which traffic goes through the tunnel.
    #[serde(default)]
    pub routing: Routing,
    /// Which names are asked through the tunnel.
    #[serde(default)]
    pub dns_mode: DnsMode,
    /// Connects as soon as the agent runs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub auto_connect: bool,
    /// Lets nothing past the tunnel, also while it is down.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kill_switch: bool,
    /// Exists, but is offered to nobody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// Selects servers by their labels. Labels sort servers, they grant nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerSelector {
    /// Labels that a server must have, all of them.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Labels"))]
    pub match_labels: BTreeMap<String, String>,
}

/// Whom a profile is offered to: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["user", "group"])))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AudienceSelector {
    /// One user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub user: Option<Name>,
    /// All users of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub group: Option<Name>,
}

/// Which traffic goes through the tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::full_routing_has_no_routes()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routing {
    /// Only the network and its subnets, or everything.
    #[serde(default)]
    pub mode: RoutingMode,
    /// With Split: what goes through the tunnel; the network and all its subnets when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Cidr>", length(max = 256)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub routes: Vec<IpNet>,
    /// What never goes through the tunnel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Cidr>", length(max = 256)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub excluded: Vec<IpNet>,
}

/// How much of a machine's traffic goes through the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum RoutingMode {
    /// The network and its subnets.
    #[default]
    Split,
    /// Everything.
    Full,
}

/// Which names are asked through the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum DnsMode {
    /// Those of the network's zones.
    #[default]
    Split,
    /// All of them.
    Full,
    /// None: the resolver is left alone.
    Disabled,
}
