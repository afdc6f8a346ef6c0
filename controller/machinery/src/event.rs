//! Events in both of their groups: one object, and two names for most of its fields (KEP-383).

use serde_json::{Map, Value};

/// The group in which events have their later names.
const NEW_GROUP: &str = "events.k8s.io";

/// The fields as core calls them, and as `events.k8s.io` does.
const NAMES: [(&str, &str); 7] = [
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("involvedObject", "regarding"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
];

/// Returns an event of either group as it is shown in a group: empty is core, anything else `events.k8s.io`.
pub fn in_group(event: Value, group: &str) -> Value {
    let Value::Object(fields) = event else { return event };
    let is_new = group == NEW_GROUP;
    let renamed = |name: String| {
        let pair = NAMES.iter().find(|(old, new)| if is_new { name == *old } else { name == *new });
        pair.map_or(name, |(old, new)| (if is_new { *new } else { *old }).to_owned())
    };
    let mut fields: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (renamed(name), value)).collect();
    let api_version = if is_new { "events.k8s.io/v1" } else { "v1" };
    fields.insert("apiVersion".to_owned(), api_version.into());
    fields.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{definition::Definition, resource::Resource};

    #[test]
    fn an_event_has_two_faces() {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a.1"}, "type": "Normal", "message": "hello",
            "involvedObject": {"name": "a"}, "count": 2, "reportingComponent": "horizon", "eventTime": null,
        });

        let new = in_group(event.clone(), "events.k8s.io");

        assert_eq!(
            new,
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a.1"}, "type": "Normal",
                "note": "hello", "regarding": {"name": "a"}, "deprecatedCount": 2, "reportingController": "horizon",
                "eventTime": null,
            })
        );
        assert_eq!(in_group(new.clone(), ""), event);
        assert_eq!(in_group(new.clone(), "events.k8s.io"), new);
    }

    #[test]
    fn every_name_is_one_of_its_group() {
        for (group, pick) in [("", 0), ("events.k8s.io", 1)] {
            let resource = Resource::find(group, "v1", "events").unwrap();
            let fields = &Definition::of_resource(resource).unwrap().schema().properties;
            for (old, new) in NAMES {
                assert!(fields.contains_key([old, new][pick]), "{group} {old} {new}");
            }
            let others = NAMES.map(|(old, new)| [new, old][pick]);
            assert!(others.iter().all(|name| !fields.contains_key(*name)), "{group}");
        }
    }
}
