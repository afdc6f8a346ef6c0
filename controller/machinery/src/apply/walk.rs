//! The fields that a value has, and a value without some of them.

use std::collections::BTreeSet;

use horizon_planner::schema::ListType;
use serde_json::{Map, Value};

use super::shape::{Atom, ListAtom, MapAtom, Shape};
use crate::managed::{fields::FieldSet, step::Step};

/// Returns the fields of a value, which whoever applied it owns.
pub(crate) fn fields_of(shape: Shape<'_>, value: &Value) -> FieldSet {
    collect(shape, value).1
}

/// Returns whether a value is a field of its own, and the fields below it.
fn collect(shape: Shape<'_>, value: &Value) -> (bool, FieldSet) {
    match (shape.atom(Some(value)), value) {
        (Atom::Scalar(_), _) => (true, FieldSet::default()),
        (Atom::Map(map), _) if map.is_atomic => (true, FieldSet::default()),
        (Atom::List(list), _) if list.kind == ListType::Atomic => (true, FieldSet::default()),
        (Atom::Map(map), Value::Object(fields)) => (false, collect_map(map, fields)),
        (Atom::List(list), Value::Array(items)) => (false, collect_list(list, items)),
        (Atom::Map(_) | Atom::List(_), _) => (false, FieldSet::default()),
    }
}

fn collect_map(map: MapAtom<'_>, fields: &Map<String, Value>) -> FieldSet {
    let mut set = FieldSet::default();
    for (name, value) in fields {
        let (is_field, below) = map.field(name).map(|shape| collect(shape, value)).unwrap_or_default();
        let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        set.put(Step::field(name), is_field || is_empty || !map.has_field(name), below);
    }
    set
}

fn collect_list(list: ListAtom<'_>, items: &[Value]) -> FieldSet {
    let steps: Vec<Option<Step>> = items.iter().map(|item| list.step(item).ok()).collect();
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for step in steps.iter().flatten() {
        if !seen.insert(step) {
            twice.insert(step);
        }
    }
    let mut set = FieldSet::default();
    for (item, step) in items.iter().zip(&steps) {
        let Some(step) = step else { continue };
        // Items with one key are one piece together.
        let is_piece = twice.contains(step);
        let below = if is_piece { FieldSet::default() } else { collect(list.items, item).1 };
        set.put(step.clone(), true, below);
    }
    set
}

/// Returns a value without some fields; what becomes empty becomes null.
pub(crate) fn without(shape: Shape<'_>, value: &Value, gone: &FieldSet) -> Value {
    match (shape.atom(Some(value)), value) {
        (Atom::Scalar(_), _) => value.clone(),
        (Atom::List(list), Value::Array(items)) if list.kind != ListType::Atomic => {
            let kept: Vec<Value> = items.iter().filter_map(|item| kept_item(list, item, gone)).collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Atom::Map(map), Value::Object(fields)) if !map.is_atomic => {
            let mut kept = Map::new();
            for (name, value) in fields {
                let step = Step::field(name);
                if gone.has(&step) {
                    continue;
                }
                let value = match (gone.below(&step), map.field(name)) {
                    (Some(gone), Some(shape)) => without(shape, value, gone),
                    (None, _) | (_, None) => value.clone(),
                };
                kept.insert(name.clone(), value);
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (Atom::List(_) | Atom::Map(_), _) => Value::Null,
    }
}

fn kept_item(list: ListAtom<'_>, item: &Value, gone: &FieldSet) -> Option<Value> {
    let Ok(step) = list.step(item) else { return Some(item.clone()) };
    if gone.has(&step) {
        return None;
    }
    Some(gone.below(&step).map_or_else(|| item.clone(), |gone| without(list.items, item, gone)))
}
