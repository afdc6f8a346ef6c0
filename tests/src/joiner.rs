//! Gateways and devices that speak to the controller themselves, so that a test can stop half way.

use std::time::Duration;

use anyhow::Context;
use horizon_api::{
    card::{SealKey, SealWord},
    delegation::Pin,
    join::JoinString,
    key::SecretKey,
    signed::Signed,
    token::TokenText,
    verdict::Posture,
    wire::{
        ALPN_CFG, ALPN_DEV, Refusal,
        cfg::{Join, ToController, ToGateway},
        dev::{FromDevice, Granted, Login, ToDevice},
    },
};
use horizon_node::controller::{self, Address, Meeting};

use crate::namespace::Namespace;

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a gateway's join and goes away without reading the answer, as if the network had failed just then.
///
/// # Errors
/// When the controller does not answer at all.
pub fn join_and_vanish(from: &Namespace, key: &SecretKey, join: &JoinString) -> anyhow::Result<()> {
    in_namespace(from, async {
        let mut meeting = meet_as_gateway(key, join, 0).await?;
        let attestation = meeting.attest(key)?;
        let token = TokenText::new(&join.token);
        meeting.sender.send(&ToController::Join(Join { token, name: None, attestation })).await?;
        // The message is on its way once the other end has taken all of the stream.
        meeting.sender.finish().await;
        meeting.end("vanished").await;
        Ok(())
    })
}

/// Signs a device in and returns the controller's answer.
///
/// # Errors
/// When the controller does not answer.
pub fn login(
    from: &Namespace,
    key: &SecretKey,
    link: &JoinString,
    device_name: &str,
) -> anyhow::Result<Result<Granted, Refusal>> {
    in_namespace(from, sign_in(key, link, device_name))
}

/// As [`login`], in the namespace that the caller is in.
///
/// # Errors
/// As [`login`].
pub fn login_here(
    key: &SecretKey,
    link: &JoinString,
    device_name: &str,
) -> anyhow::Result<Result<Granted, Refusal>> {
    here(sign_in(key, link, device_name))
}

/// Asks for a device's next grant, with what it states of itself, and returns the controller's answer.
///
/// # Errors
/// When the controller does not answer.
pub fn refresh(
    from: &Namespace,
    key: &SecretKey,
    link: &JoinString,
    posture: Option<Posture>,
) -> anyhow::Result<Result<Granted, Refusal>> {
    in_namespace(from, ask_again(key, key, link, posture))
}

/// As [`refresh`], with a statement that somebody else signed.
///
/// # Errors
/// As [`refresh`].
pub fn refresh_signed_by(
    from: &Namespace,
    key: &SecretKey,
    signer: &SecretKey,
    link: &JoinString,
    posture: &Posture,
) -> anyhow::Result<Result<Granted, Refusal>> {
    in_namespace(from, ask_again(key, signer, link, Some(posture.clone())))
}

/// Meets a controller as a gateway that has heard of this epoch before.
///
/// # Errors
/// When the controller does not answer, or the gateway does not believe it.
pub fn meet_after(key: &SecretKey, join: &JoinString, epoch: u64) -> anyhow::Result<()> {
    here(async {
        meet_as_gateway(key, join, epoch).await?.end("it was a question").await;
        Ok(())
    })
}

async fn sign_in(
    key: &SecretKey,
    link: &JoinString,
    device_name: &str,
) -> anyhow::Result<Result<Granted, Refusal>> {
    let mut meeting = meet_as_device(key, link).await?;
    let attestation = meeting.attest_as(key, None, Some(seal_word(key)))?;
    let token = TokenText::new(&link.token);
    let login = Login { token, device_name: device_name.to_owned(), attestation, person: None };
    meeting.sender.send(&FromDevice::Login(login)).await?;
    answer(meeting).await
}

/// A device's word for a key of which nobody has the secret half: enough for a card, and for nothing else.
fn seal_word(key: &SecretKey) -> Signed {
    let suites = vec!["Noise_IK_25519_AESGCM_SHA256".to_owned()];
    SealWord { device: key.public(), key: SealKey([9; 32]), suites }.sign(key)
}

async fn ask_again(
    key: &SecretKey,
    signer: &SecretKey,
    link: &JoinString,
    posture: Option<Posture>,
) -> anyhow::Result<Result<Granted, Refusal>> {
    let mut meeting = meet_as_device(key, link).await?;
    let statement = meeting.attest_as(signer, posture, None)?;
    meeting.sender.send(&FromDevice::RefreshWith(statement)).await?;
    answer(meeting).await
}

async fn answer(mut meeting: Meeting) -> anyhow::Result<Result<Granted, Refusal>> {
    let answer = meeting.receiver.receive_within(PATIENCE).await?;
    meeting.end("answered").await;
    match answer {
        ToDevice::Granted(granted) => Ok(Ok(granted)),
        ToDevice::Refused(refusal) => Ok(Err(refusal)),
        ToDevice::Welcome(_) | ToDevice::News(_) | ToDevice::SignedOut => {
            anyhow::bail!("the controller answered something else")
        }
    }
}

async fn meet_as_device(key: &SecretKey, link: &JoinString) -> anyhow::Result<Meeting> {
    let pin = Pin::new(link.root);
    let address = Address { host: &link.host, port: link.port };
    let welcome = |answer| if let ToDevice::Welcome(welcome) = answer { Some(welcome) } else { None };
    controller::meet(key, ALPN_DEV, address, &pin, FromDevice::Hello, welcome).await
}

async fn meet_as_gateway(key: &SecretKey, join: &JoinString, epoch: u64) -> anyhow::Result<Meeting> {
    let pin = Pin { epoch, ..Pin::new(join.root) };
    let address = Address { host: &join.host, port: join.port };
    let welcome = |answer| if let ToGateway::Welcome(welcome) = answer { Some(welcome) } else { None };
    controller::meet(key, ALPN_CFG, address, &pin, ToController::Hello, welcome).await
}

/// Runs a future on a thread that is in the namespace, with all the sockets that it opens.
///
/// # Errors
/// Those of the future.
pub fn in_namespace<T: Send>(
    namespace: &Namespace,
    act: impl Future<Output = anyhow::Result<T>> + Send,
) -> anyhow::Result<T> {
    namespace.enter(|| here(act))?
}

fn here<T>(act: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start a runtime")?.block_on(act)
}
