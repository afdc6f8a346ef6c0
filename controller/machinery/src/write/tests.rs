//! Writes, one case at a time. What an API server answers to thousands of them is replayed in `tests/replay.rs`.

mod built_in;

use horizon_api::resource::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    body::Body,
    delete::{Deleted, Deletion, delete},
    *,
};
use crate::{
    collection::{Collection, Limits},
    parameters::delete::{Delete, Propagation},
    refusal::CauseReason,
    stored::Stored,
    watch::{Event, EventKind},
};

const API: &str = "horizon.dev/v1alpha1";

fn nothing_wrong(_: &Value, _: Option<&Value>) -> Vec<Cause> {
    vec![]
}

fn request(change: Change<'_>) -> Request<'_> {
    Request {
        definition: Definition::of(Kind::User),
        namespace: "default",
        name: if matches!(change, Change::Create(_)) { "" } else { "alice" },
        part: Part::Object,
        change,
        manager: "tester",
        field_validation: FieldValidation::Warn,
        duplicates: &[],
        now: "2026-01-01T00:00:00.9Z".parse().unwrap(),
        uid: "u-1",
        name_suffix: "abcde",
        validate: &nothing_wrong,
    }
}

fn user(metadata: Value, spec: Value) -> Value {
    json!({"apiVersion": API, "kind": "User", "metadata": metadata, "spec": spec})
}

/// Returns a user as it is stored.
fn stored() -> Value {
    let body = user(json!({"name": "alice"}), json!({"displayName": "Alice"}));
    let mut object = write(&request(Change::Create(&body)), None).unwrap().object;
    object["metadata"]["resourceVersion"] = json!("7");
    object
}

fn merged(patch: &Value, stored: &Value) -> Result<Written, Refusal> {
    write(&request(Change::MergePatch(patch)), Some(stored))
}

#[test]
fn a_new_object_gets_what_only_the_server_gives() {
    let body = user(
        json!({"name": "alice", "uid": "mine", "generation": 9, "selfLink": "/x", "deletionTimestamp": "2020-01-01T00:00:00Z"}),
        json!({"displayName": "Alice"}),
    );

    let written = write(&request(Change::Create(&body)), None).unwrap();

    assert_eq!((written.effect, written.warnings), (Effect::Create, vec![]));
    let mut metadata = written.object["metadata"].clone();
    let managed = metadata.as_object_mut().unwrap().remove("managedFields").unwrap();
    assert_eq!(
        metadata,
        json!({"name": "alice", "namespace": "default", "uid": "u-1", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z"})
    );
    assert_eq!(written.object["spec"], json!({"displayName": "Alice", "maxDevices": 5}));
    assert_eq!(managed[0]["fieldsV1"], json!({"f:spec": {".": {}, "f:displayName": {}, "f:maxDevices": {}}}));
}

#[test]
fn a_name_is_generated_and_not_owned() {
    let body = user(json!({"generateName": "guest-"}), json!({}));
    let written = write(&request(Change::Create(&body)), None).unwrap();
    assert_eq!(written.object["metadata"]["name"], "guest-abcde");

    let refusal = write(&request(Change::Create(&body)), Some(&stored())).unwrap_err();
    assert_eq!(
        refusal.message,
        "users.horizon.dev \"guest-abcde\" already exists, the server was not able to generate a unique name for the \
         object"
    );
}

#[test]
fn generation_counts_changes_of_the_defaulted_spec_only() {
    let before = stored();
    for (patch, generation) in [
        (json!({"metadata": {"labels": {"a": "b"}}}), 1),
        (json!({"spec": {"maxDevices": 5}}), 1),
        (json!({"spec": {"maxDevices": null}}), 1),
        (json!({"status": {"observedGeneration": 4}}), 1),
        (json!({"spec": {"maxDevices": 6}}), 2),
    ] {
        let written = merged(&patch, &before).unwrap();
        assert_eq!(written.object["metadata"]["generation"], json!(generation), "{patch}");
    }
}

#[test]
fn a_write_that_changes_nothing_is_nothing() {
    let before = stored();
    let written = merged(&json!({"spec": {"displayName": "Alice"}}), &before).unwrap();
    assert_eq!((written.effect, &written.object), (Effect::Nothing, &before));
}

#[test]
fn status_and_object_are_written_apart() {
    let before = stored();
    let patch = json!({"spec": {"displayName": "Eve"}, "status": {"observedGeneration": 1}, "metadata": {"labels": {"a": "b"}}});

    let of_object = merged(&patch, &before).unwrap().object;
    let request = Request { part: Part::Status, ..request(Change::MergePatch(&patch)) };
    let of_status = write(&request, Some(&before)).unwrap().object;

    assert_eq!((&of_object["spec"]["displayName"], of_object.get("status")), (&json!("Eve"), None));
    assert_eq!(of_status["spec"]["displayName"], "Alice");
    assert_eq!(of_status["status"]["observedGeneration"], 1);
    assert_eq!(
        (of_status["metadata"].get("labels"), &of_status["metadata"]["generation"]),
        (None, &json!(1))
    );
    let owner = of_status["metadata"]["managedFields"].as_array().unwrap().last().unwrap();
    assert_eq!((&owner["subresource"], owner["fieldsV1"].get("f:spec")), (&json!("status"), None));
}

#[test]
fn unknown_fields_are_dropped_told_or_refused() {
    let body = user(
        json!({"name": "alice", "nonsense": 1}),
        json!({"displayName": "Alice", "groups": [], "bogus": {"x": 1}}),
    );
    let create =
        |field_validation| write(&Request { field_validation, ..request(Change::Create(&body)) }, None);
    let told =
        vec![r#"unknown field "metadata.nonsense""#.to_owned(), r#"unknown field "spec.bogus""#.to_owned()];

    let ignored = create(FieldValidation::Ignore).unwrap();
    let warned = create(FieldValidation::Warn).unwrap();
    let refused = create(FieldValidation::Strict).unwrap_err();

    assert_eq!((ignored.warnings, warned.warnings), (vec![], told));
    assert_eq!(ignored.object["spec"].get("bogus"), None);
    assert_eq!(
        refused.message,
        "User in version \"v1alpha1\" cannot be handled as a User: strict decoding error: unknown field \
         \"metadata.nonsense\", unknown field \"spec.bogus\""
    );
}

#[test]
fn what_a_body_says_twice_is_told_or_refused() {
    let body = user(json!({"name": "alice"}), json!({"displayName": "Alice"}));
    let duplicates = ["spec.displayName".to_owned()];
    let create = |field_validation| {
        write(&Request { field_validation, duplicates: &duplicates, ..request(Change::Create(&body)) }, None)
    };

    assert_eq!(create(FieldValidation::Warn).unwrap().warnings, [r#"duplicate field "spec.displayName""#]);
    assert_eq!(create(FieldValidation::Strict).unwrap_err().code, 400);
}

#[test]
fn somebody_who_was_faster_is_not_overwritten() {
    let before = stored();
    for (version, code, message) in [
        (
            json!("6"),
            409,
            "Operation cannot be fulfilled on users.horizon.dev \"alice\": the object has been modified; please apply your changes to the latest version and try again",
        ),
        (
            json!(null),
            422,
            "users.horizon.dev \"alice\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
        ),
        (json!("x"), 500, "strconv.ParseUint: parsing \"x\": invalid syntax"),
    ] {
        let refusal = merged(&json!({"metadata": {"resourceVersion": version}}), &before).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }
}

#[test]
fn an_empty_entry_forgets_the_owners() {
    let before = stored();
    let written = merged(&json!({"metadata": {"managedFields": [{}]}}), &before).unwrap();
    assert_eq!(written.object["metadata"].get("managedFields"), None);

    let written = merged(&json!({"metadata": {"managedFields": []}}), &before).unwrap();
    assert_eq!(written.effect, Effect::Nothing, "an empty list is no list for a custom resource");
}

#[test]
fn an_apply_makes_what_is_not_there_but_no_status() {
    let config = user(json!({"name": "alice"}), json!({"displayName": "Alice"}));
    let apply = request(Change::Apply { config: &config, force: false });

    let written = write(&apply, None).unwrap();
    assert_eq!((written.effect, &written.object["metadata"]["uid"]), (Effect::Create, &json!("u-1")));
    assert_eq!(written.object["spec"]["maxDevices"], 5);
    assert_eq!(
        written.object["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:displayName": {}}})
    );

    assert_eq!(write(&Request { part: Part::Status, ..apply }, None).unwrap_err().code, 404);
}

#[test]
fn content_is_validated_beside_metadata() {
    let validate = |_: &Value, old: Option<&Value>| {
        let message = if old.is_some() { "Forbidden: old" } else { "Forbidden: new" }.to_owned();
        vec![Cause { reason: CauseReason::FieldValueForbidden, message, field: "spec".to_owned() }]
    };
    let body = user(json!({"name": "Alice"}), json!({}));

    let refusal =
        write(&Request { validate: &validate, ..request(Change::Create(&body)) }, None).unwrap_err();

    let fields: Vec<_> = refusal.causes().iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!((refusal.code, fields), (422, vec!["metadata.name", "spec"]));
}

#[test]
fn the_last_finalizer_lets_a_deleted_object_go() {
    let before = merged(&json!({"metadata": {"finalizers": ["x.dev/a"]}}), &stored()).unwrap().object;
    let options =
        Delete { uid: Some("u-1".to_owned()), resource_version: Some("7".to_owned()), ..Delete::default() };
    let deletion = Deletion {
        definition: Definition::of(Kind::User),
        name: "alice",
        options: &options,
        is_garbage_collected: false,
        now: "2026-01-02T00:00:00Z".parse().unwrap(),
    };

    let Deleted::Marked(marked) = delete(&deletion, Some(&before)).unwrap() else { panic!("it waits") };
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-02T00:00:00Z");
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(delete(&deletion, Some(&marked)), Ok(Deleted::Waiting(marked.clone())));

    let refusal = merged(&json!({"metadata": {"finalizers": ["x.dev/a", "x.dev/b"]}}), &marked).unwrap_err();
    assert!(
        refusal.message.contains("no new finalizers can be added if the object is being deleted"),
        "{refusal}"
    );
    assert_eq!(merged(&json!({"metadata": {"finalizers": []}}), &marked).unwrap().effect, Effect::Delete);
}

#[test]
fn a_delete_is_of_the_object_that_was_meant() {
    let before = stored();
    let options = Delete { propagation: Some(Propagation::Foreground), ..Delete::default() };
    let deletion = Deletion {
        definition: Definition::of(Kind::User),
        name: "alice",
        options: &options,
        is_garbage_collected: false,
        now: "2026-01-02T00:00:00Z".parse().unwrap(),
    };

    let other_uid = Delete { uid: Some("u-2".to_owned()), ..options.clone() };
    assert_eq!(delete(&Deletion { options: &other_uid, ..deletion }, Some(&before)).unwrap_err().code, 409);
    let other_version = Delete { resource_version: Some("8".to_owned()), ..options.clone() };
    assert_eq!(
        delete(&Deletion { options: &other_version, ..deletion }, Some(&before)).unwrap_err().code,
        409
    );
    assert_eq!(delete(&deletion, None).unwrap_err().code, 404);
    // Without a collector nothing would ever take the finalizer away.
    assert_eq!(delete(&deletion, Some(&before)), Ok(Deleted::Gone(before.clone())));
    let collected = delete(&Deletion { is_garbage_collected: true, ..deletion }, Some(&before)).unwrap();
    let Deleted::Marked(marked) = collected else { panic!("it waits") };
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
}

#[test]
fn nonsense_is_refused_and_never_a_panic() {
    let before = stored();
    let bodies = [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({"kind": 1}),
        json!({"apiVersion": 1, "kind": "User"}),
        json!({"apiVersion": API, "kind": "User"}),
        json!({"apiVersion": API, "kind": "User", "metadata": 3}),
        json!({"apiVersion": API, "kind": "User", "metadata": {"name": ["x"]}}),
        json!({"apiVersion": API, "kind": "User", "metadata": {"name": "alice", "ownerReferences": [1]}}),
        json!({"apiVersion": API, "kind": "User", "metadata": {"name": "alice", "deletionTimestamp": "yesterday"}}),
    ];
    for body in &bodies {
        for change in [
            Change::Create(body),
            Change::Replace(body),
            Change::JsonPatch(body),
            Change::Apply { config: body, force: true },
        ] {
            // A null JSON patch has no operations, and an applied kind alone states nothing.
            let is_fine =
                matches!(change, Change::JsonPatch(Value::Null) | Change::JsonPatch(Value::Array(_)))
                    || (matches!(change, Change::Apply { .. })
                        && *body == json!({"apiVersion": API, "kind": "User"}));
            let answer = write(&request(change), Some(&before));
            assert_eq!(answer.is_ok(), is_fine, "{change:?}: {answer:?}");
        }
    }
}

#[test]
fn long_names_with_much_below_them_cost_what_they_weigh() {
    let below = |from: u32| -> Value {
        let fields = (from..from + 20_000).map(|n| (format!("k{n}"), json!(n)));
        Value::Object(fields.collect())
    };
    let name = "x".repeat(1 << 20);
    let key = |generate: Value| {
        json!({"apiVersion": API, "kind": "PersonalKey", "metadata": {"name": "alice"},
            "spec": {"userRef": {"name": "alice"}, "generate": {name.clone(): generate}}})
    };
    let request = |change| Request { definition: Definition::of(Kind::PersonalKey), ..request(change) };
    let (first, second) = (key(below(0)), key(below(10_000)));

    let applied = write(&request(Change::Apply { config: &first, force: false }), None).unwrap().object;
    let mut applied = applied;
    applied["metadata"]["resourceVersion"] = json!("7");
    let again = write(&request(Change::Apply { config: &second, force: false }), Some(&applied)).unwrap();
    let merged = write(&request(Change::MergePatch(&second)), Some(&again.object)).unwrap();

    // The schema has nothing there, so that nothing is kept and a hundred mistakes are told.
    assert_eq!(again.object["spec"].get("generate"), Some(&json!({})));
    assert_eq!(merged.warnings.len(), 1, "{:?}", merged.warnings.len());
}

#[test]
fn what_is_in_no_namespace_gets_none() {
    let crd = json!({"spec": {"group": "", "scope": "Cluster", "names": {"kind": "Realm", "plural": "realms"},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    let definition = Definition::from_crd(crd).unwrap();
    let body =
        json!({"apiVersion": "v1", "kind": "Realm", "metadata": {"name": "home", "namespace": "stray"}});
    let create = Request { definition: &definition, namespace: "", ..request(Change::Create(&body)) };

    let object = write(&create, None).unwrap().object;
    assert_eq!(object["metadata"].get("namespace"), None);

    let refusal = write(&create, Some(&object)).unwrap_err();
    assert_eq!(refusal.message, "realms \"home\" already exists");
}

/// Any JSON, with the words that writes look at.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
        "name",
        "labels",
        "managedFields",
        "finalizers",
        "endpoints",
        "host",
        "fieldsV1",
        "f:spec",
        "ownerReferences",
        "op",
        "path",
        "value",
        "conditions",
        "type",
        "User",
        API,
        "/spec",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_whatever_makes_a_panic_or_an_object_that_changes_by_itself(
        noise in any_json(),
        metadata in any_json(),
        is_raw in any::<bool>(),
    ) {
        let before = stored();
        let mut body = noise.clone();
        if !is_raw && let Some(fields) = body.as_object_mut() {
            fields.insert("apiVersion".to_owned(), json!(API));
            fields.insert("kind".to_owned(), json!("User"));
            let mut metadata = metadata;
            if let Some(fields) = metadata.as_object_mut() {
                fields.insert("name".to_owned(), json!("alice"));
            }
            fields.insert("metadata".to_owned(), metadata);
        }
        for change in [
            Change::Create(&body),
            Change::Replace(&body),
            Change::MergePatch(&body),
            Change::JsonPatch(&body),
            Change::Apply { config: &body, force: true },
        ] {
            for part in [Part::Object, Part::Status] {
                let request = Request { part, ..request(change) };
                for stored in [None, Some(&before)] {
                    let Ok(written) = write(&request, stored) else { continue };
                    let mut object = written.object;
                    object["metadata"]["resourceVersion"] = json!("8");
                    let untouched = json!({});
                    let again = write(&Request { name: "alice", ..self::request(Change::MergePatch(&untouched)) }, Some(&object));
                    prop_assert_eq!(again.map(|again| again.effect), Ok(Effect::Nothing));
                }
            }
        }
    }
}

#[test]
fn many_controllers_are_refused_in_a_sentence_that_stays_short() {
    let owner = |n: usize| json!({"apiVersion": "v1", "kind": "A", "name": "a", "uid": format!("{n}"), "controller": true});
    let owners: Vec<Value> = (0..1000).map(owner).collect();
    let bytes = json!(owners).to_string().len();
    let body = user(json!({"name": "alice", "ownerReferences": owners}), json!({}));

    let refusal = write(&request(Change::Create(&body)), None).unwrap_err();

    assert_eq!((refusal.code, refusal.causes().len()), (422, 4));
    assert!(refusal.message.len() < 5 * bytes, "{} of {bytes}", refusal.message.len());
}

#[test]
fn countless_mistakes_are_answered_with_a_hundred_causes() {
    let before = stored();
    let labels = || -> Value { Value::Object((0..20_000).map(|n| (format!("-{n}"), json!("-"))).collect()) };
    for (field, value) in [
        ("finalizers", json!(vec![""; 100_000])),
        ("labels", labels()),
        ("annotations", labels()),
        ("ownerReferences", json!((0..20_000).map(|n| json!({"uid": n.to_string()})).collect::<Vec<_>>())),
    ] {
        let body = user(json!({"name": "alice", field: value, "resourceVersion": "7"}), json!({}));
        for change in [Change::Create(&body), Change::Replace(&body), Change::MergePatch(&body)] {
            let stored = if matches!(change, Change::Create(_)) { None } else { Some(&before) };

            let refusal = write(&request(change), stored).unwrap_err();

            assert_eq!(refusal.code, 422, "{field}");
            assert!(refusal.causes().len() <= 100, "{field}: {} causes", refusal.causes().len());
            assert!(refusal.message.len() < 100_000, "{field}: {} bytes", refusal.message.len());
        }
    }
}

#[test]
fn many_unwise_finalizers_are_warned_of_a_hundred_times() {
    let finalizers: Vec<String> = (0..10_000).map(|n| format!("f{n}")).collect();
    let body = user(json!({"name": "alice", "finalizers": finalizers}), json!({}));

    assert_eq!(write(&request(Change::Create(&body)), None).unwrap().warnings.len(), 100);
}

#[test]
fn a_path_of_a_megabyte_is_told_a_hundred_times_in_its_first_bytes() {
    let spec = json!({"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}});
    let crd = json!({"spec": {"group": "", "scope": "Namespaced", "names": {"kind": "Realm", "plural": "realms"},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
    let definition = Definition::from_crd(crd).unwrap();
    let unknown: serde_json::Map<_, _> = (0..500).map(|n| (format!("k{n}"), json!(n))).collect();
    let body = json!({"apiVersion": "v1", "kind": "Realm", "metadata": {"name": "alice"},
        "spec": {"x".repeat(1 << 20): unknown}});
    let start = "x".repeat(200);
    let request = |change| Request {
        definition: &definition,
        field_validation: FieldValidation::Strict,
        ..request(change)
    };

    let created = write(&request(Change::Create(&body)), None).unwrap_err();
    let applied = write(&request(Change::Apply { config: &body, force: false }), None).unwrap_err();

    for message in [created.message, applied.message] {
        assert_eq!((message.contains(&start), message.matches('…').count()), (true, 100));
        assert!(message.len() < 40_000, "{}", message.len());
    }
}

#[test]
fn an_object_does_not_grow_without_bound() {
    let names = |count: usize| -> Value { (0..count).map(|n| format!("x.dev/a-{n:0>40}")).collect() };
    let large = user(json!({"name": "alice", "finalizers": names(10_000)}), json!({}));
    let mut created = write(&request(Change::Create(&large)), None).unwrap().object;
    created["metadata"]["resourceVersion"] = json!("7");

    let refusal = merged(&json!({"metadata": {"finalizers": names(15_000)}}), &created).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (413, Reason::RequestEntityTooLarge));
    assert!(refusal.message.starts_with("Request entity too large: limit is 1572864"), "{refusal}");
    let too_much = user(json!({"name": "alice"}), json!({"displayName": "x".repeat(1 << 21)}));
    assert_eq!(write(&request(Change::Create(&too_much)), None).unwrap_err().code, 413);

    let mut owners = 0;
    let mut object = stored();
    let code = loop {
        let manager = format!("{}-{owners}", "m".repeat(100));
        let labels: serde_json::Map<_, _> =
            (0..1000).map(|n| (format!("key-{n:0>40}"), json!("v"))).collect();
        let config =
            json!({"apiVersion": API, "kind": "User", "metadata": {"name": "alice", "labels": labels}});
        let apply = Request { manager: &manager, ..request(Change::Apply { config: &config, force: false }) };
        match write(&apply, Some(&object)) {
            Ok(written) => object = written.object,
            Err(refusal) => break refusal.code,
        }
        owners += 1;
        assert!(owners < 100, "an object of {} bytes", object.to_string().len());
    };
    assert_eq!(code, 413);
}

#[test]
fn owners_of_fields_do_not_nest_deeper_than_what_can_be_read() {
    let entry = |levels: usize, inmost: Value| {
        let fields = (0..levels).fold(inmost, |fields, _| json!({"f:z": fields}));
        json!([{"manager": "m", "operation": "Update", "apiVersion": API, "fieldsType": "FieldsV1", "fieldsV1": fields}])
    };
    let before = stored();
    for (levels, inmost, is_kept) in [
        (95, json!({}), true),
        (96, json!({}), false),
        // A merge patch drops the field that is null.
        (97, Value::Null, false),
        (123, Value::Null, false),
    ] {
        let body = user(
            json!({"name": "alice", "resourceVersion": "7", "managedFields": entry(levels, inmost)}),
            json!({}),
        );
        let made =
            user(json!({"name": "alice", "managedFields": body["metadata"]["managedFields"]}), json!({}));
        let patch = json!({"metadata": {"managedFields": body["metadata"]["managedFields"]}});
        for (change, stored) in [
            (Change::Create(&made), None),
            (Change::Replace(&body), Some(&before)),
            (Change::MergePatch(&patch), Some(&before)),
        ] {
            let written = write(&request(change), stored);
            let Ok(written) = written else {
                let refusal = written.unwrap_err();
                assert!(!is_kept, "{levels}: {refusal}");
                assert_eq!((refusal.code, refusal.reason), (422, Reason::Invalid));
                assert!(refusal.causes()[0].field.starts_with("metadata.managedFields[0].fieldsV1.f:z.f:z"));
                continue;
            };
            assert!(is_kept, "{levels}");
            let text = written.object.to_string();
            assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(written.object));
        }
    }
}

#[test]
fn a_patched_document_is_not_told() {
    const SECRET: &str = "correct-horse";
    let mut before = stored();
    before["spec"]["displayName"] = json!(SECRET);
    for patch in [
        json!({"kind": null}),
        json!({"metadata": {"labels": []}}),
        json!({"spec": {"bogus": SECRET}, "metadata": {"labels": {"a": SECRET}}}),
        json!({"kind": null, "spec": SECRET}),
    ] {
        let strict =
            Request { field_validation: FieldValidation::Strict, ..request(Change::MergePatch(&patch)) };
        let refusal = write(&strict, Some(&before)).unwrap_err();

        assert_eq!(refusal.code, 422, "{patch}");
        assert!(refusal.message.contains("Invalid value: \"{…}\": "), "{refusal}");
        assert!(!format!("{refusal:?}").contains(SECRET), "{refusal}");
    }
    for body in [json!({"spec": SECRET}), json!([SECRET]), json!(SECRET)] {
        let refusal = write(&request(Change::Create(&body)), None).unwrap_err();

        assert_eq!(refusal.code, 400, "{body}");
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!refusal.message.contains(SECRET) && !refusal.message.contains(&hex), "{refusal}");
    }
}

#[test]
fn debug_shows_names_and_versions_and_no_content() {
    const SECRET: &str = "correct-horse";
    let metadata =
        json!({"name": "alice", "namespace": "default", "resourceVersion": "7", "labels": {"a": SECRET}});
    let object = user(metadata, json!({"passwordHash": SECRET}));
    let kept = Stored::new(&object, 7, &["spec.passwordHash".to_owned()]);
    let mut collection =
        Collection::new([std::sync::Arc::clone(&kept)], 7, 7, Limits { changes_max: 9, bytes_max: 1 << 20 });
    collection.remove("default/alice", 8).unwrap();
    let gone = collection.changes_after(7).next().unwrap();
    assert!(gone.gone().is_some());

    let named = [
        format!("{kept:?}"),
        format!("{gone:?}"),
        format!("{:?}", Event { kind: EventKind::Added, object: kept.json().clone() }),
        format!(
            "{:?}",
            Written { object: object.clone(), effect: Effect::Update, warnings: vec![SECRET.to_owned()] }
        ),
        format!("{:?}", Deleted::Gone(object.clone())),
        format!("{:?}", Body { value: object.clone(), duplicates: vec![] }),
        format!("{:?}", patch::Patched { document: object.clone(), unknown: vec![] }),
        format!("{:?}", Change::Create(&object)),
        format!("{:?}", Change::Replace(&object)),
        format!("{:?}", Change::Apply { config: &object, force: true }),
    ];
    for text in &named {
        assert!(text.contains("default/alice") && text.contains('7'), "{text}");
    }
    let unnamed =
        [Change::JsonPatch(&object), Change::MergePatch(&object)].map(|change| format!("{change:?}"));
    for text in named.iter().chain(&unnamed) {
        assert!(!text.contains(SECRET), "{text}");
    }
}
