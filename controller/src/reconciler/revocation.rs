//! Keys of devices that are gone: they are revoked for good, but only once nobody takes back that the devices are gone.
//!
//! Every gateway has the keys among its revocations from the start. What waits is the store's word, after which a node
//! cannot be bound with the key again; a Device that is declared again with its key is the operator's word against it.
//! A key that another one has followed stays revoked whatever is declared: no Device that says it is active.

use std::collections::BTreeSet;

use horizon_api::key::PublicKey;
use horizon_node::clock;
use horizon_planner::compile::{Compiled, Standing};

use super::state::State;
use crate::store::{FORGOTTEN, Revoke};

const GONE: &str = "the device is gone or has another key";

impl State {
    /// Returns the keys that are to be revoked for good: those that may go nowhere, and belong to nothing.
    pub(super) fn newly_revoked(&self, compiled: &Compiled, keeps_provisional: bool) -> Vec<PublicKey> {
        if compiled.revoked.is_empty() {
            return vec![];
        }
        let devices = keys(compiled, |_| true);
        let held_back = self.held_back();
        let is_known = |key: &PublicKey| {
            self.facts.revoked.contains(key) && (keeps_provisional || !held_back.contains(key))
        };
        let revoked = compiled.revoked.iter();
        revoked.filter(|key| !devices.contains(key) && !is_known(key)).copied().collect()
    }

    /// Returns the revoked keys of devices that are there again.
    pub(super) fn newly_lifted(&self, compiled: &Compiled) -> Vec<PublicKey> {
        if self.facts.revoked.is_empty() {
            return vec![];
        }
        let (active, held_back) = (keys(compiled, is_active), self.held_back());
        active.intersection(&self.facts.revoked).filter(|key| !held_back.contains(key)).copied().collect()
    }

    /// Takes in what was revoked and what is not any more.
    pub(super) fn adopt_revocations(&mut self, compiled: &Compiled, revoked: &[PublicKey]) {
        if self.facts.postures.len() > compiled.effective.devices.len() {
            let there = keys(compiled, |_| true);
            self.facts.postures.retain(|key, _| there.contains(key));
        }
        self.facts.revoked.extend(revoked);
        if !self.facts.revoked.is_empty() {
            let active = keys(compiled, is_active);
            self.facts.revoked.retain(|key| !active.contains(key));
        }
    }

    /// Returns what a confirmation revokes for good.
    pub(super) fn confirmed_revocations(&self) -> Vec<Revoke> {
        let devices = keys(&self.compiled, |_| true);
        self.revoke(self.held_back().difference(&devices))
    }

    /// Returns the keys whose revocation waits until a change is confirmed.
    pub(super) fn held_back(&self) -> BTreeSet<PublicKey> {
        self.guard.provisional().map(|provisional| provisional.before.revoked.clone()).unwrap_or_default()
    }
}

impl State {
    /// Returns the store's words about keys that are revoked for good.
    pub(super) fn revoke<'a>(&self, keys: impl IntoIterator<Item = &'a PublicKey>) -> Vec<Revoke> {
        let ephemeral = self.compiled.effective.devices.values().filter(|device| device.is_ephemeral);
        let ephemeral: BTreeSet<_> = ephemeral.filter_map(|device| device.public_key).collect();
        keys.into_iter()
            .map(|key| word(key, if ephemeral.contains(key) { FORGOTTEN } else { GONE }))
            .collect()
    }
}

/// Returns the store's words about keys of devices that are there again, whatever they were revoked for.
pub(super) fn lift<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Vec<Revoke> {
    keys.into_iter().flat_map(|key| [GONE, FORGOTTEN].map(|reason| word(key, reason))).collect()
}

fn word(key: &PublicKey, reason: &str) -> Revoke {
    Revoke {
        public_key: key.as_bytes().to_vec(),
        owner: key.to_string(),
        reason: reason.to_owned(),
        now: clock::unix_ms(),
    }
}

fn is_active(standing: Standing) -> bool {
    standing == Standing::Active
}

fn keys(compiled: &Compiled, counts: impl Fn(Standing) -> bool) -> BTreeSet<PublicKey> {
    let devices = compiled.effective.devices.values().filter(|device| counts(device.standing));
    devices.filter_map(|device| device.public_key).collect()
}
