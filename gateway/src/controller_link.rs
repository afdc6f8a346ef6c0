//! The gateway's end of `hzn-cfg/1`: dial, attach, fetch what is lacking, and try again for ever.

mod announcer;
mod answers;
mod attach;
mod fetch;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use horizon_api::{
    assignment::{Assignment, Version},
    delegation::{Pin, Trust},
    key::{PublicKey, SecretKey},
    section::ContentHash,
    signed::Signed,
    wire::{
        Hello, QUOTE, Refusal, RefusalCode,
        cfg::{self, CHALLENGE, Challenge, Heartbeat, Nack, ROTATION, ToController, ToGateway},
    },
};
use horizon_node::{
    backoff::Backoff,
    clock,
    controller::Meeting,
    framed::{self, Inbox, Sender},
    quic, random,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::{debug, info, warn};

use self::{
    announcer::Announcer,
    answers::Answers,
    fetch::{Fetch, Step},
};
use crate::{
    cache::Cache,
    keys::Keys,
    quoter::Quoter,
    running::{Running, Sections},
};

/// What the link tells the event loop.
pub(crate) enum LinkToController {
    /// The controller is there, and this is its time in unix milliseconds.
    Up { server_time_ms: i64 },
    /// The controller is away: standby. `None` where it does not want this gateway.
    Down { reason: Option<String> },
    /// A new configuration, checked and whole. The answer goes to the controller.
    Candidate { running: Box<Running>, sections: Sections, answer: oneshot::Sender<Result<(), String>> },
    /// The controller does not want this gateway.
    Dismissed(Refusal),
    /// The controller tells devices of the next key, since so long.
    NextKeyKnown { next: PublicKey, known_s: u32 },
    /// It does not take that key, or not yet.
    NextKeyRefused(Refusal),
    /// It knows this gateway by the next key. The session goes on once that is on disk.
    LetInWithNextKey { answer: oneshot::Sender<anyhow::Result<()>> },
    /// Its root said which online keys are believed. The answer goes to the controller once it is on disk.
    Believed { trust: Trust, answer: oneshot::Sender<anyhow::Result<()>> },
}

/// What the event loop says of the state that it owns.
#[derive(Clone, Default)]
pub(crate) struct Report {
    pub(crate) running: Option<Version>,
    pub(crate) assignment: Option<ContentHash>,
    pub(crate) heartbeat: Heartbeat,
    /// What is known of the controller's keys: a device may have brought more of it than the controller said.
    pub(crate) pin: Option<Pin>,
}

/// The task's own parts.
pub(crate) struct ControllerLink {
    pub(crate) keys: watch::Receiver<Keys>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) pin: Pin,
    pub(crate) cache: Arc<Cache>,
    pub(crate) events: mpsc::Sender<LinkToController>,
    pub(crate) reports: watch::Receiver<Report>,
    pub(crate) complaint: Complaint,
    pub(crate) quoter: Quoter,
    /// What the controller said of keys while sections were fetched: heeded before anything else is.
    pub(crate) heard: Vec<ToGateway>,
    /// When the controller refused the next key last.
    pub(crate) refused_at: Option<Instant>,
}

/// What was said last about a controller that cannot be reached: the same is not said twice.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Option<String>);

/// While the controller is away.
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
/// A session that was so long was no accident.
const LASTING: Duration = Duration::from_secs(30);
/// The next key, where the controller does not take it yet: each try costs the link that is there.
const TRY_NEXT_AGAIN: Duration = Duration::from_secs(300);
/// What the controller is asked for must come within this time.
const FETCH_PATIENCE: Duration = Duration::from_secs(30);

impl ControllerLink {
    /// Runs until the event loop is gone.
    pub(crate) async fn run(mut self) {
        let mut retry = RETRY;
        loop {
            let started = Instant::now();
            let ended = self.session().await;
            if self.reports.has_changed().is_err() {
                // The gateway stops: that is no trouble of the controller's.
                return;
            }
            let reason = match ended {
                Ok(Ended::WithAnotherKey) => continue,
                Ok(Ended::Dismissed) => None,
                Err(error) => Some(format!("{error:#}")),
            };
            match &reason {
                None => info!("controller link ended"),
                Some(reason) if self.complaint.is_new(reason) => {
                    warn!(%reason, "no link to the controller");
                }
                Some(reason) => debug!(%reason, "still no link to the controller"),
            }
            if self.events.send(LinkToController::Down { reason }).await.is_err() {
                return;
            }
            if started.elapsed() > LASTING {
                retry.reset();
            }
            tokio::time::sleep(retry.next(u32::from_le_bytes(random::bytes()))).await;
        }
    }

    async fn follow(&mut self, meeting: Meeting, key: Arc<SecretKey>) -> anyhow::Result<Ended> {
        let quoter = meeting.knows(QUOTE).then(|| self.quoter.clone());
        let mut answers = Answers::new(Arc::clone(&key), meeting.answerer()?, quoter);
        let mut announcer = Announcer::new(&meeting, Arc::clone(&key))?;
        let Meeting { mut sender, receiver, mut trust, connection, endpoint: _endpoint, .. } = meeting;
        let peer = quic::peer_key(&connection)?;
        let mut inbox = framed::read_ahead(receiver);
        self.announce(&mut announcer, &mut sender).await?;
        loop {
            tokio::select! {
                changed = self.reports.changed() => {
                    changed.context("the gateway stops")?;
                    let Report { heartbeat, pin, .. } = self.reports.borrow_and_update().clone();
                    let known = trust.raised(pin.map_or(0, |pin| pin.floor));
                    known.check_peer(&peer).context("the root has withdrawn the controller's key")?;
                    sender.send(&ToController::Heartbeat(Signed::new(&heartbeat, &key))).await?;
                    self.announce(&mut announcer, &mut sender).await?;
                    if self.is_time_for_next(&key) {
                        connection.close(0u32.into(), b"this gateway comes back with another key");
                        return Ok(Ended::WithAnotherKey);
                    }
                }
                answer = answers.next() => sender.send(&answer?).await?,
                changed = self.keys.changed() => {
                    changed.context("the gateway stops")?;
                    self.announce(&mut announcer, &mut sender).await?;
                }
                message = inbox.recv() => match message {
                    Some(Ok(ToGateway::Assignment(mut signed))) => {
                        let answer = loop {
                            let taken = self.take(&trust, &mut answers, signed, &mut sender, &mut inbox).await?;
                            for heard in self.heard.drain(..).collect::<Vec<_>>() {
                                self.hear(heard, &mut trust, &mut announcer, &mut sender).await?;
                            }
                            match taken {
                                Taken::Answered(answer) => break answer,
                                Taken::Overtaken(newer) => signed = newer,
                            }
                        };
                        sender.send(&answer).await?;
                        trust.check_peer(&peer)?;
                    }
                    Some(Ok(ToGateway::Recall)) => {
                        sender.send(&ToController::Kept(self.cache.kept())).await?;
                    }
                    // The key of this session may be the one before: the other one is tried first then.
                    Some(Ok(ToGateway::Refused(refusal)))
                        if ends_service(refusal.code)
                            && self.keys.borrow().follower_of(&key).is_some() =>
                    {
                        return Ok(Ended::WithAnotherKey);
                    }
                    Some(Ok(ToGateway::Refused(refusal))) => return self.dismissed(refusal).await,
                    Some(Ok(ToGateway::Challenge(Challenge { nonce }))) => answers.begin(nonce),
                    // A section that was asked for before a newer assignment came.
                    Some(Ok(ToGateway::Section(_))) => {}
                    Some(Ok(message)) => {
                        self.hear(message, &mut trust, &mut announcer, &mut sender).await?;
                        // A key that is withdrawn is the controller's no more: its link is made anew.
                        trust.check_peer(&peer)?;
                    }
                    Some(Err(error)) => return Err(error.into()),
                    None => anyhow::bail!("the controller ended the link"),
                },
                reason = connection.closed() => return Err(reason.into()),
            }
        }
    }

    /// Takes in what the controller says of keys.
    async fn hear(
        &mut self,
        message: ToGateway,
        trust: &mut Trust,
        announcer: &mut Announcer,
        sender: &mut Sender,
    ) -> anyhow::Result<()> {
        match message {
            ToGateway::Delegations(words) => self.believe(trust, words, sender).await,
            ToGateway::NextKeyKnown { next, known_s } => {
                announcer.handle_known(&next);
                Ok(self.events.send(LinkToController::NextKeyKnown { next, known_s }).await?)
            }
            ToGateway::NextKeyRefused(refusal) => {
                Ok(self.events.send(LinkToController::NextKeyRefused(refusal)).await?)
            }
            ToGateway::Welcome(_)
            | ToGateway::Joined { .. }
            | ToGateway::Refused(_)
            | ToGateway::Assignment(_)
            | ToGateway::Section(_)
            | ToGateway::Recall
            | ToGateway::Challenge(_) => {
                anyhow::bail!("the controller begins again in the middle of a session")
            }
        }
    }

    /// Tells the controller which key is to follow the one of this session, where it has not heard so.
    async fn announce(&self, announcer: &mut Announcer, sender: &mut Sender) -> anyhow::Result<()> {
        let proof = announcer.poll_proof(&self.keys.borrow(), Instant::now());
        match proof {
            None => Ok(()),
            Some(Some(proof)) => Ok(sender.send(&ToController::NextKey(Box::new(proof))).await?),
            Some(None) => {
                let message = "the controller knows no rotation of gateways' keys";
                let refusal = Refusal::new(RefusalCode::Protocol, message, "upgrade the controller");
                Ok(self.events.send(LinkToController::NextKeyRefused(refusal)).await?)
            }
        }
    }

    /// Says whether the controller is to know this gateway by the next key from here on.
    fn is_time_for_next(&self, key: &SecretKey) -> bool {
        let was_refused = self.refused_at.is_some_and(|at| at.elapsed() < TRY_NEXT_AGAIN);
        !was_refused && self.keys.borrow().answering().public() != key.public()
    }

    /// Believes what the root says by now of the controller's keys, once that is on disk.
    async fn believe(
        &mut self,
        trust: &mut Trust,
        words: Vec<Signed>,
        sender: &mut Sender,
    ) -> anyhow::Result<()> {
        let renewed =
            trust.renewed(&words, clock::unix_s()).context("believe what the controller says of its keys")?;
        let (answer, kept) = oneshot::channel();
        let message = LinkToController::Believed { trust: renewed.clone(), answer };
        self.events.send(message).await.ok().context("the gateway stops")?;
        kept.await.context("the gateway stops")??;
        self.pin = renewed.pin();
        *trust = renewed;
        Ok(sender.send(&ToController::Believes(cfg::name_of(&words))).await?)
    }

    /// Checks an assignment, fetches what is lacking, and has it applied. A refusal keeps the old one;
    /// a newer assignment that comes meanwhile ends it without an answer.
    async fn take(
        &mut self,
        trust: &Trust,
        answers: &mut Answers,
        signed: Signed,
        sender: &mut Sender,
        inbox: &mut Inbox<ToGateway>,
    ) -> anyhow::Result<Taken> {
        let running = self.reports.borrow().running;
        let names = self.keys.borrow().names();
        let verified = match Assignment::verify(&signed, trust, &names, running) {
            Ok(verified) => verified,
            Err(error) => {
                let section = error.section().map(str::to_owned);
                let refused = nack(Version::default(), section, &anyhow::Error::from(error), running);
                return Ok(Taken::Answered(refused));
            }
        };
        let version = verified.version();
        let named = verified.sections().iter().map(|section| section.hash);
        let cached = named.filter_map(|hash| Some((hash, self.cache.section(&hash)?)));
        let cached: Sections = cached.filter(|(hash, bytes)| ContentHash::of(bytes) == *hash).collect();
        let lacking = verified.lacking(|hash| cached.contains_key(hash));
        let sections = match self.fetch(Fetch::new(cached, lacking), answers, sender, inbox).await? {
            Fetched::Whole(sections) => sections,
            Fetched::Overtaken(newer) => return Ok(Taken::Overtaken(newer)),
        };
        let config = match verified.assemble(|hash| sections.get(hash).cloned()) {
            Ok(config) => config,
            Err(error) => {
                let section = error.section().map(str::to_owned);
                let refused = nack(version, section, &anyhow::Error::from(error), running);
                return Ok(Taken::Answered(refused));
            }
        };
        let hash = verified.hash();
        let word = trust.word_for(verified.signer()).context("nothing proves who signed the assignment")?;
        let running_new = Running::new(trust.clone(), word.clone(), signed, verified, config);
        let (answer, applied) = oneshot::channel();
        self.events
            .send(LinkToController::Candidate { running: Box::new(running_new), sections, answer })
            .await
            .ok()
            .context("the gateway stops")?;
        Ok(Taken::Answered(match applied.await.context("the gateway stops")? {
            Ok(()) => ToController::Ack { version, assignment: hash },
            Err(reason) => nack(version, None, &anyhow::anyhow!(reason), running),
        }))
    }

    /// Asks for what is lacking and takes it in. A challenge is answered meanwhile.
    async fn fetch(
        &mut self,
        mut fetch: Fetch,
        answers: &mut Answers,
        sender: &mut Sender,
        inbox: &mut Inbox<ToGateway>,
    ) -> anyhow::Result<Fetched> {
        if !fetch.lacking.is_empty() {
            sender.send(&ToController::Want { hashes: fetch.lacking.iter().copied().collect() }).await?;
        }
        while !fetch.lacking.is_empty() {
            let message = tokio::select! {
                answer = answers.next() => {
                    sender.send(&answer?).await?;
                    continue;
                }
                message = tokio::time::timeout(FETCH_PATIENCE, inbox.recv()) => message,
            };
            let message =
                message.context("the controller does not send a section")?.context("the link is gone")??;
            match fetch.handle_message(message)? {
                Step::Went => {}
                Step::Overtaken(newer) => return Ok(Fetched::Overtaken(newer)),
                Step::Heard(heard) => self.heard.push(heard),
                Step::Challenged(nonce) => answers.begin(nonce),
            }
        }
        Ok(Fetched::Whole(fetch.sections))
    }
}

impl Complaint {
    /// Takes what is to be said, and returns whether it was not said yet.
    fn is_new(&mut self, reason: &str) -> bool {
        let is_new = self.0.as_deref() != Some(reason);
        self.0 = Some(reason.to_owned());
        is_new
    }
}

/// How a session ended, where nothing failed.
enum Ended {
    /// The next one is to begin at once.
    WithAnotherKey,
    Dismissed,
}

/// What became of an assignment.
enum Taken {
    Answered(ToController),
    /// A newer one came before all of it was there.
    Overtaken(Signed),
}

enum Fetched {
    Whole(Sections),
    Overtaken(Signed),
}

/// Says whether a refusal is about the gateway itself, and not about how two programs talk:
/// a misunderstanding keeps what runs.
fn ends_service(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::NotEnrolled | RefusalCode::Revoked)
}

fn nack(
    version: Version,
    section: Option<String>,
    error: &anyhow::Error,
    running: Option<Version>,
) -> ToController {
    let reason = format!("{error:#}");
    warn!(?version, %reason, "assignment refused");
    ToController::Nack(Nack { version, section, objects: vec![], reason, running })
}

/// Says what this gateway can do.
pub(crate) fn hello(hello: Hello) -> ToController {
    ToController::Hello(Hello { features: vec![CHALLENGE.to_owned(), ROTATION.to_owned()], ..hello })
}

#[cfg(test)]
mod tests;
