//! The changes of ours that stand on a host: one for each slot, from what was there before us.

use std::collections::BTreeMap;

use super::{Action, Setting, Slot, SysctlKey};

/// The ledger of changes to take back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied(BTreeMap<Slot, Action>);

impl Applied {
    /// Notes a change that was made. A second change of a slot keeps what was there first;
    /// one that leads back to it closes the slot.
    pub fn record(&mut self, action: Action) {
        let slot = action.slot();
        let merged = match self.0.remove(&slot) {
            Some(first) => merge(first, action),
            None => opening(action),
        };
        if let Some(merged) = merged {
            self.0.insert(slot, merged);
        }
    }

    /// Notes a change that was perhaps made: a slot that is open stays open, for undoing twice does no harm.
    pub fn suspect(&mut self, action: Action) {
        if let Some(action) = opening(action) {
            self.0.entry(action.slot()).or_insert(action);
        }
    }

    /// Returns the changes that take all of ours back, in a safe order.
    #[must_use]
    pub fn undo(&self) -> Vec<Action> {
        self.0.values().rev().map(Action::undo).collect()
    }

    /// Returns the changes that stand, in the order in which they are made.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.0.values()
    }

    /// Returns what a forwarding switch was before we turned it, if we did.
    #[must_use]
    pub fn before(&self, switch: &SysctlKey) -> Option<&Setting> {
        let Some(Action::SetSysctl { was, .. }) = self.0.get(&Slot::Forwarding(switch.clone())) else {
            return None;
        };
        Some(was)
    }

    /// Returns whether nothing of ours stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What remains of two changes of one slot, if anything.
fn merge(first: Action, second: Action) -> Option<Action> {
    match (first, second) {
        (Action::SetFirewall { was, .. }, Action::SetFirewall { value, .. }) => {
            opening(Action::SetFirewall { was, value })
        }
        (Action::SetSysctl { key, was, .. }, Action::SetSysctl { value, .. }) => {
            opening(Action::SetSysctl { key, was, value })
        }
        (Action::SetLink { name, was, .. }, Action::SetLink { value, .. }) => {
            opening(Action::SetLink { name, was, value })
        }
        (first, second) => (second != first.undo()).then_some(first),
    }
}

/// The change, unless it leaves everything as it was.
fn opening(action: Action) -> Option<Action> {
    let is_void = match &action {
        Action::SetFirewall { was, value } => was == value,
        Action::SetSysctl { was, value, .. } => was.value == value.value,
        Action::SetLink { was, value, .. } => was == value,
        Action::AddTun { .. }
        | Action::RemoveTun { .. }
        | Action::AddAddress { .. }
        | Action::RemoveAddress { .. }
        | Action::AddRoute(_)
        | Action::RemoveRoute(_) => false,
    };
    (!is_void).then_some(action)
}
