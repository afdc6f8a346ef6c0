//! Facts about framing and reassembly.

use super::*;
use crate::drop_reason::Drops;
use bytes::BytesMut;
use std::time::{Duration, Instant};

fn cut(packet: &[u8], datagram_max: usize, packet_id: u16) -> Vec<Bytes> {
    let mut datagrams = vec![];
    let segment = Segment::from_packet(packet);
    parts(&segment, datagram_max, packet_id, &mut BytesMut::new(), |datagram| datagrams.push(datagram))
        .unwrap();
    assert!(datagrams.iter().all(|datagram| datagram.len() <= datagram_max));
    datagrams
}

fn part(datagram: &Bytes) -> Part {
    let Datagram::Part(part) = decode(datagram.clone()).unwrap() else { panic!("not a part") };
    part
}

struct World {
    reassembly: Reassembly,
    drops: Drops,
    start: Instant,
}

impl World {
    fn new(packets_max: usize, bytes_max: usize) -> Self {
        let limits = ReassemblyLimits { packets_max, bytes_max, age_max: Duration::from_secs(1) };
        Self { reassembly: Reassembly::new(limits), drops: Drops::default(), start: Instant::now() }
    }

    fn push(&mut self, at_ms: u64, part: Part) -> Option<Bytes> {
        let now = self.start + Duration::from_millis(at_ms);
        self.reassembly.push(now, part, &mut BytesMut::new(), &mut self.drops).map(Segment::into_packet)
    }
}

#[test]
fn whole_packet_is_passed_on_as_it_came() {
    let sent = Bytes::from_static(&[0, 1, 0x45, 9]);
    let Datagram::Packet(segment) = decode(sent.clone()).unwrap() else { panic!("not a packet") };

    assert_eq!(segment.packet(), [0x45, 9]);
    assert!(segment.lacks_checksum());
    assert_eq!(segment.into_datagram(), sent);
}

#[test]
fn foreign_datagrams_have_a_reason() {
    let refused = [
        (&[][..], DropReason::Malformed),
        (&[0], DropReason::Malformed),
        (&[2, 0, 1], DropReason::UnknownChannel),
        (&[0x40, 0, 0, 1], DropReason::UnknownChannel),
        (&[0, 4, 1], DropReason::UnknownFlag),
        (&[1, 1, 1], DropReason::UnknownFlag),
        (&[0, 2, 0, 0], DropReason::Malformed),
        (&[0, 2, 0, 0, 0x80], DropReason::Malformed),
        (&[0, 2, 0, 0, 8, 1], DropReason::Malformed),
    ];
    for (bytes, reason) in refused {
        assert_eq!(decode(Bytes::from_static(bytes)), Err(reason), "{bytes:?}");
    }
    let probe = Bytes::from_static(&[1, 0, b'p']);
    assert_eq!(decode(probe), Ok(Datagram::Probe(Bytes::from_static(b"p"))));
}

#[test]
fn too_many_parts_are_too_big() {
    let segment = Segment::from_packet(&[1; 1000]);
    let refused = parts(&segment, 100, 0, &mut BytesMut::new(), |_| panic!("sent"));

    assert_eq!(refused, Err(DropReason::TooBig));
}

#[test]
fn age_ends_a_packet() {
    let mut world = World::new(4, 10_000);
    let sent = cut(&[7; 1500], 1000, 1);

    assert_eq!(world.push(0, part(&sent[0])), None);
    assert_eq!(world.push(1000, part(&sent[1])), None);
    assert_eq!(world.drops.of(DropReason::ReassemblyIncomplete), 1);
}

#[test]
fn count_and_bytes_are_bounded_by_the_oldest() {
    for (packets_max, bytes_max) in [(2, 100_000), (100, 2000)] {
        let mut world = World::new(packets_max, bytes_max);
        let sent: Vec<_> = (0..3).map(|id| cut(&[7; 1500], 1000, id)).collect();
        for datagrams in &sent {
            world.push(0, part(&datagrams[0]));
        }

        assert!(world.reassembly.bytes() <= bytes_max);
        assert_eq!(world.drops.of(DropReason::ReassemblyFull), 1);
        assert_eq!(world.push(1, part(&sent[2][1])).unwrap().len(), 1500);
    }
}

#[test]
fn contradicting_parts_end_the_packet() {
    let sent = cut(&[7; 2500], 1000, 1);
    let doubled = [part(&sent[0]), part(&sent[0])];
    let two_ends = [part(&sent[2]), Part { index: 1, is_last: true, ..part(&sent[1]) }];
    let behind_the_end = [part(&sent[2]), Part { is_last: true, ..part(&sent[1]) }];
    let other_flag = [part(&sent[0]), Part { lacks_checksum: true, ..part(&sent[1]) }];

    for [first, second] in [doubled, two_ends, behind_the_end, other_flag] {
        let mut world = World::new(4, 10_000);
        world.push(0, first);
        assert_eq!(world.push(0, second), None);
        assert_eq!((world.drops.of(DropReason::Malformed), world.reassembly.bytes()), (1, 0));
    }
}

proptest::proptest! {
    #[test]
    fn parts_in_any_order_make_the_packet(
        packet in proptest::collection::vec(proptest::num::u8::ANY, 1..4000),
        datagram_max in 600usize..1500,
        turn in 0usize..8,
    ) {
        let mut sent = cut(&packet, datagram_max, 5);
        let count = sent.len();
        sent.rotate_left(turn % count);
        let mut world = World::new(4, 10_000);
        let done: Vec<_> = sent.iter().filter_map(|datagram| world.push(0, part(datagram))).collect();

        proptest::prop_assert_eq!(done, vec![Bytes::from(packet)]);
        proptest::prop_assert_eq!(world.reassembly.bytes(), 0);
    }

    #[test]
    fn any_datagrams_are_an_answer(all in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..12), 0..40)) {
        let mut world = World::new(3, 20);
        for mut bytes in all {
            if let [channel, flags, id, ..] = &mut bytes[..] {
                (*channel, *flags, *id) = (*channel & 1, *flags & 3, *id & 1);
            }
            if let Ok(Datagram::Part(part)) = decode(Bytes::from(bytes)) {
                world.push(0, part);
            }
            proptest::prop_assert!(world.reassembly.bytes() <= 20);
        }
    }
}
