//! Carries the controller's word about whom to keep out to a gateway that cannot hear it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{assignment::Version, news::CarriedNews};
use horizon_link::Command;
use tracing::{debug, info};

use super::{Event, EventLoop};
use crate::controller;

/// How often the controller is asked while the gateway is on its own.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// What the gateway of the link lacks.
#[derive(Debug, Default)]
pub(super) struct News {
    /// What it runs, while it cannot reach the controller.
    after: Option<Version>,
    not_before: Option<Instant>,
    is_asking: bool,
}

impl News {
    /// Takes what the gateway says of itself; a link that is down says nothing.
    pub(super) fn handle_gateway(&mut self, after: Option<Version>) {
        self.after = after;
    }

    /// Returns when the controller is to be asked next, if it is.
    pub(super) fn wake(&self, now: Instant) -> Option<Instant> {
        let is_due = self.after.is_some() && !self.is_asking;
        is_due.then(|| self.not_before.map_or(now, |at| at.max(now)))
    }

    fn begin(&mut self, now: Instant) {
        self.is_asking = true;
        self.not_before = Some(now + ASK_EVERY);
    }

    /// Returns whether the gateway lacks what this says.
    fn is_news(&self, version: Version) -> bool {
        self.after.is_some_and(|after| after < version)
    }
}

impl EventLoop {
    pub(super) fn ask_for_news_if_due(&mut self) {
        let now = Instant::now();
        let Some(account) = self.account.as_ref().filter(|_| self.news.wake(now).is_some_and(|at| at <= now))
        else {
            return;
        };
        self.news.begin(now);
        let (key, events) = (Arc::clone(&self.parts.key), self.parts.events.clone());
        let stored = account.stored().clone();
        tokio::spawn(async move {
            let outcome = controller::news(&key, &stored).await;
            drop(events.send(Event::News { outcome }).await);
        });
    }

    pub(super) fn carry(&mut self, outcome: anyhow::Result<Vec<CarriedNews>>) {
        self.news.is_asking = false;
        let parts = match outcome {
            Ok(parts) => parts,
            Err(error) => return debug!(reason = %format!("{error:#}"), "no news for the gateway"),
        };
        let (Some(link), Some(account)) = (&self.link, &self.account) else { return };
        // The gateway checks it again, by its own clock; this spares it what it has.
        let is_news = |part: &CarriedNews| {
            let news = part.verify(&account.stored().pin, i64::MIN);
            news.is_ok_and(|news| self.news.is_news(news.version))
        };
        let mut carried = 0;
        for part in parts.into_iter().filter(is_news) {
            carried += usize::from(link.handle.command(Command::News(Box::new(part))).is_ok());
        }
        if carried > 0 {
            info!(parts = carried, "carried to the gateway whom the controller keeps out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_asked_while_the_gateway_is_on_its_own_and_not_too_often() {
        let (start, version) = (Instant::now(), |revision| Version { epoch: 1, revision });
        let mut news = News::default();
        assert_eq!(news.wake(start), None);

        news.handle_gateway(Some(version(7)));
        assert_eq!(news.wake(start), Some(start));
        news.begin(start);
        assert_eq!(news.wake(start), None, "it is being asked");
        news.is_asking = false;
        assert_eq!(news.wake(start), Some(start + ASK_EVERY));
        assert!(news.is_news(version(8)) && !news.is_news(version(7)));

        news.handle_gateway(None);
        assert_eq!((news.wake(start + ASK_EVERY), news.is_news(version(8))), (None, false));
    }
}
