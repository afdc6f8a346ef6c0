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
    let Nodes { removed, modified, added, .. } = values(shape, Some(old), Some(new));
    Difference { removed: removed.below, modified: modified.below, added: added.below }
}

/// Whether a value is in a set of fields, and what below it is.
#[derive(Default)]
struct Node {
    is_member: bool,
    below: FieldSet,
}

/// What became of a value and of what is below it.
#[derive(Default)]
struct Nodes {
    removed: Node,
    modified: Node,
    added: Node,
    /// Whether it was compared as one piece.
    is_piece: bool,
}

impl Nodes {
    /// Adds what became of a value one step below.
    fn put(&mut self, step: &Step, child: Self) {
        let sides = [&mut self.removed, &mut self.modified, &mut self.added];
        for (side, child) in sides.into_iter().zip([child.removed, child.modified, child.added]) {
            if child.is_member || !child.below.is_empty() {
                side.below.put(step.clone(), child.is_member, child.below);
            }
        }
    }

    /// Adds what became of the same value seen in another way.
    fn and(mut self, other: Self) -> Self {
        let sides = [&mut self.removed, &mut self.modified, &mut self.added];
        for (side, other) in sides.into_iter().zip([other.removed, other.modified, other.added]) {
            side.is_member |= other.is_member;
            side.below = std::mem::take(&mut side.below).union(&other.below);
        }
        Self { is_piece: other.is_piece, ..self }
    }
}

fn values(shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) -> Nodes {
    let (ours, theirs) = (shape.atom(old), shape.atom(new));
    let mut nodes = match (old, new) {
        (_, None) => by_atom(ours, old, new),
        (None, Some(_)) => by_atom(theirs, old, new),
        (Some(_), Some(_)) if ours.is_like(&theirs) => by_atom(theirs, old, new),
        (Some(_), Some(_)) => by_atom(ours, old, new).and(by_atom(theirs, old, new)),
    };
    if !nodes.is_piece {
        nodes.added.is_member |= old.is_none();
        nodes.removed.is_member |= old.is_some() && new.is_none();
    }
    nodes
}

fn by_atom(atom: Atom<'_>, old: Option<&Value>, new: Option<&Value>) -> Nodes {
    match atom {
        Atom::Scalar(_) => piece(old, new),
        Atom::Map(map) => maps(map, old, new),
        Atom::List(list) => lists(list, old, new),
    }
}

fn piece(old: Option<&Value>, new: Option<&Value>) -> Nodes {
    let mut nodes = Nodes { is_piece: true, ..Nodes::default() };
    match (old, new) {
        (None, _) => nodes.added.is_member = true,
        (Some(_), None) => nodes.removed.is_member = true,
        (Some(old), Some(new)) => nodes.modified.is_member = !is_same(old, new),
    }
    nodes
}

fn maps(map: MapAtom<'_>, old: Option<&Value>, new: Option<&Value>) -> Nodes {
    let (ours, theirs) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let is_empty = |fields: Option<&Map<String, Value>>| fields.is_none_or(Map::is_empty);
    if map.is_atomic || (is_empty(ours) && is_empty(theirs)) {
        return piece(old, new);
    }
    let empty = Map::new();
    let (ours, theirs) = (ours.unwrap_or(&empty), theirs.unwrap_or(&empty));
    let added = theirs.keys().filter(|name| !ours.contains_key(*name));
    let mut nodes = Nodes::default();
    for name in ours.keys().chain(added) {
        let Some(shape) = map.field(name) else { continue };
        nodes.put(&Step::field(name), values(shape, ours.get(name), theirs.get(name)));
    }
    nodes
}

fn lists(list: ListAtom<'_>, old: Option<&Value>, new: Option<&Value>) -> Nodes {
    let ours = old.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let theirs = new.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    if list.kind == ListType::Atomic || (ours.is_empty() && theirs.is_empty()) {
        return piece(old, new);
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
    let mut nodes = Nodes::default();
    for (step, (ours, theirs)) in by_step {
        nodes.put(&step, items(list.items, &ours, &theirs));
    }
    nodes
}

/// Compares the items with one key. Several of them are one piece.
fn items(shape: Shape<'_>, old: &[&Value], new: &[&Value]) -> Nodes {
    match (old, new) {
        ([] | [_], [] | [_]) => values(shape, old.first().copied(), new.first().copied()),
        ([_, _, ..], [_, _, ..]) => {
            let is_equal = old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new));
            Nodes { modified: Node { is_member: !is_equal, ..Node::default() }, ..Nodes::default() }
        }
        ([_, _, ..], [] | [_]) => {
            let mut nodes = new.first().map(|new| values(shape, None, Some(new))).unwrap_or_default();
            nodes.removed.is_member = true;
            nodes
        }
        ([] | [_], [_, _, ..]) => {
            let mut nodes = old.first().map(|old| values(shape, Some(old), None)).unwrap_or_default();
            nodes.added.is_member = true;
            nodes
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
