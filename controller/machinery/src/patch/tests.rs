//! What patches come to, and how bad ones are answered.

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
