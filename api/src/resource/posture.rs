//! What a policy demands that a device says of itself.

use serde::{Deserialize, Serialize};

/// What a device must say of itself: all of the fields that are set. An Allow is about devices that say so, and not about
/// those that say nothing; a Deny is about all but those that say that it is not so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::posture_demands_something()))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::versions_are_of_one_system()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostureSelector {
    /// The system is one of these, by the `ID` of its os-release, such as debian.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::OsId>", length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub os: Vec<String>,
    /// Its version is this one or a later one, such as "12" or "24.04". Only with one system in `os`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::OsVersion>"))]
    pub os_version_at_least: Option<String>,
    /// Whether the file system of the system lies on an encrypted device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_encrypted: Option<bool>,
}
