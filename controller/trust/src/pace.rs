//! When the next challenge is due: nobody can tell beforehand, so that nobody can be there for it alone.

use std::time::Duration;

/// How often challenges are made, and how long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// On average.
    every: Duration,
}

/// Why challenges cannot be made so often or so seldom.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("challenges are made every 1 s to 1 h")]
pub struct PaceError;

/// For a host that is busy and a way that is long; a gateway answers in milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const ANSWER_MIN: Duration = Duration::from_secs(3);

impl Pace {
    /// Returns a pace.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn new(every: Duration) -> Result<Self, PaceError> {
        let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
        if bounds.contains(&every) { Ok(Self { every }) } else { Err(PaceError) }
    }

    /// Returns how long to wait for the next challenge: between half and three halves of the average.
    pub fn wait(self, seed: [u8; 4]) -> Duration {
        let half = self.every / 2;
        half + self.every.mul_f64(f64::from(u32::from_le_bytes(seed)) / f64::from(u32::MAX))
    }

    /// Returns how long an answer may take.
    pub fn patience(self) -> Duration {
        self.every.clamp(ANSWER_MIN, ANSWER_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_lie_between_half_and_three_halves() {
        let pace = Pace::new(Duration::from_secs(40)).expect("within bounds");

        let waits = [0, u32::MAX / 2, u32::MAX].map(|seed: u32| pace.wait(seed.to_le_bytes()).as_secs());

        assert_eq!(waits, [20, 39, 60]);
        assert_eq!(pace.patience(), Duration::from_secs(10));
    }

    #[test]
    fn a_pace_that_is_none_is_refused() {
        for every in [0, 3601] {
            assert_eq!(Pace::new(Duration::from_secs(every)), Err(PaceError));
        }
    }
}
