//! Events: what happened to objects, for `kubectl describe`. They are of an hour, and of this process.

use std::collections::VecDeque;

use horizon_machinery::{
    event::{self, Name, in_group},
    resource::Resource,
};
use horizon_node::clock;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{draft::Draft, learn::moment};

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
pub(super) fn of_change(before: Option<&Value>, after: &Value, version: u64) -> Option<Value> {
    let (suffix, uid) = (format!("{version:x}"), uuid::Uuid::now_v7().to_string());
    event::of_change(before, after, &Name { suffix: &suffix, uid: &uid }, moment(clock::unix_ms()))
}
