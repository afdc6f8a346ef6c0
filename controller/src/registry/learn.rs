//! The reconciler's word: what folders and logins declare stands on the shelves, and every object has its status.

use std::sync::Arc;

use horizon_api::{
    condition::Condition,
    resource::{Kind, ObjectKey},
};
use horizon_machinery::{resource::Resource, shown, shown::Known, stored::Stored};
use horizon_planner::compile::API_SOURCE;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Registry,
    draft::{Draft, hash},
    event, namespace,
    record::{Keeper, Record},
};
use crate::{
    fate::{Fate, Fates, InForce, Waiting},
    off_worker::off_worker,
    store::StoreError,
};

/// Objects that change in one transaction: others must not wait for long.
const CHUNK: usize = 1_000;

impl Registry {
    /// Takes in what became of objects.
    ///
    /// # Errors
    /// When the store refuses: then with what was not taken in.
    pub(super) async fn learn(&mut self, fates: Fates) -> Result<(), (StoreError, Fates)> {
        let mut rest = fates;
        let mut told = 0;
        while !rest.is_empty() {
            let later = rest.keys().nth(CHUNK).cloned().map(|key| rest.split_off(&key)).unwrap_or_default();
            let mut draft = Draft::new(&self.shelves, &self.seal, self.next_version);
            let gone: Vec<_> = off_worker(|| {
                let gone = rest.iter().filter_map(|(key, fate)| match fate {
                    Fate::InForce(word) => self.show(&mut draft, key, word),
                    Fate::Waiting(word) => {
                        self.explain(&mut draft, key, word);
                        None
                    }
                    Fate::Gone => self.remove(&mut draft, key),
                });
                gone.collect()
            });
            for event in std::mem::take(&mut draft.events).into_iter().take(event::AT_ONCE_MAX - told) {
                told += 1;
                self.happened.show(&mut draft, event, Instant::now());
            }
            let finished = draft.finish();
            if let Err(error) = self.finish(finished).await {
                rest.extend(later);
                return Err((error, rest));
            }
            for (key, last) in gone {
                self.leaving.gone(&key, &last);
            }
            rest = later;
        }
        Ok(())
    }

    /// Returns the object of a client that is gone, where somebody else has its name.
    fn show(
        &self,
        draft: &mut Draft<'_>,
        key: &ObjectKey,
        word: &InForce,
    ) -> Option<(ObjectKey, Arc<Stored>)> {
        let resource = Resource::of(key.kind);
        let mut record = self.records.get(key);
        let mut gone = None;
        if record.is_some_and(|record| record.author().is_some() && !is_of_client(record, word)) {
            // A folder or a login has the name: it is another object from here on.
            gone = draft.remove(resource, &key.namespace, &key.name).map(|last| (key.clone(), last));
            record = None;
        }
        let current = draft.get(resource, &key.namespace, &key.name).map(|current| parsed(&current));
        let (mut object, keeper) = match (record, current.clone()) {
            (Some(Record { keeper: keeper @ Keeper::Client { .. }, .. }), Some(mut object)) => {
                let observed = word.observed.unwrap_or_else(|| observed(&object));
                set_status(&mut object, known(word, observed));
                (object, keeper.clone())
            }
            _ => {
                let object = shown::in_force(&word.object, known(word, word.object.generation));
                (object, Keeper::of(&word.object.owner))
            }
        };
        let next = Record { uid: word.uid.clone(), keeper, hash: hash(&mut object) };
        if record == Some(&next) {
            return gone;
        }
        if record.is_none_or(|record| record.hash != next.hash) {
            namespace::make(draft, &key.namespace);
            let event = event::of_change(current.as_ref(), &object, draft.next_version());
            draft.put(resource, object, &next);
            draft.tell(event);
        }
        draft.note(key.clone(), Some(next));
        gone
    }

    /// A client's object that is kept out says why.
    fn explain(&self, draft: &mut Draft<'_>, key: &ObjectKey, word: &Waiting) {
        let resource = Resource::of(key.kind);
        let Some(record) = self.records.get(key) else { return };
        let is_clients = record.author().is_some() && record.uid == word.uid;
        let Some(current) = draft.get(resource, &key.namespace, &key.name).filter(|_| is_clients) else {
            return;
        };
        let before = parsed(&current);
        let mut object = before.clone();
        let earlier = conditions(&object);
        let conditions: Vec<_> = word.conditions.iter().map(|c| c.clone().since(&earlier)).collect();
        let generation = word.observed.unwrap_or_else(|| observed(&object));
        let revision = object.pointer("/status/revision").and_then(Value::as_u64).unwrap_or(0);
        let created = Timestamp::UNIX_EPOCH;
        set_status(
            &mut object,
            Known { uid: &word.uid, created, generation, revision, conditions: &conditions },
        );
        let next = Record { hash: hash(&mut object), ..record.clone() };
        if next != *record {
            draft.tell(event::of_change(Some(&before), &object, draft.next_version()));
            draft.put(resource, object, &next);
            draft.note(key.clone(), Some(next));
        }
    }

    /// Returns what is gone for good.
    fn remove(&self, draft: &mut Draft<'_>, key: &ObjectKey) -> Option<(ObjectKey, Arc<Stored>)> {
        let record = self.records.get(key)?;
        let resource = Resource::of(key.kind);
        let current = draft.get(resource, &key.namespace, &key.name)?;
        // The reconciler may not have heard yet of what a client wrote, or that it is to go.
        if record.author().is_some() && (!is_leaving(&parsed(&current)) || self.pending.contains(key)) {
            return None;
        }
        draft.note(key.clone(), None);
        draft.remove(resource, &key.namespace, &key.name).map(|last| (key.clone(), last))
    }
}

pub(super) fn known(word: &InForce, generation: i64) -> Known<'_> {
    let InForce { uid, created_at_ms, revision, conditions, .. } = word;
    Known { uid, created: moment(*created_at_ms), generation, revision: *revision, conditions }
}

pub(super) fn set_status(object: &mut Value, known: Known<'_>) {
    if let Some(fields) = object.as_object_mut() {
        shown::set_status(fields, known);
    }
}

pub(super) fn observed(object: &Value) -> i64 {
    object.pointer("/status/observedGeneration").and_then(Value::as_i64).unwrap_or(0)
}

/// Says whether what is in force is what a client wrote.
pub(super) fn is_of_client(record: &Record, word: &InForce) -> bool {
    record.uid == word.uid && word.object.owner.source == API_SOURCE
}

fn conditions(object: &Value) -> Vec<Condition> {
    let conditions = object.pointer("/status/conditions").cloned().unwrap_or_default();
    serde_json::from_value(conditions).unwrap_or_default()
}

/// Says whether an object is to go and nothing of a client's holds it back.
pub(super) fn is_leaving(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    object.pointer("/metadata/deletionTimestamp").is_some() && finalizers.is_none_or(Vec::is_empty)
}

/// Reads what a shelf holds.
pub(super) fn parsed(stored: &Stored) -> Value {
    serde_json::from_slice(&stored.json()).expect("what is on a shelf was written as JSON")
}

pub(super) fn moment(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Returns our kind of a resource; none for what comes with Kubernetes.
pub(super) fn kind_of(resource: &Resource) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| std::ptr::eq(Resource::of(*kind), resource))
}
