//! Facts about the link to the controller, with one of our own on the loopback.

use std::{
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
};

use horizon_api::wire::Welcome;
use horizon_node::data_folder::DataFolder;

use super::*;
use crate::{
    keys::KeyFiles,
    running::testing::{key, pin, word},
};

#[test]
fn a_reason_is_told_whenever_it_changes() {
    let mut complaint = Complaint::default();

    let told = ["no name", "no name", "no answer", "no answer", "no name"];

    assert_eq!(told.map(|reason| complaint.is_new(reason)), [true, false, true, false, true]);
}

#[test]
fn only_a_word_about_the_gateway_itself_ends_its_service() {
    assert!(ends_service(RefusalCode::NotEnrolled) && ends_service(RefusalCode::Revoked));
    for code in [RefusalCode::Protocol, RefusalCode::BadEvidence, RefusalCode::Busy] {
        assert!(!ends_service(code), "{code:?}");
    }
}

/// A TPM that ends the first question without an answer, and hangs at the second one until its connection, which comes
/// out of the channel, is dropped.
fn tpm(path: &Path) -> std::sync::mpsc::Receiver<UnixStream> {
    let listener = UnixListener::bind(path).expect("bound");
    let (asked, questions) = std::sync::mpsc::channel();
    thread::spawn(move || {
        drop(listener.accept().expect("asked"));
        let (second, _) = listener.accept().expect("asked again");
        asked.send(second).expect("heard");
    });
    questions
}

/// Lets a gateway in, challenges it, and goes on at once. What it says comes out of the channel.
fn play() -> (u16, mpsc::Receiver<ToController>) {
    let endpoint =
        quic::listen(&key(10), &[horizon_api::wire::ALPN_CFG], ([127, 0, 0, 1], 0).into()).expect("bound");
    let port = endpoint.local_addr().expect("bound").port();
    let (said, heard) = mpsc::channel(64);
    tokio::spawn(async move {
        let connection = endpoint.accept().await.expect("dialled").await.expect("a handshake");
        let (mut sender, mut receiver) = framed::accept(&connection, FETCH_PATIENCE).await.expect("a stream");
        while let Ok(message) = receiver.receive::<ToController>().await {
            let (is_hello, is_attach) =
                (matches!(message, ToController::Hello(_)), matches!(message, ToController::Attach(_)));
            drop(said.send(message).await);
            let joined = ToGateway::Joined { namespace: "default".into(), server: "gw-1".into() };
            let answers = if is_hello {
                let (delegation, features) = (word(0, 0), vec![QUOTE.to_owned()]);
                let (others, nonce) = (vec![], [5; 32]);
                vec![ToGateway::Welcome(Welcome { delegation, others, nonce, server_time_ms: 0, features })]
            } else if is_attach {
                let challenge = ToGateway::Challenge(Challenge { nonce: [6; 32] });
                vec![joined, challenge, ToGateway::NextKeyKnown { next: key(7).public(), known_s: 3 }]
            } else {
                vec![]
            };
            for answer in answers {
                sender.send(&answer).await.expect("heard");
            }
        }
    });
    (port, heard)
}

struct Gateway {
    link: ControllerLink,
    events: mpsc::Receiver<LinkToController>,
    _told: (watch::Sender<Report>, watch::Sender<Keys>),
    folder: tempfile::TempDir,
}

fn gateway(port: u16) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataFolder::open(&folder.path().join("data")).expect("free");
    let keys = KeyFiles::new(&data, None).load().expect("made");
    let (events, inbox) = mpsc::channel(64);
    let (reports, reports_seen) = watch::channel(Report::default());
    let (keys_told, keys_seen) = watch::channel(keys);
    let quoter = Quoter::new(Some(folder.path().join("tpm")), &pin().root, false);
    let link = ControllerLink {
        keys: keys_seen,
        host: "127.0.0.1".into(),
        port,
        pin: pin(),
        cache: Arc::new(Cache::open(&data).expect("made")),
        events,
        reports: reports_seen,
        complaint: Complaint::default(),
        // Nothing here waits for it.
        quoter: quoter.with_patience(Duration::from_secs(600)),
        heard: vec![],
        refused_at: None,
    };
    Gateway { link, events: inbox, _told: (reports, keys_told), folder }
}

#[tokio::test]
async fn a_tpm_that_hangs_holds_nothing_up_that_the_controller_says() {
    let (port, mut heard) = play();
    let Gateway { link, mut events, _told, folder } = gateway(port);
    let questions = tpm(&folder.path().join("tpm"));
    tokio::spawn(link.run());

    let is_known = async {
        loop {
            match events.recv().await.expect("the link runs") {
                LinkToController::NextKeyKnown { known_s, .. } => break known_s,
                LinkToController::Down { reason } => panic!("{reason:?}"),
                LinkToController::Up { .. }
                | LinkToController::Candidate { .. }
                | LinkToController::Dismissed(_)
                | LinkToController::NextKeyRefused(_)
                | LinkToController::LetInWithNextKey { .. }
                | LinkToController::Believed { .. } => {}
            }
        }
    };
    let question = tokio::task::spawn_blocking(move || questions.recv()).await.expect("it ran");
    // The socket of a TPM gives up after twice this time by itself.
    let known_s = tokio::time::timeout(Duration::from_secs(10), is_known).await.expect("held up by the TPM");

    assert_eq!(known_s, 3);
    drop(question.expect("the TPM was asked for the challenge"));
    loop {
        let message = heard.recv().await.expect("the link is there");
        if let ToController::Answer(attestation) = message {
            assert!(attestation.read_own::<horizon_api::wire::Attestation>().is_ok(), "without a quote");
            break;
        }
    }
}
