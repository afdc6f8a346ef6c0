//! One device's session: a login or a refresh, answered with a grant or a refusal.

use horizon_api::wire::{
    Attestation, Refusal, RefusalCode,
    dev::{FromDevice, ToDevice},
};
use horizon_node::framed::{Receiver, Sender};
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::{Peer, PushContext, ask, in_time};
use crate::event::{Event, LoginRequest, RefreshRequest};

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
            ToDevice::Refused(refusal)
        }
    };
    sender.send(&answer).await?;
    sender.finish().await;
    Ok(())
}

async fn decide(
    peer: &Peer,
    receiver: &mut Receiver,
    context: &PushContext,
) -> anyhow::Result<Result<ToDevice, Refusal>> {
    let (reply, answer) = oneshot::channel();
    let event = match receiver.receive().await? {
        FromDevice::Login(login) => {
            match Attestation::check(&login.attestation, &peer.key, &peer.exporter, &peer.nonce) {
                Ok(evidence) => Event::Login(
                    LoginRequest {
                        token: login.token,
                        device_name: login.device_name,
                        device: peer.key,
                        remote: peer.address(),
                        evidence,
                    },
                    reply,
                ),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        FromDevice::Refresh => Event::Refresh(RefreshRequest { device: peer.key }, reply),
        FromDevice::News => {
            let (reply, answer) = oneshot::channel();
            let event = Event::News(RefreshRequest { device: peer.key }, reply);
            return Ok(ask(context, event, answer).await?.map(ToDevice::News));
        }
        FromDevice::Hello(_) => {
            let refusal = Refusal::new(RefusalCode::Protocol, "Hello came twice", "upgrade the agent");
            return Ok(Err(refusal));
        }
    };
    Ok(ask(context, event, answer).await?.map(ToDevice::Granted))
}
