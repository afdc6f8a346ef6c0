//! Packets between two devices of a network, sealed so that the gateways that forward them cannot read them.
//!
//! Noise IK (<https://noiseprotocol.org/noise.html>, §7.5) by `snow`, with the primitives of aws-lc-rs. Each side knows
//! the other by its [card](horizon_api::card), which gateways hand over and cannot alter. A [`Sealer`] is one device's
//! end in one network: it `handle_*`s packets, cards and time, and `poll_*`s what is to be sent.
//! No clock and no randomness inside: both are arguments ([`At`]).

mod handshake;
mod message;
mod peer;
mod primitives;
mod replay;
mod sealer;
mod session;
mod suite;

use std::{net::IpAddr, time::Instant};

pub use message::{OVERHEAD, sealed_len};
pub use peer::{PeerStatus, Trouble};
pub use primitives::public_key;
pub use sealer::{Limits, Opened, Output, Sealed, Sealer, Terms};
pub use suite::Suite;

/// The moment of an input, read once by the caller, with randomness for it.
pub struct At<'a> {
    pub now: Instant,
    pub unix_s: i64,
    /// Gives 32 bytes that nobody can guess, others at each call.
    pub random: &'a mut dyn FnMut() -> [u8; 32],
}

/// The two ends of a conversation, by their addresses in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    pub own: IpAddr,
    pub peer: IpAddr,
}
