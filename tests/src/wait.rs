//! Waiting for something to become true, without guessing how long it takes.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;

/// What must happen on two busy cores happens within this time.
pub const PATIENCE: Duration = Duration::from_secs(40);
const EVERY: Duration = Duration::from_millis(40);

/// Asks until there is an answer. An error is an answer that is not there yet.
///
/// # Errors
/// When the time is over: what was waited for, and the last error.
pub fn wait_until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let last = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= deadline {
            let last = last.map(|error| format!(" (last: {error:#})")).unwrap_or_default();
            return Err(anyhow!("waited {patience:?} in vain: {what}{last}"));
        }
        thread::sleep(EVERY);
    }
}

/// Waits until `look` says yes.
///
/// # Errors
/// As [`wait_until`].
pub fn wait_for(what: &str, mut look: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    wait_until(what, PATIENCE, || Ok(look()?.then_some(())))
}
