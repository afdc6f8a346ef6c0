//! What a packet costs without a kernel: `cargo bench -p horizon-dataplane`. Compare lines of one run only.

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use divan::Bencher;
use divan::counter::BytesCount;
use horizon_api::verdict::{Action, Decision};
use horizon_dataplane::checksum::{checksum, sum};
use horizon_dataplane::flow::{FlowTable, Moment, Stamp};
use horizon_dataplane::offload::{Coalescer, FrameSink, Gso, VIRTIO_HEADER_LEN, VirtioHeader, split};
use horizon_dataplane::packet::Packet;

/// Payload of a segment in a network of 1380 bytes.
const SEGMENT: usize = 1340;
const SEGMENTS: usize = 44;

fn main() {
    divan::main();
}

/// A TCP packet over IPv4, its transport checksum left out, as a TUN queue with offloads gives it.
fn tcp(source_port: u16, sequence: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0; 40 + payload];
    packet[..10].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6]);
    packet[2..4].copy_from_slice(&((40 + payload) as u16).to_be_bytes());
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    let header = checksum(&packet[..20], 0);
    packet[10..12].copy_from_slice(&header.to_be_bytes());
    packet[20..22].copy_from_slice(&source_port.to_be_bytes());
    packet[22..24].copy_from_slice(&443u16.to_be_bytes());
    packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    packet[32..34].copy_from_slice(&[0x50, 0x10]);
    packet
}

fn super_packet() -> Vec<u8> {
    let header = VirtioHeader {
        needs_checksum: true,
        gso: Gso::TcpV4,
        segment_size: SEGMENT as u16,
        header_len: 40,
        checksum_start: 20,
        checksum_offset: 16,
        ..VirtioHeader::PLAIN
    };
    [&header.to_bytes()[..], &tcp(4000, 1, SEGMENT * SEGMENTS)].concat()
}

/// Takes frames and lets go of them.
struct Nowhere;

impl FrameSink for Nowhere {
    fn write(&mut self, header: &[u8; VIRTIO_HEADER_LEN], head: &[u8], parts: &[Bytes]) {
        black_box((header, head, parts));
    }
}

#[divan::bench(args = [true, false])]
fn split_super_packet(bencher: Bencher<'_, '_>, leaves_checksum_out: bool) {
    let frame = super_packet();
    let mut pool = BytesMut::new();
    bencher.counter(BytesCount::new(frame.len())).bench_local(|| {
        split(&frame, &mut pool, leaves_checksum_out, |segment| drop(black_box(segment)))
            .expect("a sound super-packet");
    });
}

#[divan::bench]
fn coalesce_a_run(bencher: Bencher<'_, '_>) {
    let packets: Vec<Bytes> =
        (0..SEGMENTS).map(|place| tcp(4000, (1 + place * SEGMENT) as u32, SEGMENT).into()).collect();
    let mut coalescer = Coalescer::new(true);
    bencher.counter(BytesCount::new(SEGMENTS * (SEGMENT + 40))).bench_local(|| {
        for bytes in &packets {
            let packet = Packet::parse(bytes).expect("a sound packet");
            coalescer.push(&packet, bytes.clone(), true, &mut Nowhere);
        }
        coalescer.flush(&mut Nowhere);
    });
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let packet = tcp(4000, 1, SEGMENT);
    bencher.bench_local(|| Packet::parse(black_box(&packet)));
}

/// A packet of a flow that is known, among as many others.
#[divan::bench(args = [1, 1_000, 100_000])]
fn pass_known_flow(bencher: Bencher<'_, '_>, flows: u32) {
    let at = Moment { now: Instant::now(), unix_s: 0 };
    let allow = Decision { action: Action::Allow, rule: None, holds_until: None };
    let mut table = FlowTable::new(1 << 17, 7);
    let packets: Vec<_> = (0..flows)
        .map(|number| {
            let mut bytes = tcp((number % 50_000) as u16, 1, 0);
            bytes[19] = (number / 50_000) as u8;
            Packet::parse(&bytes).expect("a sound packet")
        })
        .collect();
    for packet in &packets {
        table.pass(packet, Stamp::default(), at, |_| allow);
    }
    let mut next = packets.iter().cycle();
    bencher.bench_local(|| {
        let packet = next.next().expect("a cycle has no end");
        table.pass(packet, Stamp::default(), at, |_| allow)
    });
}

#[divan::bench]
fn sum_of_a_segment(bencher: Bencher<'_, '_>) {
    let bytes = vec![7; SEGMENT];
    bencher.counter(BytesCount::new(SEGMENT)).bench_local(|| sum(black_box(&bytes), 0));
}
