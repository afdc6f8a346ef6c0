//! Facts about order, fairness and bounds of the queue.

use super::*;
use crate::offload::{Gso, VirtioHeader};
use crate::testing::{tcp, udp};

/// A queue with its clock and its drops.
struct World {
    queue: FairQueue,
    drops: Drops,
    now: Instant,
}

impl World {
    fn new(bytes_max: usize) -> Self {
        let limits = FairLimits { bytes_max, ..FairLimits::default() };
        Self { queue: FairQueue::new(limits, 42), drops: Drops::default(), now: Instant::now() }
    }

    fn push(&mut self, port: u16, payload: usize) {
        let bytes = udp(&format!("10.0.0.1:{port}"), "10.0.0.2:9", &vec![0; payload]);
        self.push_frame(&bytes, VirtioHeader::PLAIN);
    }

    fn push_frame(&mut self, bytes: &[u8], header: VirtioHeader) {
        let packet = Packet::parse(bytes).unwrap();
        let frame = [&header.to_bytes()[..], bytes].concat();
        self.queue.push(self.now, &packet, Frame::Tun(BytesMut::from(&frame[..])), &mut self.drops);
    }

    fn pop(&mut self, has_room: bool) -> Option<(u16, usize)> {
        let popped = self.queue.pop(self.now, has_room, &mut self.drops)?;
        let Frame::Tun(frame) = &popped.frame else { panic!("not from TUN") };
        Some((Packet::parse(&frame[10..]).unwrap().ports().unwrap().0, frame.len()))
    }
}

use bytes::BytesMut;

#[test]
fn sparse_flow_passes_bulk() {
    let mut world = World::new(1 << 20);
    for _ in 0..40 {
        world.push(1, 8000);
    }
    world.pop(true);
    world.push(2, 100);

    assert_eq!(world.pop(false).unwrap().0, 2);
    assert_eq!(world.pop(false), None);
    assert_eq!(world.pop(true).unwrap().0, 1);
}

#[test]
fn bulk_flows_share_by_bytes() {
    let mut world = World::new(1 << 24);
    for _ in 0..100 {
        world.push(1, 60_000);
    }
    for _ in 0..6000 {
        world.push(2, 1000);
    }
    let mut sent = [0; 3];
    while sent[1] + sent[2] < 2_000_000 {
        let (port, length) = world.pop(true).unwrap();
        sent[usize::from(port)] += length;
    }

    assert!(sent[1].abs_diff(sent[2]) < 80_000, "{sent:?}");
}

#[test]
fn ever_new_flows_do_not_starve_bulk() {
    let mut world = World::new(1 << 24);
    for _ in 0..200 {
        world.push(1, 8000);
    }
    world.pop(true);
    let (mut bulk, mut abuse) = (0, 0);
    for port in 1000..2000 {
        world.push(port, 1000);
        let (port, length) = world.pop(true).unwrap();
        *if port == 1 { &mut bulk } else { &mut abuse } += length;
    }

    assert!(bulk > abuse, "bulk {bulk}, abuse {abuse}");
}

#[test]
fn ever_new_flows_do_not_pass_a_full_path() {
    let mut world = World::new(1 << 24);
    let mut passed = 0;
    for port in 1000..2000 {
        world.push(port, 1000);
        passed += world.pop(false).map_or(0, |(_, length)| length);
    }

    assert!(passed <= (32 << 10) + 1100, "{passed}");
    assert!(!world.queue.can_pop(false) && world.queue.can_pop(true));
}

#[test]
fn longest_flow_pays_for_the_limit() {
    let mut world = World::new(50_000);
    world.push(2, 100);
    for _ in 0..20 {
        world.push(1, 8000);
    }

    assert!(world.queue.bytes() <= 50_000);
    assert_eq!(world.drops.of(DropReason::QueueFull), 14);
    assert_eq!(world.pop(true).unwrap().0, 2);
}

#[test]
fn flow_that_waits_too_long_loses_one_segment() {
    let mut world = World::new(1 << 24);
    let header = VirtioHeader { gso: Gso::TcpV4, segment_size: 1000, ..VirtioHeader::PLAIN };
    let bytes = tcp("10.0.0.1:1", "10.0.0.2:9", 0x10, &[0; 8000]);
    for _ in 0..50 {
        world.push_frame(&bytes, header);
    }
    for _ in 0..25 {
        world.now += Duration::from_millis(10);
        world.pop(true);
    }
    let counters = world.queue.take_counters();

    assert!(counters.cuts > 0 && counters.cuts < 5, "{counters:?}");
    assert_eq!(world.drops.of(DropReason::QueueDelay), counters.cuts);
    assert_eq!(counters.wait_max, Duration::from_millis(250));
}

#[test]
fn short_wait_is_no_signal() {
    let mut world = World::new(1 << 24);
    for _ in 0..500 {
        world.push(1, 1000);
        world.push(1, 1000);
        world.now += Duration::from_millis(1);
        world.pop(true);
        world.pop(true);
    }

    assert_eq!((world.drops.total(), world.queue.take_counters().marks), (0, 0));
}

#[test]
fn idle_queue_gives_its_memory_back() {
    let mut world = World::new(1 << 20);
    world.push(1, 100);
    world.queue.shrink();
    assert_eq!(world.pop(true).unwrap().0, 1);
    world.queue.shrink();
    assert!(world.queue.flows.capacity() == 0 && world.queue.is_empty());
    world.push(1, 100);
    assert_eq!(world.pop(true).unwrap().0, 1);
}

proptest::proptest! {
    #[test]
    fn every_byte_comes_out_or_is_counted(steps in proptest::collection::vec((1u16..20, 1usize..3000, 0u8..4), 1..300)) {
        let mut world = World::new(20_000);
        let (mut pushed, mut popped) = (0, 0);
        for (port, length, action) in steps {
            world.now += Duration::from_millis(u64::from(port));
            if action < 2 {
                world.push(port, length);
                pushed += 1;
            } else {
                popped += u64::from(world.pop(action == 2).is_some());
            }
        }
        while world.pop(true).is_some() {
            popped += 1;
        }

        proptest::prop_assert_eq!(pushed, popped + world.drops.total());
        proptest::prop_assert_eq!(world.queue.bytes(), 0);
    }
}
