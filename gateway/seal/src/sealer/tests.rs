//! Facts about two devices and what is between them: a wire that loses, repeats and alters, and cards that somebody swaps.

mod bounds;
mod cards;
mod renewal;
mod trust;

use std::collections::BTreeSet;

use horizon_api::{
    card::{Card, SealWord},
    delegation::{Delegation, Pin, Role},
    key::{RootFingerprint, SecretKey},
};

use super::*;
use crate::{Opened, public_key};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn trust() -> Trust {
    believing(2, 0, 0)
}

/// Believes one online key, and none with a number below `floor`.
fn believing(online: u8, serial: u64, floor: u64) -> Trust {
    let root = key(1).public();
    let delegation = Delegation {
        root,
        online: key(online).public(),
        roles: vec![Role::Grant],
        epoch: 1,
        serial,
        floor,
        not_after: i64::MAX,
    };
    let pin = Pin { root: RootFingerprint::of(&root), epoch: 1, floor: 0 };
    Trust::establish(&delegation.sign(&key(1)), &pin, 0).expect("valid")
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, last])
}

fn address_v6(last: u8) -> IpAddr {
    IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, u16::from(last)])
}

/// Returns who has an address of either family.
fn owner(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    }
}

fn network() -> NetworkId {
    NetworkId::new("default", "office")
}

/// A device's card: its X25519 key is made of another seed than its ed25519 key.
fn card(device: u8, suites: &[Suite], issued_at: i64, signer: u8) -> Vec<u8> {
    let word = SealWord {
        device: key(device).public(),
        key: public_key(&[device + 100; 32]),
        suites: Suite::names(suites),
    };
    let card = Card {
        epoch: 1,
        network: network(),
        device: key(device).public(),
        name: format!("device-{device}").into(),
        addresses: vec![address(device), address_v6(device)],
        word: word.sign(&key(device)),
        issued_at,
        expires_at: issued_at + 3_600,
    };
    card.sign(&key(signer))
}

fn terms(device: u8, suites: &[Suite], limits: Limits) -> Terms {
    Terms {
        network: network(),
        device: key(device).public(),
        secret: Zeroizing::new([device + 100; 32]),
        card: card(device, suites, 0, 2),
        suites: suites.to_vec(),
        trust: trust(),
        scope: SealScope {
            pools: ["10.77.0.0/24", "fd77::/64"].map(|pool| pool.parse().expect("a prefix")).into(),
            gateways: BTreeSet::from([address(1)]),
        },
        limits,
    }
}

/// Two devices and what is between them.
struct World {
    sealers: BTreeMap<u8, Sealer>,
    /// What the gateway hands over for a device.
    cards: BTreeMap<u8, Vec<u8>>,
    /// What goes over the gateway, as `(from, to, body)`.
    wire: VecDeque<(u8, u8, Vec<u8>)>,
    /// What was opened, as `(by, plain)`.
    opened: Vec<(u8, Vec<u8>)>,
    start: Instant,
    ms: u64,
    random: u64,
    is_v6: bool,
}

const A: u8 = 3;
const B: u8 = 4;

impl World {
    fn new() -> Self {
        Self::with(&Suite::ALL, &Suite::ALL, Limits::default())
    }

    fn with(of_a: &[Suite], of_b: &[Suite], limits: Limits) -> Self {
        let sealers =
            [(A, of_a), (B, of_b)].map(|(name, suites)| (name, Sealer::new(terms(name, suites, limits))));
        let cards = [(A, of_a), (B, of_b)].map(|(name, suites)| (name, card(name, suites, 0, 2)));
        Self {
            sealers: sealers.into(),
            cards: cards.into(),
            wire: VecDeque::new(),
            opened: Vec::new(),
            start: Instant::now(),
            ms: 0,
            random: 0,
            is_v6: false,
        }
    }

    fn with_sealer<R>(&mut self, name: u8, run: impl FnOnce(&mut Sealer, &mut At<'_>) -> R) -> R {
        let now = self.start + Duration::from_millis(self.ms);
        let count = &mut self.random;
        let mut random = || {
            *count += 1;
            let mut bytes = [0x5a; 32];
            bytes[..8].copy_from_slice(&count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            bytes
        };
        let mut at = At { now, unix_s: (self.ms / 1000) as i64, random: &mut random };
        let result = run(self.sealers.get_mut(&name).expect("a device"), &mut at);
        self.collect(name);
        result
    }

    fn ends(&self, own: u8, peer: u8) -> Ends {
        let address = if self.is_v6 { address_v6 } else { address };
        Ends { own: address(own), peer: address(peer) }
    }

    fn send(&mut self, name: u8, plain: &[u8]) -> Sealed {
        let mut out = BytesMut::new();
        let other = if name == A { B } else { A };
        let ends = self.ends(name, other);
        let sealed = self.with_sealer(name, |sealer, at| sealer.seal(ends, plain, at, &mut out));
        if sealed == Sealed::Done {
            self.wire.push_back((name, other, out.to_vec()));
        }
        sealed
    }

    /// Takes what a device wants sent; questions for cards are answered at once.
    fn collect(&mut self, name: u8) {
        while let Some(output) = self.sealers.get_mut(&name).expect("a device").poll_output() {
            match output {
                Output::Ask(asked) => match self.cards.get(&owner(asked)).cloned() {
                    Some(card) => self.with_sealer(name, |sealer, at| sealer.handle_card(&card, asked, at)),
                    None => self.with_sealer(name, |sealer, at| sealer.handle_no_card(asked, at.now)),
                },
                Output::Message { ends, body } => self.wire.push_back((name, owner(ends.peer), body)),
            }
        }
    }

    fn deliver_one(&mut self, (from, to, body): (u8, u8, Vec<u8>)) -> Result<Opened, Trouble> {
        let mut out = BytesMut::new();
        let ends = self.ends(to, from);
        let opened = self.with_sealer(to, |sealer, at| sealer.open(ends, &body, at, &mut out));
        if opened == Ok(Opened::Packet) {
            self.opened.push((to, out.to_vec()));
        }
        opened
    }

    fn deliver(&mut self) {
        while let Some(message) = self.wire.pop_front() {
            // What goes wrong is counted, and looked at there.
            let _ = self.deliver_one(message);
        }
    }

    /// Lets time pass in steps of a quarter second; nothing is lost.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 250 {
            self.ms += 250;
            for name in [A, B] {
                self.with_sealer(name, Sealer::handle_timeout);
            }
            self.deliver();
        }
    }

    fn status(&self, name: u8) -> PeerStatus {
        let now = self.start + Duration::from_millis(self.ms);
        self.sealers[&name].statuses(now).pop().expect("one peer")
    }

    fn take_opened(&mut self) -> Vec<(u8, Vec<u8>)> {
        std::mem::take(&mut self.opened)
    }
}

#[test]
fn the_first_packet_waits_for_keys_and_arrives() {
    let mut world = World::new();

    assert_eq!(world.send(A, b"\0hello"), Sealed::Held);
    world.deliver();
    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
    assert_eq!(world.send(B, b"\0back"), Sealed::Done);
    assert_eq!(world.send(A, b"\0again"), Sealed::Done);
    world.deliver();

    assert_eq!(world.take_opened(), [(A, b"\0back".to_vec()), (B, b"\0again".to_vec())]);
    for name in [A, B] {
        let status = world.status(name);
        assert_eq!((status.handshakes, status.suite), (1, Some(Suite::AesGcm)));
    }
    assert_eq!(world.status(A).name, "device-4");
}

#[test]
fn two_devices_talk_over_ipv6_as_well() {
    let mut world = World { is_v6: true, ..World::new() };

    world.send(A, b"\0hello");
    world.deliver();
    world.send(B, b"\0back");
    world.deliver();

    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec()), (A, b"\0back".to_vec())]);
    assert_eq!(world.status(A).ends, Ends { own: address_v6(A), peer: address_v6(B) });
}

#[test]
fn nothing_of_what_is_sealed_is_on_the_wire() {
    let mut world = World::new();
    let plain = b"\0a plain marker that everybody would find";

    for _ in 0..3 {
        world.send(A, plain);
        let seen: Vec<u8> = world.wire.iter().flat_map(|(_, _, body)| body.clone()).collect();
        assert!(!seen.windows(12).any(|window| plain.windows(12).any(|part| part == window)));
        world.deliver();
    }

    assert_eq!(world.take_opened().len(), 3);
}

#[test]
fn a_packet_that_comes_again_is_dropped_and_one_that_is_late_is_not() {
    let mut world = World::new();
    world.send(A, b"\0first");
    world.deliver();
    for count in 0..3_000u32 {
        world.send(A, &count.to_be_bytes());
    }
    let mut messages: Vec<_> = world.wire.drain(..).collect();
    messages.rotate_left(1_500);

    for message in &messages {
        assert_eq!(world.deliver_one(message.clone()), Ok(Opened::Packet));
    }
    for message in &messages {
        assert_eq!(world.deliver_one(message.clone()), Err(Trouble::Replayed));
    }

    assert_eq!(world.status(B).replayed, 3_000);
}

#[test]
fn garbage_moves_nothing() {
    let mut world = World::new();
    world.send(A, b"\0first");
    world.deliver();
    world.take_opened();
    world.send(A, b"\0genuine");
    let genuine = world.wire.pop_front().expect("a message");

    for position in 0..genuine.2.len() {
        let mut altered = genuine.clone();
        altered.2[position] ^= 0x80;
        assert!(world.deliver_one(altered).is_err(), "byte {position}");
        let mut cut = genuine.clone();
        cut.2.truncate(position);
        assert!(world.deliver_one(cut).is_err(), "cut to {position}");
    }
    // One that claims to be far ahead would move a window that is moved too early.
    let mut ahead = genuine.clone();
    ahead.2[12] = 0xff;
    assert_eq!(world.deliver_one(ahead), Err(Trouble::Broken));
    world.wire.clear();

    assert_eq!(world.deliver_one(genuine), Ok(Opened::Packet));
}

#[test]
fn garbage_in_a_handshake_does_not_end_it() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let first = world.wire.pop_front().expect("a first message");
    for position in 0..first.2.len() {
        let mut altered = first.clone();
        altered.2[position] ^= 1;
        // The sender's index is no secret and is not sealed; the answer goes to nobody then.
        assert!(world.deliver_one(altered).is_err() || (4..8).contains(&position), "byte {position}");
    }
    world.wire.clear();
    // Whoever answers has seen the ephemeral key, if only the index was altered.
    world.pass(2_000);

    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
}

#[test]
fn an_altered_second_message_ends_nothing() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let first = world.wire.pop_front().expect("a first message");
    assert_eq!(world.deliver_one(first), Ok(Opened::Nothing));
    let second = world.wire.pop_front().expect("a second message");

    // The sender's index is no secret and is not sealed.
    for position in (0..second.2.len()).filter(|position| !(4..8).contains(position)) {
        let mut altered = second.clone();
        altered.2[position] ^= 1;
        assert_eq!(world.deliver_one(altered), Err(Trouble::Broken), "byte {position}");
        let mut cut = second.clone();
        cut.2.truncate(position);
        assert_eq!(world.deliver_one(cut), Err(Trouble::Broken), "cut to {position}");
    }
    assert_eq!(world.deliver_one(second), Ok(Opened::Nothing));
    world.deliver();

    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
}

#[test]
fn both_at_once_agree_on_one() {
    let mut world = World::new();

    world.send(A, b"\0from a");
    world.send(B, b"\0from b");
    world.deliver();

    let mut opened = world.take_opened();
    opened.sort();
    assert_eq!(opened, [(A, b"\0from b".to_vec()), (B, b"\0from a".to_vec())]);
    assert_eq!((world.status(A).handshakes, world.status(B).handshakes), (1, 1));
}

#[test]
fn what_is_lost_is_sent_again_with_growing_pauses() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let mut sent = 0;

    for _ in 0..40 {
        sent += world.wire.drain(..).count();
        world.ms += 250;
        world.send(A, b"\0hello");
        world.with_sealer(A, Sealer::handle_timeout);
    }

    assert!((3..=7).contains(&sent), "{sent} in ten seconds");
    for _ in 0..10 {
        world.send(A, b"\0hello");
        world.pass(1_000);
    }
    assert!(world.take_opened().len() > 1, "it works in the end");
    assert!(world.status(A).waited > 0, "what waited too long is counted");
}

#[test]
fn keys_are_renewed_by_time_and_nothing_is_lost_meanwhile() {
    let mut world = World::new();
    world.send(A, b"\0first");
    world.deliver();
    world.take_opened();

    for second in 0..600 {
        world.pass(1_000);
        world.send(A, b"\0ping");
        world.send(B, b"\0pong");
        world.deliver();
        assert_eq!(world.take_opened().len(), 2, "second {second}");
    }

    let status = world.status(A);
    assert!((4..=6).contains(&status.handshakes), "{}", status.handshakes);
    assert!(status.age.expect("keys") < Duration::from_secs(121));
}

#[test]
fn keys_are_renewed_by_volume() {
    let limits = Limits { renew_packets: 100, ..Limits::default() };
    let mut world = World::with(&Suite::ALL, &Suite::ALL, limits);

    for _ in 0..1_000 {
        world.ms += 10;
        world.send(A, b"\0packet");
        world.deliver();
    }

    assert_eq!(world.take_opened().len(), 1_000);
    assert!((9..=11).contains(&world.status(B).handshakes), "{}", world.status(B).handshakes);
}

#[test]
fn keys_that_cannot_be_renewed_end() {
    let limits = Limits { renew_packets: 100, end_packets: 200, ..Limits::default() };
    let mut world = World::with(&Suite::ALL, &Suite::ALL, limits);
    world.send(A, b"\0packet");
    world.deliver();

    let sealed = (0..300).filter(|_| world.send(A, b"\0packet") == Sealed::Done).count();

    assert_eq!(sealed, 199, "no packet is sealed with keys that are over");
}

#[test]
fn a_device_that_forgot_everything_is_spoken_with_again_at_once() {
    let mut world = World::new();
    world.send(A, b"\0before");
    world.deliver();
    world.sealers.insert(B, Sealer::new(terms(B, &Suite::ALL, Limits::default())));
    world.take_opened();

    assert_eq!(world.send(A, b"\0lost"), Sealed::Done);
    world.deliver();
    assert_eq!(world.send(A, b"\0found"), Sealed::Done);
    world.deliver();

    assert_eq!(world.take_opened(), [(B, b"\0found".to_vec())]);
}

#[test]
fn a_device_that_is_not_there_is_said_to_be_absent() {
    let mut world = World::new();
    world.cards.remove(&B);

    assert_eq!(world.send(A, b"\0hello"), Sealed::Held);
    assert_eq!(world.send(A, b"\0hello"), Sealed::Dropped(Trouble::Absent));
    world.ms += 4_000;
    world.cards.insert(B, card(B, &Suite::ALL, 0, 2));
    assert_eq!(world.send(A, b"\0hello"), Sealed::Held);
    world.deliver();

    assert_eq!(world.take_opened().len(), 1);
}

#[test]
fn a_first_message_that_comes_again_changes_nothing() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let first = world.wire.front().cloned().expect("a first message");
    world.deliver();
    world.take_opened();

    assert_eq!(world.deliver_one(first), Err(Trouble::Refused));
    world.send(A, b"\0still");
    world.send(B, b"\0fine");
    world.deliver();

    assert_eq!(world.take_opened().len(), 2);
}

#[test]
fn the_scope_is_all_of_the_network_but_the_gateway_of_the_link() {
    let mut sealer = Sealer::new(terms(A, &Suite::ALL, Limits::default()));
    assert!(sealer.covers(address(1)), "nobody said that it is this link's gateway");

    // The controller's word says which addresses are gateways', and the gateway which of them is its own.
    sealer.handle_gateway(&[address(1), address(9)]);
    assert!(sealer.covers(address(9)) && !sealer.covers(address(1)));
    assert!(sealer.covers(address_v6(9)) && !sealer.covers(IpAddr::from([198, 51, 100, 7])));

    // Another gateway's address, which is not reached through this one, may be a device's by now.
    sealer.handle_gateway(&[address_v6(1)]);
    assert!(sealer.covers(address(1)));
}
