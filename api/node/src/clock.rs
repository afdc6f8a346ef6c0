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

/// Refuses a clock that is before this program was written: every expiry would be wrong.
///
/// # Errors
/// One line with the fix.
pub fn check(now_s: i64) -> Result<(), String> {
    if now_s >= EARLIEST_S {
        return Ok(());
    }
    Err(format!(
        "the clock of this host is wrong (unix time {now_s}, before this program was made): set it, for example with `timedatectl set-ntp true`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_the_program_is_refused() {
        assert!(check(0).is_err());
        assert!(check(EARLIEST_S).is_ok());
    }
}
