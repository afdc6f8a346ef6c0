//! A change that must be confirmed and cut this gateway off: what ran before runs again, by itself.
//!
//! While the controller is there, it decides. Without it, the deadline that it signed does.

use horizon_api::assignment::Provisional;
use horizon_node::clock;
use tracing::{error, warn};

use super::EventLoop;
use crate::cache::Running;

/// After a start or a lost link, the controller is given this long to say that the change was confirmed.
const PATIENCE_MS: i64 = 5_000;

impl EventLoop {
    /// Keeps what runs on disk before something takes its place that must be confirmed.
    pub(super) fn keep_previous(&self, next: &Running) -> anyhow::Result<()> {
        let previous = next.verified.provisional().map(|provisional| provisional.previous);
        match &self.running {
            Some(running) if Some(running.verified.hash()) == previous => {
                self.parts.cache.keep_previous(running, self.time_floor_ms())
            }
            // Another provisional change ran in between: what was confirmed last is kept already.
            Some(_) | None => Ok(()),
        }
    }

    pub(super) async fn revert_if_due(&mut self) {
        if self.dismissed.is_some() {
            return;
        }
        let Some(provisional) = self.running.as_ref().and_then(|running| running.verified.provisional())
        else {
            return;
        };
        let alone_ms = self.standby_since_ms.map(|since| clock::unix_ms().saturating_sub(since));
        if is_due(&provisional, self.time_floor_ms(), alone_ms) {
            warn!("the change was not confirmed and the controller is away: what ran before runs again");
            if let Err(error) = self.revert(&provisional).await {
                error!(reason = %format!("{error:#}"), "this gateway cannot go back");
            }
        }
    }

    async fn revert(&mut self, provisional: &Provisional) -> anyhow::Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let (pin, gateway) = (running.trust.pin(), self.parts.key.public());
        let (previous, sections) = self.parts.cache.load_previous(&pin, &gateway, provisional.previous)?;
        self.apply(previous, &sections).await
    }
}

/// Says whether it is time to go back. `alone_ms` is how long the controller is away, if it is.
fn is_due(provisional: &Provisional, now_ms: i64, alone_ms: Option<i64>) -> bool {
    now_ms >= provisional.revert_at_ms && alone_ms.is_some_and(|alone| alone >= PATIENCE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::section::ContentHash;

    #[test]
    fn it_goes_back_after_the_deadline_and_only_without_the_controller() {
        let provisional = Provisional { revert_at_ms: 60_000, previous: ContentHash::of(b"before") };

        assert!(is_due(&provisional, 60_000, Some(PATIENCE_MS)));
        assert!(!is_due(&provisional, 59_999, Some(PATIENCE_MS)), "the deadline is not over");
        assert!(!is_due(&provisional, 90_000, None), "the controller is there and decides");
        assert!(!is_due(&provisional, 90_000, Some(PATIENCE_MS - 1)), "it may be back in a moment");
    }
}
