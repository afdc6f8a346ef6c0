//! How a gateway comes to the controller: dialled, attached with the key that it is known by.

use anyhow::Context;
use horizon_api::{
    key::SecretKey,
    wire::{
        ALPN_CFG, QUOTE, Refusal,
        cfg::{Attach, ToController, ToGateway},
    },
};
use horizon_node::controller::{self, Meeting};
use tokio::{sync::oneshot, time::Instant};
use tracing::{debug, warn};

use super::{Complaint, ControllerLink, Ended, FETCH_PATIENCE, LinkToController, ends_service, hello};

impl ControllerLink {
    /// Attaches with the key that the controller knows this gateway by: while one follows another, both are tried.
    pub(super) async fn session(&mut self) -> anyhow::Result<Ended> {
        let keys = self.keys.borrow_and_update().clone();
        let known = self.reports.borrow().pin;
        self.pin = known.map_or(self.pin, |known| self.pin.later(known));
        let mut refusals = Vec::new();
        for key in keys.to_try() {
            match self.attach(&key).await? {
                Ok(meeting) => {
                    if key.public() != keys.key.public() {
                        self.let_in_with_next().await?;
                    }
                    let server_time_ms = meeting.server_time_ms;
                    self.events.send(LinkToController::Up { server_time_ms }).await?;
                    self.complaint = Complaint::default();
                    return self.follow(meeting, key).await;
                }
                Err(refusal) if key.public() == keys.key.public() => {
                    refusals.push(refusal);
                    // What is wrong with the way this gateway talks is not about its key.
                    if !refusals.iter().all(|refusal| ends_service(refusal.code)) {
                        break;
                    }
                }
                Err(refusal) => {
                    debug!(reason = %refusal, "the controller does not take the next key");
                    self.refused_at = Some(Instant::now());
                    if !ends_service(refusal.code) {
                        self.events.send(LinkToController::NextKeyRefused(refusal.clone())).await?;
                    }
                    refusals.push(refusal);
                }
            }
        }
        let lasting = refusals.iter().position(|refusal| !ends_service(refusal.code));
        match refusals.into_iter().nth(lasting.unwrap_or(0)) {
            Some(refusal) => self.dismissed(refusal).await,
            None => anyhow::bail!("the controller did not answer the attach"),
        }
    }

    /// Dials with a key, and says whose it is.
    async fn attach(&mut self, key: &SecretKey) -> anyhow::Result<Result<Meeting, Refusal>> {
        let address = controller::Address { host: &self.host, port: self.port };
        let mut meeting = controller::meet(key, ALPN_CFG, address, &self.pin, hello, |answer| {
            if let ToGateway::Welcome(welcome) = answer { Some(welcome) } else { None }
        })
        .await?;
        self.pin = meeting.trust.pin();
        meeting.is_key_sealed = self.quoter.is_key_sealed();
        let attestation = meeting.attest(key)?;
        let quote = if meeting.knows(QUOTE) { self.quoter.quote(&attestation).await } else { None };
        let (running, assignment) = {
            let report = self.reports.borrow();
            (report.running, report.assignment)
        };
        let follows = self.keys.borrow().follows.clone();
        let attach = Attach { running, assignment, attestation, quote, follows };
        meeting.sender.send(&ToController::Attach(attach)).await?;
        match meeting.receiver.receive_within(FETCH_PATIENCE).await? {
            ToGateway::Joined { .. } => {}
            ToGateway::Refused(refusal) => return Ok(Err(refusal)),
            ToGateway::Welcome(_)
            | ToGateway::Assignment(_)
            | ToGateway::Section(_)
            | ToGateway::Recall
            | ToGateway::Delegations(_)
            | ToGateway::NextKeyKnown { .. }
            | ToGateway::NextKeyRefused(_)
            | ToGateway::Challenge(_) => {
                anyhow::bail!("the controller did not answer the attach")
            }
        }
        meeting.receiver.accept_long_frames();
        Ok(Ok(meeting))
    }

    /// The controller believes the next key: it is this gateway's, once that is on disk.
    async fn let_in_with_next(&self) -> anyhow::Result<()> {
        let (answer, taken) = oneshot::channel();
        self.events.send(LinkToController::LetInWithNextKey { answer }).await?;
        taken.await.context("the gateway stops")?.context("take up the next key")
    }

    pub(super) async fn dismissed(&self, refusal: Refusal) -> anyhow::Result<Ended> {
        if !ends_service(refusal.code) {
            anyhow::bail!("the controller refuses this gateway: {refusal}");
        }
        warn!(code = ?refusal.code, reason = %refusal, "the controller refuses this gateway");
        self.events.send(LinkToController::Dismissed(refusal)).await?;
        Ok(Ended::Dismissed)
    }
}
