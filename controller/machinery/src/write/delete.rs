//! The decision of one delete: the object goes, or it waits for its finalizers.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    decode::metadata_mut,
    rules::{self, FOREGROUND, ORPHAN},
};
use crate::{
    definition::{Definition, built_in::BuiltIn},
    managed::time_text,
    parameters::delete::{Delete, Propagation},
    refusal::{About, Refusal},
    resource::Resource,
    stored::Named,
};

/// One delete.
#[derive(Clone, Copy, Debug)]
pub struct Deletion<'r> {
    pub definition: &'r Definition,
    pub name: &'r str,
    /// What goes with it. A dry run is decided like any other: it is the caller who stores nothing.
    pub options: &'r Delete,
    /// Whether somebody collects what deleted objects owned. If nobody does, nothing waits for it.
    pub is_garbage_collected: bool,
    pub now: Timestamp,
}

/// What a delete comes to.
#[derive(Clone, PartialEq)]
pub enum Deleted {
    /// The object goes.
    Gone(Value),
    /// The object is marked and waits for its finalizers.
    Marked(Value),
    /// The object was marked before; nothing changes.
    Waiting(Value),
}

impl fmt::Debug for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, object) = match self {
            Self::Gone(object) => ("Gone", object),
            Self::Marked(object) => ("Marked", object),
            Self::Waiting(object) => ("Waiting", object),
        };
        f.debug_tuple(name).field(&Named(object)).finish()
    }
}

/// Decides a delete, given the object that is stored, if any.
///
/// # Errors
/// 404 if there is no object, 409 if it is another than was meant.
pub fn delete(deletion: &Deletion<'_>, stored: Option<&Value>) -> Result<Deleted, Refusal> {
    let definition = deletion.definition;
    let stored = stored.ok_or_else(|| Refusal::not_found(definition.about(deletion.name)))?;
    check_preconditions(deletion, stored)?;
    let mut object = stored.clone();
    let Some(metadata) = metadata_mut(&mut object) else { return Ok(Deleted::Gone(object)) };
    let finalizers = rules::finalizers(metadata);
    let kept = if deletion.is_garbage_collected {
        with_collection(&finalizers, deletion)
    } else {
        finalizers.clone()
    };
    let is_namespace = definition.built_in() == Some(BuiltIn::Namespace);
    // A namespace ends when what is in it has.
    let waits = is_namespace
        && stored.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if kept.is_empty() && !waits {
        return Ok(Deleted::Gone(stored.clone()));
    }
    if kept != finalizers {
        metadata.insert("finalizers".to_owned(), json!(kept));
    }
    let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or(0);
    let due = metadata.get("deletionTimestamp").and_then(Value::as_str).and_then(|time| time.parse().ok());
    if due.is_none() && generation > 0 {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
    if due.is_none_or(|due: Timestamp| due > deletion.now) {
        metadata.insert("deletionTimestamp".to_owned(), json!(time_text(deletion.now)));
    }
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    if is_namespace {
        object["status"]["phase"] = "Terminating".into();
    }
    Ok(if object == *stored { Deleted::Waiting(object) } else { Deleted::Marked(object) })
}

fn check_preconditions(deletion: &Deletion<'_>, stored: &Value) -> Result<(), Refusal> {
    let Resource { group, kind, .. } = &deletion.definition.resource;
    let about = About { group, kind, name: deletion.name };
    let Delete { uid, resource_version, .. } = deletion.options;
    for (name, field, wanted, what) in [
        ("UID", "uid", uid, "deleted and then recreated"),
        ("ResourceVersion", "resourceVersion", resource_version, "modified"),
    ] {
        let found = rules::text(stored.get("metadata").and_then(|metadata| metadata.get(field)));
        if let Some(wanted) = wanted
            && *wanted != found
        {
            let why = format!(
                "the {name} in the precondition ({wanted}) does not match the {name} in record ({found}). The object might \
                 have been {what}"
            );
            return Err(Refusal::conflict(about, why));
        }
    }
    Ok(())
}

/// Returns the finalizers with those that make the collector act; what the delete asks for outweighs what is there.
fn with_collection(finalizers: &[String], deletion: &Deletion<'_>) -> Vec<String> {
    let asked = match deletion.options.propagation {
        Some(propagation) => Some(propagation),
        None => finalizers.iter().find_map(|name| match name.as_str() {
            ORPHAN => Some(Propagation::Orphan),
            FOREGROUND => Some(Propagation::Foreground),
            _ => None,
        }),
    };
    let added = match asked {
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Background) | None => None,
    };
    let others = finalizers.iter().filter(|name| ![ORPHAN, FOREGROUND].contains(&name.as_str())).cloned();
    let kept: Vec<String> = others.chain(added.map(str::to_owned)).collect();
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    // Where only the order differs, it stays.
    if sorted(&kept) == sorted(finalizers) { finalizers.to_vec() } else { kept }
}
