//! Objects by key, each in a signal of its own: a change writes the cells that show it and leaves the row,
//! the focus and the scrolling alone.

use std::collections::BTreeMap;

use horizon_api::resource::ObjectKey;
use leptos::prelude::*;

pub(crate) struct Rows<T: Send + Sync + 'static>(RwSignal<BTreeMap<ObjectKey, ArcRwSignal<T>>>);

impl<T: Send + Sync + 'static> Clone for Rows<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Send + Sync + 'static> Copy for Rows<T> {}

impl<T: Clone + PartialEq + Send + Sync + 'static> Rows<T> {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(BTreeMap::new()))
    }

    /// Takes a whole new set, keeping the signals of what stays.
    pub(crate) fn replace(self, items: impl IntoIterator<Item = (ObjectKey, T)>) {
        let mut was = self.0.with_untracked(BTreeMap::clone);
        let now = items.into_iter().map(|(key, item)| match was.remove(&key) {
            Some(row) => {
                set_if_changed(&row, item);
                (key, row)
            }
            None => (key, ArcRwSignal::new(item)),
        });
        self.0.set(now.collect());
    }

    pub(crate) fn put(self, key: ObjectKey, item: T) {
        match self.0.with_untracked(|rows| rows.get(&key).cloned()) {
            Some(row) => set_if_changed(&row, item),
            None => self.0.update(|rows| {
                rows.insert(key, ArcRwSignal::new(item));
            }),
        }
    }

    pub(crate) fn remove(self, key: &ObjectKey) {
        self.0.update(|rows| {
            rows.remove(key);
        });
    }

    /// Tracks which rows there are, not what is in them.
    pub(crate) fn keys(self) -> Vec<ObjectKey> {
        self.0.with(|rows| rows.keys().cloned().collect())
    }

    pub(crate) fn row(self, key: &ObjectKey) -> Option<RwSignal<T>> {
        self.0.with_untracked(|rows| rows.get(key).cloned()).map(RwSignal::from)
    }

    /// Tracks every row.
    pub(crate) fn all(self) -> Vec<T> {
        self.0.with(|rows| rows.values().map(|row| row.get()).collect())
    }
}

fn set_if_changed<T: PartialEq + Send + Sync + 'static>(row: &ArcRwSignal<T>, item: T) {
    if row.with_untracked(|old| *old != item) {
        row.set(item);
    }
}
