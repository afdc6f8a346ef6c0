//! Writes of what comes with Kubernetes.

use super::*;
use crate::{patch::check_strategic, resource::Resource, validate};

fn definition(plural: &str) -> &'static Definition {
    Definition::of_resource(Resource::find("", "v1", plural).unwrap()).unwrap()
}

fn decide(plural: &str, name: &str, change: Change<'_>, stored: Option<&Value>) -> Result<Written, Refusal> {
    let definition = definition(plural);
    let validate = |new: &Value, old: Option<&Value>| validate::causes(definition, new, old);
    let namespace = if definition.resource.is_namespaced { "default" } else { "" };
    write(&Request { definition, namespace, name, validate: &validate, ..request(change) }, stored)
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"password": "hunter2"}})
}

fn kept(plural: &str, body: &Value) -> Value {
    let mut object = decide(plural, "", Change::Create(body), None).unwrap().object;
    object["metadata"]["resourceVersion"] = "7".into();
    object
}

fn owned(object: &Value) -> &Value {
    &object["metadata"]["managedFields"][0]["fieldsV1"]
}

#[test]
fn a_secret_is_kept_in_base64_and_owned_so() {
    let object = kept("secrets", &secret());

    assert_eq!(object["data"], json!({"password": "aHVudGVyMg=="}));
    assert_eq!((object.get("stringData"), &object["type"]), (None, &json!("Opaque")));
    assert_eq!(object["metadata"].get("generation"), None);
    assert_eq!(*owned(&object), json!({"f:data": {".": {}, "f:password": {}}, "f:type": {}}));
}

#[test]
fn a_secret_is_patched_in_plain_text() {
    let stored = kept("secrets", &secret());
    let patch = json!({"stringData": {"password": "new", "other": "x"}});
    check_strategic(&patch).unwrap();

    let written = decide("secrets", "a", Change::MergePatch(&patch), Some(&stored)).unwrap();

    assert_eq!(written.object["data"], json!({"password": "bmV3", "other": "eA=="}));
    let nothing = json!({"data": {"password": "aHVudGVyMg=="}});
    let same = decide("secrets", "a", Change::MergePatch(&nothing), Some(&stored)).unwrap();
    assert_eq!(same.effect, Effect::Nothing);
}

#[test]
fn a_secret_is_applied() {
    let config =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"b": "eA=="}});
    let apply = Change::Apply { config: &config, force: false };

    let made = decide("secrets", "a", apply, None).unwrap().object;

    assert_eq!((&made["data"], &made["type"]), (&json!({"b": "eA=="}), &json!("Opaque")));
    assert_eq!(*owned(&made), json!({"f:data": {"f:b": {}}}));
}

#[test]
fn no_refusal_shows_a_secret() {
    let stored = kept("secrets", &secret());
    let mut bodies = vec![];
    for (path, value) in [
        ("/data", json!({"a": "hunter2!"})),
        ("/data", json!({"a": 777_123_777})),
        ("/data", json!({"a/b": "aHVudGVyMg=="})),
        ("/data", json!("aHVudGVyMg==")),
        ("/stringData", json!({"a": ["hunter2"]})),
        ("/immutable", json!("hunter2")),
    ] {
        let mut body = secret();
        body[&path[1..]] = value;
        bodies.push(body);
    }
    for body in &bodies {
        let apply = Change::Apply { config: body, force: true };
        let mut replaced = body.clone();
        replaced["metadata"]["resourceVersion"] = "7".into();
        for (name, change) in [("", Change::Create(body)), ("a", Change::Replace(&replaced)), ("a", apply)] {
            let stored = if name.is_empty() { None } else { Some(&stored) };
            let told = match decide("secrets", name, change, stored) {
                Ok(written) => panic!("{body} was taken: {written:?}"),
                Err(refusal) => format!("{refusal:?}"),
            };
            let is_quiet =
                ["aHVudGVy", "hunter2!", "\"hunter2\"]", "777123"].iter().all(|part| !told.contains(part));
            assert!(is_quiet, "{told}");
        }
    }
}

#[test]
fn base64_is_checked_in_the_words_of_an_api_server() {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"b": "!"}});

    let refusal = decide("secrets", "", Change::Create(&body), None).unwrap_err();

    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (400, "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 0")
    );
}

#[test]
fn a_namespace_begins_active_and_ends_when_it_is_empty() {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "office"}});
    let stored = kept("namespaces", &body);
    assert_eq!(stored["metadata"]["labels"]["kubernetes.io/metadata.name"], "office");
    assert_eq!(stored["status"]["phase"], "Active");

    let patch =
        json!({"metadata": {"labels": {"team": "a"}}, "spec": {"finalizers": []}, "status": {"phase": "x"}});
    let written = decide("namespaces", "office", Change::MergePatch(&patch), Some(&stored)).unwrap().object;
    assert_eq!(written["metadata"]["labels"]["team"], "a");
    assert_eq!((&written["spec"], &written["status"]), (&stored["spec"], &stored["status"]));

    let deletion = Deletion {
        definition: definition("namespaces"),
        name: "office",
        options: &Delete::default(),
        is_garbage_collected: false,
        now: request(Change::Create(&body)).now,
    };
    let Deleted::Marked(marked) = delete(&deletion, Some(&stored)).unwrap() else {
        panic!("it is gone");
    };
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let mut empty = marked;
    empty["spec"]["finalizers"] = json!([]);
    assert!(matches!(delete(&deletion, Some(&empty)), Ok(Deleted::Gone(_))));
}

#[test]
fn an_event_is_made() {
    let body = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "alice.1"}, "reason": "Refused",
        "involvedObject": {"kind": "User", "name": "alice", "namespace": "default"}, "count": 1, "type": "Warning",
    });

    let object = kept("events", &body);

    assert_eq!((&object["count"], &object["involvedObject"]["name"]), (&json!(1), &json!("alice")));
}
