//! Facts about cutting and joining.

use super::*;
use crate::checksum::{is_intact, pseudo};
use crate::datagram::Segment;
use crate::packet::{Packet, TCP, UDP, put16};
use crate::testing::{tcp, tcp_at, udp};
use bytes::{Bytes, BytesMut};
use proptest::prelude::{prop_assert, prop_assert_eq};

/// Keeps frames as the kernel would get them.
#[derive(Default)]
struct Frames(Vec<Vec<u8>>);

impl FrameSink for Frames {
    fn write(&mut self, header: &[u8; VIRTIO_HEADER_LEN], head: &[u8], parts: &[Bytes]) {
        let mut frame = header.to_vec();
        frame.extend(head);
        parts.iter().for_each(|part| frame.extend(part));
        self.0.push(frame);
    }
}

#[derive(Debug, Clone, Copy)]
struct Case {
    is_v6: bool,
    is_tcp: bool,
    size: u16,
    flags: u8,
}

/// A super-packet as a kernel hands it over.
fn super_packet(case: Case, payload: &[u8]) -> Vec<u8> {
    let (source, destination) =
        if case.is_v6 { ("[fd00::1]:4000", "[fd00::2]:443") } else { ("10.0.0.1:4000", "10.0.0.2:443") };
    let packet = if case.is_tcp {
        tcp_at(source, destination, case.flags, u32::MAX - 5000, payload)
    } else {
        udp(source, destination, payload)
    };
    let (l4, offset) = (if case.is_v6 { 40 } else { 20 }, if case.is_tcp { 16 } else { 6 });
    let header = VirtioHeader {
        needs_checksum: true,
        gso: match (case.is_tcp, case.is_v6) {
            (true, false) => Gso::TcpV4,
            (true, true) => Gso::TcpV6,
            (false, _) => Gso::Udp,
        },
        ecn: case.flags & TCP_CWR != 0,
        header_len: 0,
        segment_size: case.size,
        checksum_start: l4,
        checksum_offset: offset,
    };
    [&header.to_bytes()[..], &packet].concat()
}

fn cut(frame: &[u8], trust: bool) -> Result<Vec<Segment>, SplitError> {
    let mut segments = vec![];
    split(frame, &mut BytesMut::new(), trust, |segment| segments.push(segment))?;
    Ok(segments)
}

fn join(segments: &[Segment]) -> Vec<Vec<u8>> {
    let (mut frames, mut coalescer) = (Frames::default(), Coalescer::new(true));
    for segment in segments {
        let packet = Packet::parse(segment.packet()).unwrap();
        coalescer.push(&packet, segment.clone().into_packet(), segment.lacks_checksum(), &mut frames);
    }
    coalescer.flush(&mut frames);
    frames.0
}

fn join_packets(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    join(&packets.iter().map(|packet| Segment::from_packet(packet)).collect::<Vec<_>>())
}

fn payload_of(bytes: &[u8]) -> &[u8] {
    let packet = Packet::parse(bytes).unwrap();
    let l4 = usize::from(packet.l4_offset);
    let length = if packet.protocol == TCP { usize::from(bytes[l4 + 12] >> 4) * 4 } else { 8 };
    &bytes[l4 + length..]
}

fn checksums_are_right(bytes: &[u8]) -> bool {
    let packet = Packet::parse(bytes).unwrap();
    let l4 = usize::from(packet.l4_offset);
    let start = pseudo(packet.source, packet.destination, packet.protocol, bytes.len() - l4);
    (bytes[0] >> 4 == 6 || is_intact(&bytes[..l4], 0)) && is_intact(&bytes[l4..], start)
}

/// What the receiving kernel does with a checksum that is left out.
fn filled(segment: &Segment) -> Vec<u8> {
    let mut bytes = segment.packet().to_vec();
    if segment.lacks_checksum() {
        let packet = Packet::parse(&bytes).unwrap();
        let l4 = usize::from(packet.l4_offset);
        let value = crate::checksum::checksum(&bytes[l4..], 0);
        put16(&mut bytes, l4 + if packet.protocol == TCP { 16 } else { 6 }, value);
    }
    bytes
}

proptest::proptest! {
    #[test]
    fn joining_undoes_cutting(
        is_v6: bool, is_tcp: bool, trust: bool, push: bool, size in 1u16..1500,
        payload in proptest::collection::vec(proptest::num::u8::ANY, 1..30_000),
    ) {
        let size = size.max((payload.len() / 119 + 1) as u16);
        let case = Case { is_v6, is_tcp, size, flags: TCP_ACK | if push { TCP_PSH } else { 0 } };
        let frame = super_packet(case, &payload);
        let segments = cut(&frame, trust).unwrap();

        prop_assert_eq!(segments.len(), payload.len().div_ceil(usize::from(size)));
        prop_assert!(segments.iter().all(|segment| checksums_are_right(&filled(segment))));
        let together: Vec<u8> = segments.iter().flat_map(|segment| payload_of(segment.packet()).to_vec()).collect();
        prop_assert_eq!(&together, &payload);

        let frames = join(&segments);
        prop_assert_eq!(frames.len(), 1);
        let again = cut(&frames[0], trust).unwrap();
        if segments.len() > 1 {
            prop_assert_eq!(again, segments);
        }
        prop_assert_eq!(payload_of(&frames[0][VIRTIO_HEADER_LEN..]), payload);
    }

    #[test]
    fn any_frame_is_an_answer(
        mut frame in proptest::collection::vec(proptest::num::u8::ANY, 0..200), trust: bool, fit: bool,
        gso in 0u8..6, start in 0u16..64, offset in proptest::sample::select(vec![6u16, 16, 60]),
    ) {
        if fit && frame.len() > 80 {
            let length = (frame.len() - VIRTIO_HEADER_LEN) as u16;
            frame[1] = gso;
            frame[6..8].copy_from_slice(&start.to_le_bytes());
            frame[8..10].copy_from_slice(&offset.to_le_bytes());
            let packet = &mut frame[VIRTIO_HEADER_LEN..];
            if start % 2 == 0 {
                packet[0] = 0x45;
                packet[6..8].fill(0);
                packet[9] = if gso == 5 { UDP } else { TCP };
                put16(packet, 2, length);
            } else {
                packet[0] = 0x60;
                packet[6] = if gso == 5 { UDP } else { TCP };
                put16(packet, 4, length - 40);
            }
        }
        if let Ok(segments) = cut(&frame, trust) {
            for segment in &segments {
                prop_assert!(segment.packet().len() <= frame.len());
            }
            let readable: Vec<_> = segments.into_iter().filter(|segment| Packet::parse(segment.packet()).is_ok()).collect();
            join(&readable);
        }
    }
}

#[test]
fn congestion_window_reduced_is_told_once() {
    let case = Case { is_v6: false, is_tcp: true, size: 100, flags: TCP_ACK | TCP_CWR | TCP_FIN | TCP_PSH };
    let flags: Vec<_> = cut(&super_packet(case, &[1; 250]), false)
        .unwrap()
        .iter()
        .map(|segment| segment.packet()[33])
        .collect();

    assert_eq!(flags, [TCP_ACK | TCP_CWR, TCP_ACK, TCP_ACK | TCP_FIN | TCP_PSH]);
}

#[test]
fn missing_checksum_of_a_plain_packet_is_made() {
    for packet in
        [tcp("10.0.0.1:1", "10.0.0.2:2", TCP_ACK, b"abc"), udp("[fd00::1]:1", "[fd00::2]:2", b"abc")]
    {
        let parsed = Packet::parse(&packet).unwrap();
        let (l4, offset) = (usize::from(parsed.l4_offset), if parsed.protocol == TCP { 16 } else { 6 });
        let header = VirtioHeader {
            needs_checksum: true,
            checksum_start: parsed.l4_offset,
            checksum_offset: offset,
            ..VirtioHeader::PLAIN
        };
        let mut partial = packet.clone();
        let start = pseudo(parsed.source, parsed.destination, parsed.protocol, packet.len() - l4);
        put16(&mut partial, l4 + usize::from(offset), crate::checksum::fold(start));
        let frame = [&header.to_bytes()[..], &partial].concat();

        assert_eq!(cut(&frame, false).unwrap()[0].packet(), packet);
        let left_out = cut(&frame, true).unwrap().remove(0);
        assert!(left_out.lacks_checksum());
        assert_eq!(join(&[left_out]), [frame]);
    }
}

#[test]
fn contradicting_headers_are_refused() {
    let case = Case { is_v6: false, is_tcp: true, size: 100, flags: TCP_ACK };
    let good = super_packet(case, &[1; 250]);
    let changes: [(usize, u8); 5] = [(4, 0), (6, 24), (8, 6), (1, 4), (1, 5)];
    for (at, value) in changes {
        let mut frame = good.clone();
        frame[at] = value;
        assert_eq!(cut(&frame, false), Err(SplitError::Contradiction), "byte {at}");
    }
    let mut unknown = good.clone();
    unknown[1] = 3;
    assert_eq!(cut(&unknown, false), Err(SplitError::UnknownGso(3)));
    assert!(matches!(cut(&good[..good.len() - 1], false), Err(SplitError::Packet(_))));
}

#[test]
fn differing_packets_stay_apart() {
    let first = tcp_at("10.0.0.1:1", "10.0.0.2:2", TCP_ACK, 1000, &[1; 100]);
    let next = |sequence| tcp_at("10.0.0.1:1", "10.0.0.2:2", TCP_ACK, sequence, &[2; 100]);
    let with = |at: usize, value: u8| {
        let mut packet = next(1100);
        packet[at] = value;
        put16(&mut packet, 10, 0);
        let sum = crate::checksum::checksum(&packet[..20], 0);
        put16(&mut packet, 10, sum);
        packet
    };
    let damaged = {
        let mut packet = next(1100);
        packet[60] ^= 1;
        packet
    };
    let other_port = tcp_at("10.0.0.1:3", "10.0.0.2:2", TCP_ACK, 1100, &[2; 100]);
    let fin = tcp_at("10.0.0.1:1", "10.0.0.2:2", TCP_ACK | TCP_FIN, 1100, &[2; 100]);

    assert_eq!(join_packets(&[first.clone(), next(1100)]).len(), 1);
    for second in [next(1101), with(1, 3), with(8, 63), with(6, 0), damaged, other_port, fin] {
        let frames = join_packets(&[first.clone(), second.clone()]);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[1][VIRTIO_HEADER_LEN..], second);
    }
    let mut damaged_first = first;
    damaged_first[60] ^= 1;
    assert_eq!(join_packets(&[damaged_first, next(1100)]).len(), 2);
}

#[test]
fn short_packet_ends_a_run() {
    let at = |sequence, length| tcp_at("10.0.0.1:1", "10.0.0.2:2", TCP_ACK, sequence, &vec![1; length]);
    let frames = join_packets(&[at(0, 100), at(100, 50), at(150, 100), at(250, 100)]);

    assert_eq!(frames.len(), 2);
    assert_eq!(payload_of(&frames[0][VIRTIO_HEADER_LEN..]).len(), 150);
}

#[test]
fn pushes_of_a_run_become_one() {
    let with = |sequence, flags| tcp_at("10.0.0.1:1", "10.0.0.2:2", TCP_ACK | flags, sequence, &[1; 100]);
    let frames = join_packets(&[with(0, TCP_PSH), with(100, 0), with(200, TCP_PSH), with(300, 0)]);
    let segments = cut(&frames[0], false).unwrap();
    let flags: Vec<_> = segments.iter().map(|segment| segment.packet()[33]).collect();

    assert_eq!(frames.len(), 1);
    assert_eq!(flags, [TCP_ACK, TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH]);
}

#[test]
fn largest_super_packet_of_a_kernel_is_joined_whole() {
    let (size, count) = (1328, 49);
    let at =
        |place: usize| tcp_at("10.0.0.1:1", "10.0.0.2:2", TCP_ACK, (place * size) as u32, &vec![1; size]);
    let frames = join_packets(&(0..count).map(at).collect::<Vec<_>>());

    assert_eq!(frames.len(), 1);
}

#[test]
fn udp_is_joined_only_where_the_kernel_takes_it() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:2", &[1; 100]);
    let parsed = Packet::parse(&packet).unwrap();
    let (mut frames, mut coalescer) = (Frames::default(), Coalescer::new(false));
    for _ in 0..2 {
        coalescer.push(&parsed, packet.clone().into(), false, &mut frames);
    }
    coalescer.flush(&mut frames);

    assert_eq!(frames.0.len(), 2);
    assert_eq!(join_packets(&[packet.clone(), packet]).len(), 1);
}
