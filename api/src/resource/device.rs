//! `Device`: an enrolled endpoint.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Reference, is_false};
use crate::{key::PublicKey, name::Name};

/// An endpoint, of a person or of nobody, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "Device",
        namespaced,
        status = "super::Status",
        shortname = "hdev",
        category = "horizon",
        selectable = ".spec.userRef.name",
        doc = "An endpoint of a person: the key that it is known by, its networks and its addresses.",
        printcolumn(name = "User", type_ = "string", json_path = ".spec.userRef.name"),
        printcolumn(name = "Networks", type_ = "string", json_path = ".spec.networkRefs[*].name"),
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Ready')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::nobodys_devices_have_tags()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceSpec {
    /// Whose device it is. Without it, it is nobody's, and policies know it by its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ref: Option<Reference>,
    /// The public key that the device is known by, as `horizon status` prints it.
    /// Without it, nothing can connect as this device yet, but its addresses are kept for it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::key_text")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::PublicKey>"))]
    pub public_key: Option<PublicKey>,
    /// The networks that the device is in.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()])))]
    pub network_refs: Vec<Reference>,
    /// Addresses that the device always has; the controller chooses where none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Ip>", length(max = 32)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub addresses: Vec<IpAddr>,
    /// What policies may select the device by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Label>", length(max = 64)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub tags: Vec<Name>,
    /// Forgotten when it signs out, or two hours after it was last heard of. Only of devices that enrolled by themselves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ephemeral: bool,
    /// Whether an admin lets it in. A device that signs in to a network with `newDevices: Approve` begins with false, and
    /// connects by itself once it is true.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub approved: bool,
    /// Exists, but may not connect: its links are closed at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// Whoever declares a device has approved it.
fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_true(value: &bool) -> bool {
    *value
}
