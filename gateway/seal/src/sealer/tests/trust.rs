//! Facts about cards that are not believed any more: of an online key that was withdrawn, of a device that was revoked,
//! or because they ended.

use super::*;

/// Key 7 is the controller's from here on, and key 2 was withdrawn.
fn withdraw(world: &mut World) {
    let terms = Terms {
        trust: believing(7, 1, 1),
        card: card(A, &Suite::ALL, 1, 7),
        ..terms(A, &Suite::ALL, Limits::default())
    };
    world.with_sealer(A, |sealer, at| sealer.handle_terms(terms, at));
}

/// Says something every second, and returns how much of it was sealed.
fn talk(world: &mut World, seconds: usize) -> usize {
    let say = |world: &mut World| {
        let sealed = world.send(A, b"\0hello");
        world.pass(1_000);
        usize::from(sealed == Sealed::Done)
    };
    (0..seconds).map(|_| say(world)).sum()
}

#[test]
fn a_card_that_a_withdrawn_key_signed_leads_to_no_more_keys() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.deliver();

    withdraw(&mut world);
    // Whoever has the withdrawn key answers everybody.
    let thief = Terms { trust: believing(7, 1, 1), ..terms(B, &Suite::ALL, Limits::default()) };
    world.with_sealer(B, |sealer, at| sealer.handle_terms(thief, at));

    // Keys that are in use end by themselves.
    assert_eq!(talk(&mut world, 300), 240);
    let status = world.status(A);
    assert_eq!(status.handshakes, 1);
    assert!(status.refusal.is_some_and(|said| said.contains("not signed by") || said.contains("no key")));
}

#[test]
fn after_a_change_of_trust_new_cards_are_asked_for_and_nothing_is_lost() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.deliver();
    world.take_opened();

    withdraw(&mut world);
    world.cards.insert(B, card(B, &Suite::ALL, 1, 7));
    let of_b = Terms {
        trust: believing(7, 1, 1),
        card: card(B, &Suite::ALL, 1, 7),
        ..terms(B, &Suite::ALL, Limits::default())
    };
    world.with_sealer(B, |sealer, at| sealer.handle_terms(of_b, at));

    assert_eq!(talk(&mut world, 300), 300);
    assert_eq!(world.take_opened().len(), 300);
    assert!(world.status(A).handshakes >= 3);
}

#[test]
fn a_handshake_that_a_withdrawn_key_led_to_begins_anew() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.wire.clear();
    world.cards.insert(B, card(B, &Suite::ALL, 1, 7));

    withdraw(&mut world);

    assert_eq!(world.wire.len(), 1, "for the card of the newest key");
    let of_b = Terms { trust: believing(7, 1, 1), ..terms(B, &Suite::ALL, Limits::default()) };
    world.with_sealer(B, |sealer, at| sealer.handle_terms(of_b, at));
    world.deliver();
    assert_eq!(world.take_opened(), [(B, b"\0hello".to_vec())]);
}

#[test]
fn a_revoked_device_is_known_though_its_card_is_not_believed_any_more() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.deliver();
    let revoked = key(B).public();

    withdraw(&mut world);
    assert_eq!(world.status(A).device, Some(revoked), "a person is told who it is");
    world.with_sealer(A, |sealer, at| sealer.handle_gone(&revoked, at));

    assert_eq!(world.send(A, b"\0hello"), Sealed::Dropped(Trouble::Absent));
}

#[test]
fn who_was_revoked_stays_so_when_this_device_takes_another_key() {
    let mut world = World::new();
    let revoked = key(B).public();
    world.with_sealer(A, |sealer, at| sealer.handle_gone(&revoked, at));
    let other = Terms { secret: Zeroizing::new([200; 32]), ..terms(A, &Suite::ALL, Limits::default()) };

    world.with_sealer(A, |sealer, at| sealer.handle_terms(other, at));
    world.send(A, b"\0hello");
    world.pass(1_000);

    assert!(world.take_opened().is_empty());
    assert_eq!(world.status(A).refusal.as_deref(), Some("the device was revoked"));
}

#[test]
fn a_card_that_ends_under_a_live_session_leads_to_no_more_keys() {
    let mut world = World::new();
    world.ms = 3_550_000;
    world.send(A, b"\0hello");
    world.deliver();

    // It ends at 3,600 and clocks may differ by 60 seconds; the session began at 3,550.
    world.ms = 3_780_000;
    assert_eq!(world.send(A, b"\0hello"), Sealed::Done);
    world.ms = 3_791_000;
    world.with_sealer(A, Sealer::handle_timeout);
    world.take_opened();
    assert_eq!(talk(&mut world, 5), 0);

    assert!(world.take_opened().is_empty());
    assert!(world.status(A).refusal.is_some_and(|said| said.contains("ended at")));
    for name in [A, B] {
        let newer = card(name, &Suite::ALL, 3_700, 2);
        world.cards.insert(name, newer.clone());
        let newer = Terms { card: newer, ..terms(name, &Suite::ALL, Limits::default()) };
        world.with_sealer(name, |sealer, at| sealer.handle_terms(newer, at));
    }
    talk(&mut world, 10);
    assert!(!world.take_opened().is_empty(), "a later card is believed");
}
