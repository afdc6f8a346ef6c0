//! `horizon-gateway join`: binds this host's key to a declared Server, once.

use std::fs;

use anyhow::Context;
use horizon_api::{
    delegation::Pin,
    join::JoinString,
    key::RootFingerprint,
    token::{TokenKind, TokenText},
    wire::{
        ALPN_CFG,
        cfg::{Join, ToController, ToGateway},
    },
};
use horizon_node::{clock, controller, data_folder::DataFolder, durable, failure::Failure, join};

use crate::{
    args::JoinArgs,
    cache::Cache,
    controller_link::hello,
    disk::{DELEGATIONS, Delegations, ENROLMENT, Enrolment},
    identity::{self, Identity},
    keys::KeyFiles,
    quoter::TpmChoice,
};

pub(crate) async fn join(args: JoinArgs) -> anyhow::Result<()> {
    let join = join::read(&args.join).map_err(|e| Failure::Usage(e.to_string()))?;
    if join.token.kind() != TokenKind::Registration {
        let text = "this is a link for a person, not a join string for a gateway; run `horizon-controller invite server NAME`";
        return Err(Failure::Usage(text.into()).into());
    }
    clock::check(clock::unix_s()).map_err(Failure::Failed)?;
    let data = DataFolder::open(&args.data.folder)?;
    let tpm = TpmChoice::path(args.tpm.choice.as_ref());
    let identity = identity::load_or_create(&data, tpm.as_deref(), args.seal_key)?;
    let known = known_pin(&data, join.root)?;
    let (pin, namespace, server) = enrol(&identity, &join, &known, args.name).await?;
    KeyFiles::new(&data, tpm).forget_next()?;
    let enrolment = Enrolment::new(join.host, join.port, pin, namespace.clone(), server.clone());
    durable::write(&data.file(ENROLMENT), &enrolment.to_bytes()).context("write the enrolment")?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("joined as Server {namespace}/{server} with key {}", identity.key.public());
        println!("start it with `horizon-gateway run`");
    }
    Ok(())
}

/// Returns what this host knows of a root's keys: who joins again goes on believing none that was withdrawn. A file that
/// cannot be read knows nothing, and is no reason not to join.
fn known_pin(data: &DataFolder, root: RootFingerprint) -> anyhow::Result<Pin> {
    let read = |name: &str| fs::read(data.file(name)).ok();
    let enrolment = read(ENROLMENT).and_then(|bytes| Enrolment::read(&bytes).ok());
    let delegations = read(DELEGATIONS).and_then(|bytes| Delegations::read(&bytes).ok());
    let told = [enrolment.map(|enrolment| enrolment.pin), delegations.map(|delegations| delegations.pin())];
    Ok(Pin::with_known(root, told.into_iter().chain([Cache::open(data)?.pin(root)]).flatten()))
}

async fn enrol(
    identity: &Identity,
    join: &JoinString,
    pin: &Pin,
    name: Option<String>,
) -> anyhow::Result<(Pin, String, String)> {
    let key = &identity.key;
    let address = controller::Address { host: &join.host, port: join.port };
    let mut meeting = controller::meet(key, ALPN_CFG, address, pin, hello, |answer| match answer {
        ToGateway::Welcome(welcome) => Some(welcome),
        ToGateway::Joined { .. }
        | ToGateway::Refused(_)
        | ToGateway::Assignment(_)
        | ToGateway::Section(_)
        | ToGateway::Recall
        | ToGateway::Delegations(_)
        | ToGateway::NextKeyKnown { .. }
        | ToGateway::NextKeyRefused(_)
        | ToGateway::Challenge(_) => None,
    })
    .await?;
    meeting.is_key_sealed = identity.is_sealed;
    let attestation = meeting.attest(key)?;
    let token = TokenText::new(&join.token);
    meeting.sender.send(&ToController::Join(Join { token, name, attestation })).await?;
    let answer =
        meeting.receiver.receive().await.context(
            "wait for the controller's answer; run the same command again, it uses the key only once",
        )?;
    let pin = meeting.trust.pin();
    meeting.end("joined").await;
    match answer {
        ToGateway::Joined { namespace, server } => Ok((pin, namespace, server)),
        ToGateway::Refused(refusal) => Err(Failure::from(refusal).into()),
        ToGateway::Welcome(_)
        | ToGateway::Assignment(_)
        | ToGateway::Section(_)
        | ToGateway::Recall
        | ToGateway::Delegations(_)
        | ToGateway::NextKeyKnown { .. }
        | ToGateway::NextKeyRefused(_)
        | ToGateway::Challenge(_) => {
            anyhow::bail!("the controller did not answer the join; upgrade this gateway")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use horizon_api::{delegation::Trust, key::SecretKey, token::Token, wire::Welcome};
    use horizon_node::{framed, quic};

    use super::*;
    use crate::running::testing::{key, pin, running, word};

    fn data() -> (tempfile::TempDir, DataFolder) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(&folder.path().join("data")).expect("free");
        (folder, data)
    }

    #[test]
    fn what_any_file_knows_of_the_roots_keys_is_known() {
        let (_folder, data) = data();
        let root = pin().root;
        assert_eq!(known_pin(&data, root).expect("read"), Pin::new(root));

        durable::write(&data.file(ENROLMENT), b"damaged").expect("written");
        let (ran, sections) = running(7);
        Cache::open(&data).expect("made").store(&ran, &sections, 0).expect("stored");
        assert_eq!(known_pin(&data, root).expect("read"), pin(), "of the configuration that ran");
        let enrolment = |pin| Enrolment::new("host".into(), 7443, pin, "default".into(), "gw-1".into());
        let earlier = enrolment(Pin { epoch: 2, ..pin() });
        durable::write(&data.file(ENROLMENT), &earlier.to_bytes()).expect("written");
        assert_eq!(known_pin(&data, root).expect("read").epoch, 2);
        let heard = Trust::establish(&word(1, 1), &pin(), 0).expect("valid");
        durable::write(&data.file(DELEGATIONS), &Delegations::new(&heard).to_bytes()).expect("written");

        assert_eq!(known_pin(&data, root).expect("read"), Pin { root, epoch: 2, floor: 1 });
        let other = RootFingerprint::of(&key(9).public());
        assert_eq!(known_pin(&data, other).expect("read"), Pin::new(other));
    }

    /// Answers at a controller's place with its first online key, and remembers what it is told.
    fn play() -> (u16, Arc<Mutex<Vec<ToController>>>) {
        let endpoint = quic::listen(&key(10), &[ALPN_CFG], ([127, 0, 0, 1], 0).into()).expect("bound");
        let port = endpoint.local_addr().expect("bound").port();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let connection = incoming.await.expect("a handshake");
                let patience = Duration::from_secs(10);
                let (mut sender, mut receiver) =
                    framed::accept(&connection, patience).await.expect("a stream");
                while let Ok(message) = receiver.receive::<ToController>().await {
                    let welcome = Welcome {
                        delegation: word(0, 0),
                        others: vec![],
                        nonce: [5; 32],
                        server_time_ms: 0,
                        features: vec![],
                    };
                    let (namespace, server) = ("default".into(), "gw-1".into());
                    let is_hello = matches!(message, ToController::Hello(_));
                    heard.lock().expect("held").push(message);
                    let joined = ToGateway::Joined { namespace, server };
                    let answer = if is_hello { ToGateway::Welcome(welcome) } else { joined };
                    sender.send(&answer).await.expect("heard");
                }
            }
        });
        (port, said)
    }

    #[tokio::test]
    async fn who_joins_again_sends_no_token_to_a_key_that_was_withdrawn() {
        let (port, said) = play();
        let identity = Identity { key: SecretKey::from_seed(&[4; 32]), is_sealed: false };
        let (host, root) = ("127.0.0.1".into(), pin().root);
        let join = JoinString { host, port, token: Token::generate(TokenKind::Registration, &[5; 39]), root };

        let withdrawn = Pin { floor: 1, ..pin() };
        let refused = enrol(&identity, &join, &withdrawn, None).await.expect_err("withdrawn");
        assert!(matches!(refused.downcast_ref(), Some(Failure::Refused(_))), "{refused:#}");
        let heard = said.lock().expect("held").drain(..).collect::<Vec<_>>();
        assert!(heard.iter().all(|message| matches!(message, ToController::Hello(_))), "{heard:?}");

        let (kept, ..) = enrol(&identity, &join, &Pin::new(root), None).await.expect("joined");
        assert_eq!(kept, pin());
    }
}
