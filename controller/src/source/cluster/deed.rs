//! What is written to the cluster about one object, as JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use horizon_api::{
    condition::Condition,
    resource::{API_VERSION, ObjectKey},
};
use horizon_machinery::{
    event::{self, Name},
    shown::{self, Known},
};
use horizon_planner::compile::Committed;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{mirror::Entry, secret_name};
use crate::fate::{InForce, Waiting};

/// One thing to write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// What is known of an object, and what happened to it by that.
    Status { uid: String, status: Value, event: Option<Value> },
    /// A device that joined.
    Create(Value),
    /// The token of a key, which is made for that.
    Token,
    /// What happened to an object, and nothing else.
    Tell(Value),
}

impl InForce {
    /// Returns the status of an object that the cluster declares and that is in force.
    pub(super) fn status(&self, entry: &Entry) -> Value {
        let generation = self.observed.unwrap_or(entry.generation);
        status(generation, self.revision, &self.conditions)
    }
}

impl Waiting {
    /// Returns the status of an object that is kept out: it keeps the revision that took it in last.
    pub(super) fn status(&self, entry: &Entry) -> Value {
        let earlier: Vec<Condition> =
            serde_json::from_value(entry.status["conditions"].clone()).unwrap_or_default();
        let conditions: Vec<_> = self.conditions.iter().map(|c| c.clone().since(&earlier)).collect();
        let revision = entry.status["revision"].as_u64().unwrap_or(0);
        status(self.observed.unwrap_or(entry.generation), revision, &conditions)
    }
}

fn status(generation: i64, revision: u64, conditions: &[Condition]) -> Value {
    let mut object = Map::new();
    let known = Known { uid: "", created: Timestamp::UNIX_EPOCH, generation, revision, conditions };
    shown::set_status(&mut object, known);
    object.remove("status").unwrap_or_default()
}

/// Returns the event that goes with a new status, without what an API server adds.
pub(super) fn event_of(
    key: &ObjectKey,
    entry: &Entry,
    status: &Value,
    suffix: &str,
    now: Timestamp,
) -> Option<Value> {
    let with = |status: &Value| json!({ "apiVersion": API_VERSION, "kind": key.kind.to_string(), "metadata": about(key, &entry.uid), "status": status });
    let mut event =
        event::of_change(Some(&with(&entry.status)), &with(status), &Name { suffix, uid: "" }, now)?;
    let metadata = event["metadata"].as_object_mut()?;
    metadata.retain(|name, _| name == "name" || name == "namespace");
    Some(event)
}

/// Returns the event that the secret of a key is not written.
pub(super) fn no_secret(key: &ObjectKey, uid: &str, why: &str, now: Timestamp) -> Value {
    let secret = secret_name(key);
    let message = format!(
        "its token is not in the secret {secret}: {why}; where there is one of this name, delete it, and it is made anew"
    );
    warning(key, uid, "SecretNotWritten", &message, now)
}

/// Returns the event that an object is in force although the cluster has it no more.
pub(super) fn stays(key: &ObjectKey, why: &str, now: Timestamp) -> Value {
    warning(key, "", "StillInForce", &format!("it is deleted here and still in force: {why}"), now)
}

/// Returns a warning. The same again has the same name, so that it is told once an hour.
fn warning(key: &ObjectKey, uid: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let at = now.round(jiff::Unit::Second).unwrap_or(now).to_string();
    let hash = blake3::hash(format!("{}\0{uid}\0{message}", key.kind).as_bytes()).to_hex();
    let stem: String = key.name.chars().take(200).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": format!("{stem}.{}", &hash[..16]), "namespace": key.namespace },
        "involvedObject": {
            "apiVersion": API_VERSION, "kind": key.kind.to_string(),
            "namespace": key.namespace, "name": key.name, "uid": uid,
        },
        "reason": reason,
        "message": message.chars().take(1024).collect::<String>(),
        "type": "Warning",
        "source": { "component": "horizon-controller" },
        "reportingComponent": "horizon-controller",
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "eventTime": null,
        "count": 1,
    })
}

/// Returns a device that joined, as an object to create.
pub(super) fn device(key: &ObjectKey, committed: &Committed) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": key.kind.to_string(),
        "metadata": {
            "name": key.name, "namespace": key.namespace,
            "labels": committed.metadata.labels, "annotations": committed.metadata.annotations,
        },
        "spec": committed.spec,
    })
}

/// Returns the secret that holds the token of a key, and goes with the key.
pub(super) fn secret(key: &ObjectKey, uid: &str, token: &str, join: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": secret_name(key),
            "namespace": key.namespace,
            "labels": { "app.kubernetes.io/managed-by": "horizon-controller" },
            "ownerReferences": [{
                "apiVersion": API_VERSION, "kind": key.kind.to_string(), "name": key.name, "uid": uid,
            }],
        },
        "data": { "token": STANDARD.encode(token), "join": STANDARD.encode(join) },
    })
}

fn about(key: &ObjectKey, uid: &str) -> Value {
    json!({ "name": key.name, "namespace": key.namespace, "uid": uid })
}
