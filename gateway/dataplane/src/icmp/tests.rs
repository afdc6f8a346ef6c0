//! Facts about answers.

use super::*;
use crate::checksum::is_intact;
use crate::packet::Transport;
use crate::testing::udp;

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
