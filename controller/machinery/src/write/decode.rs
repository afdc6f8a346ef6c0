//! A body or a patched document as an object: what the API server's decoder makes of it.

use serde_json::{Map, Value, json};

use super::{Change, Request, coerce, metadata};
use crate::{
    definition::{Definition, built_in},
    gotext,
};

/// An object as the schema knows it, and the paths of what it does not know.
pub(super) struct Decoded {
    pub object: Value,
    pub unknown: Vec<String>,
}

/// Why something is no object.
pub(super) enum Undecodable {
    /// It does not say what it is.
    Unrecognized(String),
    /// Its metadata cannot be read.
    Unfit(String),
}

impl Undecodable {
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Unrecognized(message) | Self::Unfit(message) => message,
        }
    }
}

/// Reads an object: metadata, unknown fields, nulls, defaults. Objects of other kinds are not touched.
pub(super) fn decode(value: &Value, definition: &Definition) -> Result<Decoded, Undecodable> {
    let Value::Object(fields) = value else {
        return Err(Undecodable::Unrecognized(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct {{ \
             APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            gotext::kind(value)
        )));
    };
    for name in ["apiVersion", "kind"] {
        if let Some(found) = fields.get(name).filter(|found| !found.is_string() && !found.is_null()) {
            let found = gotext::kind(found);
            return Err(Undecodable::Unrecognized(format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go struct field .{name} \
                 of type string"
            )));
        }
    }
    if fields.get("kind").and_then(Value::as_str).unwrap_or_default().is_empty() {
        let message = format!("Object 'Kind' is missing in '{}'", summary(value));
        return Err(Undecodable::Unrecognized(message));
    }
    let mut object = value.clone();
    let unknown = coerce(&mut object, definition).map_err(Undecodable::Unfit)?;
    if is_of(&object, definition) {
        coerce::fill_defaults(&mut object, definition.schema());
        if let Some(kind) = definition.built_in() {
            built_in::decode(kind, &mut object).map_err(Undecodable::Unfit)?;
        }
    }
    Ok(Decoded { object, unknown })
}

/// Reads an object that is stored: what changed in the schema since is made good.
pub(super) fn normalize(object: &mut Value, definition: &Definition) -> Result<(), String> {
    coerce(object, definition)?;
    if is_of(object, definition) {
        coerce::fill_defaults(object, definition.schema());
    }
    Ok(())
}

fn coerce(object: &mut Value, definition: &Definition) -> Result<Vec<String>, String> {
    coerce::normalize_numbers(object);
    let read = object.get("metadata").map(metadata::read).transpose()?;
    let mut unknown = vec![];
    if let Some(read) = read {
        object["metadata"] = Value::Object(read.fields);
        unknown = read.unknown;
    }
    if is_of(object, definition) {
        unknown.extend(coerce::prune(object, definition.schema()));
        coerce::drop_nulls(object, definition.schema());
    }
    Ok(unknown)
}

/// Says whether an object is of a kind, in its version.
fn is_of(object: &Value, definition: &Definition) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    text("kind") == definition.resource.kind && text("apiVersion") == definition.resource.api_version()
}

/// Returns metadata to change; an object without gets some.
pub(super) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let fields = object.as_object_mut()?;
    fields.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
}

/// Returns what refusals show of a value where the API server shows all of it: nothing that is in it, which may be
/// secret.
pub(super) fn summary(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "{…}",
        Value::Array(_) => "[…]",
        Value::Null => "null",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "…",
    }
}

/// Returns the first bytes of a text that is no JSON, as refusals show it: an object as it is, anything else in hexadecimal.
pub(super) fn summary_of(text: &[u8]) -> String {
    /// What the API server shows.
    const BYTES_MAX: usize = 30;
    let cut = &text[..text.len().min(BYTES_MAX)];
    let shown = match text.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(cut).into_owned(),
        Some(_) => cut.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if text.len() > BYTES_MAX { format!("{shown} ...") } else { shown }
}

/// Returns what a strict reader complains about: what is there twice, then what nobody knows.
pub(super) fn complaints(request: &Request<'_>, unknown: &[String]) -> Vec<String> {
    let patch = if matches!(request.change, Change::JsonPatch(_)) { "json patch " } else { "" };
    let twice = request.duplicates.iter().map(|path| format!("{patch}duplicate field \"{path}\""));
    twice.chain(unknown.iter().map(|path| format!("unknown field \"{path}\""))).collect()
}
