//! Our framing inside a QUIC DATAGRAM of a link (ALPN `hzn-link/1`).
//!
//! | bytes | |
//! |---|---|
//! | 1 | channel, a QUIC varint of one byte: 0 IP, 1 probe |
//! | 1 | flags: bit 0 `NoChecksum`, bit 1 `Part` |
//! | 3, with `Part` | packet id (16 bits, big-endian), index with the highest bit set on the last part |
//! | rest | payload |
//!
//! A packet too large for the path's limit travels in parts. That is a normal path: a TUN needs 1280 bytes, and a
//! link carries less until its path MTU is known.

mod parts;
mod reassembly;
mod segment;

pub use parts::{PARTS_MAX, parts};
pub use reassembly::{Reassembly, ReassemblyLimits};
pub use segment::Segment;

use crate::drop_reason::DropReason;
use bytes::{Buf, Bytes};

/// Bytes in front of a whole packet.
pub const HEADROOM: usize = 2;
/// Bytes in front of a part.
pub const PART_HEADROOM: usize = 5;

/// IP packets of the link's network.
const CHANNEL_IP: u8 = 0;
/// Probes of the path.
const CHANNEL_PROBE: u8 = 1;
/// The sender left the transport checksum of the packet out.
pub(crate) const FLAG_NO_CHECKSUM: u8 = 1;
/// The payload is a part of a packet.
const FLAG_PART: u8 = 2;
/// Marks the last part in its index.
const LAST_PART: u8 = 0x80;

/// What a datagram holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram {
    /// A whole packet.
    Packet(Segment),
    /// A part of one.
    Part(Part),
    /// A probe's payload.
    Probe(Bytes),
}

/// One part of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The same in all parts of a packet.
    pub packet_id: u16,
    /// Its place, below [`PARTS_MAX`].
    pub index: u8,
    /// Whether no part follows.
    pub is_last: bool,
    /// Whether the packet lacks its transport checksum.
    pub lacks_checksum: bool,
    /// The bytes of the packet.
    pub payload: Bytes,
}

/// Reads a datagram from a link.
#[inline]
pub fn decode(mut datagram: Bytes) -> Result<Datagram, DropReason> {
    let header = datagram.first_chunk::<HEADROOM>().ok_or(DropReason::Malformed)?;
    let [channel, flags] = *header;
    match channel {
        CHANNEL_IP => {}
        CHANNEL_PROBE if flags == 0 => {
            datagram.advance(HEADROOM);
            return Ok(Datagram::Probe(datagram));
        }
        CHANNEL_PROBE => return Err(DropReason::UnknownFlag),
        // A longer varint than needed is also none of ours: packets are passed on with their header of two bytes.
        _ => return Err(DropReason::UnknownChannel),
    }
    if flags & !(FLAG_NO_CHECKSUM | FLAG_PART) != 0 {
        return Err(DropReason::UnknownFlag);
    }
    if flags & FLAG_PART == 0 {
        return Ok(Datagram::Packet(Segment::from_framed(datagram)));
    }
    let &[_, _, high, low, place] = datagram.first_chunk::<PART_HEADROOM>().ok_or(DropReason::Malformed)?;
    let index = place & !LAST_PART;
    if usize::from(index) >= PARTS_MAX || datagram.len() == PART_HEADROOM {
        return Err(DropReason::Malformed);
    }
    datagram.advance(PART_HEADROOM);
    Ok(Datagram::Part(Part {
        packet_id: u16::from_be_bytes([high, low]),
        index,
        is_last: place & LAST_PART != 0,
        lacks_checksum: flags & FLAG_NO_CHECKSUM != 0,
        payload: datagram,
    }))
}

/// Returns the header in front of a whole packet.
#[inline]
pub(crate) const fn ip_header(lacks_checksum: bool) -> [u8; HEADROOM] {
    [CHANNEL_IP, if lacks_checksum { FLAG_NO_CHECKSUM } else { 0 }]
}

#[cfg(test)]
mod tests;
