//! The agent's end of `hzn-dev/1`: sign in once, then ask for grants.

use std::time::Duration;

use anyhow::Context;
use horizon_api::{
    cbor,
    delegation::{Pin, Role, Trust},
    grant::Grant,
    join::{JoinString, Place},
    key::{RootFingerprint, SecretKey},
    name::Name,
    news::CarriedNews,
    signed::Signed,
    token::TokenText,
    verdict::Posture,
    wire::{
        ALPN_DEV, POSTURE,
        dev::{FromDevice, Granted, Login, ToDevice},
        rotation::KEY_ROTATION,
    },
};
use horizon_node::{
    clock,
    controller::{Address, Meeting, meet},
    failure::Failure,
    posture,
};

use crate::disk;

/// A controller that was met answers within this time: it commits a login to its disk first.
const PATIENCE: Duration = Duration::from_secs(20);
/// A few small files of the kernel.
const POSTURE_PATIENCE: Duration = Duration::from_secs(2);

/// What became of a sign-in.
#[derive(Debug)]
pub(crate) enum SignedIn {
    Granted(disk::Account),
    /// An admin has to approve the device, for the reason that the controller says.
    Waits(disk::Home, String),
}

/// With what a device is signed in.
pub(crate) enum Credential {
    Link(JoinString),
    /// The key pair of a person.
    Key {
        place: Place,
        key: SecretKey,
    },
}

impl Credential {
    pub(crate) fn root(&self) -> RootFingerprint {
        match self {
            Self::Link(link) => link.root,
            Self::Key { place, .. } => place.root,
        }
    }

    fn address(&self) -> (&str, u16) {
        match self {
            Self::Link(link) => (&link.host, link.port),
            Self::Key { place, .. } => (&place.host, place.port),
        }
    }
}

/// Signs the device in. The token leaves this host only when the controller proved to be the link's; a key pair never
/// does. Who signs in again goes on believing no key that was withdrawn: `pin` is what is known of the controller.
///
/// `seal` is the device's word for its key for sealed packets.
pub(crate) async fn login(
    key: &SecretKey,
    seal: Signed,
    credential: &Credential,
    pin: &Pin,
    name: Name,
) -> anyhow::Result<SignedIn> {
    let (host, port) = credential.address();
    let meeting = meet_at(key, host, port, pin).await?;
    let pin = meeting.trust.pin();
    let attestation = meeting.attest_as(key, stated().await, Some(seal))?;
    let (token, person) = match credential {
        Credential::Link(link) => (TokenText::new(&link.token), None),
        Credential::Key { key: person, .. } => {
            (TokenText::none(), Some(meeting.vouch(person, key.public())?))
        }
    };
    let login = FromDevice::Login(Login { token, device_name: name.into(), attestation, person });
    match ask_for_grant(meeting, &login, host, port).await {
        Ok(account) => Ok(SignedIn::Granted(account)),
        Err(error) => match error.downcast::<Failure>()? {
            Failure::Waits(reason) => {
                Ok(SignedIn::Waits(disk::Home { host: host.to_owned(), port, pin }, reason))
            }
            failure @ (Failure::Failed(_)
            | Failure::Usage(_)
            | Failure::Refused(_)
            | Failure::Unreachable(_)) => Err(failure.into()),
        },
    }
}

/// Asks for the next grant.
pub(crate) async fn refresh(
    key: &SecretKey,
    seal: Signed,
    home: &disk::Home,
) -> anyhow::Result<disk::Account> {
    let (host, port) = (home.host.as_str(), home.port);
    let meeting = meet_at(key, host, port, &home.pin).await?;
    let question = if meeting.knows(POSTURE) {
        FromDevice::RefreshWith(meeting.attest_as(key, stated().await, Some(seal))?)
    } else {
        FromDevice::Refresh
    };
    ask_for_grant(meeting, &question, host, port).await
}

/// Has another key follow this device's, and returns what is granted to that.
pub(crate) async fn rotate(
    key: &SecretKey,
    next: &SecretKey,
    home: &disk::Home,
) -> anyhow::Result<disk::Account> {
    let (host, port) = (home.host.as_str(), home.port);
    let meeting = meet_at(key, host, port, &home.pin).await?;
    if !meeting.knows(KEY_ROTATION) {
        let text = format!("the controller at {host}:{port} knows no rotation of keys; upgrade it");
        return Err(Failure::Refused(text).into());
    }
    let proof = FromDevice::RotateKey(Box::new(meeting.prover()?.prove(key, next)));
    ask_for_grant(meeting, &proof, host, port).await
}

/// Asks whom a gateway should keep out that cannot ask itself.
pub(crate) async fn news(key: &SecretKey, account: &disk::Account) -> anyhow::Result<Vec<CarriedNews>> {
    let (host, port) = (account.host.as_str(), account.port);
    let mut meeting = meet_at(key, host, port, &account.pin).await?;
    meeting.receiver.accept_long_frames();
    match ask(meeting, &FromDevice::News, host, port).await? {
        ToDevice::News(parts) => Ok(parts),
        ToDevice::Refused(refusal) => Err(Failure::from(refusal).into()),
        ToDevice::Welcome(_) | ToDevice::Granted(_) | ToDevice::SignedOut => {
            Err(unexpected()).context("ask for news")
        }
    }
}

/// Tells the controller that the device leaves. Nothing depends on it but how soon an ephemeral device is forgotten.
pub(crate) async fn sign_out(key: &SecretKey, home: &disk::Home) -> anyhow::Result<()> {
    let (host, port) = (home.host.as_str(), home.port);
    let meeting = meet_at(key, host, port, &home.pin).await?;
    match ask(meeting, &FromDevice::SignOut, host, port).await? {
        ToDevice::SignedOut => Ok(()),
        ToDevice::Refused(refusal) => Err(Failure::from(refusal).into()),
        ToDevice::Welcome(_) | ToDevice::Granted(_) | ToDevice::News(_) => {
            Err(unexpected()).context("sign out")
        }
    }
}

/// Reads what this host states of itself; its files may hang, and then it states nothing.
async fn stated() -> Option<Posture> {
    let read = tokio::task::spawn_blocking(|| posture::collect(env!("CARGO_PKG_VERSION")));
    tokio::time::timeout(POSTURE_PATIENCE, read).await.ok()?.ok()
}

async fn meet_at(key: &SecretKey, host: &str, port: u16, pin: &Pin) -> anyhow::Result<Meeting> {
    meet(key, ALPN_DEV, Address { host, port }, pin, FromDevice::Hello, |answer| match answer {
        ToDevice::Welcome(welcome) => Some(welcome),
        ToDevice::Granted(_) | ToDevice::News(_) | ToDevice::Refused(_) | ToDevice::SignedOut => None,
    })
    .await
}

async fn ask_for_grant(
    meeting: Meeting,
    question: &FromDevice,
    host: &str,
    port: u16,
) -> anyhow::Result<disk::Account> {
    let (trust, delegation) = (meeting.trust.clone(), meeting.delegation.clone());
    match ask(meeting, question, host, port).await? {
        ToDevice::Granted(granted) => {
            // The controller may have taken its next key up since it said Welcome.
            let delegation = word_for(&granted, &trust).unwrap_or(delegation);
            let others = trust.words().filter(|word| **word != delegation).cloned().collect();
            let (host, pin, received_at) = (host.to_owned(), trust.pin(), clock::unix_s());
            Ok(disk::Account { host, port, pin, delegation, others, granted, received_at })
        }
        ToDevice::Refused(refusal) => Err(Failure::from(refusal).into()),
        ToDevice::Welcome(_) | ToDevice::News(_) | ToDevice::SignedOut => {
            Err(unexpected()).context("ask for a grant")
        }
    }
}

fn word_for(granted: &Granted, trust: &Trust) -> Option<Signed> {
    let signed: Signed = cbor::decode(&granted.grant).ok()?;
    let signer = trust.signer::<Grant>(Role::Grant, &signed).ok()?;
    trust.word_for(&signer).cloned()
}

async fn ask(mut meeting: Meeting, question: &FromDevice, host: &str, port: u16) -> anyhow::Result<ToDevice> {
    let away = |e| {
        Failure::Unreachable(format!(
            "the controller at {host}:{port} left without an answer ({e}); try again"
        ))
    };
    meeting.sender.send(question).await.map_err(away)?;
    let answer = meeting.receiver.receive_within(PATIENCE).await.map_err(away)?;
    // The answer is here: how the other end takes the good-bye concerns nobody.
    tokio::spawn(meeting.end("done"));
    Ok(answer)
}

fn unexpected() -> anyhow::Error {
    anyhow::anyhow!("the controller answered something else than it was asked; upgrade this agent")
}

#[cfg(test)]
mod tests;
