//! `AccessTest`: what must always, or never, be reachable.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Protocol, Reference};
use crate::name::Name;

/// Cases that every revision is tried with before it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "AccessTest",
        namespaced,
        status = "super::Status",
        shortname = "hat",
        category = "horizon",
        selectable = ".spec.networkRef.name",
        doc = "What must always, or never, be reachable: every revision is tried with these cases before it is committed.",
        printcolumn(name = "Network", type_ = "string", json_path = ".spec.networkRef.name"),
        printcolumn(name = "On Failure", type_ = "string", json_path = ".spec.onFailure"),
        printcolumn(
            name = "Passing",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessTestSpec {
    /// The network that the cases are about.
    pub network_ref: Reference,
    /// What is tried.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 256)))]
    pub cases: Vec<AccessCase>,
    /// What happens to a change that makes a case fail.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// One thing that must, or must not, be possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::port_fits_protocol()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessCase {
    /// Who begins: each that this selects.
    pub from: CaseSource,
    /// What they try to reach: each that this selects.
    pub to: CaseDestination,
    /// The protocol. Any needs no port and means: with any protocol at all.
    #[serde(default)]
    pub protocol: Protocol,
    /// The destination port. Only with Tcp and Udp, which need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 65535)))]
    pub port: Option<u16>,
    /// What the answer must be, for every pair.
    pub expect: Expectation,
    /// When it is tried, such as 2027-01-31T12:00:00Z; at the time of the revision when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Time>"))]
    pub at: Option<Timestamp>,
}

/// What the answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Expectation {
    Allow,
    Deny,
}

/// What happens to a change that makes a case fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum OnFailure {
    /// The objects whose change causes it stay as they were.
    #[default]
    Block,
    /// The change takes effect, with a warning.
    Warn,
}

/// Who begins: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["user", "group", "tag", "device", "cidr"])))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseSource {
    /// Every device of this user. Where there is none, and wherever `Deny` is expected, also one that they would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub user: Option<Name>,
    /// Every device of the people in this group. Where there is none, and wherever `Deny` is expected, also the one of
    /// somebody who is in no other group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub group: Option<Name>,
    /// Every device with this tag. Where there is none, and wherever `Deny` is expected, also one without another tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub tag: Option<Name>,
    /// One device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub device: Option<Name>,
    /// An address, or the addresses of a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Cidr>"))]
    pub cidr: Option<IpNet>,
}

/// What is to be reached: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["user", "group", "tag", "device", "cidr", "server"])))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseDestination {
    /// Every device of this user. Where there is none, and wherever `Deny` is expected, also one that they would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub user: Option<Name>,
    /// Every device of the people in this group. Where there is none, and wherever `Deny` is expected, also the one of
    /// somebody who is in no other group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub group: Option<Name>,
    /// Every device with this tag. Where there is none, and wherever `Deny` is expected, also one without another tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub tag: Option<Name>,
    /// One device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub device: Option<Name>,
    /// An address or a range, of members or of hosts behind a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Cidr>"))]
    pub cidr: Option<IpNet>,
    /// A gateway itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Label>"))]
    pub server: Option<Name>,
}
