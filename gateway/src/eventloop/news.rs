//! What devices bring from a controller that this gateway cannot reach: whom it keeps out by now.

use horizon_api::news::CarriedNews;
use tracing::{info, warn};

use super::EventLoop;

impl EventLoop {
    /// Keeps out whom later news revokes, from the next packet and after a restart too. News only takes away: it is
    /// forgotten with the next configuration, which says all.
    pub(super) fn take_news(&mut self, carried: &CarriedNews) {
        let now_s = self.time_floor_ms() / 1000;
        let Some(pin) = self.running.as_ref().map(|running| self.pin_of(running)) else { return };
        let Some(running) = &mut self.running else { return };
        let news = match carried.verify(&pin, now_s) {
            Ok(news) => news,
            Err(error) => return warn!(%error, "a device brought news that is not believed"),
        };
        if news.version <= running.verified.version() || !running.revoke_also(&news.revoked) {
            return;
        }
        info!(revision = news.version.revision, "a device brought news of whom the controller keeps out");
        self.serve_or_retry();
        self.remember_time();
        self.beat();
    }
}
