//! `watch`: what happens to objects, told one by one.
//!
//! A watcher is a cursor into the history of a [`Collection`]: it holds no events, so one that does not read costs
//! nothing and is ended (410) when the history has gone past it. While it tells the first objects it holds them as they
//! were when it began. Call [`Watcher::poll`] until it says [`Poll::Wait`], then again when the collection's version
//! rises or the moment comes; [`Lines`] writes its events in the form that the client wants.

mod lines;

use std::{fmt, ops::Bound, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};

pub use self::lines::Lines;
use crate::{
    collection::{Change, Collection, Objects, Place},
    list::Scope,
    parameters::read::{Start, Watch},
    refusal::Refusal,
    selector::Selection,
    status,
    stored::{Named, Stored},
};

/// One watch of one client.
#[derive(Debug)]
pub struct Watcher {
    /// What the keys of watched objects begin with.
    prefix: String,
    selection: Selection,
    api_version: String,
    kind: String,
    phase: Phase,
    /// When to tell how far the watch is; `None` if the client does not want to know.
    bookmark_at: Option<Duration>,
    /// Whether the end of the first objects is told. An API server with KEP-3157 tells it to every watch that begins with
    /// objects and wants bookmarks, whether or not `sendInitialEvents` was said (`SetListOptionsDefaults`).
    tells_end_of_state: bool,
    deadline: Duration,
}

#[derive(Debug)]
enum Phase {
    /// Tells the objects of a state, in order of their keys, from a place on.
    State {
        version: u64,
        objects: Objects,
        place: Place,
    },
    /// Tells the changes after a version.
    Changes {
        after: u64,
    },
    /// Says why it cannot go on.
    Refused(Refusal),
    Ended,
}

/// What a watcher has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Poll {
    /// Send these, then ask again.
    Events(Vec<Event>),
    /// Nothing until the collection changes or this moment comes.
    Wait(Duration),
    /// The watch is over: close the stream.
    End,
}

/// One line of the stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    /// The object as JSON; the `Status` of an error.
    pub object: Bytes,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object: Value = serde_json::from_slice(&self.object).unwrap_or_default();
        f.debug_struct("Event").field("kind", &self.kind).field("object", &Named(&object)).finish()
    }
}

/// What happened, as the watcher sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
    /// Nothing happened up to the version of the object.
    Bookmark,
    /// The watch cannot go on.
    Error,
}

/// How often a client is told how far its watch is, as an API server does.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long before its end a watch says how far it is, so that the next one can begin there.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// How much one poll returns at most: enough to be quick, little enough to be fair.
const EVENTS_MAX: usize = 256;
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// The annotation of the bookmark behind the first objects (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What is watched, and from when to when.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub scope: Scope<'a>,
    /// The `apiVersion` of the objects.
    pub api_version: &'a str,
    /// The kind of the objects.
    pub kind: &'a str,
    /// The present moment, counted from any origin that does not change.
    pub now: Duration,
    /// How long the watch lasts if the client does not say.
    pub timeout: Duration,
}

impl Watcher {
    /// Begins a watch. One that cannot begin says so in its first event, as on an API server.
    pub fn start(collection: &Collection, subject: Subject<'_>, watch: &Watch) -> Self {
        let Subject { scope, api_version, kind, now, timeout } = subject;
        let prefix = scope.prefix();
        let phase = match watch.start {
            Start::WithState(version) => match collection.refuse_future(version) {
                Ok(()) => {
                    let objects = collection.objects();
                    let place = objects.place(Bound::Included(&prefix));
                    Phase::State { version: collection.version(), objects, place }
                }
                Err(refusal) => Phase::Refused(refusal),
            },
            Start::Latest => Phase::Changes { after: collection.version() },
            Start::After(version) if version > collection.version() => {
                // Whoever knows a version from the future knows another history, such as that before a backup was
                // restored. An API server waits for that future, and an answer of 504 makes kube-rs try the same again
                // for ever; 410 makes every client list anew.
                let current = collection.version();
                Phase::Refused(status::expired(format!("too new resource version: {version} ({current})")))
            }
            Start::After(version) => Phase::Changes { after: version },
        };
        let deadline = now.saturating_add(watch.timeout.unwrap_or(timeout));
        Self {
            prefix,
            selection: watch.selection.clone(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            phase,
            bookmark_at: watch.bookmarks.then(|| next_bookmark(now, deadline)),
            tells_end_of_state: watch.bookmarks,
            deadline,
        }
    }

    /// Returns what is to be sent.
    pub fn poll(&mut self, collection: &Collection, now: Duration) -> Poll {
        loop {
            let events = match &mut self.phase {
                Phase::Ended => return Poll::End,
                Phase::Refused(refusal) => {
                    let event = error(refusal);
                    self.phase = Phase::Ended;
                    return Poll::Events(vec![event]);
                }
                _ if now >= self.deadline => {
                    self.phase = Phase::Ended;
                    return Poll::End;
                }
                Phase::State { version, .. } => match collection.refuse_forgotten(*version) {
                    Ok(()) => self.tell_state(),
                    Err(refusal) => self.refuse(refusal),
                },
                Phase::Changes { after } => match collection.refuse_forgotten(*after) {
                    Ok(()) => self.tell_changes(collection),
                    Err(refusal) => self.refuse(refusal),
                },
            };
            if !events.is_empty() {
                return Poll::Events(events);
            }
            // Anything else than having told every change is worth another look.
            if let Phase::Changes { after } = self.phase
                && after == collection.version()
            {
                return self.rest(after, now);
            }
        }
    }

    /// Nothing happened: says how far it is if it is time, else until when to wait.
    fn rest(&mut self, version: u64, now: Duration) -> Poll {
        match self.bookmark_at {
            Some(at) if now >= at => {
                self.bookmark_at = Some(next_bookmark(now, self.deadline));
                Poll::Events(vec![self.bookmark(version, false)])
            }
            Some(at) => Poll::Wait(at.min(self.deadline)),
            None => Poll::Wait(self.deadline),
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Vec<Event> {
        self.phase = Phase::Refused(refusal);
        vec![]
    }

    fn tell_state(&mut self) -> Vec<Event> {
        let Phase::State { version, objects, place } = &mut self.phase else { return vec![] };
        let mut batch = Batch::default();
        let mut rest = objects.iter_from(*place);
        while !batch.is_full() {
            let Some(object) = rest.next().filter(|object| object.key().starts_with(&self.prefix)) else {
                let version = *version;
                self.phase = Phase::Changes { after: version };
                if self.tells_end_of_state {
                    batch.events.push(self.bookmark(version, true));
                }
                return batch.events;
            };
            if self.selection.selects(&**object) {
                batch.push(EventKind::Added, object.json());
            }
        }
        *place = rest.place();
        batch.events
    }

    fn tell_changes(&mut self, collection: &Collection) -> Vec<Event> {
        let Phase::Changes { after } = &mut self.phase else { return vec![] };
        let mut batch = Batch::default();
        for change in collection.changes_after(*after) {
            if batch.is_full() {
                return batch.events;
            }
            if let Some((kind, object)) = seen(change, &self.prefix, &self.selection) {
                batch.push(kind, object);
            }
            *after = change.version();
        }
        *after = collection.version();
        batch.events
    }

    fn bookmark(&self, version: u64, is_end_of_state: bool) -> Event {
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if is_end_of_state {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let object = json!({ "apiVersion": self.api_version, "kind": self.kind, "metadata": metadata });
        Event { kind: EventKind::Bookmark, object: Bytes::from(object.to_string()) }
    }
}

/// The events of one poll.
#[derive(Debug, Default)]
struct Batch {
    events: Vec<Event>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, kind: EventKind, object: Bytes) {
        self.bytes += object.len();
        self.events.push(Event { kind, object });
    }

    fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX || self.bytes >= EVENT_BYTES_MAX
    }
}

/// Returns the moment of the next bookmark: in a minute, or shortly before the end.
fn next_bookmark(now: Duration, deadline: Duration) -> Duration {
    let regular = now.saturating_add(BOOKMARK_EVERY);
    let last = deadline.saturating_sub(BOOKMARK_BEFORE_END);
    if now < last { regular.min(last) } else { regular }
}

/// Returns what a change means for those who see only a selection.
fn seen(change: &Change, prefix: &str, selection: &Selection) -> Option<(EventKind, Bytes)> {
    let sees = |object: &&Arc<Stored>| object.key().starts_with(prefix) && selection.selects(&***object);
    match (change.before().filter(sees), change.after().filter(sees)) {
        (None, None) => None,
        (None, Some(_)) => Some((EventKind::Added, change.now()?)),
        (Some(_), Some(_)) => Some((EventKind::Modified, change.now()?)),
        (Some(_), None) => Some((EventKind::Deleted, change.gone()?)),
    }
}

fn error(refusal: &Refusal) -> Event {
    Event { kind: EventKind::Error, object: Bytes::from(status::failure(refusal).to_string()) }
}

impl EventKind {
    /// Returns what stands before the object on its line.
    fn head(self) -> &'static [u8] {
        match self {
            Self::Added => br#"{"type":"ADDED","object":"#,
            Self::Modified => br#"{"type":"MODIFIED","object":"#,
            Self::Deleted => br#"{"type":"DELETED","object":"#,
            Self::Bookmark => br#"{"type":"BOOKMARK","object":"#,
            Self::Error => br#"{"type":"ERROR","object":"#,
        }
    }
}

impl Event {
    /// Returns the pieces of its line; the object's bytes are shared with every other watcher. [`Lines`] writes other
    /// forms than the whole object.
    pub fn line(&self) -> [Bytes; 3] {
        self.line_with(self.object.clone())
    }

    /// Returns the pieces of its line with the object in another form.
    fn line_with(&self, object: Bytes) -> [Bytes; 3] {
        [Bytes::from_static(self.kind.head()), object, Bytes::from_static(b"}\n")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collection::Limits, parameters::read::Read, query::Query};

    const LIMITS: Limits = Limits { changes_max: 10, bytes_max: 1 << 20 };
    const SECOND: Duration = Duration::from_secs(1);

    fn user(name: &str, team: &str, version: u64) -> Arc<Stored> {
        let metadata = json!({
            "name": name, "namespace": "default", "resourceVersion": version.to_string(), "labels": { "team": team },
        });
        Stored::new(&json!({ "metadata": metadata }), version, &[])
    }

    fn users() -> Collection {
        Collection::new([user("alice", "a", 3), user("bob", "b", 4)], 5, 5, LIMITS)
    }

    fn watch(collection: &Collection, query: &str) -> Watcher {
        let query = Query::parse(&format!("watch=true&{query}")).unwrap();
        let Read::Watch(watch) = Read::parse(&query, |_| true).unwrap() else { panic!("a list") };
        let scope = Scope { resource: "users.horizon.dev", namespace: "default" };
        let subject = Subject {
            scope,
            api_version: "horizon.dev/v1alpha1",
            kind: "User",
            now: Duration::ZERO,
            timeout: 1800 * SECOND,
        };
        Watcher::start(collection, subject, &watch)
    }

    /// Returns everything that is told at a moment, as `TYPE name@version`.
    fn told(watcher: &mut Watcher, collection: &Collection, now: Duration) -> String {
        let mut told = vec![];
        while let Poll::Events(events) = watcher.poll(collection, now) {
            for event in events {
                let object: Value = serde_json::from_slice(&event.object).unwrap();
                let name = object["metadata"]["name"].as_str().or(object["reason"].as_str()).unwrap_or("-");
                let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
                let end = if object["metadata"]["annotations"].is_null() { "" } else { "!" };
                told.push(format!("{:?} {name}@{version}{end}", event.kind));
            }
        }
        told.join(", ")
    }

    #[test]
    fn a_watch_without_a_version_begins_with_what_there_is() {
        let mut users = users();
        let mut watcher = watch(&users, "");
        let mut streaming = watch(
            &users,
            "allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        );

        assert_eq!(told(&mut watcher, &users, SECOND), "Added alice@3, Added bob@4");
        assert_eq!(told(&mut streaming, &users, SECOND), "Added alice@3, Added bob@4, Bookmark -@5!");

        users.put(user("carol", "a", 6)).unwrap();
        assert_eq!(told(&mut watcher, &users, SECOND), "Added carol@6");
        assert_eq!(told(&mut streaming, &users, SECOND), "Added carol@6");
    }

    #[test]
    fn a_selection_sees_objects_come_and_go() {
        let mut users = users();
        let mut watcher = watch(&users, "resourceVersion=5&labelSelector=team%3Da");
        users.put(user("bob", "a", 6)).unwrap();
        users.put(user("bob", "a", 7)).unwrap();
        users.put(user("bob", "c", 8)).unwrap();
        users.put(user("bob", "d", 9)).unwrap();
        users.remove("default/alice", 10).unwrap();

        let expected = "Added bob@6, Modified bob@7, Deleted bob@8, Deleted alice@10";
        assert_eq!(told(&mut watcher, &users, SECOND), expected);
    }

    #[test]
    fn changes_during_the_first_objects_are_told_after_them() {
        let mut users = users();
        let mut watcher = watch(&users, "resourceVersion=0");
        users.remove("default/alice", 6).unwrap();

        assert_eq!(told(&mut watcher, &users, SECOND), "Added alice@3, Added bob@4, Deleted alice@6");
    }

    #[test]
    fn the_first_objects_are_those_of_the_begin() {
        let objects = (0..1000).map(|number| user(&format!("u{number:04}"), "a", 1));
        let mut users = Collection::new(objects, 1, 1, LIMITS);
        let mut watcher = watch(&users, "");
        let Poll::Events(first) = watcher.poll(&users, SECOND) else { panic!("no events") };
        assert_eq!(first.len(), EVENTS_MAX);

        users.put(user("u0000", "b", 2)).unwrap();
        users.remove("default/u0500", 3).unwrap();
        users.put(user("u0999x", "a", 4)).unwrap();

        let rest = told(&mut watcher, &users, SECOND);
        assert!(rest.starts_with("Added u0256@1, Added u0257@1, ") && rest.contains("Added u0500@1, "));
        assert!(rest.ends_with("Added u0999@1, Modified u0000@2, Deleted u0500@3, Added u0999x@4"));
        assert_eq!(rest.split(", ").count(), 1000 - EVENTS_MAX + 3);
    }

    #[test]
    fn a_watch_that_the_history_has_left_behind_is_ended() {
        let mut users = users();
        let mut slow = watch(&users, "resourceVersion=5");
        let mut slower = watch(&users, "");
        for version in 6..=20 {
            users.put(user("bob", "b", version)).unwrap();
        }

        assert_eq!(told(&mut slow, &users, SECOND), "Error Expired@");
        assert_eq!(slow.poll(&users, SECOND), Poll::End);
        assert_eq!(told(&mut slower, &users, SECOND), "Error Expired@");
        assert_eq!(told(&mut watch(&users, "resourceVersion=1"), &users, SECOND), "Error Expired@");
        assert_eq!(told(&mut watch(&users, "resourceVersion=99"), &users, SECOND), "Error Expired@");
    }

    #[test]
    fn bookmarks_come_each_minute_and_before_the_end() {
        let mut users = users();
        let mut watcher = watch(&users, "resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=100");
        let at = |seconds: u32| seconds * SECOND;

        assert_eq!(watcher.poll(&users, at(1)), Poll::Wait(at(60)));
        users.advance(8);
        assert_eq!(told(&mut watcher, &users, at(61)), "Bookmark -@8");
        assert_eq!(watcher.poll(&users, at(62)), Poll::Wait(at(98)));
        assert_eq!(told(&mut watcher, &users, at(98)), "Bookmark -@8");
        assert_eq!(watcher.poll(&users, at(99)), Poll::Wait(at(100)));
        assert_eq!(watcher.poll(&users, at(100)), Poll::End);
    }

    #[test]
    fn a_watch_without_bookmarks_waits_for_changes_or_its_end() {
        let users = users();
        let mut watcher = watch(&users, "resourceVersion=5");

        assert_eq!(watcher.poll(&users, SECOND), Poll::Wait(1800 * SECOND));
        assert_eq!(watcher.poll(&users, 1800 * SECOND), Poll::End);
        assert_eq!(watch(&users, "timeoutSeconds=-1").poll(&users, SECOND), Poll::End);
    }

    #[test]
    fn many_objects_come_in_batches() {
        let objects = (0..1000).map(|number| user(&format!("u{number:04}"), "a", 1));
        let users = Collection::new(objects, 1, 1, LIMITS);
        let mut watcher = watch(&users, "");

        let mut total = 0;
        while let Poll::Events(events) = watcher.poll(&users, SECOND) {
            assert!(events.len() <= EVENTS_MAX);
            let key = format!("default/u{total:04}");
            assert_eq!(events[0].object, users.get(&key).unwrap().json());
            total += events.len();
        }
        assert_eq!(total, 1000);
    }

    #[test]
    fn watchers_of_a_new_change_share_its_bytes() {
        let limits = Limits { changes_max: 2000, bytes_max: 16 << 20 };
        let mut users = Collection::new([], 1, 1, limits);
        let address = |users: &Collection| {
            let Poll::Events(events) = watch(users, "resourceVersion=1").poll(users, SECOND) else {
                panic!()
            };
            events[0].object.as_ptr()
        };

        users.put(user("u1", "a", 2)).unwrap();
        let first = watch(&users, "resourceVersion=1").poll(&users, SECOND);
        assert_eq!(address(&users), address(&users));
        // An old one is read by few, and gives its bytes back.
        (3..1000).for_each(|version| users.put(user("u2", "a", version)).unwrap());
        let Poll::Events(events) = watch(&users, "resourceVersion=1").poll(&users, SECOND) else { panic!() };
        let Poll::Events(earlier) = first else { panic!() };
        assert_eq!(events[0], earlier[0]);
        assert_ne!(events[0].object.as_ptr(), earlier[0].object.as_ptr());
    }

    #[test]
    fn a_line_is_one_json_document() {
        let event = Event { kind: EventKind::Added, object: Bytes::from_static(b"{}") };

        assert_eq!(event.line().concat(), b"{\"type\":\"ADDED\",\"object\":{}}\n");
    }
}
