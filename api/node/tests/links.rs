//! Control links over loopback: who may talk to whom, proved by real handshakes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use horizon_api::{
    delegation::{Delegation, Pin, Role},
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::Signed,
    wire::{
        ALPN_CFG, Attestation, Evidence, Welcome,
        cfg::{ToController, ToGateway},
    },
};
use horizon_node::{
    controller::{self, Address},
    failure::Failure,
    framed, quic, tls,
};
use quinn::{Endpoint, crypto::rustls::QuicClientConfig};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn pin(root: u8) -> Pin {
    Pin { root: RootFingerprint::of(&key(root).public()), epoch: 1, floor: 0 }
}

/// A controller with root 1 and online key 2. It answers each Hello, and returns the key of its first peer.
fn serve(endpoint: Endpoint) -> tokio::task::JoinHandle<anyhow::Result<PublicKey>> {
    let delegation = Delegation {
        root: key(1).public(),
        online: key(2).public(),
        roles: vec![Role::Link],
        epoch: 1,
        serial: 0,
        floor: 0,
        not_after: i64::MAX,
    };
    tokio::spawn(async move {
        let incoming = endpoint.accept().await.expect("the endpoint is open");
        let connection = incoming.await?;
        let (mut sender, mut receiver) = framed::accept(&connection, Duration::from_secs(5)).await?;
        let ToController::Hello(_) = receiver.receive().await? else { anyhow::bail!("not Hello") };
        let welcome = Welcome {
            delegation: delegation.sign(&key(1)),
            others: vec![],
            nonce: [7; 32],
            server_time_ms: 0,
            features: vec![],
        };
        sender.send(&ToGateway::Welcome(welcome)).await?;
        let peer = quic::peer_key(&connection)?;
        if let Ok(ToController::Heartbeat(signed)) = receiver.receive().await {
            let exporter = quic::exporter(&connection)?;
            Attestation::check(&signed, &peer, &exporter, &[7; 32]).map_err(|e| anyhow::anyhow!("{e}"))?;
        }
        connection.closed().await;
        Ok(peer)
    })
}

async fn meet(port: u16, pin: &Pin) -> anyhow::Result<controller::Meeting> {
    let address = Address { host: "127.0.0.1", port };
    controller::meet(&key(3), ALPN_CFG, address, pin, ToController::Hello, |answer| {
        if let ToGateway::Welcome(welcome) = answer { Some(welcome) } else { None }
    })
    .await
}

#[tokio::test]
async fn both_ends_know_each_others_key_and_one_exporter() {
    let endpoint = quic::listen(&key(2), &[ALPN_CFG], loopback()).expect("bound");
    let port = endpoint.local_addr().expect("bound").port();
    let server = serve(endpoint);

    let mut meeting = meet(port, &pin(1)).await.expect("believed");
    let evidence = meeting.attest(&key(3)).expect("signed");
    meeting.sender.send(&ToController::Heartbeat(evidence)).await.expect("sent");
    meeting.end("done").await;

    assert_eq!(server.await.expect("joined").expect("served"), key(3).public());
}

#[tokio::test]
async fn a_controller_with_another_root_is_refused() {
    let endpoint = quic::listen(&key(2), &[ALPN_CFG], loopback()).expect("bound");
    let port = endpoint.local_addr().expect("bound").port();
    let _server = serve(endpoint);

    let error = meet(port, &pin(9)).await.err().expect("refused");

    assert!(matches!(error.downcast_ref(), Some(Failure::Refused(_))), "{error:#}");
}

#[tokio::test]
async fn a_delegation_of_somebody_elses_key_is_refused() {
    // Who listens has the true delegation, but not the online key that it is for.
    let endpoint = quic::listen(&key(8), &[ALPN_CFG], loopback()).expect("bound");
    let port = endpoint.local_addr().expect("bound").port();
    let _server = serve(endpoint);

    let error = meet(port, &pin(1)).await.err().expect("refused");

    assert!(matches!(error.downcast_ref(), Some(Failure::Refused(_))), "{error:#}");
}

async fn dial(port: u16, config: rustls::ClientConfig) -> Result<quinn::Connection, quinn::ConnectionError> {
    let crypto = QuicClientConfig::try_from(config).expect("has TLS 1.3");
    let endpoint = Endpoint::client(loopback()).expect("bound");
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let to = ([127, 0, 0, 1], port).into();
    endpoint.connect_with(config, to, "horizon").expect("valid").await
}

#[tokio::test]
async fn a_pinned_key_and_a_known_protocol_are_demanded() {
    let endpoint = quic::listen(&key(2), &[ALPN_CFG], loopback()).expect("bound");
    let port = endpoint.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            drop(incoming.await);
        }
    });
    let expecting =
        |expected, alpn: &[u8]| tls::client_config(&key(3), alpn, Some(vec![expected])).expect("valid");

    let right = dial(port, expecting(key(2).public(), ALPN_CFG)).await;
    let other_key = dial(port, expecting(key(4).public(), ALPN_CFG)).await;
    let other_alpn = dial(port, expecting(key(2).public(), b"hzn-cfg/9")).await;

    assert!(right.is_ok());
    assert!(other_key.is_err());
    assert!(other_alpn.is_err());
}

#[test]
fn links_neither_resume_nor_take_early_data() {
    let config = tls::server_config(&key(2), &[ALPN_CFG]).expect("valid");

    assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (0, 0));
    assert!(!config.session_storage.can_cache());
}

#[test]
fn evidence_for_another_connection_is_refused() {
    let attestation =
        Attestation { exporter: [1; 32], nonce: [2; 32], evidence: Evidence::default(), seal: None };
    let signed = Signed::new(&attestation, &key(3));
    let check =
        |peer: u8, exporter, nonce| Attestation::check(&signed, &key(peer).public(), &exporter, &nonce);

    assert!(check(3, [1; 32], [2; 32]).is_ok());
    assert!(check(4, [1; 32], [2; 32]).is_err());
    assert!(check(3, [9; 32], [2; 32]).is_err());
    assert!(check(3, [1; 32], [9; 32]).is_err());
}
