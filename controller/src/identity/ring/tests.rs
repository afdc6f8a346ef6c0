//! One key follows another, as nodes see it.

use horizon_api::{cbor, key::SecretKey};

use super::*;

const NOW: i64 = 1_800_000_000;
const READY: Readiness =
    Readiness { gateways_behind: 0, is_signed_by_current: true, announced_s: 0, is_provisional: false };

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn expected() -> Expected {
    Expected { root: RootFingerprint::of(&key(1).public()), epoch: 1, now_s: NOW }
}

fn first() -> Ring {
    let public = key(2).public();
    let (root, roles) = (key(1).public(), ROLES.to_vec());
    let word = Delegation { root, online: public, roles, epoch: 1, serial: 0, floor: 0, not_after: NOW + 9 };
    Ring::first(public, word.sign(&key(1)), NOW)
}

fn words(ring: &Ring, online: &SecretKey) -> Words {
    ring.request(key(1).public(), online.public(), 1, NOW).sign(&key(1), NOW + 9).unwrap()
}

fn announced(ring: &Ring, seed: u8) -> Ring {
    ring.announce(words(ring, &key(seed)), key(seed).public(), expected(), 60).unwrap()
}

/// What a node believes that hears all words of a ring and remembers what it heard before.
fn believed(ring: &Ring, pin: &Pin) -> (Vec<PublicKey>, Pin) {
    let words: Vec<_> = ring.live().map(|key| key.word.clone()).collect();
    let trust = Trust::establish(&words[0], pin, NOW).unwrap().also(&words[1..], NOW);
    let seeds = 2..9;
    let keys = seeds.map(|seed| key(seed).public()).filter(|key| trust.check_peer(key).is_ok());
    (keys.collect(), trust.pin())
}

#[test]
fn one_key_follows_another_and_nodes_always_believe_the_one_that_signs() {
    let [old, new] = [2, 3].map(|seed| key(seed).public());
    let pin = Pin::new(expected().root);

    let ring = announced(&first(), 3);
    assert_eq!((ring.current().public, believed(&ring, &pin).0), (old, vec![old, new]));
    let ring = ring.switched(NOW);
    assert_eq!((ring.current().public, believed(&ring, &pin).0), (new, vec![old, new]));
    let ring = ring.withdrawn(NOW + 60);
    let (keys, pin) = believed(&ring, &pin);
    assert_eq!((ring.current().public, keys, pin.floor), (new, vec![new], 1));

    let ring = announced(&ring, 4).switched(NOW + 61);
    assert_eq!(believed(&ring, &pin).0, [new, key(4).public()]);
    assert_eq!(believed(&ring.withdrawn(NOW + 62), &pin).1.floor, 2);
}

#[test]
fn a_rotation_waits_for_the_gateways_that_are_there_and_not_for_ever() {
    let ring = announced(&first(), 3);
    let behind = Readiness { gateways_behind: 1, ..READY };

    assert_eq!(first().due(READY, NOW), None);
    assert_eq!(ring.due(READY, NOW), Some(Step::Switch));
    assert_eq!(ring.due(behind, NOW + PATIENCE_S - 1), None);
    assert_eq!(ring.due(behind, NOW + PATIENCE_S), Some(Step::Switch));
    assert_eq!(ring.due(Readiness { is_provisional: true, ..READY }, NOW + PATIENCE_S), None);
    let sealed = Readiness { announced_s: 1_900, ..READY };
    assert_eq!([1_899, 1_900].map(|s| ring.due(sealed, NOW + s)), [None, Some(Step::Switch)]);
}

#[test]
fn the_key_before_is_withdrawn_when_its_time_is_over_and_nothing_hangs_on_it() {
    let ring = announced(&first(), 3).switched(NOW);
    let hangs = Readiness { is_signed_by_current: false, ..READY };

    assert_eq!(ring.due(READY, NOW + 59), None);
    assert_eq!(ring.due(READY, NOW + 60), Some(Step::Withdraw));
    assert_eq!(ring.due(hangs, NOW + 60), None);
    assert_eq!(ring.hurried(NOW + 1).due(READY, NOW + 1), Some(Step::Withdraw));
    assert_eq!(ring.withdrawn(NOW).due(READY, NOW + 99), None);
}

#[test]
fn a_key_that_leaked_while_its_successor_is_only_announced_is_withdrawn_with_the_switch() {
    let sealed = Readiness { announced_s: 1_900, ..READY };
    let ring = announced(&first(), 3);
    assert_eq!(ring.due(sealed, NOW), None);

    let hurried = ring.hurried(NOW);

    assert_eq!(hurried.due(sealed, NOW), Some(Step::Switch));
    let behind = Readiness { gateways_behind: 1, ..sealed };
    assert_eq!(hurried.hindrances(behind, NOW + 20), [Hindrance::GatewaysBehind { left_s: PATIENCE_S - 20 }]);
    let ring = hurried.switched(NOW + 1);
    assert_eq!(ring.due(sealed, NOW + 1), Some(Step::Withdraw));
    let pin = Pin::new(expected().root);
    assert_eq!(believed(&ring.withdrawn(NOW + 1), &pin).0, [key(3).public()]);
}

#[test]
fn what_a_next_key_waits_for_is_named() {
    let ring = announced(&first(), 3);
    let waits = Readiness {
        gateways_behind: 2,
        announced_s: 1_900,
        is_provisional: true,
        is_signed_by_current: true,
    };

    let named = |now_s| ring.hindrances(waits, now_s);

    let (behind, untold) =
        (Hindrance::GatewaysBehind { left_s: 120 }, Hindrance::DevicesUntold { left_s: 1_900 });
    assert_eq!(named(NOW), [behind, untold, Hindrance::Provisional]);
    assert_eq!(named(NOW + 1_899), [Hindrance::DevicesUntold { left_s: 1 }, Hindrance::Provisional]);
    assert_eq!(named(NOW + 1_900), [Hindrance::Provisional]);
    assert_eq!(first().hindrances(waits, NOW), []);
}

#[test]
fn words_that_do_not_belong_here_are_refused_by_name() {
    let ring = first();
    let refused = |words: Words, own| {
        ring.announce(words, key(3).public(), own, 60)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let right = words(&ring, &key(3));
    let of = |root: u8| {
        let mut request = ring.request(key(1).public(), key(3).public(), 1, NOW);
        request.root = key(root).public();
        request.sign(&key(root), NOW + 9).unwrap()
    };
    let mixed = Words { opening: right.opening.clone(), closing: right.opening.clone() };

    assert_eq!(refused(right.clone(), expected()), "");
    assert!(refused(of(9), expected()).contains("another controller"));
    assert!(refused(right.clone(), Expected { epoch: 2, ..expected() }).contains("epoch 1"));
    assert!(refused(right.clone(), Expected { now_s: NOW + 10, ..expected() }).contains("ended"));
    assert!(refused(words(&ring, &key(5)), expected()).contains("did not ask"));
    assert!(
        refused(words(&announced(&ring, 4).switched(NOW).withdrawn(NOW), &key(3)), expected())
            .contains("did not ask")
    );
    assert!(refused(mixed, expected()).contains("did not ask"));
    let bytes = cbor::encode(&right.opening);
    let at = bytes.len() - 1;
    let mut altered = bytes;
    altered[at] ^= 1;
    let opening = cbor::decode(&altered).unwrap();
    assert!(refused(Words { opening, ..right }, expected()).contains("altered"));
}

#[test]
fn renewed_words_say_the_same_in_a_later_epoch() {
    let ring = announced(&announced(&first(), 3).switched(NOW).withdrawn(NOW), 4).switched(NOW);
    let pin = Pin { floor: 1, ..Pin::new(expected().root) };

    let renewed = ring.signed_again(&key(1), 2, NOW + 99);

    let (keys, later) = believed(&renewed, &pin);
    assert_eq!((keys, later.epoch, later.floor), (vec![key(3).public(), key(4).public()], 2, 1));
    assert_eq!(believed(&renewed.withdrawn(NOW), &later).1.floor, 2);
}

#[test]
fn a_few_withdrawn_keys_are_listed_and_numbers_go_on() {
    let mut ring = first();
    for seed in 3..20 {
        ring = announced(&ring, seed).switched(NOW).withdrawn(NOW);
    }

    assert_eq!(ring.keys().len(), LISTED_MAX + 1);
    assert_eq!((ring.current().serial, ring.next_serial()), (17, 18));
}
