//! What waits in a queue: a frame from TUN, or a packet from another link.

use crate::checksum::update;
use crate::datagram::{HEADROOM, Segment};
use crate::offload::VIRTIO_HEADER_LEN;
use crate::packet::{be16, put16};
use bytes::BytesMut;

/// One frame, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// From TUN: virtio header and up to 64 KiB of one flow.
    Tun(BytesMut),
    /// From a link, ready to be sent on.
    Segment(Segment),
}

impl Frame {
    /// Returns its length in bytes with what stands in front of the packet.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Tun(frame) => frame.len(),
            Self::Segment(segment) => segment.datagram_len(),
        }
    }

    /// Tells whether there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether it is cut into several packets when it leaves.
    #[inline]
    pub(super) fn is_super(&self) -> bool {
        match self {
            Self::Tun(frame) => frame.get(1).is_some_and(|gso| *gso != 0),
            Self::Segment(_) => false,
        }
    }

    /// Marks it with Congestion Experienced if it says that it can carry that (RFC 3168 §5), else gives it back.
    pub(super) fn marked(self) -> Result<Self, Self> {
        match self {
            Self::Tun(mut frame) => {
                if frame.get_mut(VIRTIO_HEADER_LEN..).is_some_and(mark) {
                    Ok(Self::Tun(frame))
                } else {
                    Err(Self::Tun(frame))
                }
            }
            Self::Segment(segment) if can_mark(segment.packet()) => {
                let mut framed = segment.into_mut();
                mark(&mut framed[HEADROOM..]);
                Ok(Self::Segment(Segment::from_framed(framed.freeze())))
            }
            Self::Segment(segment) => Err(Self::Segment(segment)),
        }
    }
}

/// Tells whether a packet's ECN field is not zero: ECT or already CE.
fn can_mark(packet: &[u8]) -> bool {
    match packet.first_chunk::<20>() {
        Some(header) if header[0] >> 4 == 4 => header[1] & 3 != 0,
        Some(header) if header[0] >> 4 == 6 => header[1] & 0x30 != 0,
        Some(_) | None => false,
    }
}

fn mark(packet: &mut [u8]) -> bool {
    if !can_mark(packet) {
        return false;
    }
    if packet[0] >> 4 == 6 {
        packet[1] |= 0x30;
        return true;
    }
    let old = be16(packet, 0);
    packet[1] |= 3;
    let sum = update(be16(packet, 10), old, be16(packet, 0));
    put16(packet, 10, sum);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::is_intact;
    use crate::testing::udp;

    #[test]
    fn only_capable_packets_are_marked() {
        let mut v4 = udp("10.0.0.1:1", "10.0.0.2:2", b"x");
        assert!(!mark(&mut v4));
        v4[1] = 1;
        put16(&mut v4, 10, 0);
        let sum = crate::checksum::checksum(&v4[..20], 0);
        put16(&mut v4, 10, sum);
        assert!(mark(&mut v4));
        assert!(v4[1] == 3 && is_intact(&v4[..20], 0));

        let mut v6 = udp("[fd00::1]:1", "[fd00::2]:2", b"x");
        assert!(!mark(&mut v6));
        v6[1] = 0x20;
        assert!(mark(&mut v6));
        assert_eq!(v6[..2], [0x60, 0x30]);
    }

    #[test]
    fn marking_spares_others_who_hold_the_bytes() {
        let mut packet = udp("[fd00::1]:1", "[fd00::2]:2", b"x");
        packet[1] = 0x20;
        let segment = Segment::from_packet(&packet);
        let Ok(Frame::Segment(marked)) = Frame::Segment(segment.clone()).marked() else {
            panic!("not marked")
        };

        assert_eq!(marked.packet()[1], 0x30);
        assert_eq!(segment.packet()[1], 0x20);
    }
}
