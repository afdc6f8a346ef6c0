//! How long to wait before the next attempt: full jitter, so that a herd does not come back as one.

use std::time::Duration;

/// A wait that doubles with each failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Returns the wait before the first failure.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// Returns the next wait: a random part, `jitter` of `u32::MAX`, of what has doubled so far.
    pub fn next(&mut self, jitter: u32) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.failures.min(16)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
    }

    /// Begins anew: what was tried went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_most_and_begins_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

        let waits: Vec<_> = (0..7).map(|_| backoff.next(u32::MAX).as_millis()).collect();
        backoff.reset();

        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(u32::MAX / 2).as_millis(), 250);
    }
}
