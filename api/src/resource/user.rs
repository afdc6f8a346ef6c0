//! `User`: a person.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_false;
use crate::name::Name;

/// A person, the groups that policies know them by, and how many devices they may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "User",
        namespaced,
        status = "super::Status",
        shortname = "hu",
        category = "horizon",
        doc = "A person: the groups that policies know them by, and how many devices they may have.",
        printcolumn(name = "Groups", type_ = "string", json_path = ".spec.groups[*]"),
        printcolumn(name = "Disabled", type_ = "boolean", json_path = ".spec.disabled"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserSpec {
    /// What the person is called; the name of the object when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 128)))]
    pub display_name: Option<String>,
    /// Where to write to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(max = 254), regex(pattern = super::pattern::EMAIL)))]
    pub email: Option<String>,
    /// The groups that policies select by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Label>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub groups: Vec<Name>,
    /// How many devices may sign in as this person.
    #[serde(default = "max_devices_default")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 1000)))]
    pub max_devices: u32,
    /// Exists, but nobody gets in as this person: devices are cut off at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// From when on the person is treated as disabled, such as 2027-01-31T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Time>"))]
    pub expires_at: Option<Timestamp>,
}

/// A laptop, a phone, a tablet, and their successors.
fn max_devices_default() -> u32 {
    5
}
