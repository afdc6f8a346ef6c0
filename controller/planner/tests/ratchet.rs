//! What was accepted once stays accepted, whatever the rules have become since.

use horizon_api::resource::{Kind, Metadata, ObjectKey, ResourceSpec};
use horizon_planner::{
    compile::{Committed, Compiled, Input, Owner, SourceSnapshot, compile},
    manifest::{Origin, parse_folder},
    node::Place,
};
use serde_json::json;

/// IPv6 with an MTU below 1280, which a version before this rule accepted.
const NETWORK: &str = r#"apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: office}
spec:
  addressPools: [{cidr: 10.77.0.0/24}, {cidr: "fd77::/64"}]
  mtu: 1000
"#;

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Network, "default", "office")
}

fn committed() -> Committed {
    let json = json!({"addressPools": [{"cidr": "10.77.0.0/24"}, {"cidr": "fd77::/64"}], "mtu": 1000});
    Committed {
        key: key(),
        metadata: Metadata { name: "office".into(), namespace: "default".into(), ..Metadata::default() }
            .into(),
        spec: ResourceSpec::from_json(Kind::Network, json).expect("the types can hold it"),
        owner: Owner {
            source: "files".into(),
            origin: Origin { file: "a.yaml".into(), place: Place { line: 1, column: 1 } },
        },
        generation: 1,
        conditions: std::sync::Arc::default(),
        stale: None,
    }
}

fn compiled(text: &str, previous: Vec<Committed>) -> Compiled {
    let previous = previous.into_iter().map(std::sync::Arc::new).collect();
    let parsed = parse_folder(&[("a.yaml", text.as_bytes())]).into();
    let source = SourceSnapshot { source: "files".into(), parsed, is_complete: true };
    compile(&Input { previous, sources: vec![source], ..Input::default() }, 0)
}

fn answers(compiled: &Compiled) -> Vec<(String, bool)> {
    compiled.problems.iter().map(|problem| (problem.code.clone(), problem.is_error())).collect()
}

#[test]
fn a_new_object_must_keep_the_rules() {
    let compiled = compiled(NETWORK, vec![]);

    assert_eq!(answers(&compiled), [("Invalid".to_owned(), true)]);
    assert!(compiled.objects.is_empty());
}

#[test]
fn what_nobody_touched_stays_accepted_with_a_warning() {
    let compiled = compiled(NETWORK, vec![committed()]);

    assert_eq!(answers(&compiled), [("RatchetedInvalid".to_owned(), false)]);
    assert_eq!(compiled.problems[0].path, "spec.mtu");
    assert_eq!(compiled.objects[&key()].stale, None);
}

#[test]
fn another_field_may_change() {
    let compiled = compiled(&format!("{NETWORK}  pq: Required\n"), vec![committed()]);

    assert_eq!(answers(&compiled), [("RatchetedInvalid".to_owned(), false)]);
    assert_eq!(compiled.objects[&key()].generation, 2);
}

#[test]
fn the_bad_field_may_only_change_to_a_good_one() {
    let refused = compiled(&NETWORK.replace("1000", "1100"), vec![committed()]);
    let accepted = compiled(&NETWORK.replace("1000", "1280"), vec![committed()]);

    assert_eq!(answers(&refused), [("Invalid".to_owned(), true)]);
    assert!(refused.objects[&key()].stale.is_some());
    assert_eq!(refused.objects[&key()].spec, committed().spec);
    assert_eq!(answers(&accepted), []);
}

#[test]
fn what_only_the_text_has_is_never_forgiven() {
    let compiled = compiled(&format!("{NETWORK}status: {{}}\n"), vec![committed()]);

    assert!(compiled.problems.iter().all(|problem| problem.code != "RatchetedInvalid"));
    assert!(compiled.objects[&key()].stale.is_some());
}
