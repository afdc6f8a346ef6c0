//! Signing in at a controller of our own, over QUIC on the loopback.

use std::sync::{Arc, Mutex};

use horizon_api::{
    token::{Token, TokenKind},
    wire::{Attestation, Refusal, RefusalCode, Welcome},
};
use horizon_node::{framed, quic};
use zeroize::Zeroizing;

use super::*;
use crate::account::{
    Account,
    sealing::SealIdentity,
    tests::{delegation, granted, key},
};

/// Answers one device, and remembers all that it said.
struct Played {
    port: u16,
    said: Arc<Mutex<Vec<FromDevice>>>,
}

fn seal() -> Signed {
    SealIdentity::new(Zeroizing::new([9; 32]), &key(9)).word()
}

fn play(answer: fn(&horizon_api::key::PublicKey) -> ToDevice) -> Played {
    let endpoint = quic::listen(&key(2), &[ALPN_DEV], ([127, 0, 0, 1], 0).into()).expect("bound");
    let port = endpoint.local_addr().expect("bound").port();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let connection = incoming.await.expect("a handshake");
            let peer = quic::peer_key(&connection).expect("a key");
            let (mut sender, mut receiver) = framed::accept(&connection, PATIENCE).await.expect("a stream");
            let welcome = Welcome {
                delegation: delegation(),
                others: vec![],
                nonce: [5; 32],
                server_time_ms: 0,
                features: vec![],
            };
            while let Ok(message) = receiver.receive::<FromDevice>().await {
                if let FromDevice::Login(login) = &message {
                    let exporter = quic::exporter(&connection).expect("an exporter");
                    Attestation::check(&login.attestation, &peer, &exporter, &[5; 32])
                        .expect("bound to this link");
                }
                let reply = match &message {
                    FromDevice::Hello(_) => ToDevice::Welcome(welcome.clone()),
                    FromDevice::Login(_)
                    | FromDevice::Refresh
                    | FromDevice::RefreshWith(_)
                    | FromDevice::News
                    | FromDevice::RotateKey(_)
                    | FromDevice::SignOut => answer(&peer),
                };
                heard.lock().expect("held").push(message);
                sender.send(&reply).await.expect("heard");
            }
        }
    });
    Played { port, said }
}

fn link(port: u16, root: u8) -> Credential {
    Credential::Link(JoinString {
        host: "127.0.0.1".into(),
        port,
        token: Token::generate(TokenKind::Personal, &[5; 39]),
        root: RootFingerprint::of(&key(root).public()),
    })
}

fn pin(root: u8) -> Pin {
    Pin::new(RootFingerprint::of(&key(root).public()))
}

fn name() -> Name {
    "laptop".parse().expect("a name")
}

#[tokio::test]
async fn a_login_gives_a_grant_that_is_checked_and_a_refresh_the_next() {
    let played = play(|device| ToDevice::Granted(granted(device, &key(2))));

    let signed_in = login(&key(9), seal(), &link(played.port, 1), &pin(1), name()).await.expect("signed in");
    let SignedIn::Granted(account) = signed_in else { panic!("{signed_in:?}") };
    let next = refresh(&key(9), seal(), &account.home()).await.expect("refreshed");

    assert_eq!(account.pin.epoch, 3);
    let account = Account::new(next, &key(9).public()).expect("valid");
    assert_eq!(account.grant().identity.device, "laptop");
}

#[tokio::test]
async fn an_impostor_gets_no_token() {
    let played = play(|device| ToDevice::Granted(granted(device, &key(2))));

    let error =
        login(&key(9), seal(), &link(played.port, 8), &pin(8), name()).await.expect_err("another root");

    assert!(matches!(error.downcast_ref(), Some(Failure::Refused(_))), "{error:#}");
    let said = played.said.lock().expect("held");
    assert!(said.iter().all(|message| matches!(message, FromDevice::Hello(_))), "{said:?}");
}

#[tokio::test]
async fn who_signs_in_again_believes_no_key_that_was_withdrawn_and_sends_it_no_token() {
    let played = play(|device| ToDevice::Granted(granted(device, &key(2))));
    let root = RootFingerprint::of(&key(1).public());

    for known in [Pin { root, epoch: 3, floor: 1 }, Pin { root, epoch: 4, floor: 0 }] {
        let pin = Pin::with_known(root, [known]);
        let error = login(&key(9), seal(), &link(played.port, 1), &pin, name()).await.expect_err("withdrawn");

        assert!(matches!(error.downcast_ref(), Some(Failure::Refused(_))), "{error:#}");
    }
    let said = played.said.lock().expect("held");
    assert!(said.iter().all(|message| matches!(message, FromDevice::Hello(_))), "{said:?}");
}

#[tokio::test]
async fn who_must_be_approved_waits_at_that_controller_and_is_told_why() {
    let played = play(|_| {
        ToDevice::Refused(Refusal::new(RefusalCode::AwaitingApproval, "an admin has to say yes", "wait"))
    });

    let waits = login(&key(9), seal(), &link(played.port, 1), &pin(1), name()).await.expect("no failure");
    let SignedIn::Waits(home, reason) = waits else { panic!("{waits:?}") };
    let still = refresh(&key(9), seal(), &home).await.expect_err("not approved");

    assert_eq!(
        (home.port, home.pin),
        (played.port, crate::account::tests::pin()),
        "what Welcome proved is kept"
    );
    assert!(reason.contains("say yes"), "{reason}");
    assert!(matches!(still.downcast_ref(), Some(Failure::Waits(_))), "{still:#}");
}

#[tokio::test]
async fn a_refusal_arrives_with_its_kind() {
    let played = play(|_| {
        ToDevice::Refused(Refusal::new(RefusalCode::KeyExpired, "the key ended", "ask for another"))
    });

    let error = login(&key(9), seal(), &link(played.port, 1), &pin(1), name()).await.expect_err("refused");

    assert!(matches!(error.downcast_ref(), Some(Failure::Refused(_))), "{error:#}");
    assert_eq!(format!("{error:#}"), "the key ended; ask for another");
}

#[tokio::test]
async fn a_person_signs_in_with_a_key_pair_that_stays_here() {
    let played = play(|device| ToDevice::Granted(granted(device, &key(2))));
    let root = RootFingerprint::of(&key(1).public());
    let place = Place { host: "127.0.0.1".into(), port: played.port, root };
    let credential = Credential::Key { place, key: key(7) };

    login(&key(9), seal(), &credential, &pin(1), name()).await.expect("signed in");

    let said = played.said.lock().expect("held");
    let proof = said.iter().find_map(|message| match message {
        FromDevice::Login(login) => login.person.clone().filter(|_| login.token.reveal().is_empty()),
        FromDevice::Hello(_)
        | FromDevice::Refresh
        | FromDevice::RefreshWith(_)
        | FromDevice::News
        | FromDevice::RotateKey(_)
        | FromDevice::SignOut => None,
    });
    assert_eq!(proof.map(|proof| proof.key), Some(key(7).public()));
}
