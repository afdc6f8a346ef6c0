//! The next state of the shelves, before the store has taken it: it is shown whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::resource::ObjectKey;
use horizon_machinery::{
    collection::Collection,
    resource::Resource,
    stored::{Stored, key as stored_key},
};
use serde_json::Value;

use super::{
    Registry, event, namespace,
    record::{Keeper, Record},
    seal::Seal,
    shelf::Shelves,
};
use crate::store::{AuditEntry, Document, DocumentChanges, DocumentKey, StoreError};

/// Changes that are made together.
pub(super) struct Draft<'a> {
    shelves: &'a Shelves,
    seal: &'a Seal,
    next: BTreeMap<String, Collection>,
    documents: BTreeMap<DocumentKey, Option<Document>>,
    records: BTreeMap<ObjectKey, Option<Record>>,
    next_version: u64,
    pub(super) audits: Vec<AuditEntry>,
    /// What happened to objects, told when the draft is done.
    pub(super) events: Vec<Value>,
    /// Namespaces and names of events that clients wrote.
    pub(super) noted_events: Vec<(String, String)>,
    /// Namespaces out of which something went.
    pub(super) emptied: BTreeSet<String>,
}

/// What is left of a draft when nothing reads the shelves any more.
pub(super) struct Finished {
    next: BTreeMap<String, Collection>,
    documents: BTreeMap<DocumentKey, Option<Document>>,
    records: BTreeMap<ObjectKey, Option<Record>>,
    next_version: u64,
    audits: Vec<AuditEntry>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(shelves: &'a Shelves, seal: &'a Seal, next_version: u64) -> Self {
        Self {
            shelves,
            seal,
            next: BTreeMap::new(),
            documents: BTreeMap::new(),
            records: BTreeMap::new(),
            next_version,
            audits: vec![],
            events: vec![],
            noted_events: vec![],
            emptied: BTreeSet::new(),
        }
    }

    /// Returns an object as it will be.
    pub(super) fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        self.collection_of(&resource.qualified())?.get(&stored_key(namespace, name)).cloned()
    }

    /// Returns a kind as it will be.
    pub(super) fn collection_of(&self, kind: &str) -> Option<Collection> {
        let next = self.next.get(kind).cloned();
        next.or_else(|| self.shelves.get(kind).map(|shown| (*shown).clone()))
    }

    /// Puts an object on its shelf under the next version. It is stored with its text if a client keeps it.
    pub(super) fn put(&mut self, resource: &Resource, object: Value, record: &Record) -> Arc<Stored> {
        let key = document_key(resource, &object);
        let stored = self.show(resource, object);
        let author = record.author();
        let document = Document {
            key: key.clone(),
            uid: record.uid.to_string(),
            version: signed(stored.version()),
            hash: record.hash.as_bytes().to_vec(),
            author: author.unwrap_or_default().to_owned(),
            text: author.map(|_| self.text(&key, &stored)).unwrap_or_default(),
        };
        self.documents.insert(key, Some(document));
        stored
    }

    /// Takes an object off its shelf; returns what it was.
    pub(super) fn remove(&mut self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let last = self.hide(resource, namespace, name)?;
        self.emptied.insert(namespace.to_owned());
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.documents.insert(DocumentKey { resource: resource.qualified(), namespace, name }, None);
        Some(last)
    }

    /// Puts an object on its shelf under the next version, and only there.
    pub(super) fn show(&mut self, resource: &Resource, mut object: Value) -> Arc<Stored> {
        let version = self.take_version();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let stored = Stored::new(&object, version, &resource.selectable);
        let taken =
            self.collection(&resource.qualified()).map(|collection| collection.put(Arc::clone(&stored)));
        debug_assert!(taken.is_none_or(|taken| taken.is_ok()), "versions rise");
        stored
    }

    /// Takes an object off its shelf, and only there; returns what it was.
    pub(super) fn hide(&mut self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let last = self.get(resource, namespace, name)?;
        let version = self.take_version();
        let taken =
            self.collection(&resource.qualified()).map(|collection| collection.remove(last.key(), version));
        debug_assert!(taken.is_none_or(|taken| taken.is_ok()), "versions rise");
        Some(last)
    }

    /// Takes note of an event; too many at once are no news.
    pub(super) fn tell(&mut self, event: Option<Value>) {
        if self.events.len() < event::AT_ONCE_MAX {
            self.events.extend(event);
        }
    }

    /// Takes note of an event that a client wrote.
    pub(super) fn note_event(&mut self, event: &Value) {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.noted_events.push((text("/metadata/namespace"), text("/metadata/name")));
    }

    /// Returns the version that is given next.
    pub(super) fn next_version(&self) -> u64 {
        self.next_version
    }

    /// Takes note of who keeps an object; `None` forgets it.
    pub(super) fn note(&mut self, key: ObjectKey, record: Option<Record>) {
        self.records.insert(key, record);
    }

    pub(super) fn record<'r>(
        &'r self,
        known: &'r BTreeMap<ObjectKey, Record>,
        key: &ObjectKey,
    ) -> Option<&'r Record> {
        match self.records.get(key) {
            Some(changed) => changed.as_ref(),
            None => known.get(key),
        }
    }

    pub(super) fn finish(mut self) -> Finished {
        for name in std::mem::take(&mut self.emptied) {
            namespace::end(&mut self, &name);
        }
        let Self { next, documents, records, next_version, audits, .. } = self;
        Finished { next, documents, records, next_version, audits }
    }

    /// Returns how the text of an object is stored.
    fn text(&self, key: &DocumentKey, stored: &Stored) -> String {
        if is_secret(&key.resource) {
            return self.seal.close(key, &stored.json()).expect("a document is far shorter than 64 GiB");
        }
        String::from_utf8(stored.json().to_vec()).expect("JSON is text")
    }

    fn take_version(&mut self) -> u64 {
        let version = self.next_version;
        self.next_version += 1;
        version
    }

    fn collection(&mut self, kind: &str) -> Option<&mut Collection> {
        if !self.next.contains_key(kind) {
            self.next.insert(kind.to_owned(), (*self.shelves.get(kind)?).clone());
        }
        self.next.get_mut(kind)
    }
}

impl Registry {
    /// Stores a draft, then shows it. Where the store refuses, nothing has changed.
    pub(super) async fn finish(&mut self, draft: Finished) -> Result<(), StoreError> {
        let Finished { next, documents, records, next_version, audits } = draft;
        let mut changes = DocumentChanges::default();
        for (key, document) in documents {
            match document {
                Some(document) => changes.put.push(document),
                None => changes.deleted.push(key),
            }
        }
        changes.shelves = next.iter().map(|(kind, next)| (kind.clone(), signed(next.version()))).collect();
        // Events are not stored, so their shelves need no version either: they begin empty.
        changes
            .shelves
            .retain(|(kind, _)| !event::resources().iter().any(|events| events.qualified() == *kind));
        // Some versions are given to what is not stored: after a restart none is given again.
        let mut reserved = self.reserved;
        if next_version > reserved {
            reserved = next_version + RESERVED;
            changes.shelves.push((RESERVATION.to_owned(), signed(reserved)));
        }
        if changes != DocumentChanges::default() || !audits.is_empty() {
            self.store.change_documents(changes, audits).await?;
        }
        (self.next_version, self.reserved) = (next_version, reserved);
        for (key, record) in records {
            match record {
                Some(record) => drop(self.records.insert(key, record)),
                None => drop(self.records.remove(&key)),
            }
        }
        self.shelves.show(next);
        Ok(())
    }
}

/// Versions that are taken from the store at once.
pub(super) const RESERVED: u64 = 10_000;
/// Where the store keeps the last version that may be given, among the last versions of kinds.
pub(super) const RESERVATION: &str = "";

/// Says whether the objects of a kind are secret.
pub(super) fn is_secret(resource: &str) -> bool {
    resource == "secrets"
}

fn document_key(resource: &Resource, object: &Value) -> DocumentKey {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    DocumentKey {
        resource: resource.qualified(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
}

/// Versions are an epoch of at most 23 bits and a count of 40.
pub(super) fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Returns the hash of what is shown, and takes the version out, which is not part of it.
pub(super) fn hash(object: &mut Value) -> blake3::Hash {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    blake3::hash(object.to_string().as_bytes())
}

impl Keeper {
    /// Says where the text of an object in force is.
    pub(super) fn of(owner: &horizon_planner::compile::Owner) -> Self {
        if owner.source == horizon_planner::compile::API_SOURCE {
            Self::Login
        } else {
            Self::Source { source: owner.source.clone(), place: owner.origin.to_string().into() }
        }
    }
}
