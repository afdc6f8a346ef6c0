//! Facts about keys that follow others: what is lost on the way, comes late, or is refused.

use super::*;

#[test]
fn keys_that_the_other_end_may_have_are_kept_until_it_uses_them() {
    let mut world = World::new();
    world.send(A, b"\0first");
    world.deliver();
    world.ms += 121_000;
    world.send(A, b"\0makes new keys due");
    for _ in 0..3 {
        let message = world.wire.pop_front().expect("a packet, a first message, a second one");
        world.deliver_one(message).expect("taken");
    }
    world.take_opened();

    // The word that the new keys are in use is lost, and then there is nothing to say.
    assert_eq!(world.wire.drain(..).count(), 1);
    world.pass(8_000);
    world.send(A, b"\0late");
    world.deliver();

    assert_eq!(world.take_opened(), [(B, b"\0late".to_vec())]);
    assert_eq!(world.status(B).broken, 0);
}

#[test]
fn keys_that_nobody_uses_hold_up_no_others() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let first = world.wire.pop_front().expect("a first message");
    world.deliver_one(first).expect("answered");
    // The answer is lost, and A is gone.
    world.wire.clear();
    world.sealers.insert(A, Sealer::new(terms(A, &Suite::ALL, Limits::default())));

    world.ms += 2_000;
    world.send(B, b"\0hello");
    world.deliver();

    assert_eq!(world.take_opened(), [(A, b"\0hello".to_vec())]);
}

#[test]
fn a_first_message_that_comes_after_its_repetition_takes_nothing_away() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let late = world.wire.pop_front().expect("a first message");
    world.ms += 500;
    world.with_sealer(A, Sealer::handle_timeout);
    let repetition = world.wire.pop_front().expect("its repetition");

    world.deliver_one(repetition).expect("answered");
    world.deliver_one(late).expect("answered");
    world.deliver();

    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
    world.send(B, b"\0back");
    world.deliver();
    assert_eq!(world.take_opened(), [(A, b"\0back".to_vec())]);
}

/// The one with the lower key has no card, so that the other one refuses what it begins.
#[test]
fn who_is_refused_by_the_other_end_lets_that_one_begin() {
    let mut world = World::new();
    let [lower, higher] = if key(A).public() < key(B).public() { [A, B] } else { [B, A] };
    let nameless = Terms { card: vec![], ..terms(lower, &Suite::ALL, Limits::default()) };
    world.sealers.insert(lower, Sealer::new(nameless));

    for _ in 0..20 {
        world.send(lower, b"\0hello");
        world.send(higher, b"\0hello");
        world.pass(250);
    }

    let opened = world.take_opened();
    assert!(world.status(higher).refused > 0);
    for name in [lower, higher] {
        assert!(opened.iter().any(|(by, _)| *by == name), "{name}");
    }
}
