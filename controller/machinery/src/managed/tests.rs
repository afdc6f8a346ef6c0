//! Owners are read, written, put in order and merged as an API server does it.

use serde_json::{Value, json};

use super::*;

const V1: &str = "horizon.dev/v1alpha1";

fn entry(manager: &str, operation: &str, second: u8, field: &str) -> Value {
    json!({
        "manager": manager,
        "operation": operation,
        "apiVersion": V1,
        "time": format!("2026-01-01T00:00:{second:02}Z"),
        "fieldsType": "FieldsV1",
        "fieldsV1": {format!("f:{field}"): {}},
    })
}

fn names(managed: &ManagedFields) -> Vec<String> {
    let entries = managed.encode().unwrap();
    let names = entries.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap().to_owned());
    names.collect()
}

#[test]
fn appliers_stand_before_updaters_and_the_older_before_the_younger() {
    let entries = json!([
        entry("young", "Update", 9, "a"),
        entry("b", "Update", 1, "a"),
        entry("a", "Update", 1, "a"),
        entry("late", "Apply", 50, "a"),
    ]);

    let managed = ManagedFields::decode(Some(&entries)).unwrap();

    assert_eq!(names(&managed), ["late", "a", "b", "young"]);
}

#[test]
fn an_entry_survives() {
    let entries = json!([entry("a", "Apply", 3, "spec")]);
    assert_eq!(ManagedFields::decode(Some(&entries)).unwrap().encode(), Some(entries));
}

#[test]
fn what_cannot_be_read_is_named() {
    let mut nameless = entry("a", "Replace", 1, "a");
    let decode = |entry: &Value| ManagedFields::decode(Some(&json!([entry]))).unwrap_err();
    assert_eq!(decode(&nameless), BadManagedFields::Operation);
    nameless["operation"] = json!("Update");
    nameless["fieldsType"] = json!("FieldsV2");
    assert_eq!(decode(&nameless), BadManagedFields::FieldsType(0, "FieldsV2".to_owned()));
    nameless["fieldsType"] = json!("");
    assert_eq!(decode(&nameless), BadManagedFields::NoFieldsType(0));
}

#[test]
fn identifiers_leave_out_the_version_of_appliers() {
    assert_eq!(
        Who::applier("a", V1, "status").identifier(),
        r#"{"manager":"a","operation":"Apply","subresource":"status"}"#
    );
    assert_eq!(
        Who::updater("a", V1, "").identifier(),
        r#"{"manager":"a","operation":"Update","apiVersion":"horizon.dev/v1alpha1"}"#
    );
}

#[test]
fn the_oldest_updaters_are_merged_and_appliers_are_left_alone() {
    let mut entries: Vec<Value> =
        (0..12).map(|n| entry(&format!("m{n:02}"), "Update", n, &format!("field{n}"))).collect();
    entries.push(entry("applier", "Apply", 0, "a"));
    let mut managed = ManagedFields::decode(Some(&json!(entries))).unwrap();

    managed.cap_updaters();

    assert_eq!(
        names(&managed),
        ["applier", "ancient-changes", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11"]
    );
    let ancient = managed.get(&Who::updater("ancient-changes", V1, "").identifier()).unwrap();
    assert_eq!(ancient.fields.encode(), json!({"f:field0": {}, "f:field1": {}, "f:field2": {}}));
    assert_eq!(ancient.time, Some("2026-01-01T00:00:02Z".parse().unwrap()));
}
