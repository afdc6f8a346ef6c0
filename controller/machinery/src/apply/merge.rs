//! Puts an applied configuration over a live object (structured merge).

use std::collections::BTreeMap;

use horizon_planner::schema::ListType;
use serde_json::{Map, Value};

use super::shape::{Atom, ListAtom, MapAtom, Shape};
use crate::managed::step::Step;

/// Returns the live value with the applied one over it. Both fit the shape.
pub(crate) fn merge(shape: Shape<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    // Without a schema the applied value says what both are merged as.
    let atom = shape.atom(if applied.is_some() { applied } else { live });
    match atom {
        Atom::Scalar(_) => leaf(live, applied),
        Atom::Map(map) => merge_maps(map, live, applied),
        Atom::List(list) => merge_lists(list, live, applied),
    }
}

fn leaf(live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    applied.or(live).cloned()
}

fn merge_maps(map: MapAtom<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let (ours, theirs) = (live.and_then(Value::as_object), applied.and_then(Value::as_object));
    let is_empty = |fields: Option<&Map<String, Value>>| fields.is_none_or(Map::is_empty);
    // Two empty ones stay what they are: empty and null differ.
    if map.is_atomic || (is_empty(ours) && is_empty(theirs)) {
        return leaf(live, applied);
    }
    let mut merged = Map::new();
    let names = ours.iter().chain(theirs.iter()).flat_map(|fields| fields.keys());
    for name in names {
        let Some(shape) = map.field(name) else { continue };
        if merged.contains_key(name) {
            continue;
        }
        let ours = ours.and_then(|fields| fields.get(name));
        let theirs = theirs.and_then(|fields| fields.get(name));
        if let Some(value) = merge(shape, ours, theirs) {
            merged.insert(name.clone(), value);
        }
    }
    (!merged.is_empty()).then_some(Value::Object(merged))
}

fn merge_lists(list: ListAtom<'_>, live: Option<&Value>, applied: Option<&Value>) -> Option<Value> {
    let ours = live.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let theirs = applied.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    if list.kind == ListType::Atomic || (ours.is_empty() && theirs.is_empty()) {
        return leaf(live, applied);
    }
    let merged = Lists::new(list, ours, theirs).merge();
    (!merged.is_empty()).then_some(Value::Array(merged))
}

/// Two lists whose items have keys. The applied order wins where both have an item; what only the live list has
/// stays near its neighbours.
struct Lists<'v> {
    items: Shape<'v>,
    live: Vec<(Step, &'v Value)>,
    applied: Vec<(Step, &'v Value)>,
    /// `None` for items with one key: they are replaced together.
    live_by_step: BTreeMap<Step, Option<&'v Value>>,
    applied_by_step: BTreeMap<Step, &'v Value>,
}

impl<'v> Lists<'v> {
    fn new(list: ListAtom<'v>, live: &'v [Value], applied: &'v [Value]) -> Self {
        let with_step = |items: &'v [Value]| -> Vec<(Step, &'v Value)> {
            items.iter().filter_map(|item| Some((list.step(item).ok()?, item))).collect()
        };
        let (live, applied) = (with_step(live), with_step(applied));
        let mut live_by_step = BTreeMap::new();
        for (step, item) in &live {
            live_by_step.entry(step.clone()).and_modify(|first| *first = None).or_insert(Some(*item));
        }
        let applied_by_step = applied.iter().cloned().collect();
        Self { items: list.items, live, applied, live_by_step, applied_by_step }
    }

    fn merge(&self) -> Vec<Value> {
        let mut shared =
            self.applied.iter().map(|(step, _)| step).filter(|s| self.live_by_step.contains_key(*s));
        let mut next_shared = shared.next();
        let mut merged = vec![];
        let mut done = BTreeMap::new();
        let (mut l, mut r) = (0, 0);
        while l < self.live.len() || r < self.applied.len() {
            if let (Some((ours, _)), Some((theirs, _))) = (self.live.get(l), self.applied.get(r)) {
                if ours == theirs {
                    done.insert(ours, ());
                    merged.extend(self.both(ours));
                    (l, r) = (l + 1, r + 1);
                    next_shared = shared.next();
                    continue;
                }
                if self.applied_by_step.contains_key(ours) && next_shared.is_some_and(|next| next != ours) {
                    // Both have it, but the applied order has another one first.
                    l += 1;
                    continue;
                }
            }
            if let Some((ours, item)) = self.live.get(l) {
                if !self.applied_by_step.contains_key(ours) {
                    merged.extend(merge(self.items, Some(item), None));
                    l += 1;
                    continue;
                }
                if done.contains_key(ours) {
                    l += 1;
                }
            }
            if let Some((theirs, _)) = self.applied.get(r) {
                done.insert(theirs, ());
                merged.extend(self.both(theirs));
                r += 1;
                if next_shared == Some(theirs) {
                    next_shared = shared.next();
                }
            }
        }
        merged
    }

    fn both(&self, step: &Step) -> Option<Value> {
        let live = self.live_by_step.get(step).map(|item| item.unwrap_or(&Value::Null));
        merge(self.items, live, self.applied_by_step.get(step).copied())
    }
}
