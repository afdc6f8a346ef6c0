//! What patches come to, and how bad ones are answered.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn json_patched(document: Value, patch: Value) -> Result<Value, String> {
    let patched = json_patch(document, &patch, Reading::Lenient);
    patched.map(|patched| patched.document).map_err(|refusal| match refusal.causes() {
        [] => refusal.message,
        [cause, ..] => cause.message.clone(),
    })
}

fn merged(document: Value, patch: Value) -> Value {
    merge_patch(document, &patch, Reading::Lenient).unwrap().document
}

#[test]
fn every_operation_does_what_the_rfc_says() {
    let document = json!({"a": {"b": [1, 2, 3]}, "c/d": "x"});
    for (patch, expected) in [
        (json!([{"op": "add", "path": "/a/b/1", "value": 9}]), json!({"a": {"b": [1, 9, 2, 3]}, "c/d": "x"})),
        (json!([{"op": "add", "path": "/a/b/-", "value": 9}]), json!({"a": {"b": [1, 2, 3, 9]}, "c/d": "x"})),
        (json!([{"op": "remove", "path": "/c~1d"}]), json!({"a": {"b": [1, 2, 3]}})),
        (
            json!([{"op": "replace", "path": "/a/b/0", "value": null}]),
            json!({"a": {"b": [null, 2, 3]}, "c/d": "x"}),
        ),
        (json!([{"op": "move", "from": "/a/b", "path": "/e"}]), json!({"a": {}, "e": [1, 2, 3], "c/d": "x"})),
        (
            json!([{"op": "copy", "from": "/a/b/2", "path": "/a/b/0"}]),
            json!({"a": {"b": [3, 1, 2, 3]}, "c/d": "x"}),
        ),
        (json!([{"op": "test", "path": "/a/b", "value": [1, 2, 3]}]), document.clone()),
        (json!([{"op": "replace", "path": "", "value": {"f": 1}}]), json!({"f": 1})),
    ] {
        assert_eq!(json_patched(document.clone(), patch.clone()), Ok(expected), "{patch}");
    }
}

#[test]
fn what_clients_of_the_api_server_rely_on_beyond_the_rfc_works() {
    let document = json!({"a": [1, 2]});
    for (patch, expected) in [
        (json!([{"op": "replace", "path": "/b", "value": 1}]), json!({"a": [1, 2], "b": 1})),
        (json!([{"op": "remove", "path": "/a/-1"}]), json!({"a": [1]})),
        (json!([{"op": "add", "path": "/a/-1", "value": 3}]), json!({"a": [1, 2, 3]})),
        (json!([{"op": "copy", "from": "/none", "path": "/b"}]), json!({"a": [1, 2], "b": null})),
        (json!([{"op": "test", "path": "/none", "value": null}]), document.clone()),
        (json!(null), document.clone()),
    ] {
        assert_eq!(json_patched(document.clone(), patch.clone()), Ok(expected), "{patch}");
    }
}

#[test]
fn operations_that_do_not_apply_name_their_place_and_change_nothing() {
    let document = json!({"a": [1]});
    for (patch, why) in [
        (json!([{"op": "remove", "path": "/b"}]), "there is no `b` at /b"),
        (json!([{"op": "remove", "path": "/a/1"}]), "the list has no item 1"),
        (json!([{"op": "add", "path": "/a/3", "value": 1}]), "the list has no item 3"),
        (json!([{"op": "add", "path": "/b/c", "value": 1}]), "the document has no /b/c"),
        (json!([{"op": "add", "path": "/a/x", "value": 1}]), "`x` is no index of a list; write a number"),
        (json!([{"op": "add", "path": "", "value": 1}]), "`` is no place in a document; begin with `/`"),
        (json!([{"op": "test", "path": "/a", "value": [2]}]), "the value at /a is another"),
        (
            json!([{"op": "frob", "path": "/a"}]),
            "`frob` is no operation; write add, remove, replace, move, copy or test",
        ),
        (json!([{"path": "/a"}]), "`` is no operation; write add, remove, replace, move, copy or test"),
        (json!([{"op": "remove"}]), "has no path; add `path`"),
        (json!([{"op": "move", "path": "/a"}]), "has no source; add `from`"),
        (
            json!([{"op": "replace", "path": "", "value": 1}]),
            "the whole document can be replaced by an object only",
        ),
    ] {
        assert_eq!(json_patched(document.clone(), patch.clone()), Err(why.to_owned()), "{patch}");
    }
    let refusal = json_patch(
        document,
        &json!([{"op": "test", "path": "/a/0", "value": 1}, {"op": "x"}]),
        Reading::Lenient,
    );
    let refusal = refusal.unwrap_err();
    assert_eq!((refusal.code, refusal.causes()[0].field.as_str()), (422, "patch[1]"));
}

#[test]
fn what_is_no_patch_is_answered_as_the_api_server_does() {
    for (patch, reading, message) in [
        (
            json!({}),
            Reading::Strict,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (json!({}), Reading::Lenient, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (
            json!([1]),
            Reading::Strict,
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
        ),
        (
            json!([{"op": 1}]),
            Reading::Strict,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
    ] {
        assert_eq!(json_patch(json!({}), &patch, reading), Err(Refusal::bad_request(message)));
    }
    for (patch, reading, message) in [
        (
            json!([]),
            Reading::Strict,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (json!(null), Reading::Strict, "Invalid JSON Patch"),
        (json!(5), Reading::Lenient, "Invalid JSON Patch"),
    ] {
        assert_eq!(merge_patch(json!({}), &patch, reading), Err(Refusal::bad_request(message)));
    }
}

#[test]
fn a_patch_cannot_make_a_document_explode() {
    let mut operations = vec![json!({"op": "add", "path": "/x", "value": ["some text that grows"]})];
    operations.extend((0..200).map(|_| json!({"op": "copy", "from": "/x", "path": "/x/-"})));
    let refusal = json_patched(json!({}), json!(operations)).unwrap_err();
    assert_eq!(refusal, "copies more than 3145728 bytes in all; split the patch");

    let mut operations = vec![json!({"op": "add", "path": "/x", "value": vec![0; 100_000]})];
    operations.extend((0..9_999).map(|_| json!({"op": "add", "path": "/x/0", "value": 1})));
    let refusal = json_patched(json!({}), json!(operations)).unwrap_err();
    assert_eq!(refusal, "moves too many items of long lists; replace the list as a whole");
}

/// Returns so many objects in one another, around a text.
fn nested(objects: usize) -> Value {
    (0..objects).fold(json!("inmost"), |value, _| json!({"a": value}))
}

fn levels(value: &Value) -> usize {
    let below = match value {
        Value::Object(fields) => fields.values().map(levels).max(),
        Value::Array(items) => items.iter().map(levels).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    1 + below.unwrap_or(0)
}

/// The operations put values below `/x`, which holds 120 objects in one another.
fn deepened(deeper: Vec<Value>) -> Result<Patched, Refusal> {
    let first = json!({"op": "add", "path": "/x", "value": nested(120)});
    let operations: Vec<Value> = [first].into_iter().chain(deeper).collect();
    json_patch(json!({"y": nested(120)}), &json!(operations), Reading::Lenient)
}

#[test]
fn a_patch_cannot_nest_a_document_deeper_than_it_can_be_read() {
    let end = |objects: usize| format!("/x{}", "/a".repeat(objects));
    // Each copy doubles how deep it is: the path to its end grows with it.
    let copies =
        (0..8).map(|n| json!({"op": "copy", "from": "/x", "path": end(120 << n)})).collect::<Vec<_>>();
    let adds = (1..300).map(|n| json!({"op": "add", "path": end(120 * n), "value": nested(120)})).collect();
    let replaces =
        (1..300).map(|n| json!({"op": "replace", "path": end(120 * n), "value": nested(120)})).collect();
    let moves = (0..300).flat_map(|n| {
        let add = json!({"op": "add", "path": "/z", "value": nested(120)});
        [add, json!({"op": "move", "from": "/z", "path": end(120 * (n + 1))})]
    });
    let why = "the result nests deeper than 128 levels; keep what is at ";
    for (deeper, field) in
        [(copies, "patch[1]"), (adds, "patch[1]"), (replaces, "patch[1]"), (moves.collect(), "patch[2]")]
    {
        let refusal = deepened(deeper).unwrap_err();
        let cause = &refusal.causes()[0];
        assert_eq!((refusal.code, cause.field.as_str()), (422, field));
        assert!(cause.message.starts_with(why), "{}", cause.message);
    }
}

#[test]
fn as_deep_as_can_be_read_is_as_deep_as_a_patch_goes() {
    let spot = |path: &str| json!({"op": "move", "from": "/y", "path": path});
    for (value, is_taken) in
        [(nested(120), true), (nested(121), true), (nested(122), false), (json!(vec![Value::Null]), true)]
    {
        let document = json!({"x": {"x": {"x": {"x": {"x": {}}}}}, "y": value});
        let deepest = json!([spot("/x/x/x/x/x/x")]);
        let patched = json_patch(document, &deepest, Reading::Lenient);
        assert_eq!(patched.is_ok(), is_taken, "{value}");
        if let Ok(patched) = patched {
            assert!(levels(&patched.document) <= 128);
            assert!(serde_json::from_str::<Value>(&patched.document.to_string()).is_ok());
        }
    }
    // An empty list has no level of its own to spare either: the parser refuses it there.
    let empty = (0..121).fold(json!([]), |value, _| json!([value]));
    let document = json!({"x": {"x": {"x": {"x": {"x": {}}}}}, "y": empty});
    assert!(json_patch(document, &json!([spot("/x/x/x/x/x/x")]), Reading::Lenient).is_err());
}

#[test]
fn looking_at_what_is_moved_is_bounded() {
    let moves = |from: &str, to: &str| {
        let there = json!({"op": "move", "from": from, "path": to});
        let back = json!({"op": "move", "from": to, "path": from});
        json!((0..5_000).flat_map(|_| [there.clone(), back.clone()]).collect::<Vec<_>>())
    };
    let document = json!({"x": vec![0; 20_000], "y": {}});

    let beside = json_patched(document.clone(), moves("/x", "/z"));
    let deeper = json_patched(document.clone(), moves("/x", "/y/x"));

    assert_eq!(beside, Ok(document));
    assert_eq!(deeper, Err("moves too many values; split the patch".to_owned()));
}

#[test]
fn too_many_operations_are_refused_as_the_api_server_does() {
    let operations = vec![json!({"op": "test", "path": "/a", "value": null}); 10_001];
    let refusal = json_patch(json!({}), &json!(operations), Reading::Lenient).unwrap_err();
    assert_eq!(refusal.code, 413);
    assert_eq!(
        refusal.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn unknown_words_in_operations_are_told() {
    let patch = json!([{"op": "add", "path": "/a", "value": 1, "why": "x"}]);
    let patched = json_patch(json!({}), &patch, Reading::Strict).unwrap();
    assert_eq!(patched.unknown, [r#"json patch unknown field "[0].why""#]);
}

#[test]
fn merge_patches_follow_the_rfc() {
    for (document, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(merged(document.clone(), patch.clone()), expected, "{document} {patch}");
    }
}

#[test]
fn nulls_in_new_lists_go_as_in_the_api_server() {
    assert_eq!(merged(json!({}), json!({"a": [{"b": null}, null]})), json!({"a": [{}, null]}));
    assert_eq!(merged(json!({"a": {"c": 1}}), json!({"a": [{"b": null}]})), json!({"a": [{"b": null}]}));
}

#[test]
fn long_paths_are_cut_where_they_are_told() {
    let long = format!("/a/{}", "x".repeat(100_000));
    for operation in [
        json!({"op": "remove", "path": long}),
        json!({"op": "replace", "path": long.replace("/a", "/b"), "value": 1}),
        json!({"op": "add", "path": long.replace("/a", "/c"), "value": 1}),
        json!({"op": "test", "path": long, "value": 1}),
        json!({"op": long}),
        json!({"op": "add", "path": "x".repeat(100_000), "value": 1}),
        json!({"op": "add", "path": "/".repeat(100_000), "value": 1}),
    ] {
        let refusal =
            json_patch(json!({"a": {}, "c": []}), &json!([operation]), Reading::Lenient).unwrap_err();
        assert!(refusal.message.len() < 1000, "{}", &refusal.message[..200]);
    }
}

/// Values of any form, some of them deep.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), Just(json!(1)), (0_usize..120).prop_map(nested)];
    leaf.prop_recursive(6, 24, 3, |inner| {
        let fields = prop::collection::btree_map("[ab]", inner.clone(), 0..3);
        prop_oneof![
            fields.prop_map(|fields| json!(fields)),
            prop::collection::vec(inner, 0..3).prop_map(Value::from)
        ]
    })
}

proptest! {
    #[test]
    fn merging_makes_nothing_deeper(document in any_value(), patch in any_value()) {
        let deepest = levels(&document).max(levels(&patch));
        if let Ok(patched) = merge_patch(document, &patch, Reading::Lenient) {
            prop_assert!(levels(&patched.document) <= deepest);
        }
    }
}
