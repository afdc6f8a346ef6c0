//! Events: what happened to an object, and both groups in which that is told: one object, and two names for most of its
//! fields (KEP-383).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::managed::time_text;

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

/// What an event is called.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    /// Tells the events of one object apart.
    pub suffix: &'a str,
    pub uid: &'a str,
}

/// Returns the event, in core form, of an object that is ready now and was not, or the other way round, or for another reason.
pub fn of_change(before: Option<&Value>, after: &Value, called: &Name<'_>, now: Timestamp) -> Option<Value> {
    let (was, is) = (before.and_then(ready), ready(after)?);
    if was.is_some_and(|was| was[..2] == is[..2]) {
        return None;
    }
    let [status, reason, message] = is;
    let text = |path: &str| after.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name, uid) = (text("/metadata/namespace"), text("/metadata/name"), text("/metadata/uid"));
    let at = time_text(now);
    // Names have at most 253 characters, and end with what tells events of one object apart.
    let stem: String = name.chars().take(200).collect();
    let event_name = format!("{stem}.{}", called.suffix);
    Some(json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": event_name,
            "namespace": namespace,
            "uid": called.uid,
            "creationTimestamp": at,
        },
        "involvedObject": {
            "apiVersion": text("/apiVersion"), "kind": text("/kind"), "namespace": namespace, "name": name,
            "uid": uid, "resourceVersion": text("/metadata/resourceVersion"),
        },
        "reason": reason,
        "message": message.chars().take(1024).collect::<String>(),
        "type": if status == "True" { "Normal" } else { "Warning" },
        "source": { "component": "horizon-controller" },
        "reportingComponent": "horizon-controller",
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "eventTime": null,
        "count": 1,
    }))
}

/// Returns the condition `Ready`: status, reason, message.
fn ready(object: &Value) -> Option<[&str; 3]> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    Some([ready["status"].as_str()?, ready["reason"].as_str()?, ready["message"].as_str()?])
}

#[cfg(test)]
mod tests {
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

    fn object(status: &str, reason: &str, message: &str) -> Value {
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "name": "alice", "namespace": "default", "uid": "u", "resourceVersion": "7" },
            "status": { "conditions": [{ "type": "Ready", "status": status, "reason": reason, "message": message }] },
        })
    }

    #[test]
    fn only_what_is_news_is_an_event() {
        let event = |before: Option<&Value>, after: &Value| {
            of_change(before, after, &Name { suffix: "10", uid: "7" }, Timestamp::UNIX_EPOCH)
        };
        let (ready, expired) = (object("True", "Ready", "works"), object("False", "Expired", "since noon"));

        assert_eq!(event(Some(&ready), &object("True", "Ready", "still works")), None);
        assert_eq!(event(Some(&ready), &json!({})), None);
        let told = event(Some(&ready), &expired).unwrap();
        assert_eq!((&told["type"], &told["reason"]), (&json!("Warning"), &json!("Expired")));
        assert_eq!(told["metadata"]["name"], "alice.10");
        assert_eq!(told["involvedObject"]["resourceVersion"], "7");
        assert_eq!(event(None, &ready).unwrap()["type"], "Normal");
    }
}
