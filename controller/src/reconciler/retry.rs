//! When to try again what the store has refused.

/// A folder of 100,000 objects takes seconds to compile, and a disk that is full stays so for a while.
const PAUSE_MAX_S: i64 = 30;

/// Pauses that double: 1, 2, 4 … 30 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Retry {
    pause_s: i64,
    at: Option<i64>,
}

impl Retry {
    pub(super) fn handle_failure(&mut self, now: i64) {
        self.pause_s = (self.pause_s * 2).clamp(1, PAUSE_MAX_S);
        self.at = Some(now + self.pause_s);
    }

    pub(super) fn handle_success(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        // A clock that was set back makes nobody wait for longer.
        self.at.is_none_or(|at| at <= now || at > now + PAUSE_MAX_S)
    }
}

#[cfg(test)]
mod tests {
    use super::Retry;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_begin_anew() {
        let mut retry = Retry::default();
        assert!(retry.is_due(100));

        let mut pauses = vec![];
        for _ in 0..7 {
            retry.handle_failure(100);
            pauses.extend((1..60).find(|pause| retry.is_due(100 + pause)));
        }

        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert!(!retry.is_due(100) && retry.is_due(50));
        retry.handle_success();
        assert!(retry.is_due(100));
    }
}
