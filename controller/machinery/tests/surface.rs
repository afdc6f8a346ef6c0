//! Whatever path, YAML or review a client sends, it gets an answer, and soon.

#![allow(clippy::unwrap_used, reason = "a test that finds no resource cannot go on")]

use std::time::{Duration, Instant};

use horizon_api::resource::AdminRole;
use horizon_machinery::{
    access::{Realm, Subject, check, review},
    definition::Definition,
    patch::check_strategic,
    path::{self, Asked},
    query::Query,
    resource::Resource,
    status, validate, warning,
    write::{
        body::{self, Purpose},
        yaml,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

const AUDITOR: Subject<'_> = Subject {
    user: "a",
    role: AdminRole::Auditor,
    realm: Realm::Namespace("a"),
    system_namespace: "default",
};

fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "api",
        "apis",
        "v1",
        "v1alpha1",
        "horizon.dev",
        "events.k8s.io",
        "namespaces",
        "users",
        "secrets",
        "events",
        "status",
        "a",
        "",
        "..",
        "%2F",
        "%41",
        "%",
        "é",
        "openapi",
        "v3",
        "version",
        "finalize",
    ]);
    prop::collection::vec(part, 0..9).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn yaml_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "\"",
        "'",
        "|\n",
        "---\n",
        "&x ",
        "*x",
        "!t ",
        "<<: ",
        "0777",
        "1.5",
        "\"a\": 1",
        "# c",
        "\t",
        "? ",
        "é",
        "null",
        "metadata: ",
        "spec: ",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(7)),
        Just(json!(true)),
        "[a-z*/.$]{0,6}".prop_map(Value::from)
    ];
    let names = prop::sample::select(vec![
        "spec",
        "metadata",
        "name",
        "data",
        "stringData",
        "resourceAttributes",
        "nonResourceAttributes",
        "verb",
        "path",
        "namespace",
        "$patch",
        "kind",
        "groups",
        "addressPools",
        "involvedObject",
        "a/b",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let fields = prop::collection::btree_map(names.clone(), inner.clone(), 0..5);
        prop_oneof![
            fields.prop_map(|fields| json!(fields)),
            prop::collection::vec(inner, 0..4).prop_map(Value::from)
        ]
    })
}

fn purposes() -> [Purpose<'static>; 2] {
    let secrets = Resource::find("", "v1", "secrets").unwrap();
    [Purpose::Object(Definition::of_resource(secrets).unwrap()), Purpose::Applied]
}

proptest! {
    #[test]
    fn any_path_is_answered(path in path(), method in prop::sample::select(vec!["GET", "PUT", "POST", "DELETE", "x"])) {
        match path::parse(method, &path, &Query::default()) {
            Ok(Asked::Objects(target)) => {
                let _ = check(&AUDITOR, &target);
                prop_assert!(target.resource.is_namespaced || target.namespace.is_empty());
                prop_assert!(!target.name.contains('/') && !target.namespace.contains('/'));
            }
            Ok(Asked::Document(_)) => {}
            Err(refusal) => prop_assert!([400, 404, 405].contains(&refusal.code)),
        }
    }

    #[test]
    fn any_yaml_is_answered(text in yaml_text()) {
        for purpose in purposes() {
            match yaml::read(text.as_bytes(), purpose) {
                Ok(read) => prop_assert!(!read.value.is_null() && read.duplicates.len() < 40),
                Err(refusal) => prop_assert_eq!(refusal.code, 400),
            }
        }
    }

    #[test]
    fn json_is_read_alike_as_yaml(value in any_value()) {
        let text = json!({ "a": value }).to_string();
        let yaml = yaml::read(text.as_bytes(), Purpose::Applied).unwrap();
        prop_assert_eq!(yaml.value, body::read(text.as_bytes(), Purpose::Applied).unwrap().value);
        // Where a comment begins it, it is YAML alone.
        let commented = yaml::read(format!("# a\n{text}").as_bytes(), Purpose::Applied).unwrap();
        prop_assert_eq!(commented.value, json!({ "a": value }));
    }

    #[test]
    fn any_object_is_validated_and_any_review_answered(value in any_value(), before in any_value()) {
        for resource in Resource::all() {
            if let Some(definition) = Definition::of_resource(resource) {
                let causes = validate::causes(definition, &value, Some(&before));
                prop_assert!(causes.len() <= 100);
                let _ = validate::warnings(definition, &value, None);
            }
            if let Err(refusal) = review::answer(&AUDITOR, resource, &value) {
                prop_assert!([400, 404, 422].contains(&refusal.code));
            }
        }
        let _ = check_strategic(&value);
    }

    #[test]
    fn any_warning_is_a_header(texts in prop::collection::vec(".{0,600}", 0..30)) {
        let headers = warning::headers(texts.iter().map(String::as_str));
        prop_assert!(headers.iter().map(String::len).sum::<usize>() <= 4096);
        prop_assert!(headers.iter().all(|header| !header.chars().any(char::is_control)));
    }
}

/// What a real API server refused by the path alone, or because the user `bob` may do nothing, as it was recorded in
/// `golden/answers.json`. Ours says why behind the same words.
#[test]
fn paths_and_strangers_are_refused_as_a_real_api_server_refuses_them() {
    let recorded = include_str!("golden/answers.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let bob = Subject { user: "bob", role: AdminRole::Owner, ..AUDITOR };
    let mut compared = [0, 0];

    for answer in recorded["answers"].as_array().unwrap() {
        let text = |name: &str| answer[name].as_str().unwrap();
        let (path, query) = text("path").split_once('?').unwrap_or((text("path"), ""));
        let Ok(query) = Query::parse(query) else { continue };
        let message = answer["body"]["message"].as_str().unwrap_or_default();
        match path::parse(text("method"), path, &query) {
            Ok(Asked::Objects(target)) if answer["code"] == 403 => {
                let refusal = check(&bob, &target).unwrap_err();
                let (ours, _) = refusal.message.split_once(": admins govern their own namespace").unwrap();
                assert_eq!(ours, message);
                assert_eq!(status::failure(&refusal)["details"], answer["body"]["details"]);
                compared[0] += 1;
            }
            Ok(_) => {}
            // Strangers are told nothing about paths that are nowhere.
            Err(refusal) if answer["code"] == 403 => assert_eq!((refusal.code, path), (404, "/metrics")),
            Err(refusal) => {
                assert_eq!((refusal.code, refusal.message.as_str()), (400, message), "{path}");
                compared[1] += 1;
            }
        }
    }

    assert_eq!(compared, [4, 1]);
}

#[test]
fn a_megabyte_takes_no_longer_than_its_bytes() {
    let pieces = [
        "[",
        "{",
        "{a: ",
        "- ",
        "a: 1\n",
        "? ",
        "\"",
        "'",
        "- a\n",
        "{\"a\":",
        "a: b: ",
        "&x ",
        "!t ",
        "---\n",
        "| \n",
        "a: {b: 1, b: 2}\n",
        "\t",
        "0777 ",
        "é",
    ];
    let long_keys = format!("{}: 1\n", "k".repeat(100_000)).repeat(10);
    for text in pieces.iter().map(|piece| piece.repeat(1_000_000 / piece.len())).chain([long_keys]) {
        let begin = Instant::now();
        for purpose in purposes() {
            let _ = yaml::read(text.as_bytes(), purpose);
        }
        let _ = path::parse("GET", &format!("/{text}"), &Query::default());
        let _ = warning::headers([text.as_str()]);
        let took = begin.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{:?} took {took:?}",
            text.chars().take(10).collect::<String>()
        );
    }
}
