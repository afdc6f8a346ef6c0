//! How one object names another of its namespace.

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// Names another object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The name of the object.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Label"))]
    pub name: Name,
}
