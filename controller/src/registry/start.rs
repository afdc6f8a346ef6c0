//! The start: what was shown last, and what the reconciler says of everything, become the first shelves.
//!
//! An object that is shown as before keeps its version, so that watches go on across a restart. Of a kind in which
//! anything else is shown, the history begins anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use anyhow::Context;
use horizon_api::resource::{DEFAULT_NAMESPACE, ObjectKey};
use horizon_api_server::Write;
use horizon_machinery::{
    collection::Collection,
    resource::Resource,
    shown::{self, Known},
    stored::Stored,
};
use horizon_node::clock;
use horizon_planner::compile::API_SOURCE;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Registry, definition,
    draft::{Draft, hash, is_secret, signed},
    event::{self, Events},
    keep::api_object,
    learn::{is_leaving, kind_of, known, moment, observed, set_status},
    leaving::Leaving,
    namespace,
    pending::Pending,
    record::{Keeper, Record},
    seal::Seal,
    shelf::{Shelves, limits},
};
use crate::{
    event::Event,
    fate::{Fate, Fates, InForce},
    store::{Document, DocumentChanges, DocumentKey, Store, StoredDocuments},
};

/// Documents that are written in one transaction.
const CHUNK: usize = 1_000;
/// The author of what changes nothing.
const NOBODY: &str = "";
/// Bits of a version that count; those above are the epoch, so that a restored store never repeats one.
const COUNT_BITS: u32 = 40;

/// What a registry is made of.
pub struct Parts {
    pub store: Store,
    pub fates: mpsc::Receiver<Fates>,
    pub events: mpsc::Sender<Event>,
    pub writes: mpsc::Receiver<Write>,
    pub seal: Seal,
    /// Resources are a cluster's, and are written there.
    pub has_cluster: bool,
}

/// The newest state of each kind, by its qualified name.
pub(super) type ShelvesSeen = Arc<BTreeMap<String, watch::Receiver<Arc<Collection>>>>;

impl Registry {
    /// Waits for the reconciler's first word and shows it.
    ///
    /// # Errors
    /// When the store cannot be read or written, or the reconciler says nothing.
    pub async fn start(parts: Parts) -> anyhow::Result<(Self, ShelvesSeen)> {
        let Parts { store, mut fates, events, writes, seal, has_cluster } = parts;
        let stored = store.documents().await.context("read what the resource API showed last")?;
        let first = fates.recv().await.context("the reconciler ended before it said what is in force")?;
        let epoch = u64::try_from(store.start().epoch).context("the store's epoch is negative")?;
        let Started { collections, records, next_version, pending, changes, waiting } =
            tokio::task::block_in_place(|| Start::new(stored, epoch, &seal).finish(first))?;
        for chunk in chunks(changes) {
            store.change_documents(chunk, vec![]).await.context("store what the resource API shows")?;
        }
        let shelves = Shelves::new(collections);
        let seen = shelves.subscribe();
        let mut registry = Self {
            store,
            shelves,
            records,
            next_version,
            reserved: 0,
            pending,
            leaving: Leaving::default(),
            happened: Events::default(),
            seal,
            has_cluster,
            unlearned: Fates::new(),
            retry_at: None,
            in_flight: None,
            fates,
            writes,
            events,
        };
        registry.make_namespaces().await?;
        registry.hear(waiting).await;
        registry.tell_all().await?;
        Ok((registry, seen))
    }

    /// Before folders are read, the reconciler knows what clients wrote: none of it counts as a newcomer.
    async fn tell_all(&mut self) -> anyhow::Result<()> {
        const GONE: &str = "the reconciler ended while it took in what clients wrote";
        while !self.pending.is_empty() {
            let (done, is_done) = oneshot::channel();
            let changes = self.pending.take();
            self.events.send(Event::Api(changes, done)).await.ok().context(GONE)?;
            // Meanwhile it may have a word to say, and waits for nobody.
            is_done.await.context(GONE)?;
        }
        Ok(())
    }

    async fn make_namespaces(&mut self) -> anyhow::Result<()> {
        let mut draft = Draft::new(&self.shelves, &self.seal, self.next_version);
        let used = self.records.keys().map(|key| key.namespace.as_str());
        let used: BTreeSet<&str> = used.chain([DEFAULT_NAMESPACE]).collect();
        for name in used {
            namespace::make(&mut draft, name);
        }
        let all =
            draft.collection_of(&namespace::resource().qualified()).context("namespaces have a shelf")?;
        for stored in all.state_at(all.version(), Bound::Unbounded) {
            namespace::end(&mut draft, stored.key());
        }
        self.finish(draft.finish()).await.context("store the namespaces")
    }
}

/// The first state, as far as it is worked out.
struct Start<'a> {
    seal: &'a Seal,
    rows: BTreeMap<DocumentKey, Document>,
    /// When each kind last changed, as the store has it, and with this start.
    known: BTreeMap<String, u64>,
    changed: BTreeMap<String, u64>,
    objects: BTreeMap<String, Vec<Arc<Stored>>>,
    records: BTreeMap<ObjectKey, Record>,
    next_version: u64,
    pending: Pending,
    changes: DocumentChanges,
}

struct Started {
    collections: BTreeMap<String, Collection>,
    records: BTreeMap<ObjectKey, Record>,
    next_version: u64,
    pending: Pending,
    changes: DocumentChanges,
    /// What clients wrote and is kept out.
    waiting: Fates,
}

impl<'a> Start<'a> {
    fn new(stored: StoredDocuments, epoch: u64, seal: &'a Seal) -> Self {
        let StoredDocuments { documents, shelves } = stored;
        let unsigned = |version: i64| u64::try_from(version).unwrap_or(0);
        let known: BTreeMap<_, _> =
            shelves.into_iter().map(|(kind, version)| (kind, unsigned(version))).collect();
        let of_documents = documents.iter().map(|document| unsigned(document.version));
        let newest = of_documents.chain(known.values().copied()).max().unwrap_or(0);
        // After a backup was restored, what clients knew of the time since is over, of every kind.
        let first_of_epoch = epoch << COUNT_BITS;
        let is_restored = newest > 0 && newest < first_of_epoch;
        let newest = newest.max(first_of_epoch);
        let kinds = Resource::all().iter().map(|resource| resource.qualified());
        let changed = match is_restored {
            true => kinds.map(|kind| (kind, newest)).collect(),
            false => known.clone(),
        };
        Self {
            seal,
            rows: documents.into_iter().map(|document| (document.key.clone(), document)).collect(),
            changed,
            known,
            objects: BTreeMap::new(),
            records: BTreeMap::new(),
            next_version: newest + 1,
            pending: Pending::default(),
            changes: DocumentChanges::default(),
        }
    }

    fn finish(mut self, first: Fates) -> anyhow::Result<Started> {
        let mut waiting = Fates::new();
        for (key, fate) in first {
            match fate {
                Fate::InForce(word) => self.take_in_force(&key, &word)?,
                Fate::Waiting(word) => drop(waiting.insert(key, Fate::Waiting(word))),
                Fate::Gone => {}
            }
        }
        for document in std::mem::take(&mut self.rows).into_values() {
            self.take_rest(document)?;
        }
        self.define();
        let is_new = |(kind, version): &(&String, &u64)| {
            self.known.get(*kind) != Some(version)
                && !event::resources().iter().any(|r| r.qualified() == **kind)
        };
        let shelves = self.changed.iter().filter(is_new);
        self.changes.shelves = shelves.map(|(kind, version)| (kind.clone(), signed(*version))).collect();
        let Self { changed, mut objects, records, next_version, pending, changes, .. } = self;
        let newest = next_version - 1;
        let served = Resource::all().iter().filter(|resource| is_kept(resource));
        let collections = served.map(|resource| {
            let kind = resource.qualified();
            let last_change = changed.get(&kind).copied().unwrap_or(0);
            let objects = objects.remove(&kind).unwrap_or_default();
            let collection = Collection::new(objects, last_change, newest, limits(resource));
            (kind, collection)
        });
        Ok(Started { collections: collections.collect(), records, next_version, pending, changes, waiting })
    }

    fn take_in_force(&mut self, key: &ObjectKey, word: &InForce) -> anyhow::Result<()> {
        let row = self.rows.remove(&document_key(key));
        let is_clients = |row: &&Document| {
            !row.text.is_empty() && row.uid == word.uid && word.object.owner.source == API_SOURCE
        };
        let of_client = row.as_ref().filter(is_clients);
        let (object, keeper) = match of_client {
            Some(row) => {
                let mut object = self.read(row)?;
                self.resend(key, &object, &row.author, Some(word))?;
                let observed = word.observed.unwrap_or_else(|| observed(&object));
                set_status(&mut object, known(word, observed));
                (object, Keeper::Client { author: row.author.as_str().into() })
            }
            None => {
                let known: Known<'_> = known(word, word.object.generation);
                (shown::in_force(&word.object, known), Keeper::of(&word.object.owner))
            }
        };
        self.take(
            key,
            object,
            Record { uid: word.uid.clone(), keeper, hash: blake3::Hash::from_bytes([0; 32]) },
            row,
        );
        Ok(())
    }

    /// What the reconciler has not spoken of: namespaces, and what clients wrote that is not in force.
    fn take_rest(&mut self, row: Document) -> anyhow::Result<()> {
        let kind = row.key.resource.clone();
        let object = if row.text.is_empty() { Value::Null } else { self.read(&row)? };
        let Some(resource) = Resource::all().iter().find(|resource| resource.qualified() == kind) else {
            return Ok(());
        };
        match kind_of(resource) {
            None if !object.is_null() => self.stand(resource, &object, row.version),
            Some(ours) if !object.is_null() && !is_leaving(&object) => {
                let key = ObjectKey::new(ours, row.key.namespace.as_str(), row.key.name.as_str());
                self.resend(&key, &object, &row.author, None)?;
                let keeper = Keeper::Client { author: row.author.as_str().into() };
                let record =
                    Record { uid: row.uid.as_str().into(), keeper, hash: blake3::Hash::from_bytes([0; 32]) };
                self.take(&key, object, record, Some(row));
            }
            None | Some(_) => {
                self.changed.insert(kind, self.next_version);
                self.next_version += 1;
                self.changes.deleted.push(row.key);
            }
        }
        Ok(())
    }

    /// The reconciler may not have heard of it before the last end. Whoever wrote what is in force changes nothing.
    fn resend(
        &mut self,
        key: &ObjectKey,
        object: &Value,
        author: &str,
        word: Option<&InForce>,
    ) -> anyhow::Result<()> {
        if is_leaving(object) {
            self.pending.put(key.clone(), None, author);
            return Ok(());
        }
        let read = api_object(key, object);
        let read =
            read.map_err(|refusal| anyhow::anyhow!("read {key} from the store: {}", refusal.message))?;
        let is_in_force = word.is_some_and(|word| word.object.spec == read.manifest.spec);
        self.pending.put(key.clone(), Some(read), if is_in_force { NOBODY } else { author });
        Ok(())
    }

    /// Puts an object of ours on its shelf: under its old version if it is shown as before.
    fn take(&mut self, key: &ObjectKey, mut object: Value, record: Record, row: Option<Document>) {
        let resource = Resource::of(key.kind);
        let record = Record { hash: hash(&mut object), ..record };
        let is_as_before = |row: &&Document| row.uid == record.uid && row.hash == record.hash.as_bytes();
        let version = match row.as_ref().filter(is_as_before) {
            Some(row) => row.version,
            None => {
                let version = signed(self.next_version);
                self.next_version += 1;
                self.changed.insert(resource.qualified(), self.next_version - 1);
                object["metadata"]["resourceVersion"] = version.to_string().into();
                let author = record.author();
                let text = author.map(|_| object.to_string()).unwrap_or_default();
                let author = author.unwrap_or_default().to_owned();
                let hash = record.hash.as_bytes().to_vec();
                let key = document_key(key);
                self.changes.put.push(Document {
                    key,
                    uid: record.uid.to_string(),
                    version,
                    hash,
                    author,
                    text,
                });
                version
            }
        };
        object["metadata"]["resourceVersion"] = version.to_string().into();
        self.stand(resource, &object, version);
        self.records.insert(key.clone(), record);
    }

    fn stand(&mut self, resource: &Resource, object: &Value, version: i64) {
        let stored = Stored::new(object, u64::try_from(version).unwrap_or(0), &resource.selectable);
        self.objects.entry(resource.qualified()).or_default().push(stored);
    }

    fn define(&mut self) {
        // Another program may bring other definitions: what a watch knew of them is over with each start.
        let definitions = definition::resource().qualified();
        self.objects
            .insert(definitions.clone(), definition::all(self.next_version, moment(clock::unix_ms())));
        self.changed.insert(definitions, self.next_version);
        self.next_version += 1;
        // Events begin anew: what a watch knew of the last ones is over.
        for resource in event::resources() {
            self.changed.insert(resource.qualified(), self.next_version - 1);
        }
    }

    fn read(&self, row: &Document) -> anyhow::Result<Value> {
        let DocumentKey { resource, namespace, name } = &row.key;
        let what = || format!("read {resource} {namespace}/{name} from the store");
        if is_secret(resource) {
            let text = self.seal.open(&row.key, &row.text).with_context(what)?;
            return serde_json::from_str(&text).with_context(what);
        }
        serde_json::from_str(&row.text).with_context(what)
    }
}

/// Says whether a kind has a shelf.
fn is_kept(resource: &Resource) -> bool {
    resource.verbs.contains(&"list")
}

fn document_key(key: &ObjectKey) -> DocumentKey {
    let (namespace, name) = (key.namespace.to_string(), key.name.to_string());
    DocumentKey { resource: Resource::of(key.kind).qualified(), namespace, name }
}

/// Cuts changes into transactions. The shelves come last: until then every version counts as new.
fn chunks(changes: DocumentChanges) -> Vec<DocumentChanges> {
    let DocumentChanges { mut put, deleted, shelves } = changes;
    let mut chunks = vec![];
    while put.len() > CHUNK {
        let rest = put.split_off(CHUNK);
        chunks.push(DocumentChanges { put, ..DocumentChanges::default() });
        put = rest;
    }
    let last = DocumentChanges { put, deleted, shelves };
    if last != DocumentChanges::default() {
        chunks.push(last);
    }
    chunks
}
