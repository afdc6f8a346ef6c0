//! What time it is in a turn of the loop: read once, and never before what has certainly come.

use std::time::Instant;

use horizon_dataplane::{flow::Moment, time_floor::TimeFloor};

pub(super) struct Clock {
    pub(super) now: Instant,
    /// Unix milliseconds, and never before the floor: a clock set back revives neither a grant nor a rule.
    pub(super) unix_ms: i64,
    pub(super) published: Instant,
    pub(super) swept: Instant,
    pub(super) worked: Instant,
}

impl Clock {
    pub(super) fn new(now: Instant, unix_ms: i64) -> Self {
        Self { now, unix_ms, published: now, swept: now, worked: now }
    }

    /// Begins a turn: what the host's clock says counts where it is not behind the floor.
    pub(super) fn begin_turn(&mut self, now: Instant, unix_ms: i64, floor: Option<&TimeFloor>) {
        self.now = now;
        self.unix_ms = unix_ms;
        if let Some(floor) = floor {
            self.raise(floor);
        }
    }

    pub(super) fn raise(&mut self, floor: &TimeFloor) {
        self.unix_ms = self.unix_ms.max(floor.at_ms(self.now));
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { now: self.now, unix_s: self.unix_ms / 1000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_set_back_is_not_believed_however_long_ago_the_floor_was_told() {
        let start = Instant::now();
        let floor = TimeFloor::new(1_000_000, start);
        let mut clock = Clock::new(start, 1_000_000);

        clock.begin_turn(start + Duration::from_secs(3_600), 1_000_000, Some(&floor));
        assert_eq!(clock.unix_ms, 4_600_000);
        assert_eq!(clock.moment().unix_s, 4_600);

        clock.begin_turn(start + Duration::from_secs(3_600), 5_000_000, Some(&floor));
        assert_eq!(clock.unix_ms, 5_000_000, "the floor is only the least");
    }
}
