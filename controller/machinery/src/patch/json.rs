//! JSON patch (RFC 6902), bounded: at most so many operations, copied bytes, moved items and levels.
//!
//! Ours rather than a library's, because the API server departs from the RFC in places that clients rely on, and
//! because a patch of copies grows a document by powers of two, wider or deeper, where nobody counts.

use serde_json::{Map, Value};

use super::{Reading, does_not_apply};
use crate::{gotext, refusal::Refusal, told};

/// What the API server takes.
const OPERATIONS_MAX: usize = 10_000;
/// What the API server lets operations copy in all, in bytes of JSON.
const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Items that inserting and removing may move in all, counted with the values that are looked at to see how deep
/// they are: about a third of a second.
const MOVED_ITEMS_MAX: usize = 50_000_000;
/// Levels of a document, the innermost value counted: what the parser of JSON reads. Whatever is deeper could be
/// written but not be read again, and all that walks a value would use up its stack.
const LEVELS_MAX: usize = 128;
/// How many unknown fields are told.
const UNKNOWN_MAX: usize = 100;
const FIELDS: [&str; 4] = ["op", "path", "from", "value"];

type Operation = Map<String, Value>;

/// Returns the operations of a patch; null is none.
pub(super) fn operations(patch: &Value, reading: Reading) -> Result<Vec<&Operation>, Refusal> {
    let bad = |what: &Value, into: [&str; 2]| {
        let found = gotext::kind(what);
        Refusal::bad_request(match reading {
            Reading::Strict => {
                format!("error decoding patch: json: cannot unmarshal {found} into Go {}", into[0])
            }
            Reading::Lenient => format!("json: cannot unmarshal {found} into Go {}", into[1]),
        })
    };
    let items = match patch {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err(bad(
                patch,
                ["value of type []handlers.jsonPatchOp", "value of type jsonpatch.Patch"],
            ));
        }
    };
    let mut operations = vec![];
    for item in items {
        let Value::Object(operation) = item else {
            return Err(bad(
                item,
                ["value of type handlers.jsonPatchOp", "value of type jsonpatch.Operation"],
            ));
        };
        for name in ["op", "path", "from"] {
            if let Some(value) = operation.get(name)
                && reading == Reading::Strict
                && !value.is_string()
                && !value.is_null()
            {
                return Err(bad(value, [&format!("struct field jsonPatchOp.{name} of type string"), ""]));
            }
        }
        operations.push(operation);
    }
    if operations.len() > OPERATIONS_MAX {
        let found = operations.len();
        return Err(Refusal::too_large(format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {found}"
        )));
    }
    Ok(operations)
}

/// Returns what nobody knows in the operations.
pub(super) fn unknown_fields(operations: &[&Operation]) -> Vec<String> {
    let unknown = operations.iter().enumerate().flat_map(|(index, operation)| {
        let names = operation.keys().filter(|name| !FIELDS.contains(&name.as_str()));
        names.map(move |name| format!("json patch unknown field \"[{index}].{name}\""))
    });
    unknown.take(UNKNOWN_MAX).collect()
}

/// Applies operations one after the other.
pub(super) fn apply(document: Value, operations: &[&Operation]) -> Result<Value, Refusal> {
    let mut target = Target { document, copied_bytes: 0, moved_items: 0 };
    for (index, operation) in operations.iter().enumerate() {
        target.apply(operation).map_err(|why| does_not_apply(index, &why))?;
    }
    Ok(target.document)
}

struct Target {
    document: Value,
    copied_bytes: usize,
    moved_items: usize,
}

impl Target {
    fn apply(&mut self, operation: &Operation) -> Result<(), String> {
        let text = |name: &str| operation.get(name).and_then(Value::as_str);
        let path = || text("path").ok_or("has no path; add `path`");
        let from = || text("from").ok_or("has no source; add `from`");
        let value = || operation.get("value").cloned().unwrap_or(Value::Null);
        match text("op").unwrap_or_default() {
            "add" => self.add(path()?, value()),
            "remove" => self.remove(path()?).map(|_| ()),
            "replace" => self.replace(path()?, value()),
            "move" => self.shift(from()?, path()?),
            "copy" => self.copy(from()?, path()?),
            "test" => self.test(path()?, operation.get("value")),
            other => {
                let other = told::path([other]);
                Err(format!("`{other}` is no operation; write add, remove, replace, move, copy or test"))
            }
        }
    }

    fn add(&mut self, path: &str, value: Value) -> Result<(), String> {
        fits(path, &value, &mut self.moved_items)?;
        self.insert(path, value)
    }

    fn shift(&mut self, from: &str, path: &str) -> Result<(), String> {
        let moved = self.remove(from)?;
        // What is moved to a place no deeper than its own fits there.
        if levels_above(path) > levels_above(from) {
            fits(path, &moved, &mut self.moved_items)?;
        }
        self.insert(path, moved)
    }

    fn copy(&mut self, from: &str, path: &str) -> Result<(), String> {
        let source = find(&self.document, from)?.unwrap_or(&Value::Null);
        self.copied_bytes = self.copied_bytes.saturating_add(source.to_string().len());
        if self.copied_bytes > COPIED_BYTES_MAX {
            return Err(format!("copies more than {COPIED_BYTES_MAX} bytes in all; split the patch"));
        }
        fits(path, source, &mut self.moved_items)?;
        let copied = source.clone();
        self.insert(path, copied)
    }

    fn insert(&mut self, path: &str, value: Value) -> Result<(), String> {
        let (parent, key) = find_mut(&mut self.document, path)?;
        match parent {
            Parent::Object(fields) => {
                fields.insert(key, value);
            }
            Parent::List(items) => {
                let index = if key == "-" { items.len() } else { position(&key, items.len() + 1)? };
                self.moved_items += items.len() - index;
                bounded(self.moved_items)?;
                items.insert(index, value);
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<Value, String> {
        let (parent, key) = find_mut(&mut self.document, path)?;
        match parent {
            Parent::Object(fields) => fields
                .remove(&key)
                .ok_or_else(|| format!("there is no `{}` at {}", told::path([&key]), told::path([path]))),
            Parent::List(items) => {
                let index = position(&key, items.len())?;
                self.moved_items += items.len() - index;
                bounded(self.moved_items)?;
                Ok(items.remove(index))
            }
        }
    }

    fn replace(&mut self, path: &str, value: Value) -> Result<(), String> {
        fits(path, &value, &mut self.moved_items)?;
        if path.is_empty() {
            if !value.is_object() && !value.is_array() {
                return Err("the whole document can be replaced by an object only".to_owned());
            }
            self.document = value;
            return Ok(());
        }
        let (parent, key) = find_mut(&mut self.document, path)?;
        match parent {
            Parent::Object(fields) => {
                fields.insert(key, value);
            }
            Parent::List(items) => {
                let index = position(&key, items.len())?;
                items[index] = value;
            }
        }
        Ok(())
    }

    fn test(&self, path: &str, value: Option<&Value>) -> Result<(), String> {
        let found = if path.is_empty() { Some(&self.document) } else { find(&self.document, path)? };
        // What is not there is null.
        let is_equal = found.unwrap_or(&Value::Null) == value.unwrap_or(&Value::Null);
        if is_equal { Ok(()) } else { Err(format!("the value at {} is another", told::path([path]))) }
    }
}

/// What an operation works in.
enum Parent<'d> {
    Object(&'d mut Map<String, Value>),
    List(&'d mut Vec<Value>),
}

/// Returns the value at a path; `None` for a field that an object does not have.
fn find<'d>(document: &'d Value, path: &str) -> Result<Option<&'d Value>, String> {
    let (parents, key) = split(path)?;
    let mut node = document;
    for parent in parents {
        node = child(node, &parent).filter(|child| !child.is_null()).ok_or_else(|| missing(path))?;
    }
    match node {
        Value::Object(fields) => Ok(fields.get(&key)),
        Value::Array(items) => Ok(items.get(position(&key, items.len())?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(missing(path)),
    }
}

fn find_mut<'d>(document: &'d mut Value, path: &str) -> Result<(Parent<'d>, String), String> {
    let (parents, key) = split(path)?;
    let mut node = document;
    for parent in parents {
        let next = match node {
            Value::Object(fields) => fields.get_mut(&parent),
            Value::Array(items) => position(&parent, items.len()).ok().and_then(|index| items.get_mut(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        node = next.ok_or_else(|| missing(path))?;
    }
    match node {
        Value::Object(fields) => Ok((Parent::Object(fields), key)),
        Value::Array(items) => Ok((Parent::List(items), key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(missing(path)),
    }
}

fn child<'d>(node: &'d Value, key: &str) -> Option<&'d Value> {
    match node {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(position(key, items.len()).ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn missing(path: &str) -> String {
    format!("the document has no {}", told::path([path]))
}

fn bounded(moved_items: usize) -> Result<(), String> {
    if moved_items <= MOVED_ITEMS_MAX {
        return Ok(());
    }
    Err("moves too many items of long lists; replace the list as a whole".to_owned())
}

/// Checks that a value at a path nests no deeper than a document may. The values looked at are counted as moved.
fn fits(path: &str, value: &Value, moved_items: &mut usize) -> Result<(), String> {
    let too_deep = || {
        let path = told::path([path]);
        format!("the result nests deeper than {LEVELS_MAX} levels; keep what is at {path} flatter")
    };
    let left = LEVELS_MAX.checked_sub(levels_above(path)).ok_or_else(too_deep)?;
    if is_within(left, value, moved_items) {
        return Ok(());
    }
    if *moved_items > MOVED_ITEMS_MAX {
        return Err("moves too many values; split the patch".to_owned());
    }
    Err(too_deep())
}

/// Says whether a value has no more levels than that, one for what an empty list or object could hold; false too
/// where more was looked at than may be.
fn is_within(levels: usize, value: &Value, moved_items: &mut usize) -> bool {
    *moved_items += 1;
    if levels == 0 || *moved_items > MOVED_ITEMS_MAX {
        return false;
    }
    let below = |value: &Value| is_within(levels - 1, value, moved_items);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) if items.is_empty() => levels > 1,
        Value::Object(fields) if fields.is_empty() => levels > 1,
        Value::Array(items) => items.iter().all(below),
        Value::Object(fields) => fields.values().all(below),
    }
}

/// Returns how many lists and objects are around what is at a JSON pointer.
fn levels_above(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// Returns the parents and the last part of a JSON pointer (RFC 6901).
fn split(path: &str) -> Result<(Vec<String>, String), String> {
    let parts = path.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut parts: Vec<String> = parts.collect();
    let key = parts.pop().ok_or_else(|| {
        let path = told::path([path]);
        format!("`{path}` is no place in a document; begin with `/`")
    })?;
    Ok((parts, key))
}

/// Returns the place of an index in a list; below zero it counts from the end.
fn position(key: &str, length: usize) -> Result<usize, String> {
    let index: i64 = key.parse().map_err(|_| {
        let key = told::path([key]);
        format!("`{key}` is no index of a list; write a number")
    })?;
    let place = if index < 0 { i64::try_from(length).unwrap_or(i64::MAX) + index } else { index };
    let place = usize::try_from(place).ok().filter(|place| *place < length);
    place.ok_or_else(|| format!("the list has no item {index}"))
}
