//! Facts about answers and about the MSS.

use super::*;
use crate::checksum::is_intact;
use crate::packet::Transport;
use crate::testing::{ip, tcp, udp};

const SYN: u8 = 0x02;

fn told(error: IcmpError, original: &[u8], from: &str) -> Option<(Vec<u8>, Packet)> {
    let packet = Packet::parse(original).unwrap();
    let bytes = answer(error, &packet, original, from.parse().unwrap())?.packet().to_vec();
    let answer = Packet::parse(&bytes).unwrap();
    Some((bytes, answer))
}

#[test]
fn answer_quotes_the_packet_and_goes_to_its_sender() {
    let cases = [
        (udp("10.0.0.1:5", "10.0.0.2:80", &[7; 1400]), "10.0.0.254", 20, 576, (3, 4), 26),
        (udp("[fd00::1]:5", "[fd00::2]:80", &[7; 1400]), "fd00::fe", 40, 1280, (2, 0), 46),
    ];
    for (original, from, l4, length, kind_and_code, mtu_at) in cases {
        let (bytes, told) = told(IcmpError::TooBig { mtu: 1280 }, &original, from).unwrap();
        let start =
            if l4 == 40 { pseudo(told.source, told.destination, ICMPV6, bytes.len() - 40) } else { 0 };

        assert_eq!((bytes.len(), told.source.to_string().as_str()), (length, from));
        assert!(is_intact(&bytes[l4..], start) && (l4 == 40 || is_intact(&bytes[..20], 0)));
        assert!(
            matches!(told.transport, Transport::Icmp { kind, code, .. } if (kind, code) == kind_and_code)
        );
        assert_eq!(bytes[mtu_at..mtu_at + 2], 1280u16.to_be_bytes());
        let quoted = told.quoted(&bytes).unwrap();
        assert_eq!((quoted.source, quoted.ports()), (told.destination, Some((5, 80))));
    }
}

#[test]
fn no_answer_is_answered() {
    let original = udp("10.0.0.1:5", "10.0.0.2:80", b"x");
    let (error, _) = told(IcmpError::Prohibited, &original, "10.0.0.254").unwrap();
    let mut later = original.clone();
    later[7] = 9;

    assert!(told(IcmpError::Prohibited, &error, "10.0.0.254").is_none());
    assert!(told(IcmpError::Prohibited, &later, "10.0.0.254").is_none());
    assert!(told(IcmpError::Prohibited, &udp("224.0.0.1:5", "10.0.0.2:80", b"x"), "10.0.0.254").is_none());
    assert!(told(IcmpError::Prohibited, &original, "fd00::1").is_none());
}

/// A SYN with these options.
fn syn(is_v6: bool, options: &[u8]) -> Vec<u8> {
    let (source, destination) =
        if is_v6 { ("[fd00::1]:5", "[fd00::2]:80") } else { ("10.0.0.1:5", "10.0.0.2:80") };
    let plain = tcp(source, destination, SYN, b"");
    let packet = Packet::parse(&plain).unwrap();
    let mut l4 = plain[usize::from(packet.l4_offset)..].to_vec();
    l4.extend(options);
    l4[12] = ((l4.len() / 4) << 4) as u8;
    l4[16..18].fill(0);
    ip(packet.source, packet.destination, packet.protocol, l4, 16)
}

#[test]
fn mss_is_lowered_and_the_checksum_kept_right() {
    let options = [[2, 4, 5, 180, 1, 1, 1, 1], [1, 2, 4, 5, 180, 1, 1, 0], [8, 3, 9, 2, 4, 5, 180, 0]];
    for (is_v6, limit) in [(false, 1240u16), (true, 1220)] {
        for options in options {
            let mut bytes = syn(is_v6, &options);
            let packet = Packet::parse(&bytes).unwrap();
            let l4 = usize::from(packet.l4_offset);
            let start = pseudo(packet.source, packet.destination, packet.protocol, bytes.len() - l4);

            assert!(clamp_mss(&mut bytes, &packet, 1280, Checksum::Full));
            assert!(is_intact(&bytes[l4..], start), "{options:?}");
            assert!(
                bytes.windows(4).any(|window| window[..2] == [2, 4] && window[2..] == limit.to_be_bytes())
            );
            assert!(!clamp_mss(&mut bytes, &packet, 1280, Checksum::Full), "it is low enough");
        }
    }
}

#[test]
fn partial_checksum_is_left_alone() {
    let mut bytes = syn(false, &[2, 4, 5, 180]);
    let before = bytes[36..38].to_vec();
    let packet = Packet::parse(&bytes).unwrap();

    assert!(clamp_mss(&mut bytes, &packet, 1280, Checksum::Partial));
    assert_eq!(bytes[36..38], before);
}

#[test]
fn only_a_syn_with_the_option_is_changed() {
    for mut bytes in [
        tcp("10.0.0.1:5", "10.0.0.2:80", SYN, b""),
        tcp("10.0.0.1:5", "10.0.0.2:80", 0x10, &[2, 4, 5, 180]),
        syn(false, &[0, 2, 4, 5, 180, 0, 0, 0]),
        syn(false, &[9, 200, 2, 4]),
        syn(false, &[9, 0, 2, 4]),
        udp("10.0.0.1:5", "10.0.0.2:80", b"x"),
    ] {
        let (before, packet) = (bytes.clone(), Packet::parse(&bytes).unwrap());
        assert!(!clamp_mss(&mut bytes, &packet, 600, Checksum::Full));
        assert_eq!(bytes, before);
    }
}

proptest::proptest! {
    #[test]
    fn any_options_are_survived(options in proptest::collection::vec(proptest::num::u8::ANY, 0..40), mtu: u16) {
        let padded = [&options[..], &[0; 4][..(4 - options.len() % 4) % 4]].concat();
        let mut bytes = syn(true, &padded);
        let packet = Packet::parse(&bytes).unwrap();
        clamp_mss(&mut bytes, &packet, mtu, Checksum::Full);
        let start = pseudo(packet.source, packet.destination, packet.protocol, bytes.len() - 40);
        proptest::prop_assert!(is_intact(&bytes[40..], start));
    }
}
