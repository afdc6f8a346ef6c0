//! What was observed about an object: the same on every kind.

use serde::{Deserialize, Serialize};

use crate::condition::Condition;

/// The status of an object. Nothing in it changes by itself: counters and clocks are served elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the spec that this status is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// The committed revision that contains this generation.
    #[serde(default)]
    pub revision: u64,
    /// Facts about the object; `Ready` sums them up.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(length(max = 16)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()])))]
    pub conditions: Vec<Condition>,
}
