//! From what is known to a committed revision: compile, one transaction, publish.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use horizon_api::{
    assignment::Version,
    cbor,
    condition::Condition,
    resource::{ObjectKey, ResourceSpec},
};
use horizon_node::clock;
use horizon_planner::{
    compile::{Committed, Compiled, Facts, Input, compile},
    status,
};
use serde_json::json;
use tracing::{error, info};
use uuid::Uuid;

use super::{
    Reconciler,
    change::{Change, OwnedAddress},
    enrolled::Tokens,
    guard::Guard,
    lacking::RevocationsChange,
    ledger::{Entries, Entry, Uids},
    next, revocation,
    state::{Assigned, State, StoredText},
};
use crate::off_worker::off_worker;
use crate::store::{self, AuditEntry, CommitRevision, ObjectConditions, Revision};

impl Reconciler {
    /// Works out who may do what from the last commit, before any source was read. Nothing is committed.
    pub(super) fn foresee(&mut self) {
        match off_worker(|| self.compile()) {
            Ok(compiled) => self.state.compiled = compiled,
            Err(error) => error!(reason = %format!("{error:#}"), "what was in force cannot be worked out"),
        }
        self.state.next_wake = None;
    }

    /// Compiles until nothing follows from the result: which tokens the keys have says how often they were used and
    /// whom they enrolled, and an invitation that is over goes.
    fn compile(&mut self) -> anyhow::Result<Compiled> {
        loop {
            let compiled = compile(&self.input()?, clock::unix_s());
            let tokens = self.tokens(&compiled.effective);
            let (uses, enrolled) = (self.uses(&tokens), self.enrolled(&compiled, &tokens));
            let has_forgotten = self.state.forget_expired_invitations(&compiled.effective);
            self.state.tokens = tokens;
            if uses == self.state.facts.uses && enrolled == self.state.facts.enrolled && !has_forgotten {
                return Ok(compiled);
            }
            (self.state.facts.uses, self.state.facts.enrolled) = (uses, enrolled);
        }
    }

    /// Returns what there is to compile: what sources say, or, while reverting, what was in force before.
    pub(super) fn input(&self) -> anyhow::Result<Input> {
        let mut input = Input {
            previous: self.state.committed.values().cloned().collect(),
            sources: self.state.source_snapshots(),
            facts: Facts { rotated: self.state.rotated_keys(), ..self.state.facts.clone() },
            allocations: self.state.allocations.clone(),
            holds: self.state.holds.clone(),
            approved: self.state.guard.approved(),
            reverted: self.state.guard.reverted.clone(),
            callers: self.state.callers.clone(),
        };
        if self.state.is_reverting {
            self.state.undo(&mut input)?;
        }
        Ok(input)
    }

    /// Returns how often the token of each key was used.
    fn uses(&self, tokens: &Tokens) -> BTreeMap<ObjectKey, u32> {
        let used =
            tokens.iter().filter_map(|(token, key)| Some((key.clone(), *self.state.token_uses.get(token)?)));
        used.collect()
    }

    /// Compiles everything; commits and publishes what has changed.
    ///
    /// # Errors
    /// When the store refuses: then nothing has changed.
    pub(super) async fn recompile(&mut self, cause: &str) -> anyhow::Result<()> {
        let compiled = off_worker(|| self.compile())?;
        if !self.state.has_read_all {
            self.state.compiled = compiled;
            return Ok(());
        }
        let keeps = self.state.guard.provisional().is_some() && !self.state.is_reverting;
        let change = off_worker(|| Change::between(&self.state, &compiled, &self.identity, keeps));
        if change.is_empty() {
            let mut guard = Guard::after(&self.state, &compiled, clock::unix_ms());
            if self.state.is_reverting {
                guard.armed = None;
            }
            self.keep_guard(guard).await?;
            self.state.committed = Arc::clone(&compiled.objects);
            self.state.compiled = compiled;
        } else {
            self.commit(compiled, change, cause).await?;
        }
        self.state.keep_callers();
        self.state.adopt_generations();
        off_worker(|| self.state.tell_waiting());
        self.publish_admins();
        self.state.next_wake = self.state.compiled.next_wake;
        self.refresh_conditions().await
    }

    async fn commit(&mut self, compiled: Compiled, change: Change, cause: &str) -> anyhow::Result<()> {
        let version = next(self.state.version);
        let guard = self.guard_of(&compiled, &change, version).await?;
        let revert_at_ms = guard.provisional().map(|provisional| provisional.revert_at_ms);
        let signed = change.sign(version, &self.identity, revert_at_ms);
        let uids = new_uids(&self.state, &compiled);
        // A change that may be taken back revokes nothing for good.
        let revoked = if guard.provisional().is_some() { vec![] } else { self.state.revoke(&change.revoked) };
        let restored = self.restored();
        let all_uids = Uids { known: &self.state.ledger, new: &uids };
        let reenrolled = self.state.reenrolled(&compiled, all_uids);
        let summary = change.summary();
        let hash = hash_of(&compiled, &mut self.state.text_hashes);
        let commit = CommitRevision {
            revision: Revision {
                number: i64::try_from(version.revision)?,
                epoch: i64::try_from(version.epoch)?,
                hash: hash.as_bytes().to_vec(),
                created_at: clock::unix_ms(),
                summary: summary.clone(),
            },
            objects: change.objects(&self.state, &compiled, all_uids, version)?,
            deleted: uid_list(&change.deleted, &self.state.ledger),
            withdrawn: uid_list(&change.withdrawn, &self.state.ledger),
            reenrolled: reenrolled.iter().map(|(node, enrolment)| enrolment.to_stored(node)).collect(),
            released: allocations(&change.released, all_uids),
            allocated: allocations(&change.allocated, all_uids),
            sections: change.sections(),
            assignments: stored_assignments(&signed, all_uids),
            unassigned: uid_list(&change.unassigned, &self.state.ledger),
            revoked,
            lifted: revocation::lift(&change.lifted),
            restored: restored.clone(),
            guard: guard.to_stored()?,
            audit: AuditEntry {
                at: clock::unix_ms(),
                actor: "reconciler".into(),
                action: if self.state.is_reverting { "revert" } else { "commit" }.into(),
                object: format!("revision/{}", version.revision),
                detail: json!({ "cause": cause, "summary": summary }),
            },
        };
        self.store.commit_revision(commit).await.context("commit the revision")?;
        info!(revision = version.revision, %summary, "revision committed");
        self.state.enrolments.extend(reenrolled);
        self.adopt(compiled, version, uids, change, signed);
        self.take_restored(&restored);
        self.state.guard = guard;
        self.publish_snapshot();
        Ok(())
    }

    /// The commit is done: what was decided is what is in force.
    fn adopt(
        &mut self,
        compiled: Compiled,
        version: Version,
        uids: Entries,
        change: Change,
        signed: BTreeMap<ObjectKey, Assigned>,
    ) {
        let state = &mut self.state;
        state.keep_applied();
        state.version = version;
        state.untold.extend(change.touched().cloned());
        state.adopt_revocations(&compiled, &change.revoked);
        if state.compiled.revoked != compiled.revoked {
            let (revision, at_ms) = (version.revision, clock::unix_ms());
            state.revocations_changed = RevocationsChange { revision, at_ms };
        }
        state.ledger.extend(uids);
        for key in &change.edited {
            if let Some(entry) = state.ledger.get_mut(key) {
                entry.revision = version.revision;
            }
        }
        for key in change.deleted.iter().chain(&change.withdrawn) {
            state.forget_token(key);
        }
        for key in &change.deleted {
            state.forget_uses(key);
            state.ledger.remove(key);
            state.facts.servers.remove(key);
        }
        if !change.deleted.is_empty() && state.guard.provisional().is_none() {
            state.forget_enrolments(&compiled);
        }
        state.committed = Arc::clone(&compiled.objects);
        state.allocations = compiled.allocations.clone();
        state.assignments.retain(|server, _| !change.unassigned.contains(server));
        state.assignments.extend(signed);
        state.compiled = compiled;
    }

    /// Writes the conditions that are not what they were. An idle hour writes nothing.
    pub(super) async fn refresh_conditions(&mut self) -> anyhow::Result<()> {
        let reports = self.state.gateway_reports();
        let progress = self.state.progress(&reports);
        let changed = off_worker(|| status::changed(&self.state.compiled, progress));
        let mut stored = Vec::new();
        for (key, conditions) in &changed {
            let Some(uid) = self.state.ledger.get(key).filter(|_| self.state.committed.contains_key(key))
            else {
                continue;
            };
            let conditions = serde_json::to_string(&**conditions)?;
            stored.push(ObjectConditions { uid: uid.uid.to_string(), conditions });
        }
        if changed.is_empty() {
            return Ok(());
        }
        // What the store did not take is still to be written: it stays different here too.
        self.store.set_conditions(stored).await.context("store conditions")?;
        self.view_is_due = true;
        self.state.untold.extend(changed.keys().cloned());
        let State { ledger, committed, .. } = &mut self.state;
        for (key, conditions) in changed.into_iter().filter(|(key, _)| committed.contains_key(key)) {
            if let Some(entry) = ledger.get_mut(&key) {
                entry.conditions = conditions;
            }
        }
        Ok(())
    }
}

fn allocations(list: &[OwnedAddress], uids: Uids<'_>) -> Vec<store::Allocation> {
    let known = list.iter().filter_map(|one| Some((one, uids.get(&one.owner)?)));
    known
        .map(|(one, uid)| store::Allocation {
            network: one.network.clone(),
            owner: uid.uid.to_string(),
            address: one.address.to_string(),
        })
        .collect()
}

fn new_uids(state: &State, compiled: &Compiled) -> Entries {
    let new = compiled.objects.keys().filter(|key| !state.ledger.contains_key(*key));
    new.map(|key| (key.clone(), state.former_uid(key).unwrap_or_else(new_uid))).collect()
}

/// Makes a name for the store: a UUID of version 7, in the order of time.
pub(super) fn new_uid() -> Entry {
    Entry::new(Uuid::now_v7().to_string(), clock::unix_ms())
}

fn uid_list(keys: &[ObjectKey], uids: &Entries) -> Vec<String> {
    keys.iter().filter_map(|key| uids.get(key)).map(|uid| uid.uid.to_string()).collect()
}

fn stored_assignments(signed: &BTreeMap<ObjectKey, Assigned>, uids: Uids<'_>) -> Vec<store::Assignment> {
    let known = signed.iter().filter_map(|(server, assigned)| Some((uids.get(server)?, assigned)));
    known
        .map(|(uid, assigned)| store::Assignment {
            server: uid.uid.to_string(),
            bytes: cbor::encode(&assigned.snapshot.assignment),
            sections: assigned.snapshot.sections.keys().map(|hash| hash.as_bytes().to_vec()).collect(),
        })
        .collect()
}

/// Writes an object as the store keeps it.
pub(super) fn stored_object(
    object: &Committed,
    conditions: &[Condition],
    uid: &Entry,
    version: Version,
) -> anyhow::Result<store::Object> {
    let place = object.owner.origin.place;
    let text = StoredText {
        metadata: (*object.metadata).clone(),
        spec: serde_json::to_value(&object.spec)?,
        place: [place.line, place.column],
    };
    Ok(store::Object {
        uid: uid.uid.to_string(),
        kind: object.key.kind.to_string(),
        namespace: object.key.namespace.to_string(),
        name: object.key.name.to_string(),
        generation: object.generation,
        source: object.owner.source.to_string(),
        locator: object.owner.origin.file.to_string(),
        spec: serde_json::to_string(&text)?,
        conditions: serde_json::to_string(conditions)?,
        created_at: uid.created_at_ms,
        revision: i64::try_from(version.revision)?,
    })
}

/// Objects in the order of their keys, each with the hash of its text: what did not change is not hashed again.
pub(super) type TextHashes = Vec<(Arc<Committed>, blake3::Hash)>;

/// The content of a revision: equal inputs give equal hashes, whatever their order was.
fn hash_of(compiled: &Compiled, known: &mut TextHashes) -> blake3::Hash {
    let mut old = std::mem::take(known).into_iter().peekable();
    let mut hasher = blake3::Hasher::new();
    let hashed = compiled.objects.values().map(|object| {
        while old.next_if(|(earlier, _)| earlier.key < object.key).is_some() {}
        let known = old
            .next_if(|(earlier, _)| Arc::ptr_eq(earlier, object))
            .unwrap_or_else(|| (Arc::clone(object), text_hash(&object.key, &object.spec)));
        hasher.update(known.1.as_bytes());
        known
    });
    *known = hashed.collect();
    for section in compiled.sections.values().flatten() {
        hasher.update(section.header.hash.as_bytes());
    }
    hasher.finalize()
}

fn text_hash(key: &ObjectKey, spec: &ResourceSpec) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.to_string().as_bytes());
    hasher.update(spec.canonical_json().as_bytes());
    hasher.finalize()
}
