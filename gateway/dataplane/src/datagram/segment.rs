//! One packet behind the header of its datagram: what goes from TUN or link to a link without a copy.

use super::{FLAG_NO_CHECKSUM, HEADROOM, ip_header};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// One packet behind the header of its datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    framed: Bytes,
}

impl Segment {
    /// Frames a packet that was made here and is complete; copies it.
    pub fn from_packet(packet: &[u8]) -> Self {
        let mut framed = BytesMut::with_capacity(HEADROOM + packet.len());
        framed.put_slice(&ip_header(false));
        framed.put_slice(packet);
        Self { framed: framed.freeze() }
    }

    /// Takes bytes that begin with the header of a whole packet.
    #[inline]
    pub const fn from_framed(framed: Bytes) -> Self {
        Self { framed }
    }

    /// Copies it, so that waiting for a link holds its own bytes and not all that arrived with it.
    pub fn to_owned(&self) -> Self {
        Self { framed: Bytes::copy_from_slice(&self.framed) }
    }

    /// Returns the packet.
    #[inline]
    pub fn packet(&self) -> &[u8] {
        &self.framed[HEADROOM..]
    }

    /// Returns the packet with the byte of flags in front of it: all that the other end of a sealed conversation must know.
    #[inline]
    pub fn flagged(&self) -> &[u8] {
        &self.framed[HEADROOM - 1..]
    }

    /// Returns the length of the datagram.
    #[inline]
    pub const fn datagram_len(&self) -> usize {
        self.framed.len()
    }

    /// Tells whether the packet's transport checksum is left for the receiver to fill in.
    #[inline]
    pub fn lacks_checksum(&self) -> bool {
        self.framed[1] & FLAG_NO_CHECKSUM != 0
    }

    /// Returns the whole as the payload of a QUIC DATAGRAM.
    #[inline]
    pub fn into_datagram(self) -> Bytes {
        self.framed
    }

    /// Returns the packet alone.
    #[inline]
    pub fn into_packet(mut self) -> Bytes {
        self.framed.advance(HEADROOM);
        self.framed
    }

    /// Returns the datagram for changes, copied if others hold its buffer too.
    pub(crate) fn into_mut(self) -> BytesMut {
        self.framed.try_into_mut().unwrap_or_else(|framed| BytesMut::from(&framed[..]))
    }
}
