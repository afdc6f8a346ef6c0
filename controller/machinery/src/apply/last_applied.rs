//! The way from client-side to server-side `kubectl apply`: its annotation counts as ownership, and is kept in step.

use serde_json::{Map, Value};

use super::{Applied, Conflict, Writer, compare::compare, walk::fields_of};
use crate::{
    apply::check::{Duplicates, check},
    gotext,
    managed::{Who, fields::FieldSet},
};

/// Where client-side `kubectl apply` keeps what it applied last.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations of an object may not be larger, in bytes.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// Says whether the writer is `kubectl apply --server-side` without a name of its own.
pub(crate) fn is_kubectl(who: &Who) -> bool {
    who.manager == "kubectl"
}

/// Returns the conflicts about fields that `kubectl` did not apply from the client's side before.
pub(crate) fn without_own(writer: &Writer<'_>, live: &Value, conflicts: Vec<Conflict>) -> Vec<Conflict> {
    let Some(own) = own_fields(writer, live) else { return conflicts };
    conflicts.into_iter().filter(|conflict| !own.contains(&conflict.path)).collect()
}

/// Returns the fields in the annotation that the live object still has as they were applied.
fn own_fields(writer: &Writer<'_>, live: &Value) -> Option<FieldSet> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if last.get("apiVersion").and_then(Value::as_str) != Some(&writer.who.api_version) {
        return None;
    }
    check(writer.shape, &last, Duplicates::Refused).ok()?;
    check(writer.shape, live, Duplicates::Refused).ok()?;
    let difference = compare(writer.shape, &last, live);
    let fields = fields_of(writer.shape, &last);
    Some(
        fields.difference(&difference.modified).difference(&difference.added).difference(&difference.removed),
    )
}

/// Writes what `kubectl` applies from the server's side into the annotation too, if the object has it.
pub(crate) fn kept_in_step(writer: &Writer<'_>, config: &Value, mut applied: Applied) -> Applied {
    if !is_kubectl(&writer.who) || annotation(&applied.object).is_none() {
        return applied;
    }
    let mut config = config.clone();
    if let Some(annotations) = annotations_mut(&mut config) {
        annotations.remove(ANNOTATION);
    }
    if let Some(annotations) = annotations_mut(&mut applied.object) {
        annotations.insert(ANNOTATION.to_owned(), format!("{}\n", gotext::json(&config)).into());
        let bytes: usize =
            annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
        if bytes > ANNOTATIONS_BYTES_MAX {
            annotations.remove(ANNOTATION);
        }
    }
    applied
}

fn annotation(object: &Value) -> Option<&str> {
    let text = object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

fn annotations_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()
}
