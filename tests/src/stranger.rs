//! Those who should not be believed: devices with grants that are not theirs, a controller with another root, and
//! somebody in a gateway's place.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use horizon_api::{
    delegation::{Delegation, Role},
    key::{PublicKey, SecretKey},
    section::NetworkId,
    signed::Signed,
    wire::{
        ALPN_CFG, ALPN_DEV, ALPN_LINK, Welcome,
        cfg::{ToController, ToGateway},
        dev,
        link::{FromDevice, LinkHello, ToDevice},
    },
};
use horizon_node::{clock, framed, quic, tls};
use quinn::{
    ClientConfig, Connection, Endpoint,
    crypto::rustls::{HandshakeData, QuicClientConfig},
};
use tokio::runtime::Runtime;

use crate::{
    joiner::in_namespace,
    namespace::Namespace,
    world::{CONTROLLER_PORT, GATEWAY, GATEWAY_PORT},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Knocks at the gateway as a device with this key and this grant, and returns its answer.
///
/// # Errors
/// When the gateway does not answer, or is another one.
pub fn knock(
    from: &Namespace,
    key: &SecretKey,
    gateway: PublicKey,
    grant: Vec<u8>,
    network: NetworkId,
) -> anyhow::Result<ToDevice> {
    in_namespace(from, async {
        let (endpoint, connection) = quic::dial(key, ALPN_LINK, &GATEWAY.to_string(), GATEWAY_PORT).await?;
        anyhow::ensure!(quic::peer_key(&connection)? == gateway, "another gateway answered");
        let (mut sender, mut receiver) = framed::open(&connection).await?;
        let (version, features) = ("test".to_owned(), vec![]);
        let hello = LinkHello { version, features, grant, delegation: None, network, card: vec![] };
        sender.send(&FromDevice::Hello(hello)).await?;
        let answer = receiver.receive_within(PATIENCE).await?;
        connection.close(0u32.into(), b"seen");
        endpoint.wait_idle().await;
        Ok(answer)
    })
}

/// Opens a link with a genuine grant and sends packets into it as they are; returns whether `is_answer` came back.
///
/// # Errors
/// When the gateway does not accept the link.
pub fn inject(
    from: &Namespace,
    key: &SecretKey,
    hello: LinkHello,
    packet: &[u8],
    is_answer: impl Fn(&[u8]) -> bool + Send + Sync,
) -> anyhow::Result<bool> {
    in_namespace(from, async {
        let crypto = QuicClientConfig::try_from(tls::client_config(key, ALPN_LINK, None)?)?;
        let endpoint = Endpoint::client(([0, 0, 0, 0], 0).into())?;
        let config = ClientConfig::new(Arc::new(crypto));
        let connection = endpoint.connect_with(config, (GATEWAY, GATEWAY_PORT).into(), "horizon")?.await?;
        let (mut sender, mut receiver) = framed::open(&connection).await?;
        sender.send(&FromDevice::Hello(hello)).await?;
        let answer = receiver.receive_within(PATIENCE).await?;
        anyhow::ensure!(matches!(answer, ToDevice::Accept(_)), "not accepted: {answer:?}");
        // Channel 0 is packets, without flags.
        let datagram = Bytes::from([&[0, 0], packet].concat());
        let wait = async {
            loop {
                connection.send_datagram(datagram.clone())?;
                let answer =
                    tokio::time::timeout(Duration::from_millis(200), connection.read_datagram()).await;
                if let Ok(answer) = answer
                    && answer?.get(2..).is_some_and(&is_answer)
                {
                    return anyhow::Ok(());
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(3), wait).await;
        connection.close(0u32.into(), b"seen");
        endpoint.wait_idle().await;
        match waited {
            Ok(answered) => answered.map(|()| true),
            Err(_) => Ok(false),
        }
    })
}

/// A controller with a root of its own, in the place of the right one.
#[derive(Debug)]
pub struct Impostor {
    heard: Arc<Mutex<Vec<String>>>,
    /// Its end is the impostor's.
    _runtime: Runtime,
}

impl Impostor {
    /// Listens where the controller would.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn stand_in(namespace: &Namespace, seed: u8) -> anyhow::Result<Self> {
        let key = SecretKey::from_seed(&[seed; 32]);
        let root = SecretKey::from_seed(&[seed.wrapping_add(1); 32]);
        let roles = vec![Role::Link, Role::Config, Role::Grant];
        let (online, serial, floor) = (key.public(), 0, 0);
        let delegation =
            Delegation { root: root.public(), online, roles, epoch: 1, serial, floor, not_after: i64::MAX };
        Self::with(namespace, &key, delegation.sign(&root))
    }

    /// Listens where the controller would, with an online key and what a root said of it.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn with(namespace: &Namespace, key: &SecretKey, delegation: Signed) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let address = ([0, 0, 0, 0], CONTROLLER_PORT).into();
        let endpoint = namespace.enter(|| {
            let _inside = runtime.enter();
            quic::listen(key, &[ALPN_CFG, ALPN_DEV], address)
        })??;
        let heard = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(pretend(endpoint, delegation, Arc::clone(&heard)));
        Ok(Self { heard, _runtime: runtime })
    }

    /// Returns every message that it was told, as text.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Somebody in the gateway's place, with a key of his own or a stolen one.
#[derive(Debug)]
pub struct MiddleMan {
    seen: Arc<Seen>,
    /// Its end is his.
    _runtime: Runtime,
}

#[derive(Debug, Default)]
struct Seen {
    dialled: AtomicUsize,
    heard: AtomicUsize,
}

impl MiddleMan {
    /// Listens where the gateway would.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn stand_in(namespace: &Namespace, key: &SecretKey) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let address = ([0, 0, 0, 0], GATEWAY_PORT).into();
        let endpoint = namespace.enter(|| {
            let _inside = runtime.enter();
            quic::listen(key, &[ALPN_LINK], address)
        })??;
        let seen = Arc::<Seen>::default();
        runtime.spawn(wait_for_words(endpoint, Arc::clone(&seen)));
        Ok(Self { seen, _runtime: runtime })
    }

    /// Returns how many handshakes were begun with him.
    pub fn dialled(&self) -> usize {
        self.seen.dialled.load(Ordering::Relaxed)
    }

    /// Returns how many were finished: what is said after that, he can read.
    pub fn heard(&self) -> usize {
        self.seen.heard.load(Ordering::Relaxed)
    }
}

async fn wait_for_words(endpoint: Endpoint, seen: Arc<Seen>) {
    while let Some(incoming) = endpoint.accept().await {
        seen.dialled.fetch_add(1, Ordering::Relaxed);
        if incoming.await.is_ok() {
            seen.heard.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn pretend(endpoint: Endpoint, delegation: Signed, heard: Arc<Mutex<Vec<String>>>) {
    while let Some(incoming) = endpoint.accept().await {
        if let Ok(connection) = incoming.await {
            drop(tokio::spawn(listen(connection, delegation.clone(), Arc::clone(&heard))));
        }
    }
}

async fn listen(
    connection: Connection,
    delegation: Signed,
    heard: Arc<Mutex<Vec<String>>>,
) -> anyhow::Result<()> {
    let welcome = Welcome {
        delegation,
        others: vec![],
        nonce: [1; 32],
        server_time_ms: clock::unix_ms(),
        features: vec![],
    };
    let (mut sender, mut receiver) = framed::accept(&connection, PATIENCE).await?;
    let note = |message: String| heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    if protocol(&connection)? == ALPN_CFG {
        note(format!("{:?}", receiver.receive::<ToController>().await?));
        sender.send(&ToGateway::Welcome(welcome)).await?;
        note(format!("{:?}", receiver.receive::<ToController>().await?));
    } else {
        note(format!("{:?}", receiver.receive::<dev::FromDevice>().await?));
        sender.send(&dev::ToDevice::Welcome(welcome)).await?;
        note(format!("{:?}", receiver.receive::<dev::FromDevice>().await?));
    }
    Ok(())
}

fn protocol(connection: &Connection) -> anyhow::Result<Vec<u8>> {
    let data = connection.handshake_data().context("no handshake")?;
    let data = data.downcast::<HandshakeData>().map_err(|_| anyhow::anyhow!("another kind of handshake"))?;
    data.protocol.context("no protocol")
}
