//! The fields that a value has, and a value without some of them.

use std::collections::BTreeSet;

use horizon_planner::schema::ListType;
use serde_json::{Map, Value};

use super::shape::{Atom, ListAtom, MapAtom, Shape};
use crate::managed::{fields::FieldSet, step::Step};

/// Returns the fields of a value, which whoever applied it owns.
pub(crate) fn fields_of(shape: Shape<'_>, value: &Value) -> FieldSet {
    let mut collect = Collect { path: vec![], set: FieldSet::default() };
    collect.value(shape, value);
    collect.set
}

struct Collect {
    path: Vec<Step>,
    set: FieldSet,
}

impl Collect {
    fn value(&mut self, shape: Shape<'_>, value: &Value) {
        match shape.atom(Some(value)) {
            Atom::Scalar(_) => self.set.insert(&self.path),
            Atom::Map(map) if map.is_atomic => self.set.insert(&self.path),
            Atom::Map(map) => self.map(map, value),
            Atom::List(list) if list.kind == ListType::Atomic => self.set.insert(&self.path),
            Atom::List(list) => self.list(list, value),
        }
    }

    fn map(&mut self, map: MapAtom<'_>, value: &Value) {
        let Value::Object(fields) = value else { return };
        for (name, value) in fields {
            self.path.push(Step::field(name));
            if let Some(shape) = map.field(name) {
                self.value(shape, value);
            }
            let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            if is_empty || !map.has_field(name) {
                self.set.insert(&self.path);
            }
            self.path.pop();
        }
    }

    fn list(&mut self, list: ListAtom<'_>, value: &Value) {
        let Value::Array(items) = value else { return };
        let steps: Vec<Option<Step>> = items.iter().map(|item| list.step(item).ok()).collect();
        let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
        for step in steps.iter().flatten() {
            if !seen.insert(step) {
                twice.insert(step);
            }
        }
        for (item, step) in items.iter().zip(&steps) {
            let Some(step) = step else { continue };
            self.path.push(step.clone());
            // Items with one key are one piece together.
            if !twice.contains(step) {
                self.value(list.items, item);
            }
            self.set.insert(&self.path);
            self.path.pop();
        }
    }
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
