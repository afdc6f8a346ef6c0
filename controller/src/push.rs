//! The QUIC face of the controller: gateways (`hzn-cfg/1`) and devices (`hzn-dev/1`).
//!
//! Each connection is one task. A task owns no state that outlives it: it asks the reconciler, and watches snapshots.

mod device;
mod gateway;
pub mod offer;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use horizon_api::{
    key::PublicKey,
    wire::{self, Hello, Welcome},
};
use horizon_node::{clock, framed, quic, random};
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{Instrument, debug, info_span};

use crate::{event::Event, snapshot::Snapshot};

/// A peer that does not speak within this time is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// Links at once; 10,000 gateways and devices that refresh fit, an attacker's 10,001st waits.
const LINKS_MAX: usize = 10_000;

/// What every session needs.
#[derive(Clone)]
pub struct PushContext {
    pub events: mpsc::Sender<Event>,
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// A peer whose handshake is done, on a stream whose first words were said.
struct Peer {
    connection: Connection,
    key: PublicKey,
    remote: SocketAddr,
    exporter: [u8; 32],
    nonce: [u8; 32],
    version: String,
}

/// Serves until the endpoint is closed.
pub async fn run(endpoint: Endpoint, context: PushContext) {
    let links = Arc::new(Semaphore::new(LINKS_MAX));
    while let Some(incoming) = endpoint.accept().await {
        let Ok(permit) = Arc::clone(&links).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let context = context.clone();
        tokio::spawn(async move {
            serve(incoming, context).await;
            drop(permit);
        });
    }
}

async fn serve(incoming: Incoming, context: PushContext) {
    let remote = incoming.remote_address();
    let span = info_span!("link", %remote);
    let served = async {
        let connection = tokio::time::timeout(PATIENCE, incoming).await??;
        let alpn = alpn(&connection);
        let key = quic::peer_key(&connection)?;
        let (mut sender, mut receiver) = framed::accept(&connection, PATIENCE).await?;
        let hello = first_words(&alpn, &mut receiver).await?;
        let nonce = random::bytes();
        let welcome = Welcome {
            delegation: context.snapshots.borrow().delegation.clone(),
            nonce,
            server_time_ms: clock::unix_ms(),
        };
        let exporter = quic::exporter(&connection)?;
        let peer = Peer { connection, key, remote, exporter, nonce, version: hello.version };
        if alpn == wire::ALPN_CFG {
            sender.send(&wire::cfg::ToGateway::Welcome(welcome)).await?;
            gateway::serve(peer, sender, receiver, context).await
        } else {
            sender.send(&wire::dev::ToDevice::Welcome(welcome)).await?;
            device::serve(peer, sender, receiver, context).await
        }
    };
    if let Err(error) = served.instrument(span.clone()).await {
        span.in_scope(|| debug!(reason = %format!("{error:#}"), "link ended"));
    }
}

fn alpn(connection: &Connection) -> Vec<u8> {
    connection
        .handshake_data()
        .and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok())
        .and_then(|data| data.protocol)
        .unwrap_or_default()
}

/// Both protocols begin with the same word; another one ends the link.
async fn first_words(alpn: &[u8], receiver: &mut framed::Receiver) -> anyhow::Result<Hello> {
    let hello = if alpn == wire::ALPN_CFG {
        let message = receiver.receive_within(PATIENCE).await?;
        if let wire::cfg::ToController::Hello(hello) = message { Some(hello) } else { None }
    } else {
        let message = receiver.receive_within(PATIENCE).await?;
        if let wire::dev::FromDevice::Hello(hello) = message { Some(hello) } else { None }
    };
    hello.context("the first message is not Hello")
}
