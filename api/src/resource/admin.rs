//! `Admin`: who may operate the console and the API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_false;
use crate::key::PublicKey;

/// Somebody who may operate the console and the API. One enabled Owner must always remain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "Admin",
        namespaced,
        status = "super::Status",
        shortname = "hadm",
        category = "horizon",
        selectable = ".spec.role",
        doc = "Somebody who may operate the console and the API, with which role. One enabled Owner must always remain.",
        printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
        printcolumn(name = "Disabled", type_ = "boolean", json_path = ".spec.disabled"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdminSpec {
    /// The name to sign in with; the name of the object when left out. Case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 128), regex(pattern = super::pattern::LOGIN)))]
    pub login: Option<String>,
    /// What they may do.
    pub role: AdminRole,
    /// How they sign in: at least one way.
    pub auth: AdminAuth,
    /// Asks for a second factor at every sign-in.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mfa_required: bool,
    /// From when on they are treated as disabled, such as 2027-01-31T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Time>"))]
    pub expires_at: Option<Timestamp>,
    /// Exists, but may do nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// What an admin may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum AdminRole {
    /// Everything, other admins included.
    Owner,
    /// Everything but admins.
    Admin,
    /// Looks, changes nothing.
    Auditor,
}

/// How an admin signs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::can_sign_in()))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdminAuth {
    /// An argon2id hash of a password (RFC 9106), as `argon2` or `horizon-controller admin add` makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "crd",
        schemars(length(max = 256), regex(pattern = super::pattern::ARGON2ID))
    )]
    pub password_hash: Option<String>,
    /// The subject by which an identity provider knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 255)))]
    pub oidc_subject: Option<String>,
    /// Keys of client certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "super::key_text::list")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::PublicKey>", length(max = 8)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub public_keys: Vec<PublicKey>,
}
