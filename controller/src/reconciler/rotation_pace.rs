//! How often a node may take another key: each one leaves one behind that every gateway keeps out for good.

use std::collections::BTreeMap;

use horizon_api::{
    resource::ObjectKey,
    wire::{Refusal, RefusalCode},
};

/// In memory: a restart forgets it, and nodes cannot restart the controller.
#[derive(Debug, Default)]
pub(super) struct RotationPace {
    /// When each node has no key left of those that it may take at once (unix milliseconds).
    spent_until_ms: BTreeMap<ObjectKey, i64>,
}

/// One key each ten minutes: seldom enough that a year of it is a small list.
const EVERY_MS: i64 = 600_000;
/// Whoever tries it out, or has more than one host that leaked, need not wait.
const AT_ONCE: i64 = 4;

impl RotationPace {
    pub(super) fn check(&self, node: &ObjectKey, now_ms: i64) -> Result<(), Refusal> {
        let left_ms = self.spent_ms(node, now_ms) - (AT_ONCE - 1) * EVERY_MS;
        if left_ms <= 0 {
            return Ok(());
        }
        let message =
            format!("{node} took {AT_ONCE} keys one after the other, and may take one in ten minutes");
        let minutes = (left_ms + 59_999) / 60_000;
        Err(Refusal::new(RefusalCode::Busy, message, format!("try again in {minutes} minutes")))
    }

    /// A node took another key, or had one announced.
    pub(super) fn handle_taken(&mut self, node: &ObjectKey, now_ms: i64) {
        let spent_ms = self.spent_ms(node, now_ms);
        self.spent_until_ms.retain(|_, until_ms| *until_ms > now_ms);
        self.spent_until_ms.insert(node.clone(), now_ms.saturating_add(spent_ms + EVERY_MS));
    }

    /// A clock that was set back keeps nobody waiting for longer than that.
    fn spent_ms(&self, node: &ObjectKey, now_ms: i64) -> i64 {
        let until_ms = self.spent_until_ms.get(node).copied().unwrap_or(now_ms);
        until_ms.saturating_sub(now_ms).clamp(0, AT_ONCE * EVERY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_keys_may_be_taken_at_once_and_then_one_each_ten_minutes() {
        let (laptop, phone) = ("Device/laptop".parse().unwrap(), "Device/phone".parse().unwrap());
        let mut pace = RotationPace::default();
        let mut takes = |node: &ObjectKey, now_ms| {
            let taken = pace.check(node, now_ms);
            if taken.is_ok() {
                pace.handle_taken(node, now_ms);
            }
            taken
        };

        for _ in 0..AT_ONCE {
            assert!(takes(&laptop, 1_000).is_ok());
        }
        let refused = takes(&laptop, 1_000).unwrap_err();
        assert_eq!(refused.code, RefusalCode::Busy);
        assert!(refused.hint.contains("10 minutes"), "{refused}");
        assert!(takes(&phone, 1_000).is_ok(), "each node has its own");
        assert!(takes(&laptop, 1_000 + EVERY_MS - 1).is_err());
        assert!(takes(&laptop, 1_000 + EVERY_MS).is_ok());
        assert!(takes(&laptop, 1_000 + EVERY_MS).is_err());
        for _ in 0..AT_ONCE {
            assert!(takes(&laptop, 99 * EVERY_MS).is_ok(), "after a while it may again");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let laptop = "Device/laptop".parse().unwrap();
        let mut pace = RotationPace::default();
        for _ in 0..AT_ONCE {
            pace.handle_taken(&laptop, 900 * EVERY_MS);
        }

        assert!(pace.check(&laptop, 0).unwrap_err().hint.contains("10 minutes"));
    }
}
