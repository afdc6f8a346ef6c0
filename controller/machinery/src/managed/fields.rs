//! A set of fields as a tree, and its `fieldsV1` form (KEP-555).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::step::{BadStep, Step};

/// Which fields somebody owns, or a change touched. A field is in the set without what is below it, and the other
/// way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<Step>,
    children: BTreeMap<Step, Self>,
}

impl FieldSet {
    /// Reads the `fieldsV1` form.
    ///
    /// # Errors
    /// A step cannot be read.
    pub fn decode(fields: &Value) -> Result<Self, BadStep> {
        Ok(Self::decode_node(fields)?.0.unwrap_or_default())
    }

    /// Returns what is below a node, if anything, and whether the node itself is a member. Null is an empty node, as to
    /// the API server; it is written as `{}`, one level deeper.
    fn decode_node(node: &Value) -> Result<(Option<Self>, bool), BadStep> {
        let Value::Object(entries) = node else {
            return if node.is_null() { Ok((None, true)) } else { Err(BadStep(node.to_string())) };
        };
        let (mut set, mut is_member) = (Self::default(), false);
        for (key, below) in entries {
            if key == "." {
                is_member = true;
                continue;
            }
            let Some(step) = Step::decode(key)? else { continue };
            let (children, is_child_member) = Self::decode_node(below)?;
            if is_child_member {
                set.members.insert(step.clone());
            }
            if let Some(children) = children {
                set.children.insert(step, children);
            }
        }
        let is_leaf = set.members.is_empty() && set.children.is_empty();
        Ok(if is_leaf { (None, true) } else { (Some(set), is_member) })
    }

    /// Writes the `fieldsV1` form.
    pub fn encode(&self) -> Value {
        let mut entries = Map::new();
        for (step, children) in &self.children {
            let mut below = children.encode();
            if let Value::Object(below) = &mut below
                && self.members.contains(step)
                && !below.is_empty()
            {
                below.insert(".".to_owned(), json!({}));
            }
            entries.insert(step.encode(), below);
        }
        for step in self.members.iter().filter(|step| !self.children.contains_key(step)) {
            entries.insert(step.encode(), json!({}));
        }
        Value::Object(entries)
    }

    /// Adds a field; the object as a whole is no field.
    pub fn insert(&mut self, path: &[Step]) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut node = self;
        for step in parents {
            node = node.children.entry(step.clone()).or_default();
        }
        node.members.insert(last.clone());
    }

    /// Adds what is known about one step: whether it is a member, and what is below it.
    pub(crate) fn put(&mut self, step: Step, is_member: bool, below: Self) {
        if is_member && below.is_empty() {
            self.members.insert(step);
        } else if !below.is_empty() {
            if is_member {
                self.members.insert(step.clone());
            }
            let all = self.children.remove(&step).unwrap_or_default().union(&below);
            self.children.insert(step, all);
        }
    }

    /// Says whether a field is in the set.
    pub fn contains(&self, path: &[Step]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let mut node = self;
        for step in parents {
            let Some(below) = node.children.get(step) else { return false };
            node = below;
        }
        node.members.contains(last)
    }

    /// Says whether a field right here is in the set.
    pub(crate) fn has(&self, step: &Step) -> bool {
        self.members.contains(step)
    }

    /// Returns what is below a field.
    pub(crate) fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step).filter(|below| !below.is_empty())
    }

    /// Says whether no field is in the set.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Returns the first fields, those of a node before those below it.
    pub fn paths(&self, most: usize) -> Vec<Vec<Step>> {
        let mut paths = vec![];
        self.collect(&mut vec![], most, &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Step>, most: usize, paths: &mut Vec<Vec<Step>>) {
        let left = most - paths.len();
        paths.extend(
            self.members.iter().take(left).map(|member| prefix.iter().chain([member]).cloned().collect()),
        );
        for (step, below) in &self.children {
            if paths.len() == most {
                return;
            }
            prefix.push(step.clone());
            below.collect(prefix, most, paths);
            prefix.pop();
        }
    }

    /// Returns the fields of either set.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.members.extend(other.members.iter().cloned());
        for (step, below) in &other.children {
            let merged = self.children.remove(step).unwrap_or_default().union(below);
            self.children.insert(step.clone(), merged);
        }
        self
    }

    /// Returns the fields of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let members = self.members.intersection(&other.members).cloned().collect();
        let both = self.children.iter().filter_map(|(step, below)| {
            let below = below.intersection(other.children.get(step)?);
            (!below.is_empty()).then(|| (step.clone(), below))
        });
        Self { members, children: both.collect() }
    }

    /// Returns the fields that are not in the other set, each for itself: what is below a removed field stays.
    #[must_use]
    pub fn difference(self, other: &Self) -> Self {
        // Runs over this set only, which may be small beside the other.
        let members = self.members.into_iter().filter(|step| !other.members.contains(step)).collect();
        let children = self.children.into_iter().filter_map(|(step, ours)| {
            let ours = match other.children.get(&step) {
                Some(theirs) => ours.difference(theirs),
                None => ours,
            };
            (!ours.is_empty()).then_some((step, ours))
        });
        Self { members, children: children.collect() }
    }

    /// Returns the fields that are neither in the other set nor below one that is.
    #[must_use]
    pub fn recursive_difference(self, other: &Self) -> Self {
        let members = self.members.into_iter().filter(|step| !other.members.contains(step)).collect();
        let children = self.children.into_iter().filter_map(|(step, ours)| {
            let ours = match other.children.get(&step) {
                _ if other.members.contains(&step) => return None,
                Some(theirs) => ours.recursive_difference(theirs),
                None => ours,
            };
            (!ours.is_empty()).then_some((step, ours))
        });
        Self { members, children: children.collect() }
    }

    /// Returns the set with each field for which `child` says so made a member, if something below it is one.
    pub(crate) fn with_named<S: Copy>(
        &self,
        shape: Option<S>,
        child: &impl Fn(S, &Step) -> (Option<S>, bool),
    ) -> Self {
        let mut named = Self { members: self.members.clone(), children: BTreeMap::new() };
        for (step, below) in &self.children {
            let (shape, is_named) = shape.map_or((None, false), |shape| child(shape, step));
            if is_named {
                named.members.insert(step.clone());
            }
            named.children.insert(step.clone(), below.with_named(shape, child));
        }
        named
    }

    /// Returns the steps right here with what is below them and whether they are members themselves.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&Step, Option<&Self>, bool)> {
        let leaves = self.members.iter().filter(|step| !self.children.contains_key(step));
        let inner =
            self.children.iter().map(|(step, below)| (step, Some(below), self.members.contains(step)));
        inner.chain(leaves.map(|step| (step, None, true)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(fields: Value) -> FieldSet {
        FieldSet::decode(&fields).unwrap()
    }

    #[test]
    fn members_with_and_without_children_survive_encoding() {
        let fields = json!({"f:spec": {".": {}, "f:a": {}, "k:{\"x\":1}": {"f:y": {}}}, "f:z": {}});
        assert_eq!(set(fields.clone()).encode(), fields);
    }

    #[test]
    fn steps_from_the_future_are_skipped() {
        assert_eq!(set(json!({"f:a": {"q:?": {"f:b": {}}}})).encode(), json!({"f:a": {}}));
    }

    #[test]
    fn difference_keeps_what_is_below_and_recursive_difference_does_not() {
        let ours = set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let theirs = set(json!({"f:a": {}}));

        assert_eq!(ours.clone().difference(&theirs).encode(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert_eq!(ours.recursive_difference(&theirs).encode(), json!({"f:c": {}}));
    }

    #[test]
    fn items_that_are_deep_maps_are_compared_without_sorting_them_again() {
        // Told apart at their inmost only. Sorted anew for each comparison, they would take minutes.
        let item = |n: u32, last: &str| {
            let (open, close) = ("{\"b\":1,\"a\":".repeat(100), "}".repeat(100));
            (format!("v:{open}{n}{close}"), json!({last: {}}))
        };
        let deep = |last: &str| -> Value { Value::Object((0..2_000).map(|n| item(n, last)).collect()) };
        let start = std::time::Instant::now();

        let ours = set(deep("f:x"));
        let theirs = set(deep("f:y"));
        let both = ours.clone().union(&theirs);

        assert_eq!(both.clone().difference(&theirs), ours);
        assert_eq!(both.paths(usize::MAX).len(), 4_000);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    fn any_set() -> impl Strategy<Value = FieldSet> {
        let path = prop::collection::vec("[abc]", 1..4);
        prop::collection::vec(path, 0..8).prop_map(|paths| {
            let mut set = FieldSet::default();
            for path in paths {
                set.insert(&path.iter().map(|name| Step::field(name)).collect::<Vec<_>>());
            }
            set
        })
    }

    proptest! {
        #[test]
        fn algebra_agrees_with_lists_of_paths(a in any_set(), b in any_set()) {
            let paths = |set: &FieldSet| set.paths(usize::MAX).into_iter().collect::<BTreeSet<_>>();
            let (ours, theirs) = (paths(&a), paths(&b));

            prop_assert_eq!(paths(&a.clone().union(&b)), &ours | &theirs);
            prop_assert_eq!(paths(&a.intersection(&b)), &ours & &theirs);
            prop_assert_eq!(paths(&a.clone().difference(&b)), &ours - &theirs);
            let kept: BTreeSet<_> = ours.iter().filter(|path| (1..=path.len()).all(|n| !b.contains(&path[..n]))).cloned().collect();
            prop_assert_eq!(paths(&a.clone().recursive_difference(&b)), kept);
            prop_assert_eq!(FieldSet::decode(&a.encode()), Ok(a));
        }
    }
}
