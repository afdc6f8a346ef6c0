//! What the store knows of each object beside its text: its name, its age, and what was said of it last.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use horizon_api::{condition::Condition, resource::ObjectKey};
use horizon_planner::status::Earlier;
use smol_str::SmolStr;

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The store's name.
    pub(super) uid: SmolStr,
    /// When it was first accepted (unix milliseconds).
    pub(super) created_at_ms: i64,
    /// The revision that last changed it; zero before one has taken it in.
    pub(super) revision: u64,
    /// As the store has it: what the compiler found, and what gateways answered.
    pub(super) conditions: Arc<[Condition]>,
}

impl Entry {
    pub(super) fn new(uid: impl Into<SmolStr>, created_at_ms: i64) -> Self {
        Self { uid: uid.into(), created_at_ms, revision: 0, conditions: Arc::default() }
    }
}

/// Every object that has a name in the store, whether it is in force or not.
#[derive(Debug, Default)]
pub(super) struct Ledger(Entries);

pub(super) type Entries = BTreeMap<ObjectKey, Entry>;

impl Deref for Ledger {
    type Target = Entries;

    fn deref(&self) -> &Entries {
        &self.0
    }
}

impl DerefMut for Ledger {
    fn deref_mut(&mut self) -> &mut Entries {
        &mut self.0
    }
}

/// The store's names: those that it has, and those that a commit brings.
#[derive(Clone, Copy)]
pub(super) struct Uids<'a> {
    pub(super) known: &'a Entries,
    pub(super) new: &'a Entries,
}

impl<'a> Uids<'a> {
    pub(super) fn get(self, key: &ObjectKey) -> Option<&'a Entry> {
        self.new.get(key).or_else(|| self.known.get(key))
    }
}

impl Earlier for Ledger {
    fn revision(&self, key: &ObjectKey) -> Option<u64> {
        self.0.get(key).map(|entry| entry.revision).filter(|revision| *revision > 0)
    }

    fn conditions(&self, key: &ObjectKey) -> &[Condition] {
        self.0.get(key).map_or(&[], |entry| &entry.conditions)
    }
}
