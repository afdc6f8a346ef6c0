//! `RegistrationKey`: who may enrol a server or a device.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Reference, TokenHash, is_false};
use crate::name::Name;

/// A key with which gateway hosts, or devices without a person in front of them, enrol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "RegistrationKey",
        namespaced,
        status = "super::Status",
        shortname = "hrk",
        category = "horizon",
        selectable = ".spec.role",
        doc = "A key with which gateway hosts or devices enrol: how often, until when and from where it may be used.",
        printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
        printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
        printcolumn(
            name = "Usable",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Usable')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["hash", "generate"])))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::reusable_keys_expire()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::only_devices_have_users()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::device_keys_grant_networks()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::device_keys_say_whose()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::hash_stays()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrationKeySpec {
    /// What is enrolled with it.
    #[serde(default)]
    pub role: RegistrationRole,
    /// The SHA-256 of the whole token: `printf %s TOKEN | sha256sum`. Exactly one of hash and generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Hash>"))]
    pub hash: Option<TokenHash>,
    /// The controller makes the token; `horizon-controller invite` shows it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
    /// How many hosts or devices may enrol with it.
    #[serde(default = "max_uses_default")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 10000)))]
    pub max_uses: u32,
    /// When it stops working, such as 2027-01-31T00:00:00Z. Required when maxUses is above 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Time>"))]
    pub expires_at: Option<Timestamp>,
    /// From where it may be used; from everywhere when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Cidr>", length(max = 32)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub source_cidrs: Vec<IpNet>,
    /// What happens to those whom the key has enrolled when it goes, or is disabled or held. It may expire without that.
    #[serde(default)]
    pub on_revoke: OnRevoke,
    /// Devices that it enrols are forgotten when they sign out, or two hours after they were last heard of.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ephemeral: bool,
    /// What devices get that it enrols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
    /// Exists, but enrols nobody. What becomes of those who are enrolled is said by onRevoke.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// What happens to those whom a key has enrolled when the key goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum OnRevoke {
    /// They stay.
    #[default]
    Keep,
    /// They stay connected until their grants end, and get no new one; no new grant names a server.
    Expire,
    /// They are cut off at once.
    Disconnect,
}

impl OnRevoke {
    /// Returns its name in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "Keep",
            Self::Expire => "Expire",
            Self::Disconnect => "Disconnect",
        }
    }
}

impl std::str::FromStr for OnRevoke {
    type Err = UnknownOnRevoke;

    fn from_str(text: &str) -> Result<Self, UnknownOnRevoke> {
        let all = [Self::Keep, Self::Expire, Self::Disconnect];
        all.into_iter().find(|one| one.as_str() == text).ok_or(UnknownOnRevoke)
    }
}

/// A text names nothing that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be Keep, Expire or Disconnect")]
pub struct UnknownOnRevoke;

/// What devices get that a registration key enrols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// The networks that they join.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()])))]
    pub network_refs: Vec<Reference>,
    /// Whose devices they are; nobody's when left out. Only with role Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ref: Option<Reference>,
    /// What policies may select them by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Label>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub tags: Vec<Name>,
}

/// What a registration key enrols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum RegistrationRole {
    #[default]
    Server,
    Device,
}

/// Asks the controller to make the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "crd", schemars(transform = super::schema::without_additional_properties))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generate {}

/// A key that leaks after its use is worth nothing.
fn max_uses_default() -> u32 {
    1
}
