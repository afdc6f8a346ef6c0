//! What an operator says about an object beside its spec.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Texts;

/// Name, namespace, labels and annotations. Labels carry no authority: policies select by `spec.tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub name: SmolStr,
    pub namespace: SmolStr,
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub labels: Texts,
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub annotations: Texts,
}
