//! Patches: JSON patch (RFC 6902) and JSON merge patch (RFC 7396), as the API server applies them.
//!
//! Strategic merge patch is not for custom resources: the API server answers 415. For what comes with Kubernetes it is a
//! merge patch without its directives.

use std::fmt;

use serde_json::Value;

use crate::{
    definition::Definition,
    gotext,
    refusal::{Cause, CauseReason, Details, Reason, Refusal},
    stored::Named,
};

mod json;
mod merge;
mod strategic;

pub use strategic::check_strategic;

/// What the API server reads patches of custom resources as; everything else is answered with
/// [`Refusal::unsupported_media_type`].
pub const MEDIA_TYPES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// The same for what comes with Kubernetes.
pub const BUILT_IN_MEDIA_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// In which form a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Merge,
    /// Once it has passed [`check_strategic`], it is a merge patch.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl Form {
    /// Reads the `Content-Type` of a patch.
    ///
    /// # Errors
    /// 415 for a form that objects of this kind are not patched in.
    pub fn parse(content_type: &str, definition: &Definition) -> Result<Self, Refusal> {
        let is_built_in = definition.built_in().is_some();
        Ok(match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" if is_built_in => Self::Strategic,
            "application/apply-patch+yaml" => Self::Apply,
            _ if is_built_in => return Err(Refusal::unsupported_media_type(&BUILT_IN_MEDIA_TYPES)),
            _ => return Err(Refusal::unsupported_media_type(&MEDIA_TYPES)),
        })
    }
}

/// Whether a patch is read with a complaint about what nobody knows in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Unknown things are left out in silence.
    Lenient,
    /// Unknown things are told.
    Strict,
}

/// A patched document, and what nobody knows in the patch (for [`Reading::Strict`]).
#[derive(Clone, PartialEq)]
pub struct Patched {
    pub document: Value,
    pub unknown: Vec<String>,
}

impl fmt::Debug for Patched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patched").field("document", &Named(&self.document)).finish_non_exhaustive()
    }
}

/// Applies a JSON patch (RFC 6902) to a document.
///
/// Beyond the RFC, and as the API server does it: indices below zero count from the end, replacing what is not there
/// adds it, and copying or testing what is not there finds null.
///
/// # Errors
/// 400 for what is no patch, 413 for more than 10,000 operations, 422 for an operation that does not apply, that
/// copies more than 3 MiB in all, that moves more than fifty million list items, or that makes a document of more than
/// 128 levels.
pub fn json_patch(document: Value, patch: &Value, reading: Reading) -> Result<Patched, Refusal> {
    let operations = json::operations(patch, reading)?;
    let unknown = match reading {
        Reading::Lenient => vec![],
        Reading::Strict => json::unknown_fields(&operations),
    };
    Ok(Patched { document: json::apply(document, &operations)?, unknown })
}

/// Applies a JSON merge patch (RFC 7396) to a document.
///
/// # Errors
/// 400 for what is no patch of an object.
pub fn merge_patch(document: Value, patch: &Value, reading: Reading) -> Result<Patched, Refusal> {
    if reading == Reading::Strict && !patch.is_object() && !patch.is_null() {
        let found = gotext::kind(patch);
        let message = format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        );
        return Err(Refusal::bad_request(message));
    }
    let document = match patch {
        Value::Object(_) | Value::Array(_) => merge::merge(document, patch.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(Refusal::bad_request("Invalid JSON Patch"));
        }
    };
    Ok(Patched { document, unknown: vec![] })
}

/// Refuses a patch for one of its operations. The API server says no more than the sentence; the cause is ours.
fn does_not_apply(index: usize, why: &str) -> Refusal {
    let cause = Cause {
        reason: CauseReason::UnexpectedServerResponse,
        message: why.to_owned(),
        field: format!("patch[{index}]"),
    };
    let message = "the server rejected our request due to an error in our request";
    let details = Details { causes: vec![cause], ..Details::default() };
    Refusal { details: Some(Box::new(details)), ..Refusal::plain(422, Reason::Invalid, message) }
}

#[cfg(test)]
mod tests;
