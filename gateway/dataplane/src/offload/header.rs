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

    /// Returns the length of the longest packet that `packet`, which stands behind this header, is cut into.
    #[inline]
    fn segment_len(&self, packet: &[u8]) -> usize {
        let start = usize::from(self.checksum_start);
        let l4_headers = match self.gso {
            Gso::None => return packet.len(),
            Gso::Udp => 8,
            Gso::TcpV4 | Gso::TcpV6 => packet.get(start + 12).map_or(20, |byte| usize::from(byte >> 4) * 4),
        };
        (start + l4_headers + usize::from(self.segment_size)).min(packet.len())
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

/// Tells whether a frame holds a packet of more than `mtu` bytes whose sender wants to be told instead of having it
/// fragmented: any of IPv6, and of IPv4 with "don't fragment" (RFC 1191 §2).
#[inline]
pub fn is_too_big(frame: &[u8], mtu: u16) -> bool {
    if frame.len() <= VIRTIO_HEADER_LEN + usize::from(mtu) {
        return false;
    }
    let packet = &frame[VIRTIO_HEADER_LEN..];
    let wants_word = packet[0] >> 4 == 6 || packet.get(6).is_some_and(|flags| flags & 0x40 != 0);
    wants_word && VirtioHeader::parse(frame).is_ok_and(|header| header.segment_len(packet) > usize::from(mtu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{tcp, udp};

    fn frame(header: VirtioHeader, packet: &[u8]) -> Vec<u8> {
        [&header.to_bytes()[..], packet].concat()
    }

    #[test]
    fn only_who_asked_for_it_is_told_that_a_packet_is_too_big() {
        let mut v4 = udp("10.0.0.1:1", "10.0.0.2:2", &[0; 1372]);
        v4[6] &= !0x40;
        assert!(!is_too_big(&frame(VirtioHeader::PLAIN, &v4), 1280));
        v4[6] |= 0x40;
        assert!(is_too_big(&frame(VirtioHeader::PLAIN, &v4), 1280));
        assert!(!is_too_big(&frame(VirtioHeader::PLAIN, &v4), 1400));
        let v6 = udp("[fd00::1]:1", "[fd00::2]:2", &[0; 1300]);
        assert!(is_too_big(&frame(VirtioHeader::PLAIN, &v6), 1280));
    }

    #[test]
    fn a_super_packet_counts_as_its_segments() {
        let packet = tcp("[fd00::1]:1", "[fd00::2]:2", 0x10, &[0; 9000]);
        let header = |segment_size| VirtioHeader {
            gso: Gso::TcpV6,
            segment_size,
            checksum_start: 40,
            checksum_offset: 16,
            ..VirtioHeader::PLAIN
        };
        assert!(!is_too_big(&frame(header(1220), &packet), 1280));
        assert!(is_too_big(&frame(header(1221), &packet), 1280));
    }
}
