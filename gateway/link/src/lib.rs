//! The fast path: one thread owns one UDP socket, one TUN queue and one QUIC endpoint, in a plain loop.
//!
//! Gateway and client agent use the same loop. It moves bytes; what to do with them is decided in `horizon_dataplane`.
//! Others send [`Command`]s, get [`LinkEvent`]s and read a [`ShardStatus`].

mod control;
mod intake;
mod link;
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
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use arc_swap::ArcSwap;
use horizon_api::{
    key::{PublicKey, SecretKey},
    wire::{
        Refusal,
        link::{Accept, LinkHello},
    },
};
use horizon_dataplane::{forwarder::Forwarder, link::admission::Admission};
use horizon_host::TunQueue;

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
    Renew { grant: Vec<u8> },
    /// Device: end the link.
    HangUp { reason: String },
    /// End all links and the thread.
    Stop { reason: String },
}

/// What a gateway serves by: immutable, swapped as a whole.
pub struct Serving {
    pub admission: Admission,
    pub forwarder: Forwarder,
}

/// Where to dial, whom to expect there, what to say.
pub struct Dial {
    pub remote: SocketAddr,
    pub gateway: PublicKey,
    pub hello: LinkHello,
}

/// What happened to a link.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// Device: the gateway accepted.
    Up { accept: Accept, key_exchange: String },
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
    /// Gateway: a device's link ended.
    Left { device: PublicKey, name: String, reason: String },
    /// The interface was removed: the thread goes on without it until it is stopped.
    TunLost,
    /// The thread ended, and why.
    Stopped { error: Option<String> },
}

/// A running shard. Dropping it does not stop it; [`ShardHandle::stop`] does.
pub struct ShardHandle {
    commands: mpsc::SyncSender<Command>,
    wake: Arc<wake::Wake>,
    status: Arc<ArcSwap<ShardStatus>>,
    thread: Option<JoinHandle<()>>,
}

/// Commands that may wait for a turn of the loop: a turn takes a millisecond at most.
const COMMANDS_MAX: usize = 64;

/// Starts the thread of a shard.
///
/// # Errors
/// When the socket cannot be prepared or the thread cannot be made.
pub fn start(parts: ShardParts) -> Result<ShardHandle, ShardError> {
    let (commands, inbox) = mpsc::sync_channel(COMMANDS_MAX);
    let wake = Arc::new(wake::Wake::new().map_err(ShardError::System)?);
    let status = Arc::new(ArcSwap::from_pointee(ShardStatus::default()));
    let shard = shard::Shard::new(parts, inbox, Arc::clone(&wake), Arc::clone(&status))?;
    let thread = std::thread::Builder::new()
        .name("shard-0".into())
        .spawn(move || shard.run())
        .map_err(ShardError::System)?;
    Ok(ShardHandle { commands, wake, status, thread: Some(thread) })
}

impl ShardHandle {
    /// Hands a command over.
    ///
    /// # Errors
    /// When the shard has ended, or does not keep up.
    pub fn command(&self, command: Command) -> io::Result<()> {
        self.commands
            .try_send(command)
            .map_err(|_| io::Error::other("the shard takes no commands: it ended or is overloaded"))?;
        self.wake.wake();
        Ok(())
    }

    /// Returns the newest status, at most half a second old.
    pub fn status(&self) -> Arc<ShardStatus> {
        self.status.load_full()
    }

    /// Ends all links, tells the other ends, and waits for the thread.
    pub fn stop(&mut self, reason: &str) {
        drop(self.command(Command::Stop { reason: reason.to_owned() }));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
