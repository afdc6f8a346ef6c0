//! A change that must be confirmed and cut this gateway off: what ran before runs again, by itself.
//!
//! While the controller is there, it decides. Without it, the deadline that it signed does.

use std::time::{Duration, Instant};

use horizon_api::assignment::Provisional;
use tracing::{error, warn};

use super::EventLoop;

/// After a start or a lost link, the controller is given this long to say that the change was confirmed.
const PATIENCE: Duration = Duration::from_secs(5);

impl EventLoop {
    pub(super) async fn revert_if_due(&mut self) {
        if self.dismissed.is_some() {
            return;
        }
        let Some(provisional) = self.running.as_ref().and_then(|running| running.verified.provisional())
        else {
            return;
        };
        if !is_due(&provisional, self.time_floor_ms(), self.standby.alone_for(Instant::now())) {
            return;
        }
        match self.revert().await {
            Ok(()) => {
                warn!("the change was not confirmed and the controller is away: what ran before runs again");
            }
            Err(error) => self.note_stuck(format!(
                "a change was not confirmed, the controller is away, and this gateway cannot go back: {error:#}"
            )),
        }
    }

    async fn revert(&mut self) -> anyhow::Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let (previous, sections) = self.parts.cache.load_previous(&self.parts.keys.names(), running)?;
        self.apply(previous, &sections).await
    }

    /// It is tried with every heartbeat, and told once.
    fn note_stuck(&mut self, reason: String) {
        if self.stuck.as_ref() != Some(&reason) {
            error!(%reason, "the change stays");
        }
        self.stuck = Some(reason);
    }
}

/// Says whether it is time to go back. `alone` is how long the controller is away, if it is.
fn is_due(provisional: &Provisional, now_ms: i64, alone: Option<Duration>) -> bool {
    now_ms >= provisional.revert_at_ms && alone.is_some_and(|alone| alone >= PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::section::ContentHash;

    #[test]
    fn it_goes_back_after_the_deadline_and_only_without_the_controller() {
        let provisional = Provisional { revert_at_ms: 60_000, previous: ContentHash::of(b"before") };

        assert!(is_due(&provisional, 60_000, Some(PATIENCE)));
        assert!(!is_due(&provisional, 59_999, Some(PATIENCE)), "the deadline is not over");
        assert!(!is_due(&provisional, 90_000, None), "the controller is there and decides");
        assert!(!is_due(&provisional, 90_000, Some(PATIENCE / 2)), "it may be back in a moment");
    }
}
