//! Meeting a controller, for gateways and devices alike: dial, say hello, and believe it only by its root.

use std::time::Duration;

use anyhow::Context;
use horizon_api::{
    delegation::{Pin, Trust},
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::Signed,
    verdict::Posture,
    wire::{
        APPROVAL, Attestation, Evidence, Hello, Welcome,
        dev::{PersonalProof, PersonalWord},
        rotation::RotationProof,
    },
};
use quinn::{Connection, Endpoint};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock, evidence,
    failure::Failure,
    framed::{self, Receiver, Sender},
    quic,
};

/// A controller answers within this time, or is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a controller is.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    pub host: &'a str,
    pub port: u16,
}

/// A controller that proved to be the pinned one. Only now may it be told a secret.
pub struct Meeting {
    pub sender: Sender,
    pub receiver: Receiver,
    pub trust: Trust,
    /// What proved it, to be kept.
    pub delegation: Signed,
    pub connection: Connection,
    /// Unix milliseconds by the controller's clock, when it was met.
    pub server_time_ms: i64,
    /// Whether this node's key is kept so that only this host's TPM opens it: whoever knows says so.
    pub is_key_sealed: bool,
    /// What the controller understands.
    features: Vec<String>,
    nonce: [u8; 32],
    evidence: Evidence,
    root: RootFingerprint,
    /// Kept alive: the connection's socket.
    pub endpoint: Endpoint,
}

/// Dials and checks. `hello` wraps the first message, `welcome` unwraps the answer.
///
/// # Errors
/// [`Failure::Unreachable`] when nobody answers, [`Failure::Refused`] when who answers is not the pinned controller.
pub async fn meet<S: Serialize + Sync, R: DeserializeOwned>(
    key: &SecretKey,
    alpn: &[u8],
    address: Address<'_>,
    pin: &Pin,
    hello: impl FnOnce(Hello) -> S,
    welcome: impl FnOnce(R) -> Option<Welcome>,
) -> anyhow::Result<Meeting> {
    let Address { host, port } = address;
    let away = |e: anyhow::Error| {
        Failure::Unreachable(format!(
            "the controller at {host}:{port} does not answer ({e:#}); check that it runs, and that UDP port {port} is open on the way"
        ))
    };
    // Before the connection: reading the whole program may take longer than the other end waits.
    let root = pin.root;
    let evidence = look_at_host(root).await?;
    let (endpoint, connection) = quic::dial(key, alpn, host, port).await.map_err(away)?;
    let (mut sender, mut receiver) = framed::open(&connection).await?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    sender
        .send(&hello(Hello { version, features: vec![APPROVAL.to_owned()] }))
        .await
        .map_err(|e| away(e.into()))?;
    let answer = receiver.receive_within(PATIENCE).await.map_err(|e| away(e.into()))?;
    let welcome = welcome(answer).context("the controller did not say Welcome first")?;
    let trust = check(&welcome, &connection, pin)?;
    Ok(Meeting {
        sender,
        receiver,
        trust,
        delegation: welcome.delegation,
        server_time_ms: welcome.server_time_ms,
        is_key_sealed: false,
        features: welcome.features,
        nonce: welcome.nonce,
        evidence,
        root,
        connection,
        endpoint,
    })
}

async fn look_at_host(root: RootFingerprint) -> anyhow::Result<Evidence> {
    let collect = move || evidence::collect(env!("CARGO_PKG_VERSION"), &root);
    tokio::task::spawn_blocking(collect).await.context("look at this host")
}

fn check(welcome: &Welcome, connection: &Connection, pin: &Pin) -> anyhow::Result<Trust> {
    let peer = quic::peer_key(connection)?;
    let now = clock::unix_s();
    let trust = Trust::establish(&welcome.delegation, pin, now)
        .map_err(|e| Failure::Refused(e.to_string()))?
        .also(&welcome.others, now);
    trust.check_peer(&peer).map_err(|e| Failure::Refused(e.to_string()))?;
    Ok(trust)
}

impl Meeting {
    /// Says whether the controller understands something.
    pub fn knows(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    /// Signs this node's evidence for this connection.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn attest(&self, key: &SecretKey) -> anyhow::Result<Signed> {
        self.attest_as(key, None, None)
    }

    /// Signs a device's evidence for this connection, with what it states of itself.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn attest_as(
        &self,
        key: &SecretKey,
        posture: Option<Posture>,
        seal: Option<Signed>,
    ) -> anyhow::Result<Signed> {
        let exporter = quic::exporter(&self.connection)?;
        let is_key_sealed = self.is_key_sealed;
        let evidence = Evidence { posture, is_key_sealed, ..self.evidence.clone() };
        Ok(Signed::new(&Attestation { exporter, nonce: self.nonce, evidence, seal }, key))
    }

    /// Returns what answers the challenges of this connection.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn answerer(&self) -> anyhow::Result<Answerer> {
        let exporter = quic::exporter(&self.connection)?;
        Ok(Answerer { exporter, root: self.root, is_key_sealed: self.is_key_sealed })
    }

    /// Has a person say on this link, with the key pair that they hold, that the device is theirs.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn vouch(&self, person: &SecretKey, device: PublicKey) -> anyhow::Result<PersonalProof> {
        let exporter = quic::exporter(&self.connection)?;
        Ok(PersonalProof::new(&PersonalWord { exporter, nonce: self.nonce, device }, person))
    }

    /// Returns what proves on this link that another key follows this node's.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn prover(&self) -> anyhow::Result<Prover> {
        Ok(Prover { exporter: quic::exporter(&self.connection)?, nonce: self.nonce })
    }

    /// Ends the connection and waits until the other end can know.
    pub async fn end(self, reason: &str) {
        self.connection.close(0u32.into(), reason.as_bytes());
        drop(tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await);
    }
}

/// Proves that another key follows a node's, for as long as a connection lives.
#[derive(Clone, Copy, Debug)]
pub struct Prover {
    exporter: [u8; 32],
    nonce: [u8; 32],
}

impl Prover {
    /// Has both keys say so.
    pub fn prove(&self, old: &SecretKey, next: &SecretKey) -> RotationProof {
        RotationProof::new(self.exporter, self.nonce, old, next)
    }
}

/// Answers challenges for as long as a connection lives.
#[derive(Clone, Copy, Debug)]
pub struct Answerer {
    exporter: [u8; 32],
    root: RootFingerprint,
    is_key_sealed: bool,
}

impl Answerer {
    /// Looks at this host again, and signs what it sees for this connection and this challenge.
    ///
    /// # Errors
    /// When the process stops.
    pub async fn answer(&self, nonce: [u8; 32], key: &SecretKey) -> anyhow::Result<Signed> {
        let is_key_sealed = self.is_key_sealed;
        let evidence = Evidence { is_key_sealed, ..look_at_host(self.root).await? };
        Ok(Signed::new(&Attestation { exporter: self.exporter, nonce, evidence, seal: None }, key))
    }
}
