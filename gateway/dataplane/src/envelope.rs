//! The IP header in front of what is sealed between two devices: gateways forward by its addresses alone.

use crate::checksum::checksum;
use crate::datagram::{HEADROOM, ip_header};
use crate::packet::{Packet, put16};
use bytes::BytesMut;
use std::net::IpAddr;

/// The protocol number of sealed packets: one for experiments (RFC 3692 §2.1, RFC 4727 §2.1), because none is assigned.
pub const PROTOCOL: u8 = 253;

const V4_HEADER_LEN: usize = 20;
const V6_HEADER_LEN: usize = 40;
const HOP_LIMIT: u8 = 64;
/// What the seal itself adds.
pub const SEAL_BYTES: u16 = 32;
/// What sealing adds at most: an IPv6 header, the flags, and the seal.
const OVERHEAD: u16 = V6_HEADER_LEN as u16 + 1 + SEAL_BYTES;
/// The least that IPv6 asks of a link (RFC 8200 §5); what is longer than its path once it is sealed goes in parts.
const MTU_MIN: u16 = 1280;

/// Returns what the interface of a device may carry in a network of this MTU, when packets are sealed.
pub fn inner_mtu(mtu: u16) -> u16 {
    mtu.saturating_sub(OVERHEAD).max(mtu.min(MTU_MIN))
}

/// Appends the header of a datagram and an IP header for `body_bytes` from `source` to `destination`. Both must be of
/// one family.
pub fn begin(out: &mut BytesMut, source: IpAddr, destination: IpAddr, body_bytes: usize) {
    out.reserve(HEADROOM + V6_HEADER_LEN + body_bytes);
    out.extend_from_slice(&ip_header(false));
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = [0; V4_HEADER_LEN];
            header[0] = 0x45;
            put16(&mut header, 2, (V4_HEADER_LEN + body_bytes) as u16);
            // Don't fragment: what is too long goes in parts, below IP.
            header[6] = 0x40;
            header[8] = HOP_LIMIT;
            header[9] = PROTOCOL;
            header[12..16].copy_from_slice(&source.octets());
            header[16..].copy_from_slice(&destination.octets());
            let sum = checksum(&header, 0);
            put16(&mut header, 10, sum);
            out.extend_from_slice(&header);
        }
        (source, destination) => {
            let octets = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let mut header = [0; V6_HEADER_LEN];
            header[0] = 0x60;
            put16(&mut header, 4, body_bytes as u16);
            header[6] = PROTOCOL;
            header[7] = HOP_LIMIT;
            header[8..24].copy_from_slice(&octets(source));
            header[24..].copy_from_slice(&octets(destination));
            out.extend_from_slice(&header);
        }
    }
}

/// Returns what stands behind the headers of a packet (`bytes`, read as `packet`), if it is one of ours.
#[inline]
pub fn body<'a>(packet: &Packet, bytes: &'a [u8]) -> Option<&'a [u8]> {
    bytes.get(usize::from(packet.l4_offset)..).filter(|_| packet.protocol == PROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::is_intact;

    #[test]
    fn what_is_sealed_reads_as_a_packet_between_the_same_two() {
        for (source, destination) in [("10.77.0.2", "10.77.0.3"), ("fd77::2", "fd77::3")] {
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            let mut out = BytesMut::new();
            begin(&mut out, source, destination, 6);
            out.extend_from_slice(b"sealed");

            let bytes = &out[HEADROOM..];
            let packet = Packet::parse(bytes).unwrap();
            assert_eq!((packet.source, packet.destination), (source, destination));
            assert_eq!((packet.protocol, packet.ports()), (PROTOCOL, None));
            assert_eq!(body(&packet, bytes), Some(&b"sealed"[..]));
            assert!(source.is_ipv6() || is_intact(&bytes[..20], 0));
        }
    }

    #[test]
    fn the_mtu_leaves_room_and_stays_enough_for_ipv6() {
        assert_eq!([1380, 1300, 1280, 576, 9000].map(inner_mtu), [1307, 1280, 1280, 576, 8927]);
    }
}
