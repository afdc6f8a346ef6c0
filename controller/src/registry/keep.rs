//! Writes of clients: each was decided against a state, and is kept if that is still the state.

use std::{ptr, sync::Arc};

use horizon_api::resource::{Metadata, ObjectKey, ResourceSpec};
use horizon_api_server::{Deed, NotKept, Write};
use horizon_machinery::{
    event::in_group,
    refusal::{About, Reason, Refusal},
    resource::Resource,
    shown,
    stored::{Stored, key},
};
use horizon_node::clock;
use horizon_planner::{compile::RESOURCE_API, manifest::Manifest};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::error;

use super::{
    Registry, Reply,
    draft::{Draft, hash, is_secret},
    event,
    learn::{is_leaving, kind_of, moment, parsed},
    namespace,
    record::{Keeper, Record},
};
use crate::{
    fate::ApiObject,
    off_worker::off_worker,
    source::cluster,
    store::{AuditEntry, StoreError},
};

/// A write with what comes of it, if the store takes it.
struct Decided {
    reply: Reply,
    outcome: Result<Kept, NotKept>,
}

enum Kept {
    /// Nothing changes.
    Shown(Arc<Stored>),
    /// This is the object.
    Put { stored: Arc<Stored>, changes: Vec<Change> },
    /// The object is to go, and has its mark.
    Leaving { marked: Arc<Stored>, key: ObjectKey, changes: Vec<Change> },
}

/// What the reconciler is to hear.
pub(super) struct Change {
    pub(super) key: ObjectKey,
    pub(super) object: Option<ApiObject>,
    pub(super) author: String,
}

impl Registry {
    /// Keeps what can be kept, all in one transaction, and answers everybody.
    pub(super) async fn keep(&mut self, writes: Vec<Write>) {
        let mut draft = Draft::new(&self.shelves, &self.seal, self.next_version);
        let decided: Vec<_> =
            off_worker(|| writes.into_iter().map(|write| self.decide(&mut draft, write)).collect());
        self.happened.note(&mut draft, Instant::now());
        let finished = draft.finish();
        let kept = self.finish(finished).await;
        if let Err(error) = &kept {
            error!(%error, "what clients of the resource API wrote is not kept");
        }
        for Decided { reply, outcome } in decided {
            match (outcome, &kept) {
                (Ok(Kept::Put { .. } | Kept::Leaving { .. }), Err(error)) => {
                    drop(reply.send(Err(NotKept::Refused(cannot_keep(error)))));
                }
                (Ok(Kept::Shown(stored)), _) => drop(reply.send(Ok(stored))),
                (Ok(Kept::Put { stored, changes }), Ok(())) => {
                    self.tell(changes);
                    drop(reply.send(Ok(stored)));
                }
                (Ok(Kept::Leaving { marked, key, changes }), Ok(())) => {
                    self.tell(changes);
                    self.leaving.wait(key, reply, marked);
                }
                (Err(not_kept), _) => drop(reply.send(Err(not_kept))),
            }
        }
    }

    fn tell(&mut self, changes: Vec<Change>) {
        for Change { key, object, author } in changes {
            self.pending.put(key, object, &author);
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, write: Write) -> Decided {
        let Write { resource, namespace, name, expected, deed, by, is_dry_run, reply } = write;
        let current = draft.get(resource, &namespace, &name);
        let is_new = match (&deed, &current) {
            (Deed::Put(_), None) => true,
            (Deed::Put(object), Some(current)) => parsed(current).get("spec") != object.get("spec"),
            (Deed::Delete, _) => false,
        };
        let outcome = if self.has_cluster && is_new {
            Err(NotKept::Refused(in_cluster()))
        } else if current.as_ref().map(|current| current.version()) == expected {
            let ask = Ask { current, deed, by, is_dry_run };
            let outcome = match kind_of(resource) {
                Some(kind) => {
                    let key = ObjectKey::new(kind, namespace.as_str(), name.as_str());
                    self.decide_ours(draft, key, ask)
                }
                None => {
                    let place = Place { resource, namespace: &namespace, name: &name };
                    self.decide_beside(draft, &place, ask)
                }
            };
            outcome.map_err(NotKept::Refused)
        } else {
            Err(NotKept::Moved)
        };
        Decided { reply, outcome }
    }

    fn decide_ours(&self, draft: &mut Draft<'_>, key: ObjectKey, ask: Ask) -> Result<Kept, Refusal> {
        let resource = Resource::of(key.kind);
        let record = draft.record(&self.records, &key);
        self.check_is_ours(record, &key)?;
        let Ask { current, deed, by, is_dry_run } = ask;
        match deed {
            Deed::Put(mut object) => {
                if current.is_none() {
                    namespace::check(draft, resource, &key.namespace, &key.name)?;
                }
                let api_object = api_object(&key, &object)?;
                if is_dry_run {
                    return Ok(Kept::Shown(as_shown(object, current.as_ref(), &resource.selectable)));
                }
                let next = client_record(&mut object, &by);
                let action = if current.is_none() { "create" } else { "update" };
                let stored = draft.put(resource, object, &next);
                draft.note(key.clone(), Some(next));
                draft.audits.push(audit(&by, action, key.to_string()));
                Ok(Kept::Put { stored, changes: vec![Change { key, object: Some(api_object), author: by }] })
            }
            Deed::Delete => {
                let Some(current) = current else { return Err(Refusal::not_found(about(&key))) };
                if is_dry_run {
                    return Ok(Kept::Shown(current));
                }
                let mut object = parsed(&current);
                if is_leaving(&object) {
                    return Ok(Kept::Leaving { marked: current, key, changes: vec![] });
                }
                shown::mark_deleted(&mut object, moment(clock::unix_ms()));
                let next = client_record(&mut object, &by);
                let marked = draft.put(resource, object, &next);
                draft.note(key.clone(), Some(next));
                draft.audits.push(audit(&by, "delete", key.to_string()));
                let changes = vec![Change { key: key.clone(), object: None, author: by }];
                Ok(Kept::Leaving { marked, key, changes })
            }
        }
    }
}

impl Registry {
    /// What a folder declares is changed there, or the next commit would undo it.
    fn check_is_ours(&self, record: Option<&Record>, key: &ObjectKey) -> Result<(), Refusal> {
        let Some(Record { keeper: Keeper::Source { source, place }, .. }) = record else { return Ok(()) };
        if cluster::is_of_cluster(source) && !self.has_cluster {
            // Nobody looks at the cluster any more: whoever writes here takes its object over.
            return Ok(());
        }
        let why = match source.strip_prefix("files:") {
            Some(folder) => format!("it is declared at {place} in {folder}: change it there"),
            None => format!("it is in the Kubernetes cluster ({place}): change it there, with kubectl"),
        };
        Err(Refusal::conflict(about(key), why))
    }
}

/// What is asked about an object that is as it was thought to be.
struct Ask {
    current: Option<Arc<Stored>>,
    deed: Deed,
    by: String,
    is_dry_run: bool,
}

impl Registry {
    /// Decides about what comes with Kubernetes.
    fn decide_beside(&self, draft: &mut Draft<'_>, place: &Place<'_>, ask: Ask) -> Result<Kept, Refusal> {
        let Place { resource, namespace, name } = *place;
        let is_namespace = ptr::eq(resource, namespace::resource());
        let Ask { current, deed, by, is_dry_run } = ask;
        let action = match (&deed, &current) {
            (Deed::Put(_), None) => "create",
            (Deed::Put(_), Some(_)) => "update",
            (Deed::Delete, _) => "delete",
        };
        let mut changes = vec![];
        let stored = match deed {
            Deed::Put(object) => {
                if current.is_none() && !is_namespace {
                    namespace::check(draft, resource, namespace, name)?;
                }
                if is_dry_run {
                    return Ok(Kept::Shown(as_shown(object, current.as_ref(), &resource.selectable)));
                }
                let begins_to_end = is_namespace
                    && namespace::is_terminating(&object)
                    && current.is_some_and(|current| !namespace::is_terminating(&parsed(&current)));
                if begins_to_end {
                    changes = self.empty(draft, name, &by)?;
                }
                let stored = put_beside(draft, resource, object, &by);
                if begins_to_end {
                    namespace::end(draft, name);
                }
                stored
            }
            Deed::Delete => {
                let about = About { group: &resource.group, kind: &resource.plural, name };
                let current = current.ok_or_else(|| Refusal::not_found(about))?;
                if is_dry_run {
                    return Ok(Kept::Shown(current));
                }
                remove_beside(draft, place);
                current
            }
        };
        if resource.kind != "Event" {
            let place = key(namespace, name);
            draft.audits.push(audit(&by, action, format!("{}/{place}", resource.kind)));
        }
        Ok(Kept::Put { stored, changes })
    }
}

/// Where an object of what comes with Kubernetes stands.
struct Place<'p> {
    resource: &'static Resource,
    namespace: &'p str,
    name: &'p str,
}

/// Events stand on two shelves and in no store; a secret's hash would tell what it is.
fn put_beside(draft: &mut Draft<'_>, resource: &Resource, mut object: Value, by: &str) -> Arc<Stored> {
    if resource.kind == "Event" {
        draft.note_event(&object);
        let both = event::resources().map(|group| (group, in_group(object.clone(), &group.group)));
        let shown = both.map(|(group, event)| (ptr::eq(group, resource), draft.show(group, event)));
        let [one, other] = shown;
        return if one.0 { one.1 } else { other.1 };
    }
    let mut record = namespace::record(&mut object, by);
    if is_secret(&resource.qualified()) {
        record.hash = blake3::Hash::from_bytes([0; blake3::OUT_LEN]);
    }
    draft.put(resource, object, &record)
}

fn remove_beside(draft: &mut Draft<'_>, place: &Place<'_>) {
    let Place { resource, namespace, name } = *place;
    if resource.kind == "Event" {
        for group in event::resources() {
            draft.hide(group, namespace, name);
        }
        return;
    }
    draft.remove(resource, namespace, name);
    namespace::end(draft, namespace);
}

/// What the cluster would not know of is not begun here; what was begun before may still be taken away.
fn in_cluster() -> Refusal {
    let why = "the resources of this controller are in its Kubernetes cluster: write them there, with kubectl and your own rights";
    Refusal::plain(403, Reason::Forbidden, why.to_owned())
}

fn about(key: &ObjectKey) -> About<'_> {
    About { group: horizon_api::resource::GROUP, kind: key.kind.plural(), name: &key.name }
}

fn client_record(object: &mut Value, author: &str) -> Record {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().into();
    Record { uid, keeper: Keeper::Client { author: author.into() }, hash: hash(object) }
}

/// Returns what a write would have made.
fn as_shown(mut object: Value, current: Option<&Arc<Stored>>, selectable: &[String]) -> Arc<Stored> {
    let version = current.map_or(0, |current| current.version());
    if version > 0 {
        object["metadata"]["resourceVersion"] = version.to_string().into();
    }
    Stored::new(&object, version, selectable)
}

/// Reads a client's object as a manifest, which the validator has let pass.
pub(super) fn api_object(key: &ObjectKey, object: &Value) -> Result<ApiObject, Refusal> {
    let spec = object.get("spec").cloned().unwrap_or_else(|| json!({}));
    let spec = ResourceSpec::from_json(key.kind, spec).map_err(|error| {
        let message = format!("{} cannot be read as a {}: {error}", key.name, key.kind);
        Refusal::plain(422, Reason::Invalid, message)
    })?;
    let metadata = Metadata {
        name: key.name.clone(),
        namespace: key.namespace.clone(),
        labels: texts(object, "/metadata/labels"),
        annotations: texts(object, "/metadata/annotations"),
    };
    let created: Option<Timestamp> = object
        .pointer("/metadata/creationTimestamp")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok());
    Ok(ApiObject {
        manifest: Manifest::without_file(metadata, spec, RESOURCE_API),
        uid: object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().into(),
        created_at_ms: created.map_or_else(clock::unix_ms, Timestamp::as_millisecond),
        generation: object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1),
    })
}

fn texts<T: DeserializeOwned + Default>(object: &Value, path: &str) -> T {
    object.pointer(path).cloned().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

fn audit(actor: &str, action: &str, object: String) -> AuditEntry {
    AuditEntry {
        at: clock::unix_ms(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        object,
        detail: json!({}),
    }
}

fn cannot_keep(error: &StoreError) -> Refusal {
    Refusal::plain(
        503,
        Reason::ServiceUnavailable,
        format!("nothing was kept, the store refuses: {error}; try again"),
    )
}
