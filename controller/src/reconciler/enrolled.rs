//! Which key enrolled each node. It is remembered beyond the key: what the key said of its revocation holds then too.
//!
//! A key is the same as long as its object stays, whatever token it has, and where its token is declared again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    key::PublicKey,
    resource::{ObjectKey, OnRevoke},
};
use horizon_planner::compile::{Compiled, Effective, Enrolled, EnrolledBy};

use super::{
    Reconciler,
    enrol::Found,
    ledger::Uids,
    state::{State, public_key},
};
use crate::store;

/// The token of every key that has one, by its keyed digest.
pub(super) type Tokens = BTreeMap<Vec<u8>, ObjectKey>;

/// The key that enrolled a node, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enrolment {
    /// The uid of the key's object.
    key: String,
    token: Vec<u8>,
    on_revoke: OnRevoke,
}

impl Reconciler {
    /// Returns the tokens that keys have.
    pub(super) fn tokens(&self, effective: &Effective) -> Tokens {
        let keys = effective.token_digests();
        let tokens = keys.filter_map(|(key, declared)| {
            let digest = self.keyed_digest(key, declared)?;
            Some((digest.as_bytes().to_vec(), key.clone()))
        });
        tokens.collect()
    }

    /// Returns the key that enrolled each node, by what compiled and what the tokens are.
    pub(super) fn enrolled(&self, compiled: &Compiled, tokens: &Tokens) -> EnrolledBy {
        let state = &self.state;
        if state.enrolments.is_empty() {
            return EnrolledBy::default();
        }
        let keys = compiled.effective.token_digests().map(|(key, _)| key);
        let by_uid: BTreeMap<_, _> = keys
            .filter_map(|key| {
                let former = || state.former_uid(key).map(|uid| uid.uid);
                Some((state.ledger.get(key).map(|uid| uid.uid.clone()).or_else(former)?, key))
            })
            .collect();
        let enrolled = state.enrolments.iter().map(|(node, enrolment)| {
            let key = by_uid.get(enrolment.key.as_str()).copied().or_else(|| tokens.get(&enrolment.token));
            (*node, Enrolled { key: key.cloned(), on_revoke: enrolment.on_revoke })
        });
        Arc::new(enrolled.collect())
    }
}

impl State {
    /// Takes in that a node has enrolled.
    pub(super) fn enrol(&mut self, node: PublicKey, found: &Found, on_revoke: OnRevoke) {
        let Some(uid) = self.ledger.get(&found.key) else { return };
        let enrolment = Enrolment { key: uid.uid.to_string(), token: found.digest.clone(), on_revoke };
        self.enrolments.insert(node, enrolment);
    }

    /// Takes in what the store knows of a node.
    pub(super) fn take_enrolment(&mut self, binding: &store::Binding) {
        if let (Some(node), Some(enrolment)) = (public_key(&binding.public_key), &binding.enrolment) {
            self.enrolments.insert(node, Enrolment::from(enrolment));
        }
    }

    /// Returns of which nodes something else is to be remembered.
    pub(super) fn reenrolled(&self, compiled: &Compiled, uids: Uids<'_>) -> BTreeMap<PublicKey, Enrolment> {
        let tokens: BTreeMap<_, _> = self.tokens.iter().map(|(token, key)| (key, token)).collect();
        let changed = self.facts.enrolled.iter().filter_map(|(node, enrolled)| {
            let (key, old) = (enrolled.key.as_ref()?, self.enrolments.get(node)?);
            let new = Enrolment {
                key: uids.get(key).map_or_else(|| old.key.clone(), |uid| uid.uid.to_string()),
                token: tokens.get(key).map_or_else(|| old.token.clone(), |token| (*token).clone()),
                on_revoke: compiled.effective.on_revoke(key)?,
            };
            (new != *old).then_some((*node, new))
        });
        changed.collect()
    }

    /// Forgets the nodes that are gone.
    pub(super) fn forget_enrolments(&mut self, compiled: &Compiled) {
        let servers = compiled.effective.servers.values().filter_map(|server| server.public_key);
        let devices = compiled.effective.devices.values().filter_map(|device| device.public_key);
        let nodes: BTreeSet<_> = servers.chain(devices).collect();
        self.enrolments.retain(|node, _| nodes.contains(node));
    }
}

impl Enrolment {
    /// Does to it what was done to the store.
    pub(super) fn lay_pepper(&mut self, under: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        self.token = under(&self.token).unwrap_or_default();
    }

    pub(super) fn to_stored(&self, node: &PublicKey) -> store::Reenrolled {
        let Self { key, token, on_revoke } = self.clone();
        let enrolment = store::Enrolment { key, token, on_revoke: on_revoke.as_str().into() };
        store::Reenrolled { public_key: node.as_bytes().to_vec(), enrolment }
    }
}

impl From<&store::Enrolment> for Enrolment {
    fn from(stored: &store::Enrolment) -> Self {
        let store::Enrolment { key, token, on_revoke } = stored.clone();
        Self { key, token, on_revoke: on_revoke.parse().unwrap_or_default() }
    }
}
