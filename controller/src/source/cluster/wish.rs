//! What is to be written to the cluster: the reconciler's newest word about each object, until the cluster says the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use horizon_api::resource::ObjectKey;
use horizon_kube::Trouble;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use super::{
    deed::{self, Deed},
    mirror::{Entry, Mirror},
};
use crate::fate::{Word, Words};

/// How long what the API server did not take waits.
const RETRY: Duration = Duration::from_secs(2);
/// How long what it will not take waits: until somebody has given a right, or moved something away.
const RETRY_LATE: Duration = Duration::from_secs(30);

/// Everything that is to be written.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    open: BTreeMap<ObjectKey, Wish>,
    /// Those of them that nothing holds back.
    ready: BTreeSet<ObjectKey>,
    /// Those of them that wait.
    later: BTreeSet<(Instant, ObjectKey)>,
    /// What is being written.
    busy: BTreeMap<ObjectKey, Wish>,
    /// What was said of an object that cannot be written, so that it is said once.
    said: BTreeMap<ObjectKey, String>,
}

#[derive(Clone, Debug)]
struct Wish {
    word: Word,
    has_status: bool,
}

impl Wishes {
    /// Takes in what became of objects.
    pub(super) fn handle_words(&mut self, words: Words) {
        for (key, word) in words {
            self.put(key, Wish { word, has_status: false });
        }
    }

    fn put(&mut self, key: ObjectKey, wish: Wish) {
        if !self.busy.contains_key(&key) {
            self.ready.insert(key.clone());
        }
        self.open.insert(key, wish);
    }

    /// Returns the next thing to write, and forgets what need not be written.
    pub(super) fn poll_deed(
        &mut self,
        mirror: &Mirror,
        now: Instant,
        time: Timestamp,
    ) -> Option<(ObjectKey, Deed)> {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = self.later.pop_first() else { break };
            if self.open.contains_key(&key) && !self.busy.contains_key(&key) {
                self.ready.insert(key);
            }
        }
        loop {
            let key = self.ready.pop_first()?;
            let Some(wish) = self.open.remove(&key) else { continue };
            if let Some(deed) = deed_of(&key, &wish, mirror, time) {
                self.busy.insert(key.clone(), wish);
                return Some((key, deed));
            }
        }
    }

    /// Takes in what came of a deed.
    pub(super) fn handle_done(&mut self, key: &ObjectKey, outcome: Result<(), Trouble>, now: Instant) {
        let Some(mut wish) = self.busy.remove(key) else { return };
        let after = match outcome {
            Ok(()) => {
                self.said.remove(key);
                // A status is written first, and then what takes longer.
                if wish.has_status || !wish.has_more() {
                    self.go_on(key);
                    return;
                }
                wish.has_status = true;
                Duration::ZERO
            }
            // The object is gone: there will be another word about it.
            Err(Trouble::Missing(_)) if !matches!(wish.word, Word::Create(_)) => {
                self.said.remove(key);
                self.go_on(key);
                return;
            }
            Err(trouble) => {
                let is_new = self.said.insert(key.clone(), trouble.to_string()) != Some(trouble.to_string());
                if is_new {
                    warn!(object = %key, %trouble, "the cluster does not take what is to be written; it is tried again");
                }
                if trouble.is_passing() { RETRY } else { RETRY_LATE }
            }
        };
        // A newer word takes its place, and has its turn at once.
        if !self.open.contains_key(key) {
            self.open.insert(key.clone(), wish);
            if after > Duration::ZERO {
                self.later.insert((now + after, key.clone()));
                return;
            }
        }
        self.ready.insert(key.clone());
    }

    /// Gives a word its turn that came meanwhile.
    fn go_on(&mut self, key: &ObjectKey) {
        if self.open.contains_key(key) {
            self.ready.insert(key.clone());
        }
    }

    /// Returns when something that waits has its turn.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }
}

impl Wish {
    fn has_more(&self) -> bool {
        matches!(&self.word, Word::InForce { lacks_token: true, .. })
    }
}

fn deed_of(key: &ObjectKey, wish: &Wish, mirror: &Mirror, time: Timestamp) -> Option<Deed> {
    let entry = mirror.get(key);
    match (&wish.word, entry) {
        (Word::InForce { word, lacks_token }, Some(entry)) => {
            let status = word.status(entry);
            if wish.has_status || status == entry.status {
                return lacks_token.then_some(Deed::Token);
            }
            Some(status_deed(key, entry, status, time))
        }
        (Word::Waiting(word), Some(entry)) => {
            let status = word.status(entry);
            (status != entry.status).then(|| status_deed(key, entry, status, time))
        }
        (Word::Create(object), None) => Some(Deed::Create(deed::device(key, object))),
        (Word::Stays(why), None) => Some(Deed::Tell(deed::stays(key, why, time))),
        (Word::InForce { .. } | Word::Waiting(_), None)
        | (Word::Create(_) | Word::Stays(_), Some(_))
        | (Word::Nothing, _) => None,
    }
}

fn status_deed(key: &ObjectKey, entry: &Entry, status: Value, time: Timestamp) -> Deed {
    // Two states of one object are never of one moment.
    let suffix = format!("{:x}", time.as_nanosecond());
    let event = deed::event_of(key, entry, &status, &suffix, time);
    Deed::Status { uid: entry.uid.clone(), status, event }
}
