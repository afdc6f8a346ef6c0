//! Sign-in, sign-out, and a fresh grant at half of the old one's life.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{join::JoinString, name::Name};
use horizon_link::Command;
use horizon_node::{backoff::Backoff, clock, failure::Failure, random};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{Event, EventLoop, Reply};
use crate::{account::Account, controller, disk};

/// What is known of the controller, and of the question that is under way.
pub(super) struct Grants {
    /// Another for every login and logout: an answer to an older one is dropped.
    sign_in: u64,
    is_asking: bool,
    /// Whether the next question is due before half of the grant's life is over.
    is_hurried: bool,
    not_before: Instant,
    retry: Backoff,
    /// Who wants to know when the answer is here.
    waiting: Vec<oneshot::Sender<()>>,
    /// Whether it answered when it was last asked.
    pub(super) is_reachable: Option<bool>,
    /// Why it gives no more grants.
    pub(super) refusal: Option<String>,
}

/// While the controller is away.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// After a refusal, which only an operator changes.
const AFTER_REFUSAL: Duration = Duration::from_secs(300);
/// No grant is so short that asking more often helps.
const AFTER_GRANT: Duration = Duration::from_secs(1);
/// Commands that ask for fresh news, a handful at once.
const WAITING_MAX: usize = 64;

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            sign_in: 0,
            is_asking: false,
            is_hurried: false,
            not_before: Instant::now(),
            retry: RETRY,
            waiting: Vec::new(),
            is_reachable: None,
            refusal: None,
        }
    }

    /// Returns when the next question is due.
    pub(super) fn wake(&self, account: &Account) -> Option<Instant> {
        let half_life_s = u64::try_from(account.refresh_in_s(clock::unix_s())).unwrap_or(0);
        let in_s = if self.is_hurried { 0 } else { half_life_s };
        let due = Instant::now() + Duration::from_secs(in_s);
        (!self.is_asking).then_some(due.max(self.not_before))
    }

    /// Makes the next question due as soon as the controller may be asked again.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// Refuses the answer to a login that something newer overtook.
    fn check(&self, sign_in: u64) -> Result<(), Failure> {
        if sign_in == self.sign_in {
            return Ok(());
        }
        let text =
            "another login or a logout came before the controller's answer; run `horizon login LINK` again";
        Err(Failure::Failed(text.into()))
    }

    fn begin_sign_in(&mut self) {
        *self = Self { sign_in: self.sign_in + 1, ..Self::new() };
    }
}

impl EventLoop {
    /// A device belongs to one controller at a time.
    pub(super) fn begin_login(&self, link: &JoinString) -> anyhow::Result<()> {
        match &self.account {
            Some(account) if account.stored().pin.root != link.root => {
                let (host, port) = (&account.stored().host, account.stored().port);
                let text = format!(
                    "this device is signed in at another controller, {host}:{port}; run `horizon logout` first"
                );
                Err(Failure::Refused(text).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn log_in(&self, link: JoinString, name: Name, reply: Reply) {
        let (key, events) = (Arc::clone(&self.parts.key), self.parts.events.clone());
        let sign_in = self.grants.sign_in;
        tokio::spawn(async move {
            let outcome = controller::login(&key, &link, name).await;
            drop(events.send(Event::LoggedIn { sign_in, outcome, reply }).await);
        });
    }

    pub(super) fn logged_in(
        &mut self,
        sign_in: u64,
        outcome: anyhow::Result<disk::Account>,
    ) -> anyhow::Result<()> {
        self.grants.check(sign_in)?;
        let account = Account::new(outcome?, &self.parts.key.public())?;
        self.parts.files.store_account(account.stored())?;
        info!(controller = %account.stored().host, "signed in");
        self.grants.begin_sign_in();
        self.take(account);
        Ok(())
    }

    pub(super) async fn log_out(&mut self) -> anyhow::Result<()> {
        let disconnected = self.disconnect().await;
        self.memory = disk::Connection::default();
        self.parts.files.store_connection(&self.memory)?;
        self.parts.files.remove_account()?;
        self.account = None;
        self.grants.begin_sign_in();
        info!("signed out");
        disconnected
    }

    pub(super) fn refresh_if_due(&mut self) {
        let wake = self.account.as_ref().and_then(|account| self.grants.wake(account));
        if wake.is_some_and(|at| at <= Instant::now()) {
            self.refresh();
        }
    }

    pub(super) fn refresh_for(&mut self, done: oneshot::Sender<()>) {
        if self.account.is_some() && self.grants.waiting.len() < WAITING_MAX {
            self.grants.waiting.push(done);
            self.refresh();
        }
    }

    /// Asks the controller, unless it is being asked.
    pub(super) fn refresh(&mut self) {
        let Some(account) = self.account.as_ref().filter(|_| !self.grants.is_asking) else { return };
        self.grants.is_asking = true;
        self.grants.is_hurried = false;
        let (key, events) = (Arc::clone(&self.parts.key), self.parts.events.clone());
        let (stored, sign_in) = (account.stored().clone(), self.grants.sign_in);
        tokio::spawn(async move {
            let outcome = controller::refresh(&key, &stored).await;
            drop(events.send(Event::Refreshed { sign_in, outcome }).await);
        });
    }

    pub(super) fn refreshed(&mut self, sign_in: u64, outcome: anyhow::Result<disk::Account>) {
        if sign_in != self.grants.sign_in {
            return;
        }
        self.grants.is_asking = false;
        let checked = outcome.and_then(|stored| Account::new(stored, &self.parts.key.public()));
        match checked {
            Ok(account) => {
                self.grants.retry.reset();
                self.grants.not_before = Instant::now() + AFTER_GRANT;
                self.store_or_warn(&account);
                self.take(account);
            }
            Err(error) => self.not_refreshed(&error),
        }
        for done in self.grants.waiting.drain(..) {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    fn not_refreshed(&mut self, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        let refused = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        if let Some(Failure::Refused(_)) = refused {
            warn!(%reason, "the controller gives no grant");
            self.grants.is_reachable = Some(true);
            self.grants.refusal = Some(reason);
            self.grants.not_before = Instant::now() + AFTER_REFUSAL;
            return;
        }
        if self.grants.is_reachable != Some(false) {
            warn!(%reason, "the controller is away; what was granted stays good until it ends");
        }
        self.grants.is_reachable = Some(false);
        let wait = self.grants.retry.next(u32::from_le_bytes(random::bytes()));
        self.grants.not_before = Instant::now() + wait;
    }

    /// A grant that is not on disk is still a grant.
    fn store_or_warn(&self, account: &Account) {
        if let Err(error) = self.parts.files.store_account(account.stored()) {
            warn!(reason = %format!("{error:#}"), "cannot keep the grant for the next start");
        }
    }

    /// Uses a grant: for the link that is there, or for one that was refused.
    fn take(&mut self, account: Account) {
        self.grants.is_reachable = Some(true);
        self.grants.refusal = None;
        if let (Some(link), Some(_)) = (&self.link, self.machine.up()) {
            let grant = account.stored().granted.grant.clone();
            if let Err(error) = link.handle.command(Command::Renew { grant }) {
                warn!(%error, "cannot renew the grant of the link");
            }
        }
        self.account = Some(account);
        self.machine.handle_granted();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_is_answered_after_a_logout_signs_nobody_in() {
        let mut grants = Grants::new();
        let sign_in = grants.sign_in;

        assert!(grants.check(sign_in).is_ok());
        grants.begin_sign_in();

        assert!(grants.check(sign_in).is_err());
    }
}
