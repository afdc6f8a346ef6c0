//! Packets for tests, built the long way round.

use crate::checksum::{checksum, pseudo};
use crate::packet::{ICMP, ICMPV6, TCP, UDP, put16};
use std::net::{IpAddr, SocketAddr};

/// Returns an IP packet around a transport payload whose checksum field is at `checksum_at`.
pub(crate) fn ip(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    mut l4: Vec<u8>,
    checksum_at: usize,
) -> Vec<u8> {
    let start = if protocol == ICMP { 0 } else { pseudo(source, destination, protocol, l4.len()) };
    let sum = checksum(&l4, start);
    put16(&mut l4, checksum_at, if sum == 0 && protocol == UDP { 0xffff } else { sum });
    let mut bytes = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
            put16(&mut header, 2, 20 + l4.len() as u16);
            header.extend(source.octets());
            header.extend(destination.octets());
            let sum = checksum(&header, 0);
            put16(&mut header, 10, sum);
            header
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            put16(&mut header, 4, l4.len() as u16);
            header.extend(source.octets());
            header.extend(destination.octets());
            header
        }
        _ => panic!("addresses of two families"),
    };
    bytes.extend(l4);
    bytes
}

pub(crate) fn tcp(source: &str, destination: &str, flags: u8, payload: &[u8]) -> Vec<u8> {
    tcp_at(source, destination, flags, 1000, payload)
}

pub(crate) fn tcp_at(source: &str, destination: &str, flags: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) =
        (source.parse().unwrap(), destination.parse().unwrap());
    let mut l4 = vec![0; 20];
    put16(&mut l4, 0, source.port());
    put16(&mut l4, 2, destination.port());
    l4[4..8].copy_from_slice(&sequence.to_be_bytes());
    l4[12..16].copy_from_slice(&[0x50, flags, 1, 0]);
    l4.extend(payload);
    ip(source.ip(), destination.ip(), TCP, l4, 16)
}

pub(crate) fn udp(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) =
        (source.parse().unwrap(), destination.parse().unwrap());
    let mut l4 = vec![0; 8];
    put16(&mut l4, 0, source.port());
    put16(&mut l4, 2, destination.port());
    put16(&mut l4, 4, 8 + payload.len() as u16);
    l4.extend(payload);
    ip(source.ip(), destination.ip(), UDP, l4, 6)
}

pub(crate) fn icmp_echo(source: &str, destination: &str, id: u16, is_reply: bool) -> Vec<u8> {
    let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let (protocol, kind) = match (source.is_ipv4(), is_reply) {
        (true, false) => (ICMP, 8),
        (true, true) => (ICMP, 0),
        (false, false) => (ICMPV6, 128),
        (false, true) => (ICMPV6, 129),
    };
    let mut l4 = vec![kind, 0, 0, 0, 0, 0, 0, 1];
    put16(&mut l4, 4, id);
    ip(source, destination, protocol, l4, 2)
}

/// Returns an IPv6 packet with extension headers of 8 bytes put in (12 for AH).
pub(crate) fn v6_extended(chain: &[u8], inner: &[u8]) -> Vec<u8> {
    let mut bytes = inner[..40].to_vec();
    let protocol = bytes[6];
    bytes[6] = *chain.first().unwrap_or(&protocol);
    for (place, kind) in chain.iter().enumerate() {
        let next = *chain.get(place + 1).unwrap_or(&protocol);
        bytes.extend([next, u8::from(*kind == 51), 0, 0, 0, 0, 0, 0]);
        if *kind == 51 {
            bytes.extend([0; 4]);
        }
    }
    bytes.extend(&inner[40..]);
    let length = bytes.len() as u16 - 40;
    put16(&mut bytes, 4, length);
    bytes
}
