//! The loop: wait, commands, timers, UDP in, TUN in, UDP out. Bounded work in each turn, so no side starves.

mod accept;
mod answer;
mod clock;
mod command;
mod inbound;
mod outbound;
mod sealing;
mod session;
mod tun_in;

use std::{
    collections::VecDeque,
    io,
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use horizon_api::{
    key::SecretKey,
    wire::{Refusal, link::FromDevice},
};
use horizon_dataplane::{
    datagram::Segment,
    drop_reason::Drops,
    fair::Frame,
    flow::FlowTable,
    forwarder::{LinkId, LinkTable},
    offload::Coalescer,
    packet::Packet,
};
use horizon_node::{door::Door, random};
use horizon_seal::Sealer;
use quinn_proto::{Connection, ConnectionHandle, Endpoint, ServerConfig};
use tracing::info;

use self::clock::Clock;
use crate::{
    LinkEvent, Role, Serving, ShardParts,
    intake::Intake,
    link::{Link, link_id},
    orders::Inbox,
    poll::{self, Interest},
    settings,
    status::ShardStatus,
    table::Table,
    udp::Udp,
    wake::Wake,
};

/// Why a shard cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    #[error("the TLS library refuses this node's key: {0}")]
    Key(String),
    #[error(transparent)]
    System(io::Error),
}

/// The thread's state: its one owner.
pub(crate) struct Shard {
    role: Role,
    key: SecretKey,
    /// Device: the key of the next link, where that is another.
    next_key: Option<SecretKey>,
    endpoint: Endpoint,
    server: Option<Arc<ServerConfig>>,
    udp: Udp,
    tun: horizon_host::TunQueue,
    is_tun_lost: bool,
    coalescer: Coalescer,
    table: Table,
    /// Links made so far.
    links_made: u32,
    door: Door,
    /// Gateway: who has which address. Device: unused.
    addresses: LinkTable,
    flows: FlowTable,
    serving: Option<Arc<Serving>>,
    /// Gateway: links to be judged again, a few in each turn.
    to_judge: VecDeque<ConnectionHandle>,
    /// Device: the link that carries packets, and what to say on it first.
    uplink: Option<LinkId>,
    hello: Option<FromDevice>,
    /// Device: what seals packets for others and opens theirs, where the network demands it.
    sealer: Option<Sealer>,
    drops: Drops,
    errors: answer::ErrorBudget,
    pools: Pools,
    relays: Vec<Relay>,
    /// Links with a batch that UDP would not take.
    blocked: Vec<ConnectionHandle>,
    inbox: Inbox,
    wake: Arc<Wake>,
    status: Arc<ArcSwap<ShardStatus>>,
    on_event: Box<dyn FnMut(LinkEvent) + Send>,
    clock: Clock,
    stop: Option<Instant>,
}

/// Large buffers that packets are cut from without being copied again.
struct Pools {
    from_tun: Intake,
    to_link: BytesMut,
    parts: BytesMut,
    sealed: BytesMut,
    absent: Vec<Segment>,
    response: Vec<u8>,
    transmit: Vec<u8>,
    handles: Vec<ConnectionHandle>,
}

/// A packet of one link for another.
struct Relay {
    to: LinkId,
    packet: Packet,
    frame: Frame,
}

/// After the last work the loop looks again for so long before it sleeps: waking a halted core is dear.
const SPIN: Duration = Duration::from_micros(200);
const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// How often a device tells what it counted.
const REPORT_EVERY: Duration = Duration::from_secs(15);
const SWEEP_EVERY: Duration = Duration::from_millis(250);
/// Links whose grant is checked again in one turn: each costs a signature, 40 µs.
const JUDGE_PER_TURN: usize = 8;
/// A link whose grant has run out and that goes on in grace is judged again so often.
const JUDGE_AGAIN: Duration = Duration::from_secs(10);
/// Flows of one shard: about 200 bytes each.
const FLOWS_MAX: usize = 1 << 17;
/// A stopping shard waits so long for the last words of its links to leave.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl Shard {
    pub(crate) fn new(
        parts: ShardParts,
        inbox: Inbox,
        wake: Arc<Wake>,
        status: Arc<ArcSwap<ShardStatus>>,
    ) -> Result<Self, ShardError> {
        parts.socket.set_nonblocking(true).map_err(ShardError::System)?;
        let udp = Udp::new(parts.socket).map_err(ShardError::System)?;
        let server = match parts.role {
            Role::Gateway => Some(Arc::new(settings::server(&parts.key).map_err(ShardError::Key)?)),
            Role::Device => None,
        };
        let config = Arc::new(settings::endpoint(&parts.key));
        let endpoint = Endpoint::new(config, server.clone(), !udp.may_fragment(), Some(random::bytes()));
        let now = Instant::now();
        Ok(Self {
            role: parts.role,
            key: parts.key,
            next_key: None,
            endpoint,
            server,
            udp,
            tun: parts.tun,
            is_tun_lost: false,
            coalescer: Coalescer::new(parts.joins_udp),
            table: Table::default(),
            links_made: 0,
            door: Door::new(accept::DOOR),
            addresses: LinkTable::default(),
            flows: FlowTable::new(FLOWS_MAX, u64::from_le_bytes(random::bytes())),
            serving: None,
            to_judge: VecDeque::new(),
            uplink: None,
            hello: None,
            sealer: None,
            drops: Drops::default(),
            errors: answer::ErrorBudget::new(now),
            pools: Pools::new(),
            relays: Vec::new(),
            blocked: Vec::new(),
            inbox,
            wake,
            status,
            on_event: parts.on_event,
            clock: Clock::new(now, horizon_node::clock::unix_ms()),
            stop: None,
        })
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        loop {
            self.turn();
            if self.stop.is_some_and(|deadline| self.table.len() == 0 || self.clock.now >= deadline) {
                break;
            }
        }
        info!("shard stopped");
    }

    fn turn(&mut self) {
        let [udp_ready, tun_ready, is_woken] = self.wait();
        let floor = self.serving.as_ref().map(|serving| &serving.time_floor);
        self.clock.begin_turn(Instant::now(), horizon_node::clock::unix_ms(), floor);
        if is_woken {
            self.wake.clear();
        }
        self.handle_commands();
        self.handle_timers();
        let mut worked = false;
        if udp_ready {
            worked |= self.receive();
        }
        worked |= self.step_inbound();
        if tun_ready && !self.is_tun_lost {
            worked |= self.read_tun();
        }
        worked |= self.step_outbound();
        if worked {
            // From its end on: a long turn, or one that had to wait for its core, is not idle time.
            self.clock.worked = Instant::now();
        }
        self.sweep();
        self.publish();
    }

    /// Waits for work, or says at once that there may be some while the loop is warm.
    fn wait(&mut self) -> [bool; 3] {
        let is_warm = self.clock.worked.elapsed() < SPIN;
        if is_warm || self.table.has_dirty() || !self.to_judge.is_empty() {
            if !self.table.has_dirty() {
                std::thread::yield_now();
            }
            return [true; 3];
        }
        let read = |fd| Interest { fd, wants_write: false };
        let now = Instant::now();
        let next = self.table.next_timer().into_iter().chain([self.clock.swept + SWEEP_EVERY]).min();
        let patience = next.map(|at| at.saturating_duration_since(now));
        let udp = Interest { fd: self.udp.as_raw_fd(), wants_write: !self.blocked.is_empty() };
        let tun = if self.is_tun_lost { poll::NONE } else { self.tun.as_raw_fd() };
        poll::wait([udp, read(tun), read(self.wake.as_raw_fd())], patience)
    }

    fn handle_timers(&mut self) {
        while let Some(handle) = self.table.pop_expired(self.clock.now) {
            if let Some(link) = self.table.get_mut(handle) {
                link.connection.handle_timeout(self.clock.now);
                self.table.mark(handle);
            }
        }
    }

    /// What is due a few times a second: overdue links, flows and parts that are too old.
    fn sweep(&mut self) {
        if self.clock.now.duration_since(self.clock.swept) < SWEEP_EVERY {
            return;
        }
        self.clock.swept = self.clock.now;
        self.flows.handle_timeout(self.clock.now);
        for handle in self.table.handles() {
            let Some(link) = self.table.get_mut(handle) else { continue };
            link.reassembly.handle_timeout(self.clock.now, &mut self.drops);
            link.queue.shrink();
            if let Some(reason) = link.overdue(self.clock.now) {
                self.close(handle, reason);
            }
        }
        self.sweep_sealer();
        self.judge_expired();
        self.report_traffic();
    }

    fn publish(&mut self) {
        if self.clock.now.duration_since(self.clock.published) < PUBLISH_EVERY {
            return;
        }
        self.clock.published = self.clock.now;
        let links = self.table.iter().filter_map(session::status_of).collect();
        let drops = self.drops.iter().map(|(reason, count)| (reason.as_str(), count)).collect();
        let sealed = self.sealer.as_ref().map(|sealer| sealer.statuses(self.clock.now));
        self.status.store(Arc::new(ShardStatus { links, drops, is_tun_lost: self.is_tun_lost, sealed }));
    }

    /// Takes a new connection into the table.
    fn adopt(&mut self, handle: ConnectionHandle, connection: Connection) -> &mut Link {
        self.links_made = self.links_made.wrapping_add(1);
        let id = link_id(self.links_made, handle);
        let seed = u64::from_le_bytes(random::bytes());
        self.table.insert(Link::new(id, connection, self.clock.now, seed))
    }

    fn emit(&mut self, event: LinkEvent) {
        (self.on_event)(event);
    }

    /// Ends a link from our side. It stays until quinn-proto has said the last word.
    fn close(&mut self, handle: ConnectionHandle, reason: &str) {
        let Some(mut link) = self.table.take(handle) else { return };
        self.close_link(&mut link, None, reason);
        self.table.put(link);
        self.table.mark(handle);
    }

    fn close_link(&mut self, link: &mut Link, refusal: Option<Refusal>, reason: &str) {
        if link.is_closing {
            return;
        }
        link.is_closing = true;
        let code = quinn_proto::VarInt::from_u32(0);
        link.connection.close(self.clock.now, code, reason.as_bytes().to_vec().into());
        self.link_ended(link, refusal, reason);
    }
}

impl Pools {
    fn new() -> Self {
        Self {
            from_tun: Intake::new(tun_in::BLOCK_BYTES),
            to_link: BytesMut::new(),
            parts: BytesMut::new(),
            sealed: BytesMut::new(),
            absent: Vec::new(),
            response: Vec::with_capacity(2048),
            transmit: Vec::with_capacity(1 << 16),
            handles: Vec::new(),
        }
    }
}
