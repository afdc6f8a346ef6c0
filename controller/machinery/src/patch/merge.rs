//! JSON merge patch (RFC 7396), with what the API server does to nulls in lists.

use serde_json::Value;

/// Returns the document with the patch merged into it.
pub(super) fn merge(document: Value, patch: Value) -> Value {
    match (document, patch) {
        (Value::Object(mut document), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    document.remove(&key);
                    continue;
                }
                let merged = match document.get_mut(&key).map(Value::take) {
                    None | Some(Value::Null) => without_nulls(value),
                    Some(current) => merge(current, value),
                };
                document.insert(key, merged);
            }
            Value::Object(document)
        }
        // A list that takes an object's place is taken as it is.
        (Value::Object(_), patch) => patch,
        (_, patch) => without_nulls(patch),
    }
}

/// Removes fields that are null, in lists too, where null items stay.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
