//! What differs between two objects, field by field.

use std::collections::BTreeMap;

use horizon_planner::schema::ListType;
use serde_json::{Map, Value};

use super::shape::{Atom, ListAtom, MapAtom, Shape};
use crate::managed::{fields::FieldSet, step::Step};

/// The fields that a change touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difference {
    pub removed: FieldSet,
    pub modified: FieldSet,
    pub added: FieldSet,
}

impl Difference {
    /// Leaves out fields that the write cannot change, with all that is below them.
    pub(crate) fn without(self, ignored: &FieldSet) -> Self {
        Self {
            removed: self.removed.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            added: self.added.recursive_difference(ignored),
        }
    }
}

/// Compares two objects.
pub(crate) fn compare(shape: Shape<'_>, old: &Value, new: &Value) -> Difference {
    let mut compare = Compare::default();
    compare.values(shape, Some(old), Some(new));
    compare.difference
}

#[derive(Default)]
struct Compare {
    path: Vec<Step>,
    difference: Difference,
}

/// Whether a value was compared as one piece.
#[derive(PartialEq, Eq)]
enum Piece {
    Whole,
    Parts,
}

impl Compare {
    fn values(&mut self, shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) {
        let (ours, theirs) = (shape.atom(old), shape.atom(new));
        let piece = match (old, new) {
            (_, None) => self.atom(ours, old, new),
            (None, Some(_)) => self.atom(theirs, old, new),
            (Some(_), Some(_)) if ours.is_like(&theirs) => self.atom(theirs, old, new),
            (Some(_), Some(_)) => {
                self.atom(ours, old, new);
                self.atom(theirs, old, new)
            }
        };
        if piece == Piece::Parts {
            match (old, new) {
                (None, _) => self.difference.added.insert(&self.path),
                (Some(_), None) => self.difference.removed.insert(&self.path),
                (Some(_), Some(_)) => {}
            }
        }
    }

    fn atom(&mut self, atom: Atom<'_>, old: Option<&Value>, new: Option<&Value>) -> Piece {
        match atom {
            Atom::Scalar(_) => self.whole(old, new),
            Atom::Map(map) => self.maps(map, old, new),
            Atom::List(list) => self.lists(list, old, new),
        }
    }

    fn whole(&mut self, old: Option<&Value>, new: Option<&Value>) -> Piece {
        match (old, new) {
            (None, _) => self.difference.added.insert(&self.path),
            (Some(_), None) => self.difference.removed.insert(&self.path),
            (Some(old), Some(new)) if !is_same(old, new) => self.difference.modified.insert(&self.path),
            (Some(_), Some(_)) => {}
        }
        Piece::Whole
    }

    fn maps(&mut self, map: MapAtom<'_>, old: Option<&Value>, new: Option<&Value>) -> Piece {
        let (ours, theirs) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        let is_empty = |fields: Option<&Map<String, Value>>| fields.is_none_or(Map::is_empty);
        if map.is_atomic || (is_empty(ours) && is_empty(theirs)) {
            return self.whole(old, new);
        }
        let empty = Map::new();
        let (ours, theirs) = (ours.unwrap_or(&empty), theirs.unwrap_or(&empty));
        let added = theirs.keys().filter(|name| !ours.contains_key(*name));
        for name in ours.keys().chain(added) {
            let Some(shape) = map.field(name) else { continue };
            self.path.push(Step::field(name));
            self.values(shape, ours.get(name), theirs.get(name));
            self.path.pop();
        }
        Piece::Parts
    }

    fn lists(&mut self, list: ListAtom<'_>, old: Option<&Value>, new: Option<&Value>) -> Piece {
        let ours = old.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        let theirs = new.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        if list.kind == ListType::Atomic || (ours.is_empty() && theirs.is_empty()) {
            return self.whole(old, new);
        }
        let mut by_step: BTreeMap<Step, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for item in ours {
            if let Ok(step) = list.step(item) {
                by_step.entry(step).or_default().0.push(item);
            }
        }
        for item in theirs {
            if let Ok(step) = list.step(item) {
                by_step.entry(step).or_default().1.push(item);
            }
        }
        for (step, (ours, theirs)) in by_step {
            self.path.push(step);
            self.items(list.items, &ours, &theirs);
            self.path.pop();
        }
        Piece::Parts
    }

    /// Compares the items with one key. Several of them are one piece.
    fn items(&mut self, shape: Shape<'_>, old: &[&Value], new: &[&Value]) {
        match (old, new) {
            ([] | [_], [] | [_]) => self.values(shape, old.first().copied(), new.first().copied()),
            ([_, _, ..], [_, _, ..]) => {
                let is_equal =
                    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new));
                if !is_equal {
                    self.difference.modified.insert(&self.path);
                }
            }
            ([_, _, ..], [] | [_]) => {
                if let Some(new) = new.first() {
                    self.values(shape, None, Some(new));
                }
                self.difference.removed.insert(&self.path);
            }
            ([] | [_], [_, _, ..]) => {
                if let Some(old) = old.first() {
                    self.values(shape, Some(old), None);
                }
                self.difference.added.insert(&self.path);
            }
        }
    }
}

/// Says whether two values are the same; 1 and 1.0 are.
pub(crate) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.as_f64() == b.as_f64() && (a.is_f64() || b.is_f64())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}
