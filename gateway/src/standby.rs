//! Whether the controller is there, and what is different without it. Patience is measured on a clock that nobody
//! sets; the time of day is for people.

use std::time::{Duration, Instant};

/// After the controller is back, expired grants hold for so long still: devices ask for their next one within a
/// minute, and who may not have one is revoked at once.
const GRACE_AFTER: Duration = Duration::from_secs(120);

/// What a gateway knows of its controller.
#[derive(Debug)]
pub(crate) enum Standby {
    Away {
        since: Instant,
        /// Unix milliseconds.
        since_ms: i64,
        /// Why it cannot be reached, as far as somebody tried.
        reason: Option<String>,
    },
    /// It was away until a moment ago.
    Back {
        at: Instant,
    },
    There,
}

impl Standby {
    /// Begins without a controller.
    pub(crate) fn new(now: Instant, now_ms: i64) -> Self {
        Self::Away { since: now, since_ms: now_ms, reason: None }
    }

    pub(crate) fn handle_up(&mut self, now: Instant) {
        if let Self::Away { .. } = self {
            *self = Self::Back { at: now };
        }
    }

    /// Returns whether the controller was there until then. Each attempt that fails says why.
    pub(crate) fn handle_down(&mut self, now: Instant, now_ms: i64, why: Option<String>) -> bool {
        match self {
            Self::Away { reason, .. } => {
                *reason = why;
                false
            }
            Self::Back { .. } | Self::There => {
                *self = Self::Away { since: now, since_ms: now_ms, reason: why };
                true
            }
        }
    }

    /// Returns whether the grace after the controller's return ended.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        match self {
            Self::Back { at } if now.saturating_duration_since(*at) >= GRACE_AFTER => {
                *self = Self::There;
                true
            }
            Self::Away { .. } | Self::Back { .. } | Self::There => false,
        }
    }

    /// Says whether expired grants hold for their network's `offlineGrace`.
    pub(crate) fn has_grace(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Back { .. } => true,
            Self::There => false,
        }
    }

    /// Returns for how long the controller has been away, if it is.
    pub(crate) fn alone_for(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::Away { since, .. } => Some(now.saturating_duration_since(*since)),
            Self::Back { .. } | Self::There => None,
        }
    }

    /// Returns since when the controller is away, in unix milliseconds, if it is.
    pub(crate) fn since_ms(&self) -> Option<i64> {
        match self {
            Self::Away { since_ms, .. } => Some(*since_ms),
            Self::Back { .. } | Self::There => None,
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Away { reason, .. } => reason.as_deref(),
            Self::Back { .. } | Self::There => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_goes_on_for_two_minutes_after_the_controller_is_back() {
        let start = Instant::now();
        let mut standby = Standby::new(start, 1_000);
        assert!(standby.has_grace());

        standby.handle_up(start);
        assert!(standby.has_grace() && standby.since_ms().is_none());
        assert!(!standby.handle_timeout(start + GRACE_AFTER / 2));
        assert!(standby.has_grace(), "devices ask for their grants");
        assert!(standby.handle_timeout(start + GRACE_AFTER));
        assert!(!standby.has_grace());

        assert!(!standby.handle_timeout(start + 2 * GRACE_AFTER), "it ends once");
        standby.handle_up(start + 2 * GRACE_AFTER);
        assert!(!standby.has_grace(), "it was not away");
    }

    #[test]
    fn a_controller_that_goes_again_at_once_is_away_again() {
        let start = Instant::now();
        let mut standby = Standby::new(start, 1_000);

        standby.handle_up(start);
        assert!(standby.handle_down(start, 2_000, None), "it was there");
        assert!(!standby.handle_timeout(start + GRACE_AFTER));

        assert!(standby.has_grace());
        assert_eq!(standby.since_ms(), Some(2_000));
    }

    #[test]
    fn being_alone_is_measured_from_the_first_loss_and_told_with_the_last_reason() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut standby = Standby::new(start, 1_000);
        assert_eq!(standby.reason(), None);

        assert!(!standby.handle_down(start + second, 2_000, Some("no name".into())));
        assert!(!standby.handle_down(start + 2 * second, 3_000, Some("no answer".into())));

        assert_eq!(standby.alone_for(start + 3 * second), Some(3 * second));
        assert_eq!((standby.since_ms(), standby.reason()), (Some(1_000), Some("no answer")));
        standby.handle_up(start + 4 * second);
        assert_eq!((standby.alone_for(start + 5 * second), standby.reason()), (None, None));
    }
}
