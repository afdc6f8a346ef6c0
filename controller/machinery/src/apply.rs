//! Server-side apply (KEP-555): who owns which field after a write, and what an applied configuration does to an
//! object.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    apply::{
        check::{Duplicates, check},
        compare::{Difference, compare, is_same},
        merge::merge,
        shape::Shape,
        walk::{fields_of, without},
    },
    managed::{ManagedFields, Operation, Owner, Who, fields::FieldSet, step::Step},
};

mod check;
mod compare;
pub(crate) mod conflict;
mod last_applied;
mod merge;
mod reconcile;
pub(crate) mod shape;
mod walk;

pub(crate) use conflict::Conflict;

/// What a write is told about its object and its writer.
#[derive(Clone, Debug)]
pub(crate) struct Writer<'s> {
    /// The shape of the whole object.
    pub shape: Shape<'s>,
    pub who: Who,
    /// Fields that this write cannot change, such as `status` in a write of the object itself.
    pub ignored: FieldSet,
    pub now: Timestamp,
}

/// Why a configuration is not applied.
#[derive(Debug)]
pub(crate) enum NotApplied {
    /// Others own fields that it would change.
    Conflicts(Vec<Conflict>),
    /// It does not fit the schema.
    Unfit(String),
    /// The live object does not fit the schema.
    LiveUnfit(String),
}

/// An object after an apply, without `metadata.managedFields`.
#[derive(Debug)]
pub(crate) struct Applied {
    pub object: Value,
    pub managed: ManagedFields,
}

/// Returns the owners after an update (create, replace or patch) from `live` to `new`; `None` where nobody can be
/// told, because the object does not fit its schema: validation will refuse it.
///
/// Nobody is recorded for an object that has lost its owners, until it is applied to.
pub(crate) fn update(
    writer: &Writer<'_>,
    live: &Value,
    new: &Value,
    managed: ManagedFields,
) -> Option<ManagedFields> {
    let exists = live.pointer("/metadata/uid").and_then(Value::as_str).is_some_and(|uid| !uid.is_empty());
    if managed.is_empty() && exists {
        return Some(managed);
    }
    for object in [new, live] {
        check(writer.shape, object, Duplicates::Allowed).ok()?;
    }
    Some(track(writer, live, new, managed))
}

/// Takes what changed from its owners and gives it to the writer.
fn track(writer: &Writer<'_>, live: &Value, new: &Value, managed: ManagedFields) -> ManagedFields {
    let mut managed = reconcile::with_schema(writer.shape, managed, &writer.who.api_version);
    let difference = compare(writer.shape, live, new).without(&writer.ignored);
    take(&mut managed, &difference, None);
    let Difference { modified, added, .. } = difference;
    let taken = modified.union(&added).recursive_difference(&writer.ignored).difference(&stripped());
    if !taken.is_empty() {
        let owners = managed.owners_mut();
        let previous = owners.remove(&writer.who.identifier()).map(|owner| owner.fields).unwrap_or_default();
        let owner = Owner { who: writer.who.clone(), time: Some(writer.now), fields: taken.union(&previous) };
        owners.insert(owner.who.identifier(), owner);
    }
    managed.cap_updaters();
    managed
}

/// Removes what a change touched from everybody's fields but those of `except`.
fn take(managed: &mut ManagedFields, difference: &Difference, except: Option<&str>) {
    let touched = difference.modified.clone().union(&difference.added);
    for (identifier, owner) in managed.owners_mut() {
        if except == Some(identifier) {
            continue;
        }
        let lost = owner.fields.intersection(&touched);
        owner.fields = std::mem::take(&mut owner.fields).difference(&lost).difference(&difference.removed);
    }
    managed.drop_empty();
}

/// Applies a configuration to an object, or to what an object has before it is made: `apiVersion` and `kind`.
///
/// # Errors
/// The configuration does not fit, or others own what it would change and it is not forced.
pub(crate) fn apply(
    writer: &Writer<'_>,
    live: &Value,
    config: &Value,
    managed: ManagedFields,
    force: bool,
) -> Result<Applied, NotApplied> {
    let managed = first_owners(writer, live, managed)?;
    let result = apply_over(writer, live, config, managed.clone(), force);
    let applied = match result {
        Err(NotApplied::Conflicts(conflicts)) if last_applied::is_kubectl(&writer.who) => {
            let conflicts = last_applied::without_own(writer, live, conflicts);
            if conflicts.is_empty() {
                apply_over(writer, live, config, managed, true)?
            } else {
                return Err(NotApplied::Conflicts(conflicts));
            }
        }
        other => other?,
    };
    Ok(last_applied::kept_in_step(writer, config, applied))
}

/// Returns the owners; an object that lost its owners is owned as a whole by who wrote before the first apply.
fn first_owners(
    writer: &Writer<'_>,
    live: &Value,
    managed: ManagedFields,
) -> Result<ManagedFields, NotApplied> {
    if !managed.is_empty() {
        return Ok(managed);
    }
    check(writer.shape, live, Duplicates::Allowed).map_err(NotApplied::LiveUnfit)?;
    let who =
        Who { operation: Operation::Update, manager: "before-first-apply".to_owned(), ..writer.who.clone() };
    let before = Writer { who, ..writer.clone() };
    let empty = serde_json::json!({"apiVersion": live.get("apiVersion"), "kind": live.get("kind")});
    Ok(track(&before, &empty, live, managed))
}

fn apply_over(
    writer: &Writer<'_>,
    live: &Value,
    config: &Value,
    managed: ManagedFields,
    force: bool,
) -> Result<Applied, NotApplied> {
    let shape = writer.shape;
    check(shape, config, Duplicates::Refused).map_err(NotApplied::Unfit)?;
    check(shape, live, Duplicates::Allowed).map_err(NotApplied::LiveUnfit)?;
    let mut managed = reconcile::with_schema(shape, managed, &writer.who.api_version);
    let merged = merge(shape, Some(live), Some(config)).unwrap_or(Value::Null);

    let identifier = writer.who.identifier();
    let previous = managed.owners_mut().remove(&identifier);
    let fields = fields_of(shape, config).recursive_difference(&writer.ignored);
    let time = previous.as_ref().and_then(|owner| owner.time);
    managed.owners_mut().insert(identifier.clone(), Owner { who: writer.who.clone(), time, fields });

    let last = previous.map(|owner| owner.fields).unwrap_or_default();
    let mut object = if last.is_empty() { merged } else { pruned(shape, &merged, &managed, &last) };
    let difference = compare(shape, live, &object).without(&writer.ignored);
    let conflicts = conflict::find(&managed, &difference, &identifier);
    if !force && !conflicts.is_empty() {
        return Err(NotApplied::Conflicts(conflicts));
    }
    take(&mut managed, &difference, Some(&identifier));

    let owners = managed.owners_mut();
    if let Some(mut owner) = owners.remove(&identifier) {
        owner.fields = owner.fields.difference(&stripped());
        // What changes nothing moves no time.
        if !is_same(live, &object) {
            owner.time = Some(writer.now);
        }
        if !owner.fields.is_empty() {
            owners.insert(identifier, owner);
        }
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Ok(Applied { object, managed })
}

/// Removes what the applier owned and no longer states, unless somebody else owns it or something in it.
fn pruned(shape: Shape<'_>, merged: &Value, managed: &ManagedFields, last: &FieldSet) -> Value {
    let last = shape.with_named(last);
    let all = shape.with_named(&fields_of(shape, merged));
    let cut = without(shape, merged, &last);

    let owned = managed.iter().fold(FieldSet::default(), |owned, (_, owner)| owned.union(&owner.fields));
    let kept = shape.with_named(&fields_of(shape, &cut)).union(&shape.with_named(&owned));
    let with_owned = without(shape, merged, &all.clone().difference(&kept));

    // What nobody owns and hung below a removed field stays if the applier never owned it.
    let kept = shape.with_named(&fields_of(shape, &with_owned));
    without(shape, merged, &all.difference(&kept).intersection(&last))
}

/// Returns the fields that nobody owns: what an object is called, and what only the server writes.
fn stripped() -> FieldSet {
    let mut set = FieldSet::default();
    for name in ["apiVersion", "kind", "metadata"] {
        set.insert(&[Step::field(name)]);
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        set.insert(&[Step::field("metadata"), Step::field(name)]);
    }
    set
}

/// Returns a set with one field at the top, such as `status`.
pub(crate) fn top_field(name: &str) -> FieldSet {
    let mut set = FieldSet::default();
    set.insert(&[Step::field(name)]);
    set
}

#[cfg(test)]
mod tests;
