//! Deletes that wait until what the object did is undone, so that whoever deletes and creates anew need not know of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use horizon_api::resource::ObjectKey;
use horizon_machinery::stored::Stored;
use serde_json::Value;
use tokio::time::Instant;

use super::{Reply, learn::parsed};

/// How long a delete waits. A compilation takes less; a plan that waits for a person takes longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// Deletes that wait at once; beyond, the answer is that the object is still there.
const WAITS_MAX: usize = 1_024;

/// Deletes that were not answered yet.
#[derive(Default)]
pub(super) struct Leaving {
    waiting: BTreeMap<ObjectKey, Vec<Wait>>,
    /// When somebody will have waited for long enough, in order; who was answered meanwhile is still there.
    ends: VecDeque<(Instant, ObjectKey)>,
}

struct Wait {
    reply: Reply,
    /// The object with its mark.
    marked: Arc<Stored>,
    end: Instant,
}

impl Leaving {
    pub(super) fn wait(&mut self, key: ObjectKey, reply: Reply, marked: Arc<Stored>) {
        if self.ends.len() >= WAITS_MAX {
            drop(reply.send(Ok(marked)));
            return;
        }
        let end = Instant::now() + PATIENCE;
        self.ends.push_back((end, key.clone()));
        self.waiting.entry(key).or_default().push(Wait { reply, marked, end });
    }

    /// The object is gone: `last` is what it was, with its mark.
    pub(super) fn gone(&mut self, key: &ObjectKey, last: &Arc<Stored>) {
        let Some(waits) = self.waiting.remove(key) else { return };
        let last = unmarked(last);
        for wait in waits {
            // Whoever asked may be gone too.
            drop(wait.reply.send(Ok(Arc::clone(&last))));
        }
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// Answers those who have waited for long enough: the object is still there, and is to go.
    pub(super) fn end(&mut self, now: Instant) {
        while self.next_end().is_some_and(|end| end <= now) {
            let Some((_, key)) = self.ends.pop_front() else { return };
            let Some(waits) = self.waiting.get_mut(&key) else { continue };
            for wait in waits.extract_if(.., |wait| wait.end <= now) {
                drop(wait.reply.send(Ok(wait.marked)));
            }
            if waits.is_empty() {
                self.waiting.remove(&key);
            }
        }
    }
}

/// Returns an object without the mark that it goes: it is gone.
fn unmarked(last: &Arc<Stored>) -> Arc<Stored> {
    let mut object = parsed(last);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("deletionTimestamp");
        metadata.remove("deletionGracePeriodSeconds");
    }
    Stored::new(&object, last.version(), &[])
}
