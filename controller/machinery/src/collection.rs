//! The objects of one kind, and the changes that led to them: what lists and watches read.
//!
//! The history is bounded by count and by bytes. As long as it reaches, any past state can be shown again (the
//! pages of one list agree with each other) and any watch can go on from where it was.
//!
//! A clone is a snapshot: its owner changes the one, readers keep the other. They share every object, and all but what
//! a change touches of the lists of them.

mod history;
mod objects;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;

use self::history::History;
pub(crate) use self::objects::{Objects, Place};
use crate::{
    refusal::{Cause, CauseReason, Details, Reason, Refusal},
    status,
    stored::Stored,
};

/// One object came, changed or went.
pub struct Change {
    version: u64,
    before: Option<Arc<Stored>>,
    after: Option<Arc<Stored>>,
    /// What watchers see for whom the object came or changed, unpacked when the first one asks.
    now: Mutex<Text>,
    /// What watchers see for whom the object is gone, written when the first one asks.
    gone: OnceLock<Bytes>,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Change");
        fields.field("version", &self.version).field("before", &self.before).field("after", &self.after);
        fields.finish_non_exhaustive()
    }
}

/// A text that many watchers read about the same time.
#[derive(Debug, Default)]
enum Text {
    #[default]
    Unread,
    Shared(Bytes),
    /// Who still wants it unpacks it for himself.
    Old,
}

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Changes.
    pub changes_max: usize,
    /// Bytes of the states that only the history still holds.
    pub bytes_max: usize,
}

/// Every object of one kind. A clone costs two pointers, however many objects there are.
#[derive(Clone, Debug)]
pub struct Collection {
    objects: Objects,
    history: History,
    bytes: usize,
    limits: Limits,
    /// The version that everything up to is known.
    version: u64,
    /// The version up to which changes are forgotten.
    forgotten: u64,
}

/// A change whose version is not above every version before it. Each change needs one of its own: a watch goes on
/// after a version, so of two changes that share one, the second could be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {version} does not come after version {last}")]
pub struct NotAfter {
    pub version: u64,
    pub last: u64,
}

impl Collection {
    /// Begins with what a store holds at a version. `last_change` is the version at which this kind last changed, by a
    /// delete too: nothing happened to it since, so that watches go on from there, but what happened before is not
    /// known. A change that an object knows of counts even if the store forgot it.
    pub fn new(
        objects: impl IntoIterator<Item = Arc<Stored>>,
        last_change: u64,
        version: u64,
        limits: Limits,
    ) -> Self {
        let objects: Objects = objects.into_iter().collect();
        let all = objects.iter_from(objects.place(Bound::Unbounded));
        let newest = all.map(|object| object.version()).fold(last_change, u64::max);
        let version = version.max(newest);
        Self { objects, history: History::default(), bytes: 0, limits, version, forgotten: newest }
    }

    /// Takes an object that was created or changed.
    ///
    /// # Errors
    /// When its version is not above all that were.
    pub fn put(&mut self, object: Arc<Stored>) -> Result<(), NotAfter> {
        self.check(object.version())?;
        let before = self.objects.put(Arc::clone(&object));
        self.remember(object.version(), before, Some(object));
        Ok(())
    }

    /// Takes the word that an object is gone; one that is not there changes nothing.
    ///
    /// # Errors
    /// When the version is not above all that were.
    pub fn remove(&mut self, key: &str, version: u64) -> Result<(), NotAfter> {
        self.check(version)?;
        match self.objects.remove(key) {
            Some(before) => self.remember(version, Some(before), None),
            None => self.version = version,
        }
        Ok(())
    }

    /// Takes the word that up to a version nothing more happened to this kind.
    pub fn advance(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    fn check(&self, version: u64) -> Result<(), NotAfter> {
        if version > self.version { Ok(()) } else { Err(NotAfter { version, last: self.version }) }
    }

    fn remember(&mut self, version: u64, before: Option<Arc<Stored>>, after: Option<Arc<Stored>>) {
        let change = Change::new(version, before, after);
        self.bytes += change.bytes();
        self.history.push(Arc::new(change));
        self.version = version;
        while self.history.len() > self.limits.changes_max || self.bytes > self.limits.bytes_max {
            let Some(oldest) = self.history.pop() else { break };
            self.bytes -= oldest.bytes();
            self.forgotten = oldest.version;
        }
    }

    /// Returns the version that everything up to is known.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the oldest version that a watch can go on from.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Returns an object as it is.
    pub fn get(&self, key: &str) -> Option<&Arc<Stored>> {
        self.objects.get(key)
    }

    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Says whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.len() == 0
    }

    /// Returns the changes after a version, oldest first.
    pub fn changes_after(&self, version: u64) -> impl Iterator<Item = &Arc<Change>> {
        self.history.after(version)
    }

    /// Returns the objects as they are; they stay so whatever happens to the collection.
    pub(crate) fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// Returns the objects at a version, from a key on, in order: the present, with what happened since undone.
    pub fn state_at<'a>(&'a self, version: u64, from: Bound<&'a str>) -> StateAt<'a> {
        let present = self.objects.iter_from(self.objects.place(from)).peekable();
        StateAt { present, undone: self.undone(version, from).into_iter().peekable() }
    }

    /// Counts the objects at a version from a key on whose keys begin with a prefix; it takes the time that the changes
    /// since take, not the objects.
    pub(crate) fn count_at(&self, version: u64, from: Bound<&str>, prefix: &str) -> usize {
        let mut count = self.objects.count(from, prefix);
        for (key, before) in self.undone(version, from).into_iter().filter(|(key, _)| key.starts_with(prefix))
        {
            count += usize::from(before.is_some());
            count -= usize::from(self.get(key).is_some());
        }
        count
    }

    /// Returns what was before at each key that changed after a version, from a key on.
    fn undone<'a>(&'a self, version: u64, from: Bound<&str>) -> BTreeMap<&'a str, Option<&'a Arc<Stored>>> {
        let mut undone = BTreeMap::new();
        let is_wanted = |key: &str| match from {
            Bound::Included(start) => key >= start,
            Bound::Excluded(start) => key > start,
            Bound::Unbounded => true,
        };
        for change in self.changes_after(version) {
            // The oldest change of a key knows what was before all of them.
            if let Some(key) = change.key().filter(|key| is_wanted(key)) {
                undone.entry(key).or_insert(change.before.as_ref());
            }
        }
        undone
    }

    /// Refuses a version from the future: 504, as an API server that is still catching up.
    pub fn refuse_future(&self, version: u64) -> Result<(), Refusal> {
        if version <= self.version {
            return Ok(());
        }
        let why = "Too large resource version";
        let reason = CauseReason::ResourceVersionTooLarge;
        let cause = Cause { reason, message: why.to_owned(), field: String::new() };
        let details = Details { causes: vec![cause], retry_after_seconds: Some(1), ..Details::default() };
        let message = format!("Timeout: {why}: {version}, current: {}", self.version);
        let details = Some(Box::new(details));
        Err(Refusal { details, ..Refusal::plain(504, Reason::Timeout, message) })
    }

    /// Refuses a watch from a version that the history no longer reaches: 410.
    pub fn refuse_forgotten(&self, version: u64) -> Result<(), Refusal> {
        if version >= self.forgotten {
            return Ok(());
        }
        Err(status::expired(format!("too old resource version: {version} ({})", self.forgotten)))
    }
}

/// The objects at a version, in order of their keys.
#[derive(Debug)]
pub struct StateAt<'a> {
    present: std::iter::Peekable<objects::Iter<'a>>,
    undone: std::iter::Peekable<std::collections::btree_map::IntoIter<&'a str, Option<&'a Arc<Stored>>>>,
}

impl<'a> Iterator for StateAt<'a> {
    type Item = &'a Arc<Stored>;

    fn next(&mut self) -> Option<&'a Arc<Stored>> {
        loop {
            let present = self.present.peek().map(|object| object.key());
            let undone = self.undone.peek().map(|(key, _)| *key);
            let is_undone = match (present, undone) {
                (None, None) => return None,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (Some(present), Some(undone)) => undone <= present,
            };
            if !is_undone {
                return self.present.next();
            }
            if present == undone {
                self.present.next();
            }
            if let Some((_, Some(object))) = self.undone.next() {
                return Some(object);
            }
        }
    }
}

impl Change {
    fn new(version: u64, before: Option<Arc<Stored>>, after: Option<Arc<Stored>>) -> Self {
        Self { version, before, after, now: Mutex::default(), gone: OnceLock::new() }
    }

    /// Returns the resource version of the change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the object before, if there was one.
    pub fn before(&self) -> Option<&Arc<Stored>> {
        self.before.as_ref()
    }

    /// Returns the object after, if there is one.
    pub fn after(&self) -> Option<&Arc<Stored>> {
        self.after.as_ref()
    }

    /// Returns the object as it is, if it is there; watchers of a new change share it.
    pub fn now(&self) -> Option<Bytes> {
        let after = self.after.as_ref()?;
        let mut text = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match &*text {
            Text::Shared(json) => return Some(json.clone()),
            Text::Old => return Some(after.json()),
            Text::Unread => {}
        }
        let json = after.json();
        *text = Text::Shared(json.clone());
        Some(json)
    }

    /// Lets go of the text that watchers shared: those who follow have read it.
    fn age(&self) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Text::Old;
    }

    /// Returns the object as it was, under the version of the change: what is told to those for whom it is gone.
    pub fn gone(&self) -> Option<Bytes> {
        let before = self.before.as_ref()?;
        Some(self.gone.get_or_init(|| before.json_at(self.version)).clone())
    }

    fn key(&self) -> Option<&str> {
        self.before.as_ref().or(self.after.as_ref()).map(|object| object.key())
    }

    /// Both states count: the later one is in the collection too, until the next change of its object.
    fn bytes(&self) -> usize {
        let bytes = |object: &Option<Arc<Stored>>| object.as_ref().map_or(0, |object| object.bytes());
        size_of::<Self>() + 2 * bytes(&self.before) + bytes(&self.after)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: Limits = Limits { changes_max: 100, bytes_max: 1 << 20 };

    fn object(name: &str, version: u64) -> Arc<Stored> {
        let metadata =
            json!({ "name": name, "namespace": "default", "resourceVersion": version.to_string() });
        Stored::new(&json!({ "metadata": metadata }), version, &[])
    }

    fn versions(collection: &Collection, version: u64, from: Bound<&str>) -> Vec<(String, u64)> {
        let state = collection.state_at(version, from);
        state.map(|object| (object.key().to_owned(), object.version())).collect()
    }

    /// 1: a, b. 2: b changes. 3: c comes. 4: a goes. 5: c goes. 6: a comes again.
    fn story(limits: Limits) -> Collection {
        let mut collection = Collection::new([object("a", 1), object("b", 1)], 1, 1, limits);
        collection.put(object("b", 2)).unwrap();
        collection.put(object("c", 3)).unwrap();
        collection.remove("default/a", 4).unwrap();
        collection.remove("default/c", 5).unwrap();
        collection.put(object("a", 6)).unwrap();
        collection
    }

    #[test]
    fn every_past_state_can_be_shown() {
        let collection = story(LIMITS);

        let shown = |version| -> String {
            let pairs = versions(&collection, version, Bound::Unbounded);
            pairs.iter().map(|(key, version)| format!("{}{version} ", &key[8..])).collect()
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 6].map(shown),
            ["a1 b1 ", "a1 b2 ", "a1 b2 c3 ", "b2 c3 ", "b2 ", "a6 b2 "]
        );
        assert_eq!(versions(&collection, 3, Bound::Excluded("default/a")).len(), 2);
        for version in 1..=6 {
            for from in [Bound::Unbounded, Bound::Included("default/b"), Bound::Excluded("default/b")] {
                let expected = versions(&collection, version, from).len();
                assert_eq!(collection.count_at(version, from, "default/"), expected, "{version} {from:?}");
                assert_eq!(collection.count_at(version, from, "elsewhere/"), 0);
            }
        }
    }

    #[test]
    fn the_history_is_bounded() {
        let few = story(Limits { changes_max: 2, ..LIMITS });
        assert_eq!((few.forgotten(), few.changes_after(0).count()), (4, 2));
        assert_eq!(few.refuse_forgotten(3).unwrap_err().message, "too old resource version: 3 (4)");

        let small = story(Limits { bytes_max: 0, ..LIMITS });
        assert_eq!((small.forgotten(), small.changes_after(0).count()), (6, 0));
        assert_eq!(small.bytes, 0);
        assert_eq!(versions(&small, 6, Bound::Unbounded).len(), 2);
    }

    #[test]
    fn a_quiet_kind_is_watched_on_after_a_restart() {
        let mut quiet = Collection::new([object("a", 3)], 5, 900, LIMITS);

        assert_eq!((quiet.forgotten(), quiet.version()), (5, 900));
        assert!(quiet.refuse_forgotten(5).is_ok() && quiet.refuse_forgotten(899).is_ok());
        assert_eq!(quiet.refuse_forgotten(4).unwrap_err().code, 410);
        quiet.put(object("b", 901)).unwrap();
        assert_eq!(quiet.changes_after(7).count(), 1);
        assert_eq!(versions(&quiet, 7, Bound::Unbounded), [("default/a".to_owned(), 3)]);

        let odd = Collection::new([object("a", 9)], 5, 8, LIMITS);
        assert_eq!((odd.forgotten(), odd.version()), (9, 9));
    }

    #[test]
    fn a_clone_is_a_snapshot_for_other_threads() {
        fn check<T: Clone + Send + Sync + 'static>(_: &T) {}
        let mut collection = story(LIMITS);
        check(&collection);

        let snapshot = collection.clone();
        collection.put(object("b", 7)).unwrap();
        collection.remove("default/a", 8).unwrap();

        assert_eq!((snapshot.version(), snapshot.changes_after(0).count(), snapshot.len()), (6, 5, 2));
        assert_eq!(snapshot.get("default/b").unwrap().version(), 2);
        assert_eq!((collection.version(), collection.changes_after(0).count(), collection.len()), (8, 7, 1));
        assert_eq!(versions(&collection, 6, Bound::Unbounded), versions(&snapshot, 6, Bound::Unbounded));
    }

    #[test]
    fn a_version_is_used_once() {
        let mut collection = story(LIMITS);

        assert_eq!(collection.put(object("d", 6)), Err(NotAfter { version: 6, last: 6 }));
        collection.advance(9);
        assert_eq!(collection.remove("default/b", 9), Err(NotAfter { version: 9, last: 9 }));
        assert!(collection.refuse_future(9).is_ok());
        assert_eq!(collection.refuse_future(10).unwrap_err().code, 504);
    }
}
