//! Commit-confirmed: a change that nobody confirms in time is taken back, and its texts stay back.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use horizon_api::{
    assignment::Version,
    http::{ApiError, ArmRequest, Done},
    resource::{ObjectKey, ResourceSpec},
    section::NetworkId,
};
use horizon_api_server::Refusal;
use horizon_node::clock;
use horizon_planner::{
    compile::{Committed, Compiled, Input, Owner, is_login},
    manifest::Origin,
    node::Place,
    plan::text_hash,
};
use serde_json::json;
use tracing::{error, warn};

use super::{
    Reconciler,
    before::{Before, OldObject},
    change::Change,
    guard::{Armed, Guard, Provisional},
    ledger::Entry,
    state::{State, StoredText, public_key},
    verb::{OPERATOR, audit, cannot_write},
};
use crate::store;

/// A week is longer than anybody waits for a confirmation.
const WITHIN_MAX_S: u64 = 7 * 24 * 3600;

impl Reconciler {
    pub(super) async fn arm(&mut self, request: &ArmRequest) -> Result<Done, Refusal> {
        if request.within == 0 || request.within > WITHIN_MAX_S {
            let message = "the time to confirm within must be between 1 s and 7 days";
            return Err(Refusal::Invalid(ApiError::new("Range", message, "such as 60s")));
        }
        if let Some(provisional) = self.state.guard.provisional() {
            let message = format!("revision {} waits for its confirmation already", provisional.revision);
            return Err(Refusal::Conflict(ApiError::new("AlreadyArmed", message, "confirm it first")));
        }
        let within_ms = i64::try_from(request.within * 1000).unwrap_or(i64::MAX);
        let armed = Armed { by: OPERATOR.into(), at_ms: clock::unix_ms(), within_ms, provisional: None };
        let guard = Guard { armed: Some(armed), ..self.state.guard.clone() };
        self.set_guard(guard, vec![], audit("arm", "", json!({ "within_s": request.within }))).await?;
        let within = request.within;
        Ok(self.done(format!("the next change must be confirmed within {within} s, or it is taken back")))
    }

    pub(super) async fn confirm(&mut self) -> Result<Done, Refusal> {
        let Some(armed) = &self.state.guard.armed else {
            let message = "nothing waits for a confirmation";
            return Err(Refusal::Conflict(ApiError::new("NothingArmed", message, "arm first")));
        };
        let revision = armed.provisional.as_ref().map(|provisional| provisional.revision);
        let guard = Guard { armed: None, ..self.state.guard.clone() };
        let revoked = self.state.confirmed_revocations();
        self.set_guard(guard, revoked, audit("confirm", "", json!({ "revision": revision }))).await?;
        self.state.unreverted = None;
        self.recompile_or_log("confirm").await;
        self.check_committed()?;
        Ok(self.done(match revision {
            Some(revision) => format!("revision {revision} stays"),
            None => "nothing had changed; the next change needs no confirmation".to_owned(),
        }))
    }

    /// Takes the change back when its time is over. Until the store agrees, it is tried again.
    pub(super) async fn revert_if_due(&mut self) {
        let is_due = |provisional: &Provisional| provisional.revert_at_ms <= clock::unix_ms();
        let is_due = self.state.guard.provisional().is_some_and(is_due);
        if !self.state.has_read_all || !is_due || !self.retry.is_due(clock::unix_s()) {
            return;
        }
        warn!("a change was not confirmed in time and is taken back");
        self.state.is_reverting = true;
        let outcome = self.recompile("revert").await;
        self.state.is_reverting = false;
        self.state.unreverted = match outcome {
            Ok(()) => {
                self.retry.handle_success();
                None
            }
            Err(error) => {
                let reason = format!("{error:#}");
                error!(%reason, "the change is not taken back yet");
                self.retry.handle_failure(clock::unix_s());
                Some(reason)
            }
        };
        self.publish_view();
    }

    /// Returns what is between texts and their effect once a change is in force. One that an operator armed is
    /// remembered with what was before, so that it can be taken back.
    pub(super) async fn guard_of(
        &self,
        compiled: &Compiled,
        change: &Change,
        version: Version,
    ) -> anyhow::Result<Guard> {
        let now_ms = clock::unix_ms();
        let mut guard = Guard::after(&self.state, compiled, now_ms);
        if self.state.is_reverting {
            guard.armed = None;
        }
        let Some(armed) = &mut guard.armed else { return Ok(guard) };
        // What logins and invitations make is nobody's edit.
        let is_declared = |key: &ObjectKey| {
            let owner = |object: &Arc<Committed>| !is_login(&object.owner.source, &object.owner.origin);
            let (old, new) = (self.state.committed.get(key), compiled.objects.get(key));
            // A device that joined and that the cluster has now says what it said.
            let is_taken_over = old.zip(new).is_some_and(|(old, new)| !owner(old) && old.spec == new.spec);
            new.or(old).is_some_and(owner) && !is_taken_over
        };
        if change.touched().any(is_declared) {
            let stored = self.store.load().await.context("read what is in force")?;
            let within_ms = armed.within_ms;
            let provisional = armed.provisional.get_or_insert_with(|| Provisional {
                revision: version.revision,
                revert_at_ms: now_ms + within_ms,
                before: Before::default(),
            });
            provisional.before.extend(&stored, change, is_declared);
        }
        if let Some(provisional) = &mut armed.provisional {
            provisional.before.revoked.extend(&change.revoked);
        }
        Ok(guard)
    }

    /// Returns what the store gets back of what objects lost by a change.
    pub(super) fn restored(&self) -> store::Restored {
        let mut restored = store::Restored::default();
        let Some(provisional) = self.state.guard.provisional().filter(|_| self.state.is_reverting) else {
            return restored;
        };
        let before = &provisional.before;
        for (key, object) in &before.objects {
            let lost = self.state.lost(before, key, object);
            restored.bindings.extend(lost.bindings);
            restored.issued_keys.extend(lost.issued_keys);
            restored.token_uses.extend(lost.token_uses);
        }
        restored
    }

    /// Takes in what the store got back.
    pub(super) fn take_restored(&mut self, restored: &store::Restored) {
        let by_uid: BTreeMap<_, _> =
            self.state.ledger.iter().map(|(key, uid)| (uid.uid.to_string(), key.clone())).collect();
        for binding in restored.bindings.iter().filter(|b| b.kind == store::NodeKind::Server) {
            if let (Some(key), Some(public)) = (by_uid.get(&binding.owner), public_key(&binding.public_key)) {
                self.state.facts.servers.insert(key.clone(), public);
            }
        }
        restored.bindings.iter().for_each(|binding| self.state.take_enrolment(binding));
        for key in &restored.issued_keys {
            self.state.digests.insert(key.uid.clone(), key.digest.clone());
        }
        for token in &restored.token_uses {
            let uses = u32::try_from(token.uses).unwrap_or(u32::MAX);
            self.state.token_uses.insert(token.digest.clone(), uses);
        }
    }

    pub(super) async fn set_guard(
        &mut self,
        guard: Guard,
        revoked: Vec<store::Revoke>,
        audit: store::AuditEntry,
    ) -> Result<(), Refusal> {
        let stored = guard.to_stored().map_err(|error| {
            error!(reason = %format!("{error:#}"), "the guard cannot be written");
            cannot_write()
        })?;
        self.store.set_guard(stored, revoked, vec![audit]).await.map_err(|error| {
            error!(%error, "the store refuses the guard");
            cannot_write()
        })?;
        self.state.guard = guard;
        Ok(())
    }
}

impl State {
    /// Returns the store's name of an object that was deleted by the change that is taken back.
    pub(super) fn former_uid(&self, key: &ObjectKey) -> Option<Entry> {
        let provisional = self.guard.provisional().filter(|_| self.is_reverting)?;
        let object = provisional.before.objects.get(key)?;
        Some(Entry::new(object.uid.as_str(), object.created_at_ms))
    }

    /// Changes what a compilation is given, so that it takes back what was not confirmed.
    pub(super) fn undo(&self, input: &mut Input) -> anyhow::Result<()> {
        let Some(provisional) = self.guard.provisional() else { return Ok(()) };
        let before = &provisional.before;
        input.previous.retain(|object| {
            !before.added.contains(&object.key) && !before.objects.contains_key(&object.key)
        });
        for (key, object) in &before.objects {
            let current = self.committed.get(key).map(Arc::as_ref);
            input.previous.push(Arc::new(old_object(key.clone(), object, current)?));
        }
        for key in before.keys() {
            let now = self.committed.get(key).map(|object| &object.spec);
            // A key that only the change had lets nobody in when it is taken back.
            if let Some(ResourceSpec::Device(device)) = now {
                input.facts.revoked.extend(device.public_key);
            }
            input.reverted.insert(key.clone(), text_hash(now));
        }
        for (key, object) in &before.objects {
            let lost = self.lost(before, key, object).bindings.into_iter();
            let mut of_server = lost.filter(|binding| binding.kind == store::NodeKind::Server);
            let bound = of_server.find_map(|binding| public_key(&binding.public_key));
            input.facts.servers.extend(bound.map(|bound| (key.clone(), bound)));
        }
        for (network, owner, address) in &before.released {
            let Some((namespace, name)) = network.split_once('/') else { continue };
            let network = NetworkId::new(namespace, name);
            let mut addresses = input.allocations.of(&network, owner).to_vec();
            if !addresses.contains(address) {
                addresses.push(*address);
            }
            input.allocations.insert(network, owner.clone(), addresses);
        }
        Ok(())
    }
}

/// Reads an object as it was. Its generation goes on from the one that is taken back.
fn old_object(key: ObjectKey, object: &OldObject, current: Option<&Committed>) -> anyhow::Result<Committed> {
    let text: StoredText = serde_json::from_str(&object.text).context("read an object as it was")?;
    let place = Place { line: text.place[0], column: text.place[1] };
    let spec = ResourceSpec::from_json(key.kind, text.spec).context("read an object as it was")?;
    let generation = match current {
        Some(current) if current.spec == spec => current.generation,
        Some(current) => current.generation + 1,
        None => 1,
    };
    Ok(Committed {
        metadata: text.metadata.into(),
        owner: Owner {
            source: object.source.as_str().into(),
            origin: Origin { file: object.locator.as_str().into(), place },
        },
        generation,
        spec,
        conditions: Arc::default(),
        stale: None,
        key,
    })
}
