//! A Kubernetes cluster whose CustomResourceDefinitions are the store of resources: each kind is a source of its own, so
//! that what cannot be seen of one holds nothing back of another.
//!
//! [`Mirror`] keeps what was seen, and believes nothing that only looks like a delete; [`Wishes`] keeps what is to be
//! written back; [`Desk`] is the one task that owns both.

mod deed;
mod desk;
mod mirror;
mod wish;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::resource::{Kind, ObjectKey};
use horizon_planner::manifest::Parsed;

pub use desk::Desk;

/// What the cluster has of some kinds.
#[derive(Clone, Debug, Default)]
pub struct ClusterScan {
    pub kinds: BTreeMap<Kind, KindScan>,
    /// Objects whose status is not what was written last: somebody else wrote it.
    pub drifted: BTreeSet<ObjectKey>,
}

/// What the cluster has of a kind.
#[derive(Clone, Debug, Default)]
pub struct KindScan {
    pub parsed: Arc<Parsed>,
    /// Everything that is there, also what is refused.
    pub declared: BTreeMap<ObjectKey, Declared>,
    /// Why not everything may be there that was seen before.
    pub trouble: Option<String>,
    /// Which making of the definition the objects belong to, where the controller may know.
    pub definition: Option<String>,
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The cluster's name of it: one that is deleted and declared again has another.
    pub uid: String,
    /// Of its text.
    pub generation: i64,
}

/// The beginning of the names of these sources.
const PREFIX: &str = "kube:";

/// Returns the name of the source of a kind: `kube:networks`, or `kube:office/networks` where only a namespace is looked
/// at, so that whoever looks at less does not take the rest for deleted.
pub fn source_of(kind: Kind, scope: Option<&str>) -> String {
    match scope {
        Some(namespace) => format!("{PREFIX}{namespace}/{}", kind.plural()),
        None => format!("{PREFIX}{}", kind.plural()),
    }
}

/// Says whether a source is a kind of a cluster.
pub fn is_of_cluster(source: &str) -> bool {
    source.starts_with(PREFIX)
}

/// Returns how people find an object: `NAMESPACE/KINDS/NAME`.
pub fn locator(key: &ObjectKey) -> String {
    format!("{}/{}/{}", key.namespace, key.kind.plural(), key.name)
}

/// Returns the name of the secret into which the token of a key is written that is declared with `generate: {}`.
pub fn secret_name(key: &ObjectKey) -> String {
    let what = if key.kind == Kind::RegistrationKey { "registration-key" } else { "personal-key" };
    format!("{}-{what}", key.name)
}
