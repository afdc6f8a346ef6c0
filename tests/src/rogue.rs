//! Gateways that have a server's real key, and do what no gateway of ours does.

use std::time::Duration;

use anyhow::Context;
use horizon_api::{
    assignment::{Assignment, Version},
    delegation::Pin,
    join::JoinString,
    key::{PublicKey, SecretKey},
    section::ContentHash,
    signed::Signed,
    wire::{
        ALPN_CFG, Hello,
        cfg::{Attach, CHALLENGE, Heartbeat, ToController, ToGateway},
        rotation::RotationProof,
    },
};
use horizon_node::{
    clock,
    controller::{self, Address, Meeting},
    framed::ReceiveError,
};

use crate::{joiner::in_namespace, namespace::Namespace};

const PATIENCE: Duration = Duration::from_secs(10);

/// Says that it answers challenges, and stays connected for a while without answering one. Returns how many came.
///
/// # Errors
/// When the controller does not let it in, or sends it away.
pub fn stay_silent(
    from: &Namespace,
    key: &SecretKey,
    join: &JoinString,
    time: Duration,
) -> anyhow::Result<usize> {
    in_namespace(from, async {
        let mut meeting = attach(key, join).await?;
        let until = tokio::time::Instant::now() + time;
        let mut challenges = 0;
        while let Ok(message) = tokio::time::timeout_at(until, meeting.receiver.receive()).await {
            match message? {
                ToGateway::Challenge(_) => challenges += 1,
                ToGateway::Refused(refusal) => anyhow::bail!("sent away: {refusal}"),
                ToGateway::Assignment(assignment) => acknowledge(&mut meeting, &assignment).await?,
                ToGateway::Welcome(_)
                | ToGateway::Joined { .. }
                | ToGateway::Section(_)
                | ToGateway::Recall
                | ToGateway::Delegations(_)
                | ToGateway::NextKeyKnown { .. }
                | ToGateway::NextKeyRefused(_) => {}
            }
        }
        meeting.end("it was silent").await;
        Ok(challenges)
    })
}

/// Answers the first challenge with an answer to another one. Returns what it is told then.
///
/// # Errors
/// When there is no challenge, or the controller says nothing.
pub fn answer_wrongly(from: &Namespace, key: &SecretKey, join: &JoinString) -> anyhow::Result<String> {
    in_namespace(from, async {
        let mut meeting = attach(key, join).await?;
        loop {
            match meeting.receiver.receive_within(PATIENCE).await? {
                ToGateway::Challenge(_) => {
                    let other = meeting.answerer()?.answer([7; 32], key).await?;
                    meeting.sender.send(&ToController::Answer(other)).await?;
                }
                ToGateway::Refused(refusal) => return Ok(refusal.to_string()),
                ToGateway::Assignment(assignment) => acknowledge(&mut meeting, &assignment).await?,
                ToGateway::Welcome(_)
                | ToGateway::Joined { .. }
                | ToGateway::Section(_)
                | ToGateway::Recall
                | ToGateway::Delegations(_)
                | ToGateway::NextKeyKnown { .. }
                | ToGateway::NextKeyRefused(_) => {}
            }
        }
    })
}

/// Asks for the sections of its own assignment, and for others beside them, while the assignment waits for its answer.
/// Returns those that came, or why it was sent away.
///
/// # Errors
/// When no assignment comes, or the controller says nothing.
pub fn want(
    from: &Namespace,
    key: &SecretKey,
    join: &JoinString,
    others: &[ContentHash],
) -> anyhow::Result<Result<Vec<ContentHash>, String>> {
    in_namespace(from, async {
        let mut meeting = attach(key, join).await?;
        let (mut wanted, mut came) = (usize::MAX, vec![]);
        while came.len() < wanted {
            match meeting.receiver.receive_within(PATIENCE).await? {
                ToGateway::Assignment(assignment) => {
                    let assignment: Assignment = assignment.read_own()?;
                    let own = assignment.sections.iter().map(|header| header.hash);
                    let hashes: Vec<_> = own.chain(others.iter().copied()).collect();
                    wanted = hashes.len();
                    meeting.sender.send(&ToController::Want { hashes }).await?;
                }
                ToGateway::Section(section) => came.push(ContentHash::of(&section.bytes)),
                ToGateway::Refused(refusal) => return Ok(Err(refusal.to_string())),
                ToGateway::Welcome(_)
                | ToGateway::Joined { .. }
                | ToGateway::Challenge(_)
                | ToGateway::Delegations(_)
                | ToGateway::NextKeyKnown { .. }
                | ToGateway::NextKeyRefused(_)
                | ToGateway::Recall => {}
            }
        }
        meeting.end("it has what it wanted").await;
        Ok(Ok(came))
    })
}

/// In what a word that another key follows is wrong.
#[derive(Clone, Copy, Debug)]
pub enum Announced {
    /// The next key has not signed it.
    ByOne,
    /// It was signed for another connection.
    Elsewhere,
    /// The next key is somebody else's.
    Somebodys(PublicKey),
}

/// Says that another key follows this gateway's, wrongly. Returns the refusal.
///
/// # Errors
/// When the controller takes it, or says nothing.
pub fn announce(
    from: &Namespace,
    key: &SecretKey,
    join: &JoinString,
    how: Announced,
) -> anyhow::Result<String> {
    in_namespace(from, async {
        let mut meeting = attach(key, join).await?;
        let next = SecretKey::from_seed(&[77; 32]);
        let genuine = meeting.prover()?.prove(key, &next);
        let proof = match how {
            Announced::ByOne => RotationProof { by_next: genuine.by_old.clone(), ..genuine },
            Announced::Elsewhere => RotationProof::new([1; 32], [2; 32], key, &next),
            Announced::Somebodys(next) => RotationProof { next, ..genuine },
        };
        meeting.sender.send(&ToController::NextKey(Box::new(proof))).await?;
        loop {
            match meeting.receiver.receive_within(PATIENCE).await? {
                ToGateway::NextKeyRefused(refusal) => return Ok(refusal.to_string()),
                ToGateway::NextKeyKnown { .. } => anyhow::bail!("the controller takes it"),
                ToGateway::Assignment(assignment) => acknowledge(&mut meeting, &assignment).await?,
                ToGateway::Welcome(_)
                | ToGateway::Joined { .. }
                | ToGateway::Refused(_)
                | ToGateway::Section(_)
                | ToGateway::Recall
                | ToGateway::Delegations(_)
                | ToGateway::Challenge(_) => {}
            }
        }
    })
}

/// Sends one heartbeat of one boot, as a session of its own.
///
/// # Errors
/// When the controller does not take it.
pub fn beat(from: &Namespace, key: &SecretKey, join: &JoinString, counter: u64) -> anyhow::Result<()> {
    in_namespace(from, async {
        let mut meeting = attach(key, join).await?;
        let heartbeat =
            Heartbeat { boot_id: [5; 16], counter, time_ms: clock::unix_ms(), ..Heartbeat::default() };
        meeting.sender.send(&ToController::Heartbeat(Signed::new(&heartbeat, key))).await?;
        // The message is there once the other end has taken all of the stream.
        meeting.sender.finish().await;
        meeting.end("it has beaten").await;
        Ok(())
    })
}

/// It says that it runs what it is to run: a gateway that is busy with that is asked later.
async fn acknowledge(meeting: &mut Meeting, assignment: &Signed) -> anyhow::Result<()> {
    let assignment = ContentHash::from_bytes(assignment.hash());
    let ack = ToController::Ack { version: Version::default(), assignment };
    Ok(meeting.sender.send(&ack).await?)
}

async fn attach(key: &SecretKey, join: &JoinString) -> anyhow::Result<Meeting> {
    let pin = Pin::new(join.root);
    let address = Address { host: &join.host, port: join.port };
    let hello = |hello| ToController::Hello(Hello { features: vec![CHALLENGE.to_owned()], ..hello });
    let welcome = |answer| if let ToGateway::Welcome(welcome) = answer { Some(welcome) } else { None };
    let mut meeting = controller::meet(key, ALPN_CFG, address, &pin, hello, welcome).await?;
    let attestation = meeting.attest(key)?;
    let attach = Attach { running: None, assignment: None, attestation, quote: None, follows: vec![] };
    meeting.sender.send(&ToController::Attach(attach)).await?;
    let answer: Result<ToGateway, ReceiveError> = meeting.receiver.receive_within(PATIENCE).await;
    match answer.context("wait for the answer to the attach")? {
        ToGateway::Joined { .. } => {
            meeting.receiver.accept_long_frames();
            Ok(meeting)
        }
        other @ (ToGateway::Welcome(_)
        | ToGateway::Refused(_)
        | ToGateway::Assignment(_)
        | ToGateway::Section(_)
        | ToGateway::Recall
        | ToGateway::Delegations(_)
        | ToGateway::NextKeyKnown { .. }
        | ToGateway::NextKeyRefused(_)
        | ToGateway::Challenge(_)) => anyhow::bail!("it was not let in: {other:?}"),
    }
}
