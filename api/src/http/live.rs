//! Changes of a [`View`], as the event stream carries them: whole parts, newest wins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ArmedView, DeviceView, EventView, HeldPlan, HoldView, ServerView, SourceView, StaleView, View};
use crate::{problem::Problem, resource::ObjectKey};

/// One event of the stream. The first is always a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum LiveEvent {
    /// Everything. `now` is the controller's clock, against which its times are to be read.
    Snapshot {
        now: u64,
        view: Box<View>,
    },
    Revision {
        revision: u64,
        complete: bool,
        sources: Vec<SourceView>,
    },
    Server {
        server: Box<ServerView>,
    },
    Device {
        device: Box<DeviceView>,
    },
    /// A server or device that is no more.
    Gone {
        key: ObjectKey,
    },
    Problems {
        problems: Vec<Problem>,
    },
    /// What is between texts and their effect.
    Guard {
        plans: Vec<HeldPlan>,
        holds: Vec<HoldView>,
        armed: Option<ArmedView>,
        stale: Vec<StaleView>,
    },
    Events {
        events: Vec<EventView>,
    },
}

impl View {
    /// Returns the events that turn `earlier` into `self`; none when they are equal.
    pub fn changes_since(&self, earlier: &Self, now: u64) -> Vec<LiveEvent> {
        if (self.epoch, self.started_at, self.cluster, &self.controller_version)
            != (earlier.epoch, earlier.started_at, earlier.cluster, &earlier.controller_version)
        {
            return vec![LiveEvent::Snapshot { now, view: Box::new(self.clone()) }];
        }
        let mut events = Vec::new();
        if (self.revision, self.complete, &self.sources)
            != (earlier.revision, earlier.complete, &earlier.sources)
        {
            let (revision, complete) = (self.revision, self.complete);
            events.push(LiveEvent::Revision { revision, complete, sources: self.sources.clone() });
        }
        let (changed, gone) = difference(&earlier.servers, &self.servers, ServerView::key);
        events.extend(gone.into_iter().map(|key| LiveEvent::Gone { key }));
        events.extend(changed.into_iter().map(|server| LiveEvent::Server { server: Box::new(server) }));
        let (changed, gone) = difference(&earlier.devices, &self.devices, DeviceView::key);
        events.extend(gone.into_iter().map(|key| LiveEvent::Gone { key }));
        events.extend(changed.into_iter().map(|device| LiveEvent::Device { device: Box::new(device) }));
        if self.problems != earlier.problems {
            events.push(LiveEvent::Problems { problems: self.problems.clone() });
        }
        if (&self.plans, &self.holds, &self.armed, &self.stale)
            != (&earlier.plans, &earlier.holds, &earlier.armed, &earlier.stale)
        {
            events.push(LiveEvent::Guard {
                plans: self.plans.clone(),
                holds: self.holds.clone(),
                armed: self.armed.clone(),
                stale: self.stale.clone(),
            });
        }
        if self.events != earlier.events {
            events.push(LiveEvent::Events { events: self.events.clone() });
        }
        events
    }
}

/// Returns what is new or different in `now`, and the keys of what is no more.
fn difference<T: Clone + PartialEq>(
    earlier: &[T],
    now: &[T],
    key: fn(&T) -> ObjectKey,
) -> (Vec<T>, Vec<ObjectKey>) {
    let mut left: BTreeMap<ObjectKey, &T> = earlier.iter().map(|item| (key(item), item)).collect();
    let mut changed = Vec::new();
    for item in now {
        if left.remove(&key(item)) != Some(item) {
            changed.push(item.clone());
        }
    }
    (changed, left.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Kind;

    fn server(name: &str, links: u32) -> ServerView {
        ServerView { namespace: "default".into(), name: name.into(), links, ..ServerView::default() }
    }

    fn view(servers: Vec<ServerView>) -> View {
        View { revision: 4, started_at: 1, servers, ..View::default() }
    }

    #[test]
    fn equal_views_have_no_changes() {
        let view = view(vec![server("ams", 1)]);

        assert_eq!(view.changes_since(&view, 9), []);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let earlier = view(vec![server("ams", 1), server("fra", 1), server("old", 0)]);
        let later = view(vec![server("ams", 1), server("fra", 2), server("new", 0)]);

        let gone = ObjectKey::new(Kind::Server, "default", "old");
        let expected = [
            LiveEvent::Gone { key: gone },
            LiveEvent::Server { server: Box::new(server("fra", 2)) },
            LiveEvent::Server { server: Box::new(server("new", 0)) },
        ];
        assert_eq!(later.changes_since(&earlier, 9), expected);
    }

    #[test]
    fn lists_travel_whole() {
        let earlier = view(vec![]);
        let problems = vec![Problem::error("a.yaml", "UnknownField", "there is no such field")];
        let later = View { revision: 5, problems: problems.clone(), ..earlier.clone() };

        let expected = [
            LiveEvent::Revision { revision: 5, complete: false, sources: vec![] },
            LiveEvent::Problems { problems },
        ];
        assert_eq!(later.changes_since(&earlier, 9), expected);
    }

    #[test]
    fn what_waits_travels_whole() {
        let earlier = view(vec![]);
        let hold = HoldView {
            object: ObjectKey::new(Kind::User, "default", "alice"),
            reason: "lost laptop".into(),
            by: "operator".into(),
            until: 7,
        };
        let later = View { holds: vec![hold.clone()], ..earlier.clone() };

        let expected = LiveEvent::Guard { plans: vec![], holds: vec![hold], armed: None, stale: vec![] };
        assert_eq!(later.changes_since(&earlier, 9), [expected]);
    }

    #[test]
    fn restarted_controller_is_a_snapshot() {
        let earlier = view(vec![server("ams", 1)]);
        let later = View { started_at: 2, ..earlier.clone() };

        let expected = [LiveEvent::Snapshot { now: 9, view: Box::new(later.clone()) }];
        assert_eq!(later.changes_since(&earlier, 9), expected);
    }

    #[test]
    fn events_read_back_as_written() {
        let event = LiveEvent::Server { server: Box::new(server("ams", 3)) };

        let text = serde_json::to_string(&event).unwrap();

        assert!(
            text.starts_with(r#"{"type":"Server","server":{"namespace":"default","name":"ams""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<LiveEvent>(&text).unwrap(), event);
    }
}
