//! When each node was last heard of: at hand for the page, in the store once a minute for the next start.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::key::PublicKey;

/// A crash forgets this much, and an hour with a thousand devices writes sixty times.
const SAVE_EVERY_MS: i64 = 60_000;

/// Unix milliseconds, by the node's key.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSeen {
    at_ms: BTreeMap<PublicKey, i64>,
    unsaved: BTreeSet<PublicKey>,
    saved_at_ms: i64,
}

impl LastSeen {
    /// Takes in what the store knows.
    pub(super) fn restore(&mut self, node: PublicKey, at_ms: i64) {
        self.at_ms.insert(node, at_ms);
    }

    pub(super) fn handle_seen(&mut self, node: PublicKey, at_ms: i64) {
        self.at_ms.insert(node, at_ms);
        self.unsaved.insert(node);
    }

    /// Returns what to store now, of the nodes that are known; the others are forgotten.
    pub(super) fn poll_save(
        &mut self,
        now_ms: i64,
        is_known: impl Fn(&PublicKey) -> bool,
    ) -> Vec<(PublicKey, i64)> {
        if !self.is_due(now_ms) {
            return Vec::new();
        }
        self.saved_at_ms = now_ms;
        self.at_ms.retain(|node, _| is_known(node));
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().filter_map(|node| Some((node, self.of(&node)?))).collect()
    }

    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.saved_at_ms + SAVE_EVERY_MS && !self.unsaved.is_empty()
    }

    pub(super) fn of(&self, node: &PublicKey) -> Option<i64> {
        self.at_ms.get(node).copied()
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::key::SecretKey;

    use super::*;

    fn node(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn what_is_seen_often_is_stored_once_a_minute() {
        let mut last_seen = LastSeen::default();
        last_seen.handle_seen(node(1), SAVE_EVERY_MS);

        let first = last_seen.poll_save(SAVE_EVERY_MS, |_| true);
        last_seen.handle_seen(node(1), SAVE_EVERY_MS + 2_000);
        let soon = last_seen.poll_save(SAVE_EVERY_MS + 2_000, |_| true);
        let later = last_seen.poll_save(2 * SAVE_EVERY_MS, |_| true);
        let idle = last_seen.poll_save(9 * SAVE_EVERY_MS, |_| true);

        assert_eq!(first, [(node(1), SAVE_EVERY_MS)]);
        assert_eq!((soon, later), (vec![], vec![(node(1), SAVE_EVERY_MS + 2_000)]));
        assert_eq!(idle, []);
    }

    #[test]
    fn nodes_that_nobody_knows_are_forgotten() {
        let mut last_seen = LastSeen::default();
        last_seen.restore(node(1), 5);
        last_seen.handle_seen(node(2), SAVE_EVERY_MS);

        let saved = last_seen.poll_save(SAVE_EVERY_MS, |known| *known == node(1));

        assert_eq!(saved, []);
        assert_eq!((last_seen.of(&node(1)), last_seen.of(&node(2))), (Some(5), None));
    }
}
