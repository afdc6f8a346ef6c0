//! Facts about reading packets.

use super::*;
use crate::testing::{icmp_echo, tcp, udp, v6_extended};

#[test]
fn ports_and_addresses_are_read() {
    let bytes = tcp("10.0.0.1:4000", "10.0.0.2:443", 0x10, b"hello");
    let packet = Packet::parse(&bytes).unwrap();

    assert_eq!(packet.source.to_string(), "10.0.0.1");
    assert_eq!(packet.destination.to_string(), "10.0.0.2");
    assert_eq!(packet.ports(), Some((4000, 443)));
    assert_eq!((packet.l4_offset, packet.fragment), (20, Fragment::Whole));
}

#[test]
fn length_must_agree_with_the_bytes() {
    let mut bytes = udp("[fd00::1]:1", "[fd00::2]:53", b"x");
    bytes.push(0);
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Length));
    bytes.truncate(47);
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Length));
}

#[test]
fn extension_headers_do_not_hide_ports() {
    for chain in [&[0u8][..], &[60], &[0, 60, 43, 51, 60], &[44]] {
        let bytes = v6_extended(chain, &udp("[fd00::1]:1", "[fd00::2]:53", b"x"));
        assert_eq!(Packet::parse(&bytes).unwrap().ports(), Some((1, 53)), "{chain:?}");
    }
}

#[test]
fn odd_chains_are_refused() {
    let inner = udp("[fd00::1]:1", "[fd00::2]:53", b"x");
    assert_eq!(Packet::parse(&v6_extended(&[60, 0], &inner)), Err(ParseError::Field));
    assert_eq!(Packet::parse(&v6_extended(&[60; 9], &inner)), Err(ParseError::TooManyHeaders));
    let mut routed = v6_extended(&[43], &inner);
    routed[43] = 1;
    assert_eq!(Packet::parse(&routed), Err(ParseError::SourceRoute));
}

#[test]
fn unknown_protocol_is_its_number_without_ports() {
    let mut bytes = tcp("10.0.0.1:4000", "10.0.0.2:443", 0x10, b"");
    bytes[9] = 47;
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.protocol, packet.transport), (47, Transport::Opaque));
}

#[test]
fn later_fragment_has_no_ports() {
    let mut bytes = udp("10.0.0.1:1", "10.0.0.2:53", &[0; 64]);
    bytes[4..8].copy_from_slice(&[0, 7, 0x20, 0]);
    assert_eq!(Packet::parse(&bytes).unwrap().fragment, Fragment::First(7));
    bytes[6..8].copy_from_slice(&[0, 9]);
    let later = Packet::parse(&bytes).unwrap();
    assert_eq!((later.fragment, later.ports()), (Fragment::Later(7), None));
}

#[test]
fn tiny_first_fragment_is_refused() {
    let mut bytes = tcp("10.0.0.1:4000", "10.0.0.2:443", 0x02, b"");
    bytes.truncate(28);
    bytes[2..4].copy_from_slice(&[0, 28]);
    bytes[6] = 0x20;
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Truncated));
    bytes[6..8].copy_from_slice(&[0, 1]);
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Field));
}

#[test]
fn source_route_option_is_refused() {
    let inner = udp("10.0.0.1:1", "10.0.0.2:53", b"");
    let mut bytes = inner[..20].to_vec();
    bytes.extend([1, 131, 3, 4]);
    bytes.extend(&inner[20..]);
    bytes[0] = 0x46;
    bytes[3] += 4;
    assert_eq!(Packet::parse(&bytes), Err(ParseError::SourceRoute));
    bytes[21] = 148;
    assert_eq!(Packet::parse(&bytes).unwrap().ports(), Some((1, 53)));
    bytes[22] = 9;
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Truncated));
}

#[test]
fn echo_has_an_identifier() {
    for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
        let packet = Packet::parse(&icmp_echo(source, destination, 77, false)).unwrap();
        assert!(matches!(packet.transport, Transport::Icmp { id: Some(77), .. }));
        assert!(!packet.is_icmp_error());
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_an_answer(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..160), fit: bool) {
        if fit && bytes.len() > 44 {
            let length = bytes.len() as u16;
            match bytes[0] & 1 {
                0 => { bytes[0] = 0x45 + (bytes[1] & 3); put16(&mut bytes, 2, length) }
                _ => { bytes[0] = 0x60; bytes[6] = [0, 43, 44, 51, 60, 6, 17, 58][usize::from(bytes[7] & 7)]; put16(&mut bytes, 4, length - 40) }
            }
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            proptest::prop_assert!(usize::from(packet.l4_offset) <= bytes.len());
            let _ = packet.quoted(&bytes);
        }
        let _ = Packet::parse_quoted(&bytes);
    }
}
