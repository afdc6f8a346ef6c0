//! Facts about what others, or a program on this host, can take of a sealer.

use super::*;
use crate::message::{self, PLAIN_BYTES_MAX};

/// Another device of the network, whose first messages nobody can read.
const C: u8 = 5;

/// Sends first messages that cannot be read, and returns how many were read.
fn flood(world: &mut World, from: u8, to: u8, count: usize) -> usize {
    let offer = Suite::names(&Suite::ALL);
    for _ in 0..count {
        let nonsense = message::initiation(7, &offer, &[9; 200]);
        assert_eq!(world.deliver_one((from, to, nonsense)), Err(Trouble::Refused));
    }
    let ends = world.ends(to, from);
    let peer = &world.sealers[&to].peers[&ends];
    usize::from(peer.refusal != Some(Refused::TooMany))
}

#[test]
fn a_device_that_begins_without_end_keeps_no_other_out() {
    let mut world = World::new();

    assert_eq!(flood(&mut world, C, B, 5_000), 0, "it is refused unread");
    world.send(A, b"\0hello");
    world.deliver();

    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
}

#[test]
fn what_all_devices_together_begin_has_an_end() {
    let mut world = World::new();

    let read = (C..=254).map(|from| flood(&mut world, from, B, 8)).sum::<usize>();

    assert_eq!(read, 1_000 / 8);
}

#[test]
fn a_scan_of_the_network_is_soon_forgotten() {
    let mut world = World::new();
    let guess = |count: usize| Ends {
        own: address(A),
        peer: IpAddr::from([10, 77, 1 + (count >> 8) as u8, (count & 0xff) as u8]),
    };
    // The gateway has no card of any of them.
    world.cards.clear();
    let seal = |world: &mut World, ends| {
        world.with_sealer(A, |sealer, at| sealer.seal(ends, b"\0guess", at, &mut BytesMut::new()))
    };

    for count in 0..PEERS_MAX {
        assert_eq!(seal(&mut world, guess(count)), Sealed::Held);
    }
    assert_eq!(seal(&mut world, guess(PEERS_MAX)), Sealed::Dropped(Trouble::Waited));
    world.pass(4_000);

    assert!(world.sealers[&A].peers.is_empty());
    assert_eq!(world.with_sealer(A, |sealer, _| sealer.take_dropped()), PEERS_MAX as u64);
    world.cards.insert(B, card(B, &Suite::ALL, 0, 2));
    world.send(A, b"\0hello");
    world.deliver();
    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
}

#[test]
fn what_waits_for_all_devices_together_is_bounded() {
    let mut sealer = Sealer::new(terms(A, &Suite::ALL, Limits::default()));
    let (now, long) = (Instant::now(), vec![0; 60_000]);
    let mut random = || [7; 32];
    let mut at = At { now, unix_s: 0, random: &mut random };

    for count in 0..1_000u16 {
        let ends = Ends { own: address(A), peer: IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 1, count]) };
        assert_eq!(sealer.seal(ends, &long, &mut at, &mut BytesMut::new()), Sealed::Held);
    }

    let held = 1_000 - sealer.take_dropped();
    assert_eq!(held, (16 << 20) / 60_000);
    sealer.drop_held();
    assert_eq!(sealer.take_dropped(), held);
}

#[test]
fn what_is_too_long_for_any_packet_is_dropped() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.deliver();
    world.take_opened();

    assert_eq!(world.send(A, &vec![0; PLAIN_BYTES_MAX]), Sealed::Done);
    world.deliver();
    assert_eq!(world.take_opened().len(), 1);
    for bytes in [PLAIN_BYTES_MAX + 1, 65_520, 100_000] {
        assert_eq!(world.send(A, &vec![0; bytes]), Sealed::Dropped(Trouble::TooLong), "{bytes}");
    }
}

#[test]
fn every_packet_that_waited_in_vain_is_counted() {
    let mut world = World::new();
    let gone = key(B).public();

    world.send(A, b"\0its device is revoked meanwhile");
    world.with_sealer(A, |sealer, at| sealer.handle_gone(&gone, at));
    assert_eq!(world.with_sealer(A, |sealer, _| sealer.take_dropped()), 1);

    let mut world = World::new();
    world.cards.remove(&B);
    world.send(A, b"\0its device is not there");
    assert_eq!(world.with_sealer(A, |sealer, _| sealer.take_dropped()), 1);

    let mut world = World::new();
    world.send(A, b"\0nobody answers");
    world.wire.clear();
    world.ms += 5_000;
    world.with_sealer(A, Sealer::handle_timeout);
    assert_eq!(world.with_sealer(A, |sealer, _| sealer.take_dropped()), 1);
}
