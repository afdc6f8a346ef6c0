//! Namespaces, which are realms: there as soon as anything is in them, gone when they were deleted and nothing is left.

use horizon_api::resource::{Kind, ObjectKey};
use horizon_machinery::{
    refusal::{About, Refusal},
    resource::Resource,
    shown,
};
use horizon_node::clock;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Registry,
    draft::{Draft, hash},
    keep::Change,
    learn::{is_leaving, kind_of, moment, parsed},
    record::{Keeper, Record},
};

/// Who makes namespaces that nobody made.
const MAKER: &str = "horizon-controller";

pub(super) fn resource() -> &'static Resource {
    Resource::find("", "v1", "namespaces").expect("namespaces are served; a test lists them")
}

/// Makes the namespace that an object is in, if nobody did: manifests only name it.
pub(super) fn make(draft: &mut Draft<'_>, name: &str) {
    if draft.get(resource(), "", name).is_some() {
        return;
    }
    let uid = Uuid::now_v7().to_string();
    let mut object = shown::namespace(name, &uid, moment(clock::unix_ms()));
    let record = record(&mut object, MAKER);
    draft.put(resource(), object, &record);
}

/// Returns how a namespace is stored: with its text, whoever made it.
pub(super) fn record(object: &mut Value, author: &str) -> Record {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().into();
    Record { uid, keeper: Keeper::Client { author: author.into() }, hash: hash(object) }
}

/// Refuses a new object in a namespace that is not there, or on its way out.
pub(super) fn check(draft: &Draft<'_>, of: &Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
    let about = About { group: "", kind: &resource().plural, name: namespace };
    let Some(found) = draft.get(resource(), "", namespace) else { return Err(Refusal::not_found(about)) };
    if is_terminating(&parsed(&found)) {
        let about = About { group: &of.group, kind: &of.plural, name };
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        return Err(Refusal::forbidden(about, why));
    }
    Ok(())
}

pub(super) fn is_terminating(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Takes a namespace away if it is on its way out and nothing is left in it.
pub(super) fn end(draft: &mut Draft<'_>, name: &str) {
    let is_over = draft.get(resource(), "", name).is_some_and(|found| is_terminating(&parsed(&found)));
    if is_over && contents(draft, name, 1).is_empty() {
        draft.remove(resource(), "", name);
    }
}

/// Returns what is in a namespace, so many of each kind at most. Events do not count: they go by themselves.
fn contents(draft: &Draft<'_>, namespace: &str, count_max: usize) -> Vec<(&'static Resource, String)> {
    let prefix = format!("{namespace}/");
    let from = std::ops::Bound::Included(prefix.as_str());
    let mut found = vec![];
    for resource in
        Resource::all().iter().filter(|resource| resource.is_namespaced && resource.kind != "Event")
    {
        let Some(collection) = draft.collection_of(&resource.qualified()) else { continue };
        let within = collection.state_at(collection.version(), from).map(|stored| stored.key().to_owned());
        let names = within.map_while(|key| key.strip_prefix(&prefix).map(str::to_owned));
        found.extend(names.take(count_max).map(|name| (*resource, name)).collect::<Vec<_>>());
    }
    found
}

impl Registry {
    /// Begins to take away everything that is in a namespace.
    ///
    /// # Errors
    /// When a folder declares some of it: that would come back.
    pub(super) fn empty(
        &self,
        draft: &mut Draft<'_>,
        namespace: &str,
        by: &str,
    ) -> Result<Vec<Change>, Refusal> {
        let contents = contents(draft, namespace, usize::MAX);
        let hindrance = contents.iter().find_map(|(resource, name)| {
            let key = ObjectKey::new(kind_of(resource)?, namespace, name.as_str());
            if key.kind == Kind::Admin {
                // Not everybody who may delete namespaces may delete Admins.
                return Some(format!("{key} is in it: delete it first"));
            }
            match &draft.record(&self.records, &key)?.keeper {
                Keeper::Source { place, .. } => {
                    Some(format!("{key} is declared at {place}: take it out of there first"))
                }
                Keeper::Client { .. } | Keeper::Login => None,
            }
        });
        if let Some(why) = hindrance {
            let about = About { group: "", kind: &resource().plural, name: namespace };
            return Err(Refusal::conflict(about, why));
        }
        let mut changes = vec![];
        for (resource, name) in contents {
            let Some(kind) = kind_of(resource) else {
                draft.remove(resource, namespace, &name);
                continue;
            };
            let Some(current) = draft.get(resource, namespace, &name) else { continue };
            let mut object = parsed(&current);
            if is_leaving(&object) {
                continue;
            }
            let held = object.pointer("/metadata/finalizers").cloned();
            shown::mark_deleted(&mut object, moment(clock::unix_ms()));
            let key = ObjectKey::new(kind, namespace, name.as_str());
            match held.filter(|held| held.as_array().is_some_and(|held| !held.is_empty())) {
                // One that waits for its finalizers goes with the last of them.
                Some(held) => object["metadata"]["finalizers"] = held,
                None => changes.push(Change { key: key.clone(), object: None, author: by.to_owned() }),
            }
            let next = record(&mut object, by);
            draft.put(resource, object, &next);
            draft.note(key, Some(next));
        }
        Ok(changes)
    }
}
