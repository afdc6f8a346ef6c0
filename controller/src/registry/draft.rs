//! The next state of the shelves, before the store has taken it: it is shown whole or not at all.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::resource::ObjectKey;
use horizon_machinery::{
    collection::Collection,
    resource::Resource,
    stored::{Stored, key as stored_key},
};
use serde_json::Value;

use super::{
    Registry,
    record::{Keeper, Record},
    shelf::Shelves,
};
use crate::store::{AuditEntry, Document, DocumentChanges, DocumentKey, StoreError};

/// Changes that are made together.
pub(super) struct Draft<'a> {
    shelves: &'a Shelves,
    next: BTreeMap<String, Collection>,
    documents: BTreeMap<DocumentKey, Option<Document>>,
    records: BTreeMap<ObjectKey, Option<Record>>,
    next_version: u64,
    pub(super) audits: Vec<AuditEntry>,
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
    pub(super) fn new(shelves: &'a Shelves, next_version: u64) -> Self {
        Self {
            shelves,
            next: BTreeMap::new(),
            documents: BTreeMap::new(),
            records: BTreeMap::new(),
            next_version,
            audits: vec![],
        }
    }

    /// Returns an object as it will be.
    pub(super) fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let (kind, key) = (resource.qualified(), stored_key(namespace, name));
        match self.next.get(&kind) {
            Some(collection) => collection.get(&key).cloned(),
            None => self.shelves.get(&kind)?.get(&key).cloned(),
        }
    }

    /// Returns whether any kind but namespaces has an object in a namespace.
    pub(super) fn is_used(&self, namespace: &str) -> bool {
        let prefix = format!("{namespace}/");
        let resources = Resource::all().iter().filter(|resource| resource.is_namespaced);
        resources.filter_map(|resource| self.shelves.get(&resource.qualified())).any(|collection| {
            let from = std::ops::Bound::Included(prefix.as_str());
            collection
                .state_at(collection.version(), from)
                .next()
                .is_some_and(|first| first.key().starts_with(&prefix))
        })
    }

    /// Puts an object on its shelf under the next version. It is stored with its text if a client keeps it.
    pub(super) fn put(&mut self, resource: &Resource, mut object: Value, record: &Record) -> Arc<Stored> {
        let version = self.take_version();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let stored = Stored::new(&object, version, &resource.selectable);
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = DocumentKey {
            resource: resource.qualified(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        };
        let author = record.author();
        let document = Document {
            key: key.clone(),
            uid: record.uid.clone(),
            version: signed(version),
            hash: record.hash.as_bytes().to_vec(),
            author: author.unwrap_or_default().to_owned(),
            text: author.map(|_| String::from_utf8_lossy(stored.json()).into_owned()).unwrap_or_default(),
        };
        let taken = self.collection(&key.resource).map(|collection| collection.put(Arc::clone(&stored)));
        debug_assert!(taken.is_none_or(|taken| taken.is_ok()), "versions rise");
        self.documents.insert(key, Some(document));
        stored
    }

    /// Takes an object off its shelf; returns what it was.
    pub(super) fn remove(&mut self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let last = self.get(resource, namespace, name)?;
        let version = self.take_version();
        let kind = resource.qualified();
        let taken = self.collection(&kind).map(|collection| collection.remove(last.key(), version));
        debug_assert!(taken.is_none_or(|taken| taken.is_ok()), "versions rise");
        let key = DocumentKey { resource: kind, namespace: namespace.to_owned(), name: name.to_owned() };
        self.documents.insert(key, None);
        Some(last)
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

    pub(super) fn finish(self) -> Finished {
        let Self { next, documents, records, next_version, audits, .. } = self;
        Finished { next, documents, records, next_version, audits }
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
        if changes != DocumentChanges::default() || !audits.is_empty() {
            self.store.change_documents(changes, audits).await?;
        }
        self.next_version = next_version;
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

/// Versions are an epoch of at most 23 bits and a count of 40.
pub(super) fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Returns the hash of what is shown, apart from its version.
pub(super) fn hash(object: &Value) -> blake3::Hash {
    let mut shown = object.clone();
    if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    blake3::hash(shown.to_string().as_bytes())
}

impl Keeper {
    /// Says where the text of an object in force is.
    pub(super) fn of(owner: &horizon_planner::compile::Owner) -> Self {
        if owner.source == horizon_planner::compile::API_SOURCE {
            Self::Login
        } else {
            Self::Source { source: owner.source.clone(), place: owner.origin.to_string() }
        }
    }
}
