//! Sign-in, sign-out, and a fresh grant at half of the old one's life.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{delegation::Pin, key::PublicKey, name::Name};
use horizon_link::Command;
use horizon_node::{backoff::Backoff, clock, failure::Failure, random};
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::{info, warn};

use super::{Answer, Event, EventLoop, Reply, link::not_granted, moment};
use crate::{
    account::{Account, renewal::Renewal},
    controller::{self, Credential, SignedIn},
    disk,
};

/// What is known of the controller, and of the question that is under way.
pub(super) struct Grants {
    /// Another for every login and logout: an answer to an older one is dropped.
    sign_in: u64,
    is_asking: bool,
    /// Whether the next question is due before half of the grant's life is over.
    is_hurried: bool,
    not_before: Instant,
    retry: Backoff,
    approval_retry: Backoff,
    /// Who wants to know when the answer is here.
    waiting: Vec<oneshot::Sender<()>>,
    /// It is here, and they are told once it can be read.
    answered: Vec<oneshot::Sender<()>>,
    /// Whether it answered when it was last asked.
    pub(super) is_reachable: Option<bool>,
    /// Why it gives no more grants.
    pub(super) refusal: Option<String>,
}

/// While the controller is away.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// While an admin has to approve the device: whoever does so expects it soon.
const APPROVAL_RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(20));
/// After a refusal, which only an operator changes.
const AFTER_REFUSAL: Duration = Duration::from_secs(300);
/// No grant is so short that asking more often helps.
const AFTER_GRANT: Duration = Duration::from_secs(1);
/// A controller that is away is not waited for to sign out.
const SIGN_OUT_PATIENCE: Duration = Duration::from_secs(3);
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
            approval_retry: APPROVAL_RETRY,
            waiting: Vec::new(),
            answered: Vec::new(),
            is_reachable: None,
            refusal: None,
        }
    }

    /// Returns when the next question is due; a device without an account asks as soon as it may.
    fn wake(&self, account: Option<&Account>) -> Option<Instant> {
        let half_life_s = account.map_or(0, |account| account.refresh_in_s(clock::unix_s()));
        let in_s = if self.is_hurried { 0 } else { u64::try_from(half_life_s).unwrap_or(0) };
        let due = Instant::now() + Duration::from_secs(in_s);
        (!self.is_asking).then_some(due.max(self.not_before))
    }

    /// Makes the next question due as soon as the controller may be asked again.
    pub(super) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// A gateway lets this device in: what the controller said against it may be over.
    pub(super) fn handle_let_in(&mut self) {
        if self.refusal.is_some() {
            self.not_before = Instant::now();
            self.is_hurried = true;
        }
    }

    /// Refuses the answer to a login that something newer overtook.
    pub(super) fn check(&self, sign_in: u64) -> Result<(), Failure> {
        if sign_in == self.sign_in {
            return Ok(());
        }
        let text =
            "another login or a logout came before the controller's answer; run `horizon login LINK` again";
        Err(Failure::Failed(text.into()))
    }

    /// What the controller gave could not be used here: it is asked again.
    fn handle_unused(&mut self) {
        self.is_asking = false;
        self.not_before = Instant::now() + self.retry.next(u32::from_le_bytes(random::bytes()));
        self.answered.append(&mut self.waiting);
    }

    /// The controller is there, and an admin has to say yes.
    fn wait_for_approval(&mut self, reason: String) {
        self.is_reachable = Some(true);
        self.refusal = Some(reason);
        self.not_before = Instant::now() + self.approval_retry.next(u32::from_le_bytes(random::bytes()));
    }

    /// What is known by now can be read: whoever waited for it reads it next.
    pub(super) fn tell_answered(&mut self) {
        for done in self.answered.drain(..) {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    pub(super) fn sign_in(&self) -> u64 {
        self.sign_in
    }

    pub(super) fn begin_sign_in(&mut self) {
        *self = Self { sign_in: self.sign_in + 1, ..Self::new() };
    }
}

impl EventLoop {
    /// A device belongs to one controller at a time.
    pub(super) fn begin_login(&self, credential: &Credential) -> anyhow::Result<()> {
        match &self.account {
            Some(account) if account.stored().pin.root != credential.root() => {
                let (host, port) = (&account.stored().host, account.stored().port);
                let text = format!(
                    "this device is signed in at another controller, {host}:{port}; run `horizon logout` first"
                );
                Err(Failure::Refused(text).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn log_in(&self, credential: Credential, name: Name, reply: Reply) {
        let (key, events) = (Arc::clone(&self.parts.key), self.parts.events.clone());
        let (sign_in, seal) = (self.grants.sign_in, self.parts.seal.word());
        let pin = Pin::with_known(credential.root(), self.home().map(|home| home.pin));
        tokio::spawn(async move {
            let outcome = controller::login(&key, seal, &credential, &pin, name).await;
            drop(events.send(Event::LoggedIn { sign_in, outcome, reply }).await);
        });
    }

    pub(super) fn logged_in(
        &mut self,
        sign_in: u64,
        outcome: anyhow::Result<SignedIn>,
    ) -> anyhow::Result<()> {
        self.grants.check(sign_in)?;
        match outcome? {
            SignedIn::Granted(stored) => {
                let account = self.checked(stored, &self.parts.key.public())?;
                self.parts.files.store_account(account.stored())?;
                info!(controller = %account.stored().host, "signed in");
                self.grants.begin_sign_in();
                self.take(account);
            }
            SignedIn::Waits(home, reason) => {
                info!(controller = %home.host, "an admin has to approve this device");
                self.grants.begin_sign_in();
                self.grants.wait_for_approval(reason);
                // With an account, it is asked on by that.
                if self.account.is_none() {
                    let known = self.waiting.iter().map(|waiting| waiting.pin).chain([home.pin]);
                    let home = disk::Home { pin: Pin::with_known(home.pin.root, known), ..home };
                    self.parts.files.store_waiting(&home)?;
                    self.waiting = Some(home);
                }
            }
        }
        Ok(())
    }

    /// Checks what the controller gave to a device of ours, by all that is known of its keys by now: another answer of
    /// it may have come meanwhile.
    pub(super) fn checked(&self, stored: disk::Account, device: &PublicKey) -> anyhow::Result<Account> {
        let pin = Pin::with_known(
            stored.pin.root,
            self.home().map(|home| home.pin).into_iter().chain([stored.pin]),
        );
        Account::new(disk::Account { pin, ..stored }, device)
    }

    /// Begins to tell the controller that this device leaves.
    pub(super) fn tell_sign_out(&self) -> Option<JoinHandle<()>> {
        let home = self.home()?;
        let key = Arc::clone(&self.parts.key);
        Some(tokio::spawn(async move {
            let told = tokio::time::timeout(SIGN_OUT_PATIENCE, controller::sign_out(&key, &home)).await;
            let reason = match told {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "it was too slow".to_owned(),
            };
            warn!(%reason, "the controller was not told of the sign-out");
        }))
    }

    pub(super) async fn log_out(&mut self) -> anyhow::Result<()> {
        let disconnected = self.disconnect().await;
        self.memory = disk::Connection::default();
        self.parts.files.store_connection(&self.memory)?;
        self.parts.files.remove_waiting()?;
        self.parts.files.remove_account()?;
        self.account = None;
        self.waiting = None;
        self.grants.begin_sign_in();
        info!("signed out");
        disconnected
    }

    /// Answers when the controller knows, too: whoever signs out may switch the host off next.
    pub(super) fn answer_when_told(&self, told: Option<JoinHandle<()>>, answer: Answer) {
        tokio::spawn(async move {
            if let Some(told) = told {
                drop(told.await);
            }
            drop(answer.reply.send(answer.outcome));
        });
    }

    /// Returns where this device is signed in, or waits to be.
    pub(super) fn home(&self) -> Option<disk::Home> {
        self.account.as_ref().map(|account| account.stored().home()).or_else(|| self.waiting.clone())
    }

    /// Returns when the controller is to be asked next.
    pub(super) fn refresh_at(&self) -> Option<Instant> {
        let account = self.account.as_ref();
        (account.is_some() || self.waiting.is_some()).then(|| self.grants.wake(account)).flatten()
    }

    pub(super) fn refresh_if_due(&mut self) {
        if self.refresh_at().is_some_and(|at| at <= Instant::now()) {
            self.refresh();
        }
    }

    pub(super) fn refresh_for(&mut self, done: oneshot::Sender<()>) {
        if self.home().is_some() && self.grants.waiting.len() < WAITING_MAX {
            self.grants.waiting.push(done);
            self.refresh();
        }
    }

    /// Asks the controller, unless it is being asked.
    pub(super) fn refresh(&mut self) {
        let Some(home) = self.home().filter(|_| !self.grants.is_asking) else { return };
        self.grants.is_asking = true;
        self.grants.is_hurried = false;
        let (key, events) = (Arc::clone(&self.parts.key), self.parts.events.clone());
        let (sign_in, seal) = (self.grants.sign_in, self.parts.seal.word());
        let pending = self.parts.files.pending_key().ok().flatten();
        let pending = pending.map(|next| (self.parts.seal.of(&next).word(), next));
        tokio::spawn(async move {
            // A rotation whose answer was lost, or that an operator does by hand.
            if let Some((word, next)) = pending
                && let Ok(account) = controller::refresh(&next, word, &home).await
            {
                let (outcome, reply) = (Ok(account), None);
                drop(events.send(Event::Rotated { sign_in, next: next.into(), outcome, reply }).await);
                return;
            }
            let outcome = controller::refresh(&key, seal, &home).await;
            drop(events.send(Event::Refreshed { sign_in, outcome }).await);
        });
    }

    pub(super) fn refreshed(&mut self, sign_in: u64, outcome: anyhow::Result<disk::Account>) {
        if sign_in != self.grants.sign_in {
            return;
        }
        self.grants.is_asking = false;
        let checked = outcome.and_then(|stored| self.checked(stored, &self.parts.key.public()));
        match checked {
            Ok(account) => {
                self.grants.retry.reset();
                self.grants.approval_retry.reset();
                self.grants.not_before = Instant::now() + AFTER_GRANT;
                self.store_or_warn(&account);
                self.take(account);
            }
            Err(error) => self.not_refreshed(&error),
        }
        self.grants.answered.append(&mut self.grants.waiting);
    }

    /// The controller knows this device by its next key, which could not be taken up.
    pub(super) fn not_rotated(&mut self, sign_in: u64, error: &anyhow::Error) {
        warn!(reason = %format!("{error:#}"), "this device cannot take its next key up");
        if sign_in == self.grants.sign_in {
            self.grants.handle_unused();
        }
    }

    fn not_refreshed(&mut self, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        let refused = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        if let Some(Failure::Waits(_)) = refused {
            self.grants.wait_for_approval(reason);
            return;
        }
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
        self.grants.refusal = None;
        self.take_account(account);
        self.renew_link();
    }

    /// Goes on with the link that is there, or being made, by the newest grant.
    pub(super) fn renew_link(&mut self) {
        let (Some(account), Some(link), Some(target)) =
            (&self.account, &mut self.link, self.machine.target())
        else {
            return;
        };
        let is_up = self.machine.up().is_some();
        let command = match Renewal::of(account, &self.parts.seal, target, is_up) {
            Renewal::End => {
                let problem = not_granted(target);
                return self.end_link(problem);
            }
            Renewal::Keep(seal) => Command::Seal(seal),
            Renewal::Tell { seal, grant, delegation } => {
                link.grant = account.grant().id;
                Command::Renew { grant, delegation, seal }
            }
        };
        if let Err(error) = link.handle.command(command) {
            warn!(%error, "cannot renew the grant of the link");
        }
    }

    /// A grant may come while a link is being made, which then goes on by it as soon as its gateway can be told.
    pub(super) fn renew_if_other(&mut self) {
        let newest = self.account.as_ref().map(|account| account.grant().id);
        if self.link.as_ref().is_some_and(|link| Some(link.grant) != newest) {
            self.renew_link();
        }
    }

    /// Goes on with a grant, whatever becomes of the link that is there.
    pub(super) fn take_account(&mut self, account: Account) {
        self.grants.is_reachable = Some(true);
        self.account = Some(account);
        self.follow_keys();
        self.machine.handle_granted();
        if self.waiting.take().is_some() {
            self.approved();
        }
    }

    /// An admin let the device in: what was wanted meanwhile is done.
    fn approved(&mut self) {
        info!("this device was approved");
        if let Err(error) = self.parts.files.remove_waiting() {
            warn!(reason = %format!("{error:#}"), "the next start asks once more");
        }
        if self.memory.wish.is_some() && !self.machine.wants_connection() {
            self.machine.handle_connect(moment());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_could_not_be_used_is_asked_for_again() {
        let mut grants = Grants::new();
        let (done, mut told) = oneshot::channel();
        grants.is_asking = true;
        grants.waiting.push(done);
        assert_eq!(grants.wake(None), None);

        grants.handle_unused();
        grants.tell_answered();

        assert!(grants.wake(None).is_some_and(|at| at > Instant::now()), "after a while");
        assert_eq!(told.try_recv(), Ok(()));
    }

    #[test]
    fn a_login_that_is_answered_after_a_logout_signs_nobody_in() {
        let mut grants = Grants::new();
        let sign_in = grants.sign_in;

        assert!(grants.check(sign_in).is_ok());
        grants.begin_sign_in();

        assert!(grants.check(sign_in).is_err());
    }
}
