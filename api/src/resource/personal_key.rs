//! `PersonalKey`: with what a person signs in.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Generate, OnRevoke, Reference, TokenHash, is_false};
use crate::key::PublicKey;

/// A credential of a person: a device that signs in with it becomes theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "PersonalKey",
        namespaced,
        status = "super::Status",
        shortname = "hpk",
        category = "horizon",
        selectable = ".spec.userRef.name",
        doc = "A credential of a person: a device that signs in with it becomes theirs.",
        printcolumn(name = "User", type_ = "string", json_path = ".spec.userRef.name"),
        printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
        printcolumn(
            name = "Usable",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Usable')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["hash", "generate", "publicKey"])))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PersonalKeySpec {
    /// Whose key it is.
    pub user_ref: Reference,
    /// The networks that a device joins which signs in with this key.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()])))]
    pub network_refs: Vec<Reference>,
    /// The SHA-256 of the whole token: `printf %s TOKEN | sha256sum`. Exactly one of hash, generate and publicKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Hash>"))]
    pub hash: Option<TokenHash>,
    /// The controller makes the token; `horizon-controller invite user NAME` shows it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
    /// The public half of a key that the person holds. Exactly one of hash, generate and publicKey.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::key_text")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::PublicKey>"))]
    pub public_key: Option<PublicKey>,
    /// The profiles that the launcher offers to whoever signs in with it; all that are meant for them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()])))]
    pub profile_refs: Vec<Reference>,
    /// What happens to devices that signed in with the key when it goes, or is disabled or held. It may expire without that.
    #[serde(default)]
    pub on_revoke: OnRevoke,
    /// When it stops working, such as 2027-01-31T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(with = "Option<super::schema::Time>"))]
    pub expires_at: Option<Timestamp>,
    /// From where it may be used; from everywhere when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(with = "Vec<super::schema::Cidr>", length(max = 32)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub source_cidrs: Vec<IpNet>,
    /// How many devices may sign in with it; the user's maxDevices counts beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 1000)))]
    pub max_uses: Option<u32>,
    /// Exists, but signs nobody in. What becomes of devices that signed in with it is said by onRevoke.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}
