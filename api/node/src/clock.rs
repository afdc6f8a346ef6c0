//! The wall clock, read once per event by shells.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns unix milliseconds.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Returns unix seconds.
pub fn unix_s() -> i64 {
    unix_ms() / 1000
}

/// 2026-11-01T00:00:00Z: no host that runs this program has an earlier date.
const EARLIEST_S: i64 = 1_793_491_200;

/// 2066: a clock that says so is broken, because every certificate and key of this time has expired by then.
const LATEST_S: i64 = EARLIEST_S + 40 * 365 * 24 * 3600;

/// Refuses a clock from before this program was written or long after it: every expiry would be wrong.
///
/// # Errors
/// One line with the fix.
pub fn check(now_s: i64) -> Result<(), String> {
    let wrong = match now_s {
        ..EARLIEST_S => "before this program was made",
        EARLIEST_S..LATEST_S => return Ok(()),
        LATEST_S.. => "decades after this program was made",
    };
    Err(format!(
        "the clock of this host is wrong (unix time {now_s}, {wrong}): set it, for example with `timedatectl set-ntp true`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_far_off_is_refused() {
        assert!(check(0).is_err());
        assert!(check(EARLIEST_S).is_ok());
        assert!(check(LATEST_S).is_err());
    }
}
