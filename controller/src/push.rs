//! The QUIC face of the controller: gateways (`hzn-cfg/1`) and devices (`hzn-dev/1`).
//!
//! Each connection is one task. A task owns no state that outlives it: it asks the reconciler, and watches snapshots.
//! Until it is admitted, a peer is a stranger: everything that it does or leaves undone has one deadline.

mod bounds;
mod device;
pub(crate) mod gateway;
pub mod offer;
mod trial;

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use horizon_api::{
    key::PublicKey,
    wire::{
        self, Hello, Refusal, RefusalCode, Welcome,
        rotation::{KEY_ROTATION, NEXT_KEY},
    },
};
use horizon_node::{
    clock,
    door::{Crowd, Door, DoorLimits, Place, Turned},
    framed::{self, Receiver, Sender},
    quic, random,
};
use horizon_trust::pace::Pace;
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::{Instrument, debug, debug_span};

use crate::{event::Event, snapshot::Snapshot};

/// A stranger is admitted within this time or gone. It is more than what its parts below take together.
const ADMISSION: Duration = Duration::from_secs(30);
/// For the handshake and the first words; so long a node waits for them as well.
const MEETING: Duration = Duration::from_secs(10);
/// For the request and its decision, with a store that takes a second for each of several that came at once.
const DECISION: Duration = Duration::from_secs(15);
/// Links at once, admitted or not: 10,000 gateways and devices that refresh.
const LINKS_MAX: usize = 10_000;

/// Each waits for `ADMISSION` at most, so at the worst more than a hundred a second are decided about. Of one host as
/// many as an office that comes back after an outage.
const DOOR: DoorLimits =
    DoorLimits { waiting: Crowd { all: 4096, of_one: 256 }, unproven: Crowd { all: 1024, of_one: 64 } };

/// What every session needs.
#[derive(Clone)]
pub struct PushContext {
    pub events: mpsc::Sender<Event>,
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// How often gateways are challenged.
    pub pace: Pace,
}

/// A peer whose handshake is done, on a stream whose first words were said.
struct Peer {
    connection: Connection,
    key: PublicKey,
    exporter: [u8; 32],
    nonce: [u8; 32],
    version: String,
    /// What it says that it knows.
    features: Vec<String>,
}

impl Peer {
    fn knows(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    fn address(&self) -> std::net::IpAddr {
        self.connection.remote_address().ip().to_canonical()
    }
}

/// Serves until the endpoint is closed.
pub async fn run(endpoint: Endpoint, context: PushContext) {
    let links = Arc::new(Semaphore::new(LINKS_MAX));
    let door = Door::new(DOOR);
    while let Some(incoming) = endpoint.accept().await {
        let Ok(permit) = Arc::clone(&links).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        match door.knock(incoming.remote_address().ip(), incoming.remote_address_validated()) {
            Ok(place) => {
                let context = context.clone();
                tokio::spawn(async move {
                    serve(incoming, place, context).await;
                    drop(permit);
                });
            }
            // It cannot fail: an address that is not proven may be asked for its proof.
            Err(Turned::Prove) => drop(incoming.retry()),
            Err(Turned::Refuse) => incoming.refuse(),
        }
    }
}

async fn serve(incoming: Incoming, place: Place, context: PushContext) {
    let span = debug_span!("link", remote = %incoming.remote_address());
    let served = async {
        let admitted = tokio::time::timeout(ADMISSION, admit(incoming, context)).await;
        drop(place);
        match admitted.context("it was not admitted in time")?? {
            Some(session) => session.run().await,
            None => Ok(()),
        }
    };
    if let Err(error) = served.instrument(span.clone()).await {
        span.in_scope(|| debug!(reason = %format!("{error:#}"), "link ended"));
    }
}

/// Hears a stranger out. A device has its answer then; a gateway that is admitted stays.
async fn admit(incoming: Incoming, context: PushContext) -> anyhow::Result<Option<gateway::Session>> {
    let meeting = tokio::time::timeout(MEETING, meet(incoming, &context)).await;
    let Meeting { is_gateway, peer, sender, receiver } =
        meeting.context("it was too slow to say Hello")??;
    if is_gateway {
        return gateway::admit(peer, sender, receiver, context).await;
    }
    device::serve(peer, sender, receiver, context).await?;
    Ok(None)
}

struct Meeting {
    is_gateway: bool,
    peer: Peer,
    sender: Sender,
    receiver: Receiver,
}

async fn meet(incoming: Incoming, context: &PushContext) -> anyhow::Result<Meeting> {
    let connection = incoming.await?;
    let is_gateway = alpn(&connection) == wire::ALPN_CFG;
    let key = quic::peer_key(&connection)?;
    let (mut sender, mut receiver) = framed::accept(&connection, MEETING).await?;
    let hello = first_words(is_gateway, &mut receiver).await?;
    let nonce = random::bytes();
    let delegations = Arc::clone(&context.snapshots.borrow().delegations);
    let (delegation, others) = delegations.words.split_first().context("no key is delegated")?;
    let (delegation, others) = (delegation.clone(), others.to_vec());
    let features = [wire::POSTURE, wire::QUOTE, KEY_ROTATION, NEXT_KEY].map(str::to_owned).to_vec();
    let welcome = Welcome { delegation, others, nonce, server_time_ms: clock::unix_ms(), features };
    if is_gateway {
        sender.send(&wire::cfg::ToGateway::Welcome(welcome)).await?;
    } else {
        sender.send(&wire::dev::ToDevice::Welcome(welcome)).await?;
    }
    let exporter = quic::exporter(&connection)?;
    let Hello { version, features } = hello;
    let peer = Peer { connection, key, exporter, nonce, version, features };
    Ok(Meeting { is_gateway, peer, sender, receiver })
}

fn alpn(connection: &Connection) -> Vec<u8> {
    connection
        .handshake_data()
        .and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok())
        .and_then(|data| data.protocol)
        .unwrap_or_default()
}

/// Both protocols begin with the same word; another one ends the link.
async fn first_words(is_gateway: bool, receiver: &mut Receiver) -> anyhow::Result<Hello> {
    let hello = if is_gateway {
        let message = receiver.receive().await?;
        if let wire::cfg::ToController::Hello(hello) = message { Some(hello) } else { None }
    } else {
        let message = receiver.receive().await?;
        if let wire::dev::FromDevice::Hello(hello) = message { Some(hello) } else { None }
    };
    hello.context("the first message is not Hello")
}

/// Asks the reconciler, and waits for what it decides.
async fn ask<T>(
    context: &PushContext,
    event: Event,
    answer: oneshot::Receiver<Result<T, Refusal>>,
) -> anyhow::Result<Result<T, Refusal>> {
    context.events.send(event).await.ok().context("the controller is stopping")?;
    answer.await.context("the controller is stopping")
}

/// Bounds a request and its decision. Who was too slow, or came at a bad moment, is told to come again.
async fn in_time<T>(
    decision: impl Future<Output = anyhow::Result<Result<T, Refusal>>>,
) -> anyhow::Result<Result<T, Refusal>> {
    tokio::time::timeout(DECISION, decision).await.unwrap_or_else(|_| {
        let message = format!("it was not decided within {} seconds", DECISION.as_secs());
        Ok(Err(Refusal::new(RefusalCode::Busy, message, "try again in a moment")))
    })
}
