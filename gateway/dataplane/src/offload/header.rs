//! The virtio-net header (virtio 1.2 §5.1.6) in front of each frame of a TUN queue with `IFF_VNET_HDR`.

use super::SplitError;

/// Length of the header: the form without a count of buffers.
pub const VIRTIO_HEADER_LEN: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const GSO_ECN: u8 = 0x80;

/// Says how a super-packet is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// Not at all: an ordinary packet.
    None,
    /// As TCP over IPv4.
    TcpV4,
    /// As TCP over IPv6.
    TcpV6,
    /// As UDP datagrams, over either IP.
    Udp,
}

/// The header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtioHeader {
    /// The checksum field holds the pseudo-header's sum only.
    pub needs_checksum: bool,
    /// How to cut.
    pub gso: Gso,
    /// TCP with CWR set: on the first segment only (RFC 3168 §6.1.2).
    pub ecn: bool,
    /// Length of all headers; a hint of the kernel's that may be too large.
    pub header_len: u16,
    /// Payload of each segment.
    pub segment_size: u16,
    /// Where the transport header begins.
    pub checksum_start: u16,
    /// Where in the transport header the checksum is.
    pub checksum_offset: u16,
}

impl VirtioHeader {
    /// The header of a packet that is complete.
    pub const PLAIN: Self = Self {
        needs_checksum: false,
        gso: Gso::None,
        ecn: false,
        header_len: 0,
        segment_size: 0,
        checksum_start: 0,
        checksum_offset: 0,
    };

    /// Reads the header at the beginning of a frame.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, SplitError> {
        let bytes = frame.first_chunk::<VIRTIO_HEADER_LEN>().ok_or(SplitError::Truncated)?;
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let gso = match bytes[1] & !GSO_ECN {
            0 => Gso::None,
            1 => Gso::TcpV4,
            4 => Gso::TcpV6,
            5 => Gso::Udp,
            other => return Err(SplitError::UnknownGso(other)),
        };
        Ok(Self {
            needs_checksum: bytes[0] & NEEDS_CHECKSUM != 0,
            gso,
            ecn: bytes[1] & GSO_ECN != 0,
            header_len: word(2),
            segment_size: word(4),
            checksum_start: word(6),
            checksum_offset: word(8),
        })
    }

    /// Returns the header as it stands in front of a frame.
    #[inline]
    pub const fn to_bytes(self) -> [u8; VIRTIO_HEADER_LEN] {
        let gso = match self.gso {
            Gso::None => 0,
            Gso::TcpV4 => 1,
            Gso::TcpV6 => 4,
            Gso::Udp => 5,
        };
        let [header_low, header_high] = self.header_len.to_le_bytes();
        let [size_low, size_high] = self.segment_size.to_le_bytes();
        let [start_low, start_high] = self.checksum_start.to_le_bytes();
        let [offset_low, offset_high] = self.checksum_offset.to_le_bytes();
        [
            if self.needs_checksum { NEEDS_CHECKSUM } else { 0 },
            if self.ecn { gso | GSO_ECN } else { gso },
            header_low,
            header_high,
            size_low,
            size_high,
            start_low,
            start_high,
            offset_low,
            offset_high,
        ]
    }
}
