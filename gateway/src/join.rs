//! `horizon-gateway join`: binds this host's key to a declared Server, once.

use anyhow::Context;
use horizon_api::{
    delegation::Pin,
    join::JoinString,
    token::{TokenKind, TokenText},
    wire::{
        ALPN_CFG,
        cfg::{Join, ToController, ToGateway},
    },
};
use horizon_node::{clock, controller, data_folder::DataFolder, durable, failure::Failure, join};

use crate::{
    args::JoinArgs,
    controller_link::hello,
    disk::Enrolment,
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
    let (pin, namespace, server) = enrol(&identity, &join, args.name).await?;
    KeyFiles::new(&data, tpm).forget_next()?;
    let enrolment = Enrolment::new(join.host, join.port, pin, namespace.clone(), server.clone());
    durable::write(&data.file("enrolment"), &enrolment.to_bytes()).context("write the enrolment")?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("joined as Server {namespace}/{server} with key {}", identity.key.public());
        println!("start it with `horizon-gateway run`");
    }
    Ok(())
}

async fn enrol(
    identity: &Identity,
    join: &JoinString,
    name: Option<String>,
) -> anyhow::Result<(Pin, String, String)> {
    let key = &identity.key;
    let pin = Pin::new(join.root);
    let address = controller::Address { host: &join.host, port: join.port };
    let mut meeting = controller::meet(key, ALPN_CFG, address, &pin, hello, |answer| match answer {
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
