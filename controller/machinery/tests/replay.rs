//! Sequences of writes that a real API server answered, played against our code: the same objects, owners, refusals
//! and warnings. `cargo run -p horizon-machinery --example record` records them again.
//!
//! Where we differ, on purpose: see the end of this file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use horizon_api::resource::Kind;
use horizon_machinery::definition::Definition;
use jiff::Timestamp;
use serde_json::{Value, json};

#[path = "replay/play.rs"]
mod play;

use play::Player;

/// Returns a definition by the plural that sequences name it by.
fn definition(plural: &str) -> Definition {
    let own = Kind::ALL.into_iter().find(|kind| kind.plural() == plural);
    let crd = match (own, plural) {
        (Some(kind), _) => horizon_planner::schema::custom_resource_definition(kind),
        (None, "samples") => serde_json::from_str(include_str!("replay/samples.json")).unwrap(),
        (None, "plains") => serde_json::from_str(include_str!("replay/plains.json")).unwrap(),
        (None, other) => panic!("`{other}` is no kind"),
    };
    Definition::from_crd(crd).unwrap()
}

/// Plays every sequence of a record.
fn replay(record: &str) {
    let path = format!("{}/tests/replay/{record}.json", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    let mut differences = vec![];
    let (mut sequences, mut steps) = (0, 0);
    for line in text.lines() {
        let sequence: Value = serde_json::from_str(line).unwrap();
        let found = play_sequence(&sequence);
        sequences += 1;
        steps += sequence["steps"].as_array().unwrap().len();
        differences.extend(found.map(|found| format!("seed {}: {found}", sequence["seed"])));
    }
    assert!(sequences > 0 && steps > 0, "{path} is empty");
    let shown = differences.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(differences.is_empty(), "{} of {sequences} sequences differ:\n{shown}", differences.len());
}

fn play_sequence(sequence: &Value) -> Option<String> {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let definition = definition(sequence["kind"].as_str().unwrap());
    let mut player = Player::new(&definition, play::NAME, start);
    let mut object = Value::Null;
    for (index, step) in sequence["steps"].as_array().unwrap().iter().enumerate() {
        let now = start + jiff::SignedDuration::from_secs(step["at"].as_i64().unwrap());
        let mut expected = step["answer"].clone();
        let is_invalid = expected["invalid"] == json!(true);
        if let Some(change) = expected.as_object_mut().unwrap().remove("change") {
            object = changed(&object, &change);
            expected["object"] = object.clone();
        }
        let got = player.play(step, now, is_invalid);
        if is_invalid {
            if (got["code"].as_u64(), got["reason"].as_str()) != (Some(422), Some("Invalid")) {
                return Some(format!("step {index}: validation was not reached: {got}"));
            }
        } else if got != expected {
            let request = step.as_object().unwrap().iter().filter(|(key, _)| *key != "answer");
            let request: serde_json::Map<_, _> = request.map(|(k, v)| (k.clone(), v.clone())).collect();
            let difference = play::difference(&expected, &got).unwrap_or_default();
            return Some(format!(
                "step {index}: {}\nexpected {expected}\ndiffers by {difference}",
                Value::Object(request)
            ));
        }
    }
    None
}

/// Makes changes again.
fn changed(old: &Value, change: &Value) -> Value {
    match change {
        Value::Array(parts) => parts.get(1).cloned().unwrap_or(Value::Null),
        Value::Object(changes) => {
            let mut fields = old.as_object().cloned().unwrap_or_default();
            for (key, change) in changes {
                if *change == json!(["-"]) {
                    fields.remove(key);
                } else {
                    let value = changed(fields.get(key).unwrap_or(&Value::Null), change);
                    fields.insert(key.clone(), value);
                }
            }
            Value::Object(fields)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => old.clone(),
    }
}

#[test]
fn our_kinds_are_written_as_by_an_api_server() {
    replay("kinds");
}

#[test]
fn every_shape_of_schema_is_written_as_by_an_api_server() {
    replay("shapes");
}

// What an API server does otherwise, and why it is so here:
// - An operation of a JSON patch that does not apply is answered with the same code and sentence, but here with a cause
//   that names the operation and the reason. The API server tells nobody why.
// - Causes of one refusal are compared in order: the API server takes owners in the order of a hash map.
// - Of several fields that a schema does not declare, the API server names one of each map at random when it applies;
//   here each is named. Sequences have one at a time.
// - An apply that states something empty which metadata does not keep, such as `labels: {}`, is stored by the API server
//   as it was stated and read without it, so that the next write that changes nothing makes a new version. Here it
//   makes none.
// - Owners of fields in a version that is not served make the API server forget all owners of an object on the next
//   update. Here they alone are forgotten.
// - Merged owners (`ancient-changes`) that are younger than those that are merged with them lose their fields in the
//   API server, as its source reads. Here they keep them.
// - What validation finds in spec and status is not played: it is the planner's, in our words. That it is reached is.
// - Refusals of patches, and of bodies that do not say what they are, quote the whole object, and with it the data of a
//   Secret and the hash of a password. Here they quote `{…}`, and say what is wrong and where. The recorded quotations
//   are cut in the same way.
// - An object above etcd's limit of 1.5 MiB is a failure without a word (500) in the API server; here it is 413. A refusal
//   names a hundred causes at most, and 256 bytes of a path; the API server names everything.
