//! An object of ours as it is shown: what somebody wrote or what is in force, with what is known of it.

use horizon_api::{
    condition::{Condition, ConditionStatus},
    resource::{Kind, Metadata, Status, VERSION},
};
use horizon_planner::{compile::Committed, schema::custom_resource_definition};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{definition::Definition, managed::time_text};

/// What is known of an object beside its text.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub uid: &'a str,
    pub created: Timestamp,
    /// The generation that was looked at.
    pub generation: i64,
    /// The revision that last changed it; 0 while none has taken it in.
    pub revision: u64,
    pub conditions: &'a [Condition],
}

/// Returns an object in force that no client of the resource API wrote, such as one of a folder. It has no resource
/// version yet.
pub fn in_force(committed: &Committed, known: Known<'_>) -> Value {
    let Committed { key, metadata, spec, generation, .. } = committed;
    let Metadata { labels, annotations, .. } = &**metadata;
    let mut metadata = json!({
        "name": key.name,
        "namespace": key.namespace,
        "uid": known.uid,
        "generation": generation,
        "creationTimestamp": time_text(known.created),
    });
    if !labels.is_empty() {
        metadata["labels"] = json!(labels);
    }
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    let resource = &Definition::of(key.kind).resource;
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": metadata,
        "spec": spec,
        "status": status(known),
    })
}

/// Puts what is known of an object in the place of its status.
pub fn set_status(object: &mut Map<String, Value>, known: Known<'_>) {
    object.insert("status".to_owned(), status(known));
}

/// Returns an object as one would write it: without what a server adds.
pub fn written(object: &Value) -> Value {
    let member = |path: &str| object.pointer(path).cloned().unwrap_or_default();
    let mut metadata =
        json!({ "name": member("/metadata/name"), "namespace": member("/metadata/namespace") });
    for name in ["labels", "annotations"] {
        let mut texts = member(&format!("/metadata/{name}"));
        if let Some(texts) = texts.as_object_mut() {
            texts.remove(LAST_APPLIED);
        }
        if texts.as_object().is_some_and(|texts| !texts.is_empty()) {
            metadata[name] = texts;
        }
    }
    json!({
        "apiVersion": member("/apiVersion"),
        "kind": member("/kind"),
        "metadata": metadata,
        "spec": member("/spec"),
    })
}

/// Where `kubectl apply` keeps a copy of the text.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Marks an object as one that is to go, which nothing holds back any more.
pub fn mark_deleted(object: &mut Value, now: Timestamp) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("finalizers");
    if metadata.contains_key("deletionTimestamp") {
        return;
    }
    let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or(0);
    metadata.insert("generation".to_owned(), json!(generation + 1));
    metadata.insert("deletionTimestamp".to_owned(), json!(time_text(now)));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
}

/// Returns a namespace as an API server makes it, without a resource version.
pub fn namespace(name: &str, uid: &str, created: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "uid": uid,
            "creationTimestamp": time_text(created),
            "labels": { "kubernetes.io/metadata.name": name },
        },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

/// Returns the definition of a kind of ours as an API server shows it once it is served.
pub fn definition(kind: Kind, uid: &str, created: Timestamp) -> Value {
    let mut object = custom_resource_definition(kind);
    let names = object.pointer("/spec/names").cloned().unwrap_or_default();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(time_text(created)));
        metadata.insert("generation".to_owned(), json!(1));
    }
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({ "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": time_text(created) })
    };
    object["status"] = json!({
        "acceptedNames": names,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": [VERSION],
    });
    object
}

/// Says what `Ready` means to programs that know no reasons, in the words of kstatus: that an object is on its way, or
/// that it will not become ready by itself. What waits for a person, and what is as it was declared, is neither.
fn progress(ready: &Condition) -> Option<Condition> {
    let (kind, reason) = match ready.reason.as_str() {
        _ if ready.is_true() => return None,
        "Pending" | "NoGateways" => ("Reconciling", &ready.reason),
        "AwaitingApproval" | "HoldActive" | "UserHeld" | "NotEnrolled" | "NeverConnected" | "Disabled"
        | "Expired" | "Exhausted" | "UserDisabled" | "UserExpired" => return None,
        _ => ("Stalled", &ready.reason),
    };
    Some(Condition {
        kind: kind.into(),
        status: ConditionStatus::True,
        reason: reason.clone(),
        ..ready.clone()
    })
}

fn status(known: Known<'_>) -> Value {
    let Known { generation, revision, conditions, .. } = known;
    let progress = conditions.iter().find(|condition| condition.kind == "Ready").and_then(progress);
    let conditions = conditions.iter().cloned().chain(progress);
    let conditions = conditions.map(|condition| condition.at_generation(generation)).collect();
    json!(Status { observed_generation: generation, revision, conditions })
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::{ObjectKey, ResourceSpec};
    use horizon_planner::{compile::Owner, manifest::Origin, node::Place};

    use super::*;

    #[test]
    fn what_is_written_again_lacks_what_a_server_adds() {
        let object = json!({
            "apiVersion": "horizon.dev/v1alpha1",
            "kind": "User",
            "metadata": {
                "name": "alice", "namespace": "default", "uid": "u", "generation": 3, "resourceVersion": "7",
                "creationTimestamp": "1970-01-01T00:00:00Z", "managedFields": [{ "manager": "kubectl" }],
                "labels": {}, "annotations": { LAST_APPLIED: "{}", "note": "tall" },
            },
            "spec": { "maxDevices": 5 },
            "status": { "revision": 7 },
        });

        let expected = json!({
            "apiVersion": "horizon.dev/v1alpha1",
            "kind": "User",
            "metadata": { "name": "alice", "namespace": "default", "annotations": { "note": "tall" } },
            "spec": { "maxDevices": 5 },
        });
        assert_eq!(written(&object), expected);
    }

    #[test]
    fn programs_that_know_no_reasons_hear_what_ready_means() {
        let of = |ready: Condition| progress(&ready).map(|told| (told.kind.to_string(), told.is_true()));
        let fails = |reason: &str| Condition::fails("Ready", reason, "why", 0);

        assert_eq!(of(Condition::holds("Ready", "Ready", "works", 0)), None);
        assert_eq!(of(fails("NoGateways")), Some(("Reconciling".into(), true)));
        assert_eq!(of(Condition::unknown("Ready", "Pending", "why", 0)), Some(("Reconciling".into(), true)));
        assert_eq!(of(fails("NotEnrolled")), None);
        assert_eq!(of(fails("Expired")), None);
        assert_eq!(of(fails("Overlap")), Some(("Stalled".into(), true)));
    }

    #[test]
    fn what_is_in_force_is_shown_as_an_api_server_shows_it() {
        let spec = ResourceSpec::from_json(Kind::User, json!({ "groups": ["staff"] })).unwrap();
        let origin = Origin { file: "people.yaml".into(), place: Place { line: 1, column: 1 } };
        let committed = Committed {
            key: ObjectKey::new(Kind::User, "default", "alice"),
            metadata: Metadata { labels: [("team", "a")].into_iter().collect(), ..Metadata::default() }
                .into(),
            spec,
            owner: Owner { source: "files:/etc/horizon".into(), origin },
            generation: 3,
            conditions: std::sync::Arc::default(),
            stale: None,
        };
        let conditions = [Condition::holds("Ready", "Ready", "works", 0).at_generation(2)];
        let known = Known {
            uid: "u",
            created: Timestamp::UNIX_EPOCH,
            generation: 3,
            revision: 7,
            conditions: &conditions,
        };

        assert_eq!(
            in_force(&committed, known),
            json!({
                "apiVersion": "horizon.dev/v1alpha1",
                "kind": "User",
                "metadata": {
                    "name": "alice", "namespace": "default", "uid": "u", "generation": 3,
                    "creationTimestamp": "1970-01-01T00:00:00Z", "labels": { "team": "a" },
                },
                "spec": { "groups": ["staff"], "maxDevices": 5 },
                "status": {
                    "observedGeneration": 3, "revision": 7,
                    "conditions": [{
                        "type": "Ready", "status": "True", "reason": "Ready", "message": "works",
                        "observedGeneration": 3, "lastTransitionTime": "1970-01-01T00:00:00Z",
                    }],
                },
            })
        );
    }
}
