//! Super-packets: the kernel hands over and takes up to 64 KiB of one flow at once, with a virtio-net header in front.
//!
//! [`split()`] cuts what was read from a TUN queue into packets; [`Coalescer`] joins packets of a flow for one write.
//! This is where most of the speed comes from: one trip through the kernel's stack for about 47 packets.

pub mod coalesce;
pub mod header;
pub mod split;

pub use coalesce::{Coalescer, FrameSink};
pub use header::{Gso, VIRTIO_HEADER_LEN, VirtioHeader, is_too_big};
pub use split::{SplitError, split};

/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM: usize = 16;
/// Offset of the checksum in a UDP header.
const UDP_CHECKSUM: usize = 6;
/// TCP flags, RFC 9293 §3.1.
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_ACK: u8 = 0x10;
const TCP_ECE: u8 = 0x40;
const TCP_CWR: u8 = 0x80;

#[cfg(test)]
mod tests;
