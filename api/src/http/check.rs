//! The verdict on a text that somebody writes.

use serde::{Deserialize, Serialize};

use crate::{problem::Problem, resource::ObjectKey};

/// What `POST /v1/check` answers about the YAML that it was sent: the offline verdict on this text alone. Whether what
/// it refers to is there is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnswer {
    /// What is wrong, in the order of the lines.
    pub problems: Vec<Problem>,
    /// What it declares, as far as it can be recognised, in the order of the lines.
    pub objects: Vec<CheckedObject>,
}

/// An object that a text declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedObject {
    pub object: ObjectKey,
    /// Where it begins; 1 is the first.
    pub line: u32,
}
