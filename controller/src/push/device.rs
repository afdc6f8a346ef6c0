//! One device's session: a login, a refresh or a sign-out, answered with what was asked for or a refusal.

use horizon_api::{
    signed::Signed,
    wire::{
        APPROVAL, Attestation, Evidence, Refusal, RefusalCode,
        dev::{FromDevice, Login, ToDevice},
    },
};
use horizon_node::framed::{Receiver, Sender};
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::{Peer, PushContext, ask, in_time};
use crate::event::{Event, LoginRequest, RefreshRequest, RotateDeviceRequest, SignOutRequest};

pub(super) async fn serve(
    peer: Peer,
    mut sender: Sender,
    mut receiver: Receiver,
    context: PushContext,
) -> anyhow::Result<()> {
    let answer = match in_time(decide(&peer, &mut receiver, &context)).await? {
        Ok(answer) => answer,
        Err(refusal) => {
            info!(code = ?refusal.code, "device refused");
            // The sentence may name the person.
            debug!(reason = %refusal, "why the device is refused");
            ToDevice::Refused(readable(refusal, &peer))
        }
    };
    sender.send(&answer).await?;
    sender.finish().await;
    Ok(())
}

/// An agent from before devices could wait reads that as "not now".
fn readable(refusal: Refusal, peer: &Peer) -> Refusal {
    let is_unknown = refusal.code == RefusalCode::AwaitingApproval && !peer.knows(APPROVAL);
    if is_unknown { Refusal { code: RefusalCode::NotReady, ..refusal } } else { refusal }
}

async fn decide(
    peer: &Peer,
    receiver: &mut Receiver,
    context: &PushContext,
) -> anyhow::Result<Result<ToDevice, Refusal>> {
    match receiver.receive().await? {
        FromDevice::Login(login) => log_in(peer, login, context).await,
        FromDevice::Refresh => refresh(peer, None, None, context).await,
        FromDevice::RefreshWith(statement) => {
            match Attestation::read(&statement, &peer.key, &peer.exporter, &peer.nonce) {
                Ok(Attestation { evidence, seal, .. }) => refresh(peer, Some(evidence), seal, context).await,
                Err(refusal) => Ok(Err(refusal)),
            }
        }
        FromDevice::News => {
            let (reply, answer) = oneshot::channel();
            let event = Event::News(RefreshRequest { device: peer.key, evidence: None, seal: None }, reply);
            Ok(ask(context, event, answer).await?.map(ToDevice::News))
        }
        FromDevice::RotateKey(proof) => {
            let next = match proof.check(&peer.key, &peer.exporter, &peer.nonce) {
                Ok(next) => next,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (reply, answer) = oneshot::channel();
            let request = RotateDeviceRequest { device: peer.key, next, remote: peer.address() };
            Ok(ask(context, Event::RotateDevice(request, reply), answer).await?.map(ToDevice::Granted))
        }
        FromDevice::SignOut => {
            let (reply, answer) = oneshot::channel();
            let request = SignOutRequest { device: peer.key, remote: peer.address() };
            let left = ask(context, Event::SignOut(request, reply), answer).await?;
            Ok(left.map(|()| ToDevice::SignedOut))
        }
        FromDevice::Hello(_) => {
            Ok(Err(Refusal::new(RefusalCode::Protocol, "Hello came twice", "upgrade the agent")))
        }
    }
}

async fn refresh(
    peer: &Peer,
    evidence: Option<Evidence>,
    seal: Option<Signed>,
    context: &PushContext,
) -> anyhow::Result<Result<ToDevice, Refusal>> {
    let (reply, answer) = oneshot::channel();
    let event = Event::Refresh(RefreshRequest { device: peer.key, evidence, seal }, reply);
    Ok(ask(context, event, answer).await?.map(ToDevice::Granted))
}

async fn log_in(
    peer: &Peer,
    login: Login,
    context: &PushContext,
) -> anyhow::Result<Result<ToDevice, Refusal>> {
    let attested = Attestation::read(&login.attestation, &peer.key, &peer.exporter, &peer.nonce);
    let person = login.person.map(|proof| proof.check(&peer.key, &peer.exporter, &peer.nonce)).transpose();
    let (Attestation { evidence, seal, .. }, person) = match (attested, person) {
        (Ok(attested), Ok(person)) => (attested, person),
        (Err(refusal), _) | (_, Err(refusal)) => return Ok(Err(refusal)),
    };
    let request = LoginRequest {
        token: login.token,
        person,
        device_name: login.device_name,
        device: peer.key,
        remote: peer.address(),
        evidence,
        seal,
    };
    let (reply, answer) = oneshot::channel();
    Ok(ask(context, Event::Login(request, reply), answer).await?.map(ToDevice::Granted))
}
