//! One gateway's session: joined or attached, then offered what it must run, for as long as it lives.

use anyhow::Context;
use horizon_api::{
    section::ContentHash,
    wire::{
        Attestation, Refusal, RefusalCode,
        cfg::{Heartbeat, SectionBytes, ToController, ToGateway},
    },
};
use horizon_node::{
    clock,
    framed::{Receiver, Sender},
};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::{PATIENCE, Peer, PushContext, offer::Offer};
use crate::event::{AttachRequest, Event, GatewayReport, JoinRequest, ReportKind};

pub(super) async fn serve(
    peer: Peer,
    mut sender: Sender,
    mut receiver: Receiver,
    context: PushContext,
) -> anyhow::Result<()> {
    let admitted = admit(&peer, receiver.receive_within(PATIENCE).await?, &context).await?;
    let (server, offer) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            info!(code = ?refusal.code, reason = %refusal, "gateway refused");
            sender.send(&ToGateway::Refused(refusal)).await?;
            sender.finish().await;
            return Ok(());
        }
    };
    sender.send(&ToGateway::Joined { namespace: server.0.clone(), server: server.1.clone() }).await?;
    receiver.accept_long_frames();
    report(&peer, &context, ReportKind::Connected { remote: peer.remote, version: peer.version.clone() })
        .await?;
    info!(server = %server.1, "gateway connected");
    let ended = Session { peer: &peer, sender, context: &context, offer }.run(receiver).await;
    report(&peer, &context, ReportKind::Disconnected).await?;
    info!(server = %server.1, "gateway disconnected");
    ended
}

type Admitted = ((String, String), Offer);

/// Decides about the second message. The reconciler knows; this only asks it.
async fn admit(
    peer: &Peer,
    message: ToController,
    context: &PushContext,
) -> anyhow::Result<Result<Admitted, Refusal>> {
    let check = |signed| Attestation::check(signed, &peer.key, &peer.exporter, &peer.nonce);
    let (reply, answer) = oneshot::channel();
    let (event, running) = match message {
        ToController::Join(join) => match check(&join.attestation) {
            Ok(evidence) => {
                let request = JoinRequest {
                    token: join.token,
                    name: join.name,
                    gateway: peer.key,
                    remote: peer.remote.ip(),
                    evidence,
                };
                (Event::Join(request, reply), None)
            }
            Err(refusal) => return Ok(Err(refusal)),
        },
        ToController::Attach(attach) => match check(&attach.attestation) {
            Ok(evidence) => {
                let request = AttachRequest { gateway: peer.key, remote: peer.remote.ip(), evidence };
                (Event::Attach(request, reply), attach.assignment)
            }
            Err(refusal) => return Ok(Err(refusal)),
        },
        ToController::Hello(_)
        | ToController::Want { .. }
        | ToController::Ack { .. }
        | ToController::Nack(_)
        | ToController::Heartbeat(_) => {
            let message = "the second message is not Join or Attach";
            return Ok(Err(Refusal::new(RefusalCode::Protocol, message, "upgrade the gateway")));
        }
    };
    context.events.send(event).await.ok().context("the controller is stopping")?;
    let answer = answer.await.context("the controller is stopping")?;
    Ok(answer.map(|server| (server, Offer::new(running))))
}

async fn report(peer: &Peer, context: &PushContext, kind: ReportKind) -> anyhow::Result<()> {
    let report = GatewayReport {
        gateway: peer.key,
        session: peer.connection.stable_id(),
        at_ms: clock::unix_ms(),
        kind,
    };
    context.events.send(Event::Report(report)).await.ok().context("the controller is stopping")
}

struct Session<'a> {
    peer: &'a Peer,
    sender: Sender,
    context: &'a PushContext,
    offer: Offer,
}

/// Messages of one gateway that wait to be handled; a heartbeat every few seconds never fills it.
const INBOX_MAX: usize = 16;

impl Session<'_> {
    async fn run(mut self, receiver: Receiver) -> anyhow::Result<()> {
        let mut snapshots = self.context.snapshots.clone();
        let mut inbox = read_ahead(receiver);
        let mut counters = Counters::default();
        loop {
            let wanted = snapshots.borrow_and_update().assignment_hash(&self.peer.key);
            if wanted.is_none() {
                return self.dismiss().await;
            }
            self.offer.handle_wanted(wanted);
            if let Some(hash) = self.offer.poll_send() {
                self.send_assignment(hash).await?;
            }
            tokio::select! {
                changed = snapshots.changed() => changed.context("the controller is stopping")?,
                message = inbox.recv() => match message {
                    Some(message) => self.handle(message, &mut counters).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// The Server is gone or disabled: say so, and end the session.
    async fn dismiss(&mut self) -> anyhow::Result<()> {
        let refusal = Refusal::new(
            RefusalCode::NotEnrolled,
            "this gateway's Server was removed or disabled",
            "declare it again, or remove this gateway with `horizon-gateway uninstall`",
        );
        self.sender.send(&ToGateway::Refused(refusal)).await?;
        self.sender.finish().await;
        Ok(())
    }

    async fn send_assignment(&mut self, hash: ContentHash) -> anyhow::Result<()> {
        let assignment = {
            let snapshot = self.context.snapshots.borrow();
            snapshot.gateways.get(&self.peer.key).filter(|g| g.hash == hash).map(|g| g.assignment.clone())
        };
        if let Some(assignment) = assignment {
            self.sender.send(&ToGateway::Assignment(assignment)).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, message: ToController, counters: &mut Counters) -> anyhow::Result<()> {
        let kind = match message {
            ToController::Want { hashes } => return self.send_sections(&hashes).await,
            ToController::Ack { version, assignment } => {
                self.offer.handle_ack(assignment);
                ReportKind::Ack { version, assignment }
            }
            ToController::Nack(nack) => {
                warn!(section = ?nack.section, reason = %nack.reason, "gateway refused an assignment");
                self.offer.handle_nack();
                ReportKind::Nack(nack)
            }
            ToController::Heartbeat(signed) => {
                let heartbeat: Heartbeat = signed.verify(&self.peer.key).context("read a heartbeat")?;
                counters.check(&heartbeat)?;
                self.offer.handle_running(heartbeat.assignment);
                ReportKind::Heartbeat(heartbeat)
            }
            ToController::Hello(_) | ToController::Join(_) | ToController::Attach(_) => {
                anyhow::bail!("the gateway begins again in the middle of a session")
            }
        };
        report(self.peer, self.context, kind).await
    }

    /// Gives only what this gateway's own assignment names: a gateway cannot read another's configuration.
    async fn send_sections(&mut self, hashes: &[ContentHash]) -> anyhow::Result<()> {
        for hash in hashes {
            let bytes = {
                let snapshot = self.context.snapshots.borrow();
                snapshot.gateways.get(&self.peer.key).and_then(|g| g.sections.get(hash).cloned())
            };
            // A hash of an older assignment: the newer one is on its way, and will be asked for again.
            let Some(bytes) = bytes else { continue };
            let section = SectionBytes { bytes: bytes.to_vec() };
            self.sender.send(&ToGateway::Section(section)).await?;
        }
        Ok(())
    }
}

/// Heartbeats of one session: signed counters are believed only in order.
#[derive(Default)]
struct Counters {
    boot: Option<([u8; 16], u64)>,
}

impl Counters {
    fn check(&mut self, heartbeat: &Heartbeat) -> anyhow::Result<()> {
        if let Some((boot_id, counter)) = self.boot
            && boot_id == heartbeat.boot_id
            && heartbeat.counter <= counter
        {
            anyhow::bail!("a heartbeat was replayed: counter {} after {counter}", heartbeat.counter);
        }
        self.boot = Some((heartbeat.boot_id, heartbeat.counter));
        Ok(())
    }
}

/// Receiving cannot be cancelled without losing bytes, so a task of its own reads ahead.
fn read_ahead(mut receiver: Receiver) -> mpsc::Receiver<ToController> {
    let (sender, inbox) = mpsc::channel(INBOX_MAX);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                received = receiver.receive() => match received {
                    Ok(message) => if sender.send(message).await.is_err() { return },
                    Err(error) => {
                        tracing::debug!(reason = %error, "gateway stopped talking");
                        return;
                    }
                },
                () = sender.closed() => return,
            }
        }
    });
    inbox
}
