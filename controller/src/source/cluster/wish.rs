//! What is to be written to the cluster: the reconciler's newest word about each object, until the cluster says the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use horizon_api::resource::{Kind, ObjectKey};
use horizon_kube::Trouble;
use horizon_planner::compile::is_login;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use super::{
    deed::{self, Deed},
    is_of_cluster,
    mirror::{Entry, Mirror},
};
use crate::fate::{Fate, Fates, InForce};

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
    fate: Fate,
    has_status: bool,
}

impl Wishes {
    /// Takes in what became of objects.
    pub(super) fn handle_fates(&mut self, fates: Fates) {
        for (key, fate) in fates {
            self.put(key, Wish { fate, has_status: false });
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
            // The object is gone, or is another one: there will be another word about it.
            Err(Trouble::Missing(_)) => {
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
        matches!(&self.fate, Fate::InForce(word) if word.lacks_token)
    }
}

fn deed_of(key: &ObjectKey, wish: &Wish, mirror: &Mirror, time: Timestamp) -> Option<Deed> {
    let entry = mirror.get(key);
    match (&wish.fate, entry) {
        (Fate::InForce(word), Some(entry)) if is_of_cluster(&word.object.owner.source) => {
            let status =
                (!wish.has_status).then(|| word.status(entry)).filter(|status| *status != entry.status);
            match status {
                Some(status) => Some(status_deed(key, entry, status, time)),
                None => word.lacks_token.then(|| Deed::Token { uid: entry.uid.clone() }),
            }
        }
        (Fate::Waiting(word), Some(entry)) => {
            let status = word.status(entry);
            (status != entry.status).then(|| status_deed(key, entry, status, time))
        }
        (Fate::InForce(word), None) if joined(key, word) => {
            Some(Deed::Create(deed::device(key, &word.object)))
        }
        (Fate::InForce(_), _) | (Fate::Waiting(_), None) | (Fate::Gone, _) => None,
    }
}

fn status_deed(key: &ObjectKey, entry: &Entry, status: Value, time: Timestamp) -> Deed {
    // Two states of one object are never of one moment.
    let suffix = format!("{:x}", time.as_nanosecond());
    let event = deed::event_of(key, entry, &status, &suffix, time);
    Deed::Status { uid: entry.uid.clone(), status, event }
}

/// Says whether an object is a device that a login made, which the cluster does not know yet.
fn joined(key: &ObjectKey, word: &InForce) -> bool {
    let owner = &word.object.owner;
    key.kind == Kind::Device && is_login(&owner.source, &owner.origin)
}
