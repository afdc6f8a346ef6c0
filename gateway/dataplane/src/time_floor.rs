//! The time that has certainly come. A host's clock may be wrong in both directions, so it never decides what is over:
//! what was stored or a verified controller said counts, and what has passed since on a clock that nobody sets.

use std::time::Instant;

/// The least that unix time can be.
#[derive(Clone, Copy, Debug)]
pub struct TimeFloor {
    base_ms: i64,
    since: Instant,
}

impl TimeFloor {
    /// Begins with what an earlier process stored, in unix milliseconds; zero knows nothing.
    pub fn new(stored_ms: i64, now: Instant) -> Self {
        Self { base_ms: stored_ms, since: now }
    }

    /// Takes over what time a verified controller says it is: it may also lower the floor, or one wrong clock would
    /// last for ever.
    pub fn handle_controller(&mut self, server_time_ms: i64, now: Instant) {
        *self = Self::new(server_time_ms, now);
    }

    /// Returns the floor in unix milliseconds: it rises with the time that passes.
    pub fn at_ms(&self, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.since).as_millis();
        self.base_ms.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_rises_with_the_time_that_passed_and_with_nothing_else() {
        let start = Instant::now();
        let floor = TimeFloor::new(5_000, start);

        assert_eq!(floor.at_ms(start), 5_000);
        assert_eq!(floor.at_ms(start + Duration::from_secs(60)), 65_000);
    }

    #[test]
    fn a_controller_raises_and_lowers_it() {
        let start = Instant::now();
        let mut floor = TimeFloor::new(5_000, start);

        floor.handle_controller(9_000, start);
        assert_eq!(floor.at_ms(start), 9_000);
        floor.handle_controller(2_000, start + Duration::from_secs(1));
        assert_eq!(floor.at_ms(start + Duration::from_secs(2)), 3_000);
    }
}
