//! A gateway that has a server's real key and the devices' links, and does with what it forwards whatever a test wants:
//! it reads, alters, says again, and hands over the cards of others.

mod parts;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use horizon_api::{
    card::CARDS,
    cbor,
    grant::Grant,
    key::SecretKey,
    signed::Signed,
    wire::{
        ALPN_LINK,
        link::{Accept, FromDevice, LinkHello, ToDevice},
    },
};
use horizon_node::{
    clock, endpoint,
    framed::{self, Receiver, Sender},
    tls,
};
use quinn::{Connection, Endpoint, ServerConfig, TokioRuntime, crypto::rustls::QuicServerConfig};
use tokio::runtime::Runtime;

use self::parts::Joiner;
use crate::world::{GATEWAY_INSIDE, GATEWAY_PORT, World};

/// In the gateway's place until it is dropped.
pub struct Relay {
    shared: Arc<Shared>,
    _runtime: Runtime,
}

/// Returns what is forwarded in place of a packet.
type Path = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>> + Send>;
/// Returns which card is handed over for an address, in place of the genuine one.
type Cards = Box<dyn FnMut(IpAddr, Option<Vec<u8>>) -> Option<Vec<u8>> + Send>;

struct Shared {
    state: Mutex<State>,
}

struct State {
    members: BTreeMap<IpAddr, Member>,
    /// All packets, as they came.
    seen: Vec<Vec<u8>>,
    path: Path,
    cards: Cards,
}

#[derive(Clone)]
struct Member {
    connection: Connection,
    card: Vec<u8>,
}

const PATIENCE: Duration = Duration::from_secs(10);
/// Packets are kept whole; a test sends a few thousand.
const SEEN_MAX: usize = 100_000;
/// What sealed packets are, to who forwards them.
pub const SEALED: u8 = 253;

impl Relay {
    /// Ends the gateway and takes its place, with its key.
    ///
    /// # Errors
    /// When there was none, or its port is taken.
    pub fn take_over(world: &mut World) -> anyhow::Result<Self> {
        world.gateway.kill()?;
        let seed = std::fs::read(world.gateway.data().join("node.key"))?;
        let key = SecretKey::from_seed(&seed.try_into().ok().context("a key has 32 bytes")?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let endpoint = world.net.gw.enter(|| {
            let _inside = runtime.enter();
            listen(&key)
        })??;
        let state = State {
            members: BTreeMap::new(),
            seen: Vec::new(),
            path: Box::new(|packet| vec![packet.to_vec()]),
            cards: Box::new(|_, genuine| genuine),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        runtime.spawn(serve(endpoint, Arc::clone(&shared)));
        Ok(Self { shared, _runtime: runtime })
    }

    /// Says what becomes of packets from here on.
    pub fn alter(&self, path: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
        self.shared.state().path = Box::new(path);
    }

    /// Says which cards are handed over from here on.
    pub fn hand_over(&self, cards: impl FnMut(IpAddr, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + 'static) {
        self.shared.state().cards = Box::new(cards);
    }

    /// Sends a packet to a device as if it had come from another.
    ///
    /// # Errors
    /// When the device has no link here.
    pub fn inject(&self, to: Ipv4Addr, packet: &[u8]) -> anyhow::Result<()> {
        let member = self.shared.state().members.get(&IpAddr::V4(to)).cloned();
        let connection = member.context("no such device is connected")?.connection;
        parts::send(&connection, 0, packet, 0);
        Ok(())
    }

    /// Returns all packets that came, and forgets them.
    pub fn take_seen(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.shared.state().seen)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the protocol of a packet.
pub fn protocol(packet: &[u8]) -> Option<u8> {
    packet.get(if is_ipv4(packet)? { 9 } else { 6 }).copied()
}

fn is_ipv4(packet: &[u8]) -> Option<bool> {
    Some(packet.first()? >> 4 == 4)
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    if is_ipv4(packet)? {
        packet.get(16..20)?.first_chunk::<4>().map(|octets| IpAddr::from(*octets))
    } else {
        packet.get(24..40)?.first_chunk::<16>().map(|octets| IpAddr::from(*octets))
    }
}

fn listen(key: &SecretKey) -> anyhow::Result<Endpoint> {
    let crypto = QuicServerConfig::try_from(tls::server_config(key, &[ALPN_LINK])?)?;
    let socket = std::net::UdpSocket::bind(("0.0.0.0", GATEWAY_PORT))?;
    let config = ServerConfig::with_crypto(Arc::new(crypto));
    Ok(Endpoint::new(endpoint::config(key), Some(config), socket, Arc::new(TokioRuntime))?)
}

async fn serve(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                // A device that goes makes another link.
                drop(serve_link(connection, &shared).await);
            }
        });
    }
}

async fn serve_link(connection: Connection, shared: &Arc<Shared>) -> anyhow::Result<()> {
    let (mut sender, mut receiver) = framed::accept(&connection, PATIENCE).await?;
    let FromDevice::Hello(hello) = receiver.receive_within(PATIENCE).await? else {
        anyhow::bail!("no hello");
    };
    let addresses = addresses(&hello)?;
    for address in &addresses {
        let member = Member { connection: connection.clone(), card: hello.card.clone() };
        shared.state().members.insert(*address, member);
    }
    sender.send(&ToDevice::Accept(accept(&hello, &addresses)?)).await?;
    tokio::select! {
        done = answer(&mut sender, &mut receiver, shared, &addresses) => done,
        done = forward(&connection, shared) => done,
    }
}

fn addresses(hello: &LinkHello) -> anyhow::Result<Vec<IpAddr>> {
    let grant: Grant = cbor::decode::<Signed>(&hello.grant)?.read_own()?;
    let network = grant.networks.into_iter().find(|network| network.network == hello.network);
    Ok(network.context("another network")?.addresses)
}

fn accept(hello: &LinkHello, addresses: &[IpAddr]) -> anyhow::Result<Accept> {
    let features = if hello.card.is_empty() { vec![] } else { vec![CARDS.to_owned()] };
    let prefix = |address: &IpAddr| ipnet_of(*address);
    Ok(Accept {
        network: hello.network.clone(),
        server: "gw-1".into(),
        addresses: addresses.iter().map(prefix).collect::<anyhow::Result<_>>()?,
        routes: vec!["10.77.0.0/24".parse()?, "fd77:1::/64".parse()?],
        gateway: vec![GATEWAY_INSIDE.into()],
        mtu: 1380,
        server_time_ms: clock::unix_ms(),
        features,
        is_in_grace: false,
        news_after: None,
    })
}

fn ipnet_of(address: IpAddr) -> anyhow::Result<ipnet::IpNet> {
    Ok(ipnet::IpNet::new(address, if address.is_ipv4() { 24 } else { 64 })?)
}

async fn answer(
    sender: &mut Sender,
    receiver: &mut Receiver,
    shared: &Arc<Shared>,
    own: &[IpAddr],
) -> anyhow::Result<()> {
    loop {
        match receiver.receive().await? {
            FromDevice::AskCard { address } => {
                let answer = {
                    let mut state = shared.state();
                    let genuine = state.members.get(&address).map(|member| member.card.clone());
                    match (state.cards)(address, genuine) {
                        Some(card) => ToDevice::Card { address, card },
                        None => ToDevice::NoCard { address },
                    }
                };
                sender.send(&answer).await?;
            }
            FromDevice::Renew { card, .. } => {
                for member in shared.state().members.iter_mut().filter(|(address, _)| own.contains(address)) {
                    member.1.card.clone_from(&card);
                }
            }
            FromDevice::News(_) | FromDevice::Report(_) => {}
            FromDevice::Hello(_) | FromDevice::Close { .. } => return Ok(()),
        }
    }
}

async fn forward(connection: &Connection, shared: &Arc<Shared>) -> anyhow::Result<()> {
    let (mut joiner, mut number) = (Joiner::default(), 0u16);
    loop {
        let datagram = connection.read_datagram().await?;
        let Some((flags, packet)) = joiner.push(&datagram) else { continue };
        let to = destination(&packet);
        let (to, packets) = {
            let mut state = shared.state();
            let packets = (state.path)(&packet);
            if state.seen.len() < SEEN_MAX {
                state.seen.push(packet);
            }
            (to.and_then(|to| state.members.get(&to)).cloned(), packets)
        };
        let Some(to) = to else { continue };
        for packet in packets {
            number = number.wrapping_add(1);
            // With the flag that says whether a checksum is missing.
            parts::send(&to.connection, flags, &packet, number);
        }
    }
}

/// Signs two devices in, of a world whose network seals packets if `is_sealed`, takes the gateway's place, and connects
/// them.
///
/// # Errors
/// When something does not come up.
pub fn between_two(world: &mut World, is_sealed: bool) -> anyhow::Result<Relay> {
    let e2e = if is_sealed { "Required" } else { "Disabled" };
    world.manifests.write("network.yaml", &format!("{}  e2e: {e2e}\n", crate::folder::NETWORK))?;
    world.start_servers()?;
    world.alice.sign_in(&world.controller)?;
    world.bob.sign_in(&world.controller)?;
    let relay = Relay::take_over(world)?;
    world.alice.connect()?;
    world.bob.connect()?;
    let status = world.alice.status()?;
    ensure!(status.sealing.is_some() == is_sealed, "alice says of the seal: {:?}", status.sealing);
    Ok(relay)
}
