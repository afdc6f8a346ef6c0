//! When a flow is told to slow down: CoDel's law (RFC 8289 §5).

use super::FairLimits;
use std::time::{Duration, Instant};

/// What CoDel remembers of a flow.
#[derive(Debug, Default)]
pub(super) struct Codel {
    /// When the wait will have been too long for an interval.
    due: Option<Instant>,
    is_signalling: bool,
    next: Option<Instant>,
    count: u32,
    count_before: u32,
}

impl Codel {
    /// Tells whether the frame that waited `wait` is to be a signal: the first after an interval above the target, then
    /// ever closer, until a frame was quick enough or the last.
    #[inline]
    pub(super) fn is_due(
        &mut self,
        now: Instant,
        wait: Duration,
        is_last: bool,
        limits: &FairLimits,
    ) -> bool {
        if wait < limits.target || is_last {
            self.due = None;
            self.is_signalling = false;
            return false;
        }
        let due = *self.due.get_or_insert(now + limits.interval);
        if self.is_signalling {
            if self.next.is_some_and(|next| now < next) {
                return false;
            }
            self.count += 1;
        } else {
            if now < due {
                return false;
            }
            self.begin(now, limits.interval);
        }
        self.next = Some(now + limits.interval.div_f64(f64::from(self.count).sqrt()));
        true
    }

    /// Soon after the last time it goes on at the rate that worked.
    fn begin(&mut self, now: Instant, interval: Duration) {
        self.is_signalling = true;
        let is_recent = self.next.is_some_and(|next| now.saturating_duration_since(next) < 16 * interval);
        let grown = self.count.saturating_sub(self.count_before);
        self.count = if is_recent && grown > 1 { grown } else { 1 };
        self.count_before = self.count;
    }
}
