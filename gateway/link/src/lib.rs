//! The fast path: one thread owns one UDP socket, one TUN queue and one QUIC endpoint, in a plain loop.
//!
//! Gateway and client agent use the same loop. It moves bytes; what to do with them is decided in `horizon_dataplane`.
//! Others send [`Command`]s, get [`LinkEvent`]s and read a [`ShardStatus`].

mod control;
mod intake;
mod link;
mod orders;
mod poll;
mod settings;
mod shard;
mod status;
mod table;
mod tun_sink;
mod udp;
mod wake;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use horizon_api::{
    key::{PublicKey, SecretKey},
    news::CarriedNews,
    signed::Signed,
    wire::{
        Refusal,
        link::{Accept, LinkHello},
    },
};
use horizon_dataplane::{forwarder::Forwarder, link::admission::Admission, time_floor::TimeFloor};
use horizon_host::TunQueue;
use horizon_node::negotiated::Negotiated;
use horizon_seal::Terms;
use tracing::error;

use self::orders::Orders;

pub use horizon_seal::PeerStatus;
pub use shard::ShardError;
pub use status::{LinkStatus, ShardStatus};

/// What a shard is made of.
pub struct ShardParts {
    pub socket: UdpSocket,
    pub tun: TunQueue,
    /// Whether the kernel takes UDP super-packets.
    pub joins_udp: bool,
    pub key: SecretKey,
    pub role: Role,
    /// Called on the shard's thread: it must not block.
    pub on_event: Box<dyn FnMut(LinkEvent) + Send>,
}

/// Which end of links a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes links, and judges packets by policy.
    Gateway,
    /// Dials one link, and sends everything there.
    Device,
}

/// What others may ask of a shard.
pub enum Command {
    /// Gateway: serve under this configuration from here on.
    Serve(Arc<Serving>),
    /// Device: make a link, instead of the one that is there.
    Dial(Box<Dial>),
    /// Device: the next grant.
    Renew {
        grant: Vec<u8>,
        /// The root's word for the key that signed it.
        delegation: Signed,
        seal: Option<Box<Terms>>,
    },
    /// Device: how packets for other devices are sealed from here on. The gateway is told nothing.
    Seal(Option<Box<Terms>>),
    /// Another key is this node's, from the next link on.
    Rekey(Box<SecretKey>),
    /// Device: what the controller says, for a gateway that cannot ask it.
    News(Box<CarriedNews>),
    /// Device: end the link.
    HangUp { reason: String },
}

/// What a gateway serves by: immutable, swapped as a whole.
pub struct Serving {
    pub admission: Admission,
    pub forwarder: Forwarder,
    /// What unix time is at least: it goes on rising while this is served.
    pub time_floor: TimeFloor,
}

/// Where to dial, whom to expect there, what to say.
pub struct Dial {
    pub remote: SocketAddr,
    /// Who may answer: more than one key while another one follows.
    pub gateway: Vec<PublicKey>,
    pub hello: LinkHello,
    /// How packets for other devices are sealed, where they are.
    pub seal: Option<Box<Terms>>,
}

/// What happened to a link.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// Device: the gateway accepted.
    Up { accept: Accept, negotiated: Negotiated },
    /// Device: the terms changed, the link stays.
    Changed(Accept),
    /// Device: the gateway said no.
    Refused(Refusal),
    /// Device: the link is gone.
    Down { refusal: Option<Refusal>, reason: String },
    /// Gateway: a device's link is up.
    Admitted { device: PublicKey, name: String, remote: SocketAddr },
    /// Gateway: a device was refused, at the start or later.
    Turned { device: PublicKey, remote: SocketAddr, refusal: Refusal },
    /// Gateway: a device brings news from the controller, which nobody has checked yet.
    News(Box<CarriedNews>),
    /// Gateway: a device brings a word of the root that says more of the controller's keys than is known.
    RootWord(Box<Signed>),
    /// Gateway: a device's link ended.
    Left { device: PublicKey, name: String, reason: String },
    /// The interface was removed: the thread goes on without it until it is stopped. An event may be lost:
    /// [`ShardStatus::is_tun_lost`] says it as well.
    TunLost,
}

/// A running shard. Dropping it does not stop it; [`ShardHandle::stop`] does.
pub struct ShardHandle {
    orders: Orders,
    status: Arc<ArcSwap<ShardStatus>>,
    thread: Option<JoinHandle<()>>,
}

/// Many times what a shard takes to say its last words: one that needs longer hangs, and is left alone.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How soon the end of a thread is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Starts the thread of a shard.
///
/// # Errors
/// When the socket cannot be prepared or the thread cannot be made.
pub fn start(parts: ShardParts) -> Result<ShardHandle, ShardError> {
    let wake = Arc::new(wake::Wake::new().map_err(ShardError::System)?);
    let (orders, inbox) = orders::orders(Arc::clone(&wake));
    let status = Arc::new(ArcSwap::from_pointee(ShardStatus::default()));
    let shard = shard::Shard::new(parts, inbox, wake, Arc::clone(&status))?;
    let thread = thread::Builder::new()
        .name("shard-0".into())
        .spawn(move || shard.run())
        .map_err(ShardError::System)?;
    Ok(ShardHandle { orders, status, thread: Some(thread) })
}

impl ShardHandle {
    /// Hands a command over.
    ///
    /// # Errors
    /// When the shard has ended, or does not keep up.
    pub fn command(&self, command: Command) -> io::Result<()> {
        self.orders.command(command)
    }

    /// Returns the newest status, at most half a second old.
    pub fn status(&self) -> Arc<ShardStatus> {
        self.status.load_full()
    }

    /// Says whether the thread ended by itself, which it never should.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends all links, tells the other ends, and waits for the thread, but not for ever: whoever stops a shard has
    /// others to serve.
    pub fn stop(&mut self, reason: &str) {
        self.stop_within(reason, STOP_PATIENCE);
    }

    fn stop_within(&mut self, reason: &str, patience: Duration) {
        self.orders.stop(reason);
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + patience;
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                return error!("a shard does not stop: it is left behind");
            }
            thread::sleep(LOOK_EVERY);
        }
        drop(thread.join());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Returns the handle of a thread that looks at no order, and what ends it.
    fn deaf() -> (ShardHandle, mpsc::Sender<()>) {
        let wake = Arc::new(wake::Wake::new().expect("an eventfd"));
        let (orders, inbox) = orders::orders(wake);
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            ended.recv().expect_err("nobody sends");
            drop(inbox);
        });
        (ShardHandle { orders, status: Arc::default(), thread: Some(thread) }, end)
    }

    #[test]
    fn a_shard_that_hangs_holds_up_nobody_who_stops_it() {
        let (mut handle, _end) = deaf();
        while handle.command(Command::HangUp { reason: String::new() }).is_ok() {}

        handle.stop_within("the gateway stops", Duration::ZERO);

        assert!(!handle.has_ended(), "what was stopped did not end by itself");
    }

    #[test]
    fn a_shard_that_ended_by_itself_is_noticed() {
        let (handle, end) = deaf();
        assert!(!handle.has_ended());

        drop(end);
        while !handle.has_ended() {
            thread::sleep(LOOK_EVERY);
        }

        assert!(handle.command(Command::HangUp { reason: String::new() }).is_err());
    }
}
