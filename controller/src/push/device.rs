//! One device's session: a login or a refresh, answered with a grant or a refusal.

use anyhow::Context;
use horizon_api::wire::{
    Attestation, Refusal, RefusalCode,
    dev::{FromDevice, ToDevice},
};
use horizon_node::framed::{Receiver, Sender};
use tokio::sync::oneshot;
use tracing::info;

use super::{PATIENCE, Peer, PushContext};
use crate::event::{Event, LoginRequest, RefreshRequest};

pub(super) async fn serve(
    peer: Peer,
    mut sender: Sender,
    mut receiver: Receiver,
    context: PushContext,
) -> anyhow::Result<()> {
    let (reply, answer) = oneshot::channel();
    let event = match receiver.receive_within(PATIENCE).await? {
        FromDevice::Login(login) => {
            match Attestation::check(&login.attestation, &peer.key, &peer.exporter, &peer.nonce) {
                Ok(evidence) => Event::Login(
                    LoginRequest {
                        token: login.token,
                        device_name: login.device_name,
                        device: peer.key,
                        remote: peer.remote.ip(),
                        evidence,
                    },
                    reply,
                ),
                Err(refusal) => return refuse(&mut sender, refusal).await,
            }
        }
        FromDevice::Refresh => {
            Event::Refresh(RefreshRequest { device: peer.key, remote: peer.remote.ip() }, reply)
        }
        FromDevice::Hello(_) => {
            let refusal = Refusal::new(RefusalCode::Protocol, "Hello came twice", "upgrade the agent");
            return refuse(&mut sender, refusal).await;
        }
    };
    context.events.send(event).await.ok().context("the controller is stopping")?;
    match answer.await.context("the controller is stopping")? {
        Ok(granted) => {
            sender.send(&ToDevice::Granted(granted)).await?;
            sender.finish().await;
            Ok(())
        }
        Err(refusal) => refuse(&mut sender, refusal).await,
    }
}

async fn refuse(sender: &mut Sender, refusal: Refusal) -> anyhow::Result<()> {
    info!(code = ?refusal.code, reason = %refusal, "device refused");
    sender.send(&ToDevice::Refused(refusal)).await?;
    sender.finish().await;
    Ok(())
}
