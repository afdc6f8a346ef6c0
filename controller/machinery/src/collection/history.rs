//! Changes, oldest first, in segments that snapshots share: a clone costs one pointer, and a change after it copies the
//! list of segments and at most two segments, never a change.

use std::{
    collections::{VecDeque, vec_deque},
    sync::Arc,
};

use super::Change;

/// What happened, as far back as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Each has at least one change; the versions of all changes rise.
    segments: Arc<VecDeque<Arc<Segment>>>,
    len: usize,
}

type Segment = VecDeque<Arc<Change>>;

/// How many changes a segment has at most: what a change copies, half a kilobyte of pointers; and of how many changes at
/// least, and twice as many at most, the texts are kept for watchers.
const SEGMENT_MAX: usize = 64;

impl History {
    pub(super) fn push(&mut self, change: Arc<Change>) {
        let segments = Arc::make_mut(&mut self.segments);
        match segments.back_mut().filter(|segment| segment.len() < SEGMENT_MAX) {
            Some(segment) => Arc::make_mut(segment).push_back(change),
            None => {
                // The full segment is new still; the one before it is not.
                let old = segments.iter().rev().nth(1);
                old.into_iter().flat_map(|segment| segment.iter()).for_each(|change| change.age());
                segments.push_back(Arc::new(Segment::from([change])));
            }
        }
        self.len += 1;
    }

    /// Takes out the oldest change.
    pub(super) fn pop(&mut self) -> Option<Arc<Change>> {
        if self.len == 0 {
            return None;
        }
        let segments = Arc::make_mut(&mut self.segments);
        let segment = Arc::make_mut(segments.front_mut()?);
        let oldest = segment.pop_front()?;
        if segment.is_empty() {
            segments.pop_front();
        }
        self.len -= 1;
        Some(oldest)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the changes after a version.
    pub(super) fn after(&self, version: u64) -> impl Iterator<Item = &Arc<Change>> {
        let is_before = |change: &Arc<Change>| change.version() <= version;
        let first = self.segments.partition_point(|segment| segment.back().is_some_and(is_before));
        let mut segments = self.segments.range(first..);
        let begun: vec_deque::Iter<'_, _> = match segments.next() {
            Some(segment) => segment.range(segment.partition_point(is_before)..),
            None => vec_deque::Iter::default(),
        };
        begun.chain(segments.flat_map(|segment| segment.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: u64) -> Arc<Change> {
        Arc::new(Change::new(version, None, None))
    }

    fn versions(history: &History, after: u64) -> Vec<u64> {
        history.after(after).map(|change| change.version()).collect()
    }

    #[test]
    fn a_history_goes_on_after_any_version() {
        let mut history = History::default();
        (1..=600).for_each(|number| history.push(change(number * 2)));
        (1..=300)
            .for_each(|number| assert_eq!(history.pop().map(|change| change.version()), Some(number * 2)));

        for after in 0..=1201 {
            let expected: Vec<u64> = (301..=600).map(|number| number * 2).filter(|v| *v > after).collect();
            assert_eq!(versions(&history, after), expected, "after {after}");
        }
        assert_eq!(history.len(), 300);
        assert_eq!(std::iter::from_fn(|| history.pop()).count(), 300);
        assert!(history.segments.is_empty() && versions(&history, 0).is_empty());
    }

    #[test]
    fn a_snapshot_keeps_its_history() {
        let mut history = History::default();
        (1..=1000).for_each(|version| history.push(change(version)));
        let snapshot = history.clone();
        assert!(Arc::ptr_eq(&history.segments, &snapshot.segments));

        history.push(change(1001));
        history.pop();

        let is_shared = |segment: &&Arc<Segment>| snapshot.segments.iter().any(|s| Arc::ptr_eq(s, segment));
        assert_eq!(
            history.segments.iter().filter(is_shared).count(),
            14,
            "of sixteen segments two are copied"
        );
        assert_eq!((versions(&snapshot, 0).len(), versions(&snapshot, 0)[0]), (1000, 1));
        assert_eq!((versions(&history, 0).len(), versions(&history, 0)[0]), (1000, 2));
    }
}
