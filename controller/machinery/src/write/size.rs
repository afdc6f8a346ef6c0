//! How large and how deep an object may be that is stored. A body is bounded, but patches and applies add to what is
//! there: labels, finalizers, owners of fields, which may be anything that a client writes.

use std::{fmt::Write, io};

use serde_json::Value;

use super::change;
use crate::{
    field_cause,
    refusal::{Causes, Refusal},
    told,
};

/// The largest object that is stored, as JSON, in bytes: what etcd takes from an API server (its `--max-request-bytes`).
pub const OBJECT_BYTES_MAX: usize = 1_572_864;

/// The most levels of lists and objects in an object that is stored, its own counted. No field of ours needs ten; a
/// reader of JSON refuses 128, and lists, events and what else is written around an object need some of them.
pub const LEVELS_MAX: usize = 100;

/// Checks that an object may be stored.
///
/// # Errors
/// 413 for one that is larger than [`OBJECT_BYTES_MAX`], 422 with the path for one of more than [`LEVELS_MAX`] levels.
pub(super) fn check(object: &Value) -> Result<(), Refusal> {
    if let Some(cause) = too_deep(object, LEVELS_MAX) {
        let why = format!("must nest at most {LEVELS_MAX} levels deep within its object; keep it flatter");
        let mut causes = Causes::default();
        causes.push(field_cause::invalid(told::path([cause.path]), cause.kind, &why));
        return Err(change::invalid(object, causes));
    }
    // A value is always JSON: what fails is the room.
    serde_json::to_writer(Room(OBJECT_BYTES_MAX), object).map_err(|_| {
        Refusal::too_large(format!(
            "Request entity too large: limit is {OBJECT_BYTES_MAX} bytes for a stored object as JSON, with \
             metadata.managedFields; take something out of it, or write under fewer field managers"
        ))
    })
}

/// What is nested too deeply.
struct TooDeep {
    path: String,
    kind: &'static str,
}

/// Finds the first list or object below more levels than that.
fn too_deep(value: &Value, levels: usize) -> Option<TooDeep> {
    fn find(value: &Value, levels: usize, path: &mut String) -> Option<&'static str> {
        let length = path.len();
        match value {
            Value::Object(_) if levels == 0 => Some("object"),
            Value::Array(_) if levels == 0 => Some("array"),
            Value::Object(fields) => fields.iter().find_map(|(name, value)| {
                path.truncate(length);
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                find(value, levels - 1, path)
            }),
            Value::Array(items) => items.iter().enumerate().find_map(|(index, value)| {
                path.truncate(length);
                // Writing to a String cannot fail.
                let _ = write!(path, "[{index}]");
                find(value, levels - 1, path)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }
    let mut path = String::new();
    find(value, levels, &mut path).map(|kind| TooDeep { path, kind })
}

/// Takes bytes until their count is used up, and forgets them.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_measured_to_the_byte() {
        let frame = json!({"a": ""}).to_string().len();
        let of = |bytes: usize| json!({"a": "x".repeat(bytes - frame)});

        assert_eq!(check(&of(OBJECT_BYTES_MAX)), Ok(()));
        assert_eq!(check(&of(OBJECT_BYTES_MAX + 1)).unwrap_err().code, 413);
    }

    #[test]
    fn an_object_nests_a_hundred_levels_and_no_more() {
        let nested = |levels: usize, inmost: Value| (1..levels).fold(inmost, |value, _| json!({"a": value}));
        let of = |levels: usize, inmost: Value| json!({"b": ["", [nested(levels - 2, inmost)]], "c": {}});

        for inmost in [json!({}), json!([]), json!({"a": null, "b": 1})] {
            assert_eq!(check(&of(LEVELS_MAX - 1, inmost.clone())), Ok(()));
            assert_eq!(check(&of(LEVELS_MAX, inmost)).unwrap_err().code, 422);
        }
        let refusal = check(&of(LEVELS_MAX, json!([]))).unwrap_err();
        let path = format!("b[1][0]{}", ".a".repeat(LEVELS_MAX - 3));
        let why =
            "Invalid value: \"array\": must nest at most 100 levels deep within its object; keep it flatter";
        assert_eq!((&refusal.causes()[0].field, refusal.causes()[0].message.as_str()), (&path, why));
    }
}
