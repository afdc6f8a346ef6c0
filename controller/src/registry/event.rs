//! Events: what happened to objects, for `kubectl describe`. They are of an hour, and of this process.

use std::collections::VecDeque;

use horizon_machinery::{event::in_group, resource::Resource};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::draft::Draft;

/// How long an event is shown, as on an API server.
const LIFE: Duration = Duration::from_secs(3600);
/// Events that are shown at once: beyond, the oldest go.
const EVENTS_MAX: usize = 2_000;
/// Events of one word of the reconciler: a first start is no news of ten thousand objects.
pub(super) const AT_ONCE_MAX: usize = 100;

/// Both groups in which events are read.
pub(super) fn resources() -> [&'static Resource; 2] {
    ["", "events.k8s.io"].map(|group| {
        Resource::find(group, "v1", "events").expect("events are served in both groups; a test lists them")
    })
}

/// Which events are shown, oldest first.
#[derive(Debug, Default)]
pub(super) struct Events {
    shown: VecDeque<(Instant, String, String)>,
}

impl Events {
    /// Shows an event, in core form, and takes away what is too old or too much.
    pub(super) fn show(&mut self, draft: &mut Draft<'_>, event: Value, now: Instant) {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        for resource in resources() {
            draft.show(resource, in_group(event.clone(), &resource.group));
        }
        self.shown.push_back((now, namespace, name));
        self.forget(draft, now);
    }

    /// Takes note of events that clients wrote; they are on their shelves.
    pub(super) fn note(&mut self, draft: &mut Draft<'_>, now: Instant) {
        for (namespace, name) in std::mem::take(&mut draft.noted_events) {
            let is_known = self.shown.iter().any(|(_, space, known)| *space == namespace && *known == name);
            if !is_known {
                self.shown.push_back((now, namespace, name));
            }
        }
        self.forget(draft, now);
    }

    /// Takes away what is too old or too much.
    pub(super) fn forget(&mut self, draft: &mut Draft<'_>, now: Instant) {
        let is_over = |shown: &VecDeque<(Instant, String, String)>| {
            shown.len() > EVENTS_MAX || shown.front().is_some_and(|(at, ..)| *at + LIFE <= now)
        };
        while is_over(&self.shown) {
            let Some((_, namespace, name)) = self.shown.pop_front() else { return };
            for resource in resources() {
                draft.hide(resource, &namespace, &name);
            }
        }
    }

    /// Returns when the oldest is over.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.shown.front().map(|(at, ..)| *at + LIFE)
    }
}

/// Returns the event of an object that is ready now and was not, or the other way round, or for another reason.
pub(super) fn of_change(
    before: Option<&Value>,
    after: &Value,
    version: u64,
    now: Timestamp,
) -> Option<Value> {
    let (was, is) = (before.and_then(ready), ready(after)?);
    if was.is_some_and(|was| was[..2] == is[..2]) {
        return None;
    }
    let [status, reason, message] = is;
    let text = |path: &str| after.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name, uid) = (text("/metadata/namespace"), text("/metadata/name"), text("/metadata/uid"));
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Names have at most 253 characters, and end with what tells events of one object apart.
    let stem: String = name.chars().take(200).collect();
    let event_name = format!("{stem}.{version:x}");
    Some(json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": event_name,
            "namespace": namespace,
            "uid": uuid::Uuid::now_v7().to_string(),
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

    fn object(status: &str, reason: &str, message: &str) -> Value {
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "name": "alice", "namespace": "default", "uid": "u", "resourceVersion": "7" },
            "status": { "conditions": [{ "type": "Ready", "status": status, "reason": reason, "message": message }] },
        })
    }

    #[test]
    fn only_what_is_news_is_an_event() {
        let event =
            |before: Option<&Value>, after: &Value| of_change(before, after, 16, Timestamp::UNIX_EPOCH);
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
