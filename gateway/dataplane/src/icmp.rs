//! What a sender is told when its packet goes no further: ICMP errors.
//!
//! The caller limits the rate of answers (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f).

use crate::checksum::{checksum, pseudo};
use crate::datagram::Segment;
use crate::packet::{ICMP, ICMPV6, Packet, put16};
use horizon_api::verdict::is_forwardable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// RFC 1812 §4.3.2.3: the whole answer at most.
const V4_BYTES_MAX: usize = 576;
/// RFC 4443 §2.4 c: the least MTU of IPv6.
const V6_BYTES_MAX: usize = 1280;
const ICMP_HEADER_LEN: usize = 8;
const HOP_LIMIT: u8 = 64;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpError {
    /// The way carries packets of at most `mtu` bytes (RFC 1191 §4, RFC 4443 §3.2).
    TooBig { mtu: u16 },
    /// Policy does not allow it (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
    Prohibited,
    /// The device that has the address is not connected.
    Unreachable,
}

impl IcmpError {
    const fn v4(self) -> (u8, u8) {
        match self {
            Self::TooBig { .. } => (3, 4),
            Self::Prohibited => (3, 13),
            Self::Unreachable => (3, 1),
        }
    }

    const fn v6(self) -> (u8, u8) {
        match self {
            Self::TooBig { .. } => (2, 0),
            Self::Prohibited => (1, 1),
            Self::Unreachable => (1, 3),
        }
    }
}

/// Builds the answer to a packet (`original`, read as `packet`) from our address `from`.
///
/// `None` where an answer is forbidden (RFC 1122 §3.2.2, RFC 4443 §2.4 e): to ICMP errors, later fragments and senders
/// that are no single host; or where `from` is of the other family.
pub fn answer(error: IcmpError, packet: &Packet, original: &[u8], from: IpAddr) -> Option<Segment> {
    if packet.is_icmp_error() || packet.is_later_fragment() || !is_forwardable(packet.source) {
        return None;
    }
    match (from, packet.source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => Some(answer_v4(error, original, from, to)),
        (IpAddr::V6(from), IpAddr::V6(to)) => Some(answer_v6(error, original, from, to)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn answer_v4(error: IcmpError, original: &[u8], from: Ipv4Addr, to: Ipv4Addr) -> Segment {
    const HEADERS: usize = 20 + ICMP_HEADER_LEN;
    let quoted = &original[..original.len().min(V4_BYTES_MAX - HEADERS)];
    let mut buffer = [0; V4_BYTES_MAX];
    let bytes = &mut buffer[..HEADERS + quoted.len()];
    bytes[0] = 0x45;
    let length = bytes.len() as u16;
    put16(bytes, 2, length);
    bytes[8] = HOP_LIMIT;
    bytes[9] = ICMP;
    bytes[12..16].copy_from_slice(&from.octets());
    bytes[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&bytes[..20], 0);
    put16(bytes, 10, sum);
    (bytes[20], bytes[21]) = error.v4();
    if let IcmpError::TooBig { mtu } = error {
        put16(bytes, 26, mtu);
    }
    bytes[HEADERS..].copy_from_slice(quoted);
    let sum = checksum(&bytes[20..], 0);
    put16(bytes, 22, sum);
    Segment::from_packet(bytes)
}

fn answer_v6(error: IcmpError, original: &[u8], from: Ipv6Addr, to: Ipv6Addr) -> Segment {
    const HEADERS: usize = 40 + ICMP_HEADER_LEN;
    let quoted = &original[..original.len().min(V6_BYTES_MAX - HEADERS)];
    let mut buffer = [0; V6_BYTES_MAX];
    let bytes = &mut buffer[..HEADERS + quoted.len()];
    let l4_len = ICMP_HEADER_LEN + quoted.len();
    bytes[0] = 0x60;
    put16(bytes, 4, l4_len as u16);
    bytes[6] = ICMPV6;
    bytes[7] = HOP_LIMIT;
    bytes[8..24].copy_from_slice(&from.octets());
    bytes[24..40].copy_from_slice(&to.octets());
    (bytes[40], bytes[41]) = error.v6();
    if let IcmpError::TooBig { mtu } = error {
        put16(bytes, 46, mtu);
    }
    bytes[HEADERS..].copy_from_slice(quoted);
    let sum = checksum(&bytes[40..], pseudo(from.into(), to.into(), ICMPV6, l4_len));
    put16(bytes, 42, sum);
    Segment::from_packet(bytes)
}

#[cfg(test)]
mod tests;
