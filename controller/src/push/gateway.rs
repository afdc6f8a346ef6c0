//! One gateway's session: joined or attached, then offered what it must run, for as long as it lives.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use horizon_api::{
    assignment::Version,
    section::ContentHash,
    signed::Signed,
    tpm::Quote,
    wire::{
        Attestation, Refusal, RefusalCode,
        cfg::{CHALLENGE, Heartbeat, ROTATION, SectionBytes, ToController, ToGateway},
        rotation::RotationProof,
    },
};
use horizon_node::{
    clock,
    framed::{self, Receiver, Sender},
};
use horizon_trust::{
    challenge::Outcome,
    quote::{self, Quoted},
    server::Arrival,
};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::{Peer, PushContext, ask, bounds, in_time, offer::Offer, trial::Trial};
use crate::{
    event::{AttachRequest, Event, GatewayReport, JoinRequest, NextKeyRequest, ReportKind, ServerName},
    snapshot::Delegations,
};

/// Hears the second message. Returns the session of a gateway that is admitted.
pub(super) async fn admit(
    peer: Peer,
    mut sender: Sender,
    mut receiver: Receiver,
    context: PushContext,
) -> anyhow::Result<Option<Session>> {
    let decided = in_time(decide(&peer, &mut receiver, &context)).await?;
    let ((namespace, server), offer, arrival) = match decided {
        Ok(admitted) => admitted,
        Err(refusal) => {
            info!(code = ?refusal.code, reason = %refusal, "gateway refused");
            sender.send(&ToGateway::Refused(refusal)).await?;
            sender.finish().await;
            return Ok(None);
        }
    };
    sender.send(&ToGateway::Joined { namespace, server: server.clone() }).await?;
    receiver.accept_long_frames();
    recall(&peer, arrival.running, &mut sender, &mut receiver, &context).await?;
    Ok(Some(Session { peer, server, sender, receiver, context, offer, arrival }))
}

/// Where the store has forgotten what this gateway runs, asks for it before anything else is assigned.
async fn recall(
    peer: &Peer,
    running: Option<Version>,
    sender: &mut Sender,
    receiver: &mut Receiver,
    context: &PushContext,
) -> anyhow::Result<()> {
    if !running.is_some_and(|running| context.snapshots.borrow().has_forgotten(running)) {
        return Ok(());
    }
    sender.send(&ToGateway::Recall).await?;
    // What it reported before it read the question is reported again.
    let kept = loop {
        if let ToController::Kept(kept) = receiver.receive().await? {
            break kept;
        }
    };
    let Some(kept) = kept else { return Ok(()) };
    let (reply, taken) = oneshot::channel();
    context
        .events
        .send(Event::Kept(peer.key, kept, reply))
        .await
        .ok()
        .context("the controller is stopping")?;
    taken.await.context("the controller is stopping")
}

/// Its Server, what it is offered, and what it says of itself.
type Admitted = (ServerName, Offer, Arrival);

/// Decides about the second message. The reconciler knows; this only asks it.
async fn decide(
    peer: &Peer,
    receiver: &mut Receiver,
    context: &PushContext,
) -> anyhow::Result<Result<Admitted, Refusal>> {
    let check = |signed| {
        let evidence = Attestation::check(signed, &peer.key, &peer.exporter, &peer.nonce)?;
        Ok::<_, Refusal>(bounds::evidence(&evidence))
    };
    let (reply, answer) = oneshot::channel();
    let (event, evidence, quoted, running) = match receiver.receive().await? {
        ToController::Join(join) => match check(&join.attestation) {
            Ok(evidence) => {
                let request = JoinRequest {
                    token: join.token,
                    name: join.name,
                    gateway: peer.key,
                    remote: peer.address(),
                    evidence: evidence.clone(),
                };
                // Joining makes no use of a TPM: it is seen first when the gateway runs.
                (Event::Join(request, reply), evidence, Quoted::Absent, None)
            }
            Err(refusal) => return Ok(Err(refusal)),
        },
        ToController::Attach(attach) => match check(&attach.attestation) {
            Ok(evidence) => {
                let (gateway, follows, remote) = (peer.key, attach.follows, peer.address());
                let request = AttachRequest { gateway, follows, remote };
                let quoted = quote::check(attach.quote.as_ref(), &attach.attestation);
                (Event::Attach(request, reply), evidence, quoted, attach.running.zip(attach.assignment))
            }
            Err(refusal) => return Ok(Err(refusal)),
        },
        ToController::Hello(_)
        | ToController::Want { .. }
        | ToController::Ack { .. }
        | ToController::Nack(_)
        | ToController::Heartbeat(_)
        | ToController::Kept(_)
        | ToController::Believes(_)
        | ToController::NextKey(_)
        | ToController::Answer(_)
        | ToController::AnswerWith { .. } => {
            let message = "the second message is not Join or Attach";
            return Ok(Err(Refusal::new(RefusalCode::Protocol, message, "upgrade the gateway")));
        }
    };
    let answer = ask(context, event, answer).await?;
    let (version, assignment) = running.unzip();
    let (remote, answers) = (peer.address(), peer.knows(CHALLENGE));
    let arrival = Arrival { evidence, quoted, remote, running: version, answers };
    Ok(answer.map(|server| (server, Offer::new(assignment), arrival)))
}

/// An admitted gateway.
pub(super) struct Session {
    peer: Peer,
    server: String,
    sender: Sender,
    receiver: Receiver,
    context: PushContext,
    offer: Offer,
    arrival: Arrival,
}

impl Session {
    /// Runs until the gateway is gone or must go.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { peer, server, sender, receiver, context, offer, arrival } = self;
        let reporter = Reporter { peer: &peer, context: &context };
        let version = bounds::word(&peer.version);
        reporter.report(ReportKind::Connected { version, arrival: Box::new(arrival) }).await?;
        info!(%server, "gateway connected");
        let trial = Trial::new(&peer, context.pace);
        let ended = Conversation { reporter, sender, offer, trial, told: None }.run(receiver).await;
        reporter.report(ReportKind::Disconnected).await?;
        info!(%server, "gateway disconnected");
        ended
    }
}

/// Tells the reconciler what a gateway says.
#[derive(Clone, Copy)]
struct Reporter<'a> {
    peer: &'a Peer,
    context: &'a PushContext,
}

impl Reporter<'_> {
    async fn report(&self, kind: ReportKind) -> anyhow::Result<()> {
        let report = GatewayReport {
            gateway: self.peer.key,
            session: self.peer.connection.stable_id(),
            remote: self.peer.address(),
            at_ms: clock::unix_ms(),
            kind,
        };
        self.context.events.send(Event::Report(report)).await.ok().context("the controller is stopping")
    }
}

#[derive(PartialEq, Eq)]
enum Told {
    Heard,
    /// It would not believe what the next key signs.
    Deaf,
}

struct Conversation<'a> {
    reporter: Reporter<'a>,
    sender: Sender,
    offer: Offer,
    trial: Trial<'a>,
    /// What it was told last of the controller's keys.
    told: Option<Arc<Delegations>>,
}

impl Conversation<'_> {
    async fn run(mut self, receiver: Receiver) -> anyhow::Result<()> {
        let mut snapshots = self.reporter.context.snapshots.clone();
        let mut inbox = framed::read_ahead(receiver);
        loop {
            let (wanted, is_allowed, delegations) = {
                let (key, address) = (&self.reporter.peer.key, self.reporter.peer.address());
                let snapshot = snapshots.borrow_and_update();
                let delegations = Arc::clone(&snapshot.delegations);
                (snapshot.gateways.get(key).map(Arc::clone), snapshot.is_allowed(key, address), delegations)
            };
            let Some(wanted) = wanted else { return self.dismiss().await };
            if !is_allowed {
                return self.send_away().await;
            }
            // Before an assignment that one of the keys may have signed.
            if self.tell(delegations).await? == Told::Deaf {
                return Ok(());
            }
            self.offer.handle_wanted(wanted);
            if let Some(offered) = self.offer.poll_send(Instant::now()) {
                self.sender.send(&ToGateway::Assignment(offered.assignment.clone())).await?;
            }
            let is_busy = self.offer.is_in_flight();
            if let Some(challenge) = self.trial.poll_challenge(is_busy) {
                self.sender.send(&ToGateway::Challenge(challenge)).await?;
            }
            if let Some(silence) = self.trial.poll_silence() {
                self.reporter.report(ReportKind::Challenged(silence)).await?;
            }
            tokio::select! {
                changed = snapshots.changed() => changed.context("the controller is stopping")?,
                () = self.trial.wait(is_busy) => {}
                message = inbox.recv() => match message {
                    Some(Ok(message)) => self.handle(message).await?,
                    Some(Err(error)) => {
                        debug!(reason = %error, "gateway stopped talking");
                        return Ok(());
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    /// Tells the gateway which online keys are believed, where it has not heard so yet. One from before there were
    /// several must connect again once another key signs.
    async fn tell(&mut self, delegations: Arc<Delegations>) -> anyhow::Result<Told> {
        let is_other = self.told.as_ref().is_none_or(|told| told.name != delegations.name);
        if is_other && self.reporter.peer.knows(ROTATION) {
            self.sender.send(&ToGateway::Delegations(delegations.words.clone())).await?;
        } else if is_other && self.told.as_ref().is_some_and(|told| told.signer() != delegations.signer()) {
            return Ok(Told::Deaf);
        }
        self.told = Some(delegations);
        Ok(Told::Heard)
    }

    /// The Server is gone, or is another host's: say so, and end the session.
    async fn dismiss(&mut self) -> anyhow::Result<()> {
        let refusal = Refusal::new(
            RefusalCode::NotEnrolled,
            "this gateway's Server was removed",
            "declare it again, or remove this gateway with `horizon-gateway uninstall`",
        );
        self.sender.send(&ToGateway::Refused(refusal)).await?;
        self.sender.finish().await;
        Ok(())
    }

    /// It is where its Server may not be: it moved, or the ranges were changed.
    async fn send_away(&mut self) -> anyhow::Result<()> {
        self.reporter.report(ReportKind::OutsideRanges).await?;
        let refusal = outside_ranges(self.reporter.peer.address());
        self.sender.send(&ToGateway::Refused(refusal)).await?;
        self.sender.finish().await;
        Ok(())
    }

    async fn handle(&mut self, message: ToController) -> anyhow::Result<()> {
        let kind = match message {
            ToController::Want { hashes } => return self.send_sections(&hashes).await,
            ToController::Ack { version, assignment } => {
                self.offer.handle_ack(assignment);
                ReportKind::Ack { version, assignment }
            }
            ToController::Nack(nack) => {
                let nack = bounds::nack(nack);
                warn!(section = ?nack.section, reason = %nack.reason, "gateway refused an assignment");
                self.offer.handle_nack(Instant::now());
                ReportKind::Nack(nack)
            }
            ToController::Answer(answer) => return self.take_answer(&answer, None).await,
            ToController::AnswerWith { attestation, quote } => {
                return self.take_answer(&attestation, Some(&quote)).await;
            }
            ToController::Believes(name) => ReportKind::Believes(name),
            ToController::NextKey(proof) => return self.take_next_key(&proof).await,
            ToController::Heartbeat(signed) => {
                let heartbeat: Heartbeat =
                    signed.verify(&self.reporter.peer.key).context("read a heartbeat")?;
                self.offer.handle_running(heartbeat.assignment);
                ReportKind::Heartbeat(bounds::heartbeat(heartbeat))
            }
            ToController::Hello(_)
            | ToController::Join(_)
            | ToController::Attach(_)
            | ToController::Kept(_) => {
                anyhow::bail!("the gateway begins again in the middle of a session")
            }
        };
        self.reporter.report(kind).await
    }

    /// The session goes on with the key that it began with, whatever is decided.
    async fn take_next_key(&mut self, proof: &RotationProof) -> anyhow::Result<()> {
        let Reporter { peer, context } = self.reporter;
        let decided = match proof.check(&peer.key, &peer.exporter, &peer.nonce) {
            Err(refusal) => Err(refusal),
            Ok(next) => {
                let (reply, answer) = oneshot::channel();
                let request = NextKeyRequest { gateway: peer.key, next, remote: peer.address() };
                ask(context, Event::NextKey(request, reply), answer).await?.map(|since| (next, since))
            }
        };
        self.sender
            .send(&match decided {
                Ok((next, since_ms)) => {
                    let known_s = clock::unix_ms().saturating_sub(since_ms) / 1000;
                    ToGateway::NextKeyKnown { next, known_s: u32::try_from(known_s).unwrap_or(0) }
                }
                Err(refusal) => {
                    info!(code = ?refusal.code, reason = %refusal, "another key of a gateway is refused");
                    ToGateway::NextKeyRefused(refusal)
                }
            })
            .await?;
        Ok(())
    }

    /// Whoever answers wrongly must prove its key anew, in a session of its own.
    async fn take_answer(&mut self, answer: &Signed, quote: Option<&Quote>) -> anyhow::Result<()> {
        let Some(verification) = self.trial.handle_answer(answer, quote) else { return Ok(()) };
        let wrong = match &verification.outcome {
            Outcome::Wrong(reason) => Some(reason.clone()),
            Outcome::Verified(..) | Outcome::Silent => None,
        };
        self.reporter.report(ReportKind::Challenged(verification)).await?;
        let Some(reason) = wrong else { return Ok(()) };
        let refusal = Refusal::new(RefusalCode::BadEvidence, &reason, "connect again");
        self.sender.send(&ToGateway::Refused(refusal)).await?;
        self.sender.finish().await;
        anyhow::bail!("a challenge was answered wrongly: {reason}")
    }

    async fn send_sections(&mut self, hashes: &[ContentHash]) -> anyhow::Result<()> {
        for hash in hashes {
            let Some(bytes) = self.offer.section(hash) else { return self.refuse_section(*hash).await };
            self.sender.send(&ToGateway::Section(SectionBytes { bytes: bytes.to_vec() })).await?;
        }
        Ok(())
    }

    /// Only a program that is none of ours asks for another gateway's configuration.
    async fn refuse_section(&mut self, hash: ContentHash) -> anyhow::Result<()> {
        self.reporter.report(ReportKind::ForeignSection(hash)).await?;
        let message = format!("this gateway was not offered the section {hash}");
        let hint = "take the assignment that is sent, with the sections that it names";
        self.sender.send(&ToGateway::Refused(Refusal::new(RefusalCode::Protocol, message, hint))).await?;
        self.sender.finish().await;
        anyhow::bail!("the gateway wants what it was not offered")
    }
}

/// What a gateway hears that connects from where its Server may not be.
pub(crate) fn outside_ranges(address: std::net::IpAddr) -> Refusal {
    let message = format!("this server may not connect from {}", address.to_canonical());
    let hint = "connect from one of spec.identity.sourceCidrs of its Server, or have the address added there";
    Refusal::new(RefusalCode::SourceNotAllowed, message, hint)
}
