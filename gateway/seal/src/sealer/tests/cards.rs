//! Facts about whose card is believed, and which suites it leads to.

use super::*;

#[test]
fn a_card_that_the_gateway_made_up_or_swapped_is_refused() {
    for (handed, expected) in [
        (card(B, &Suite::ALL, 0, 9), "not signed by this network's controller"),
        (card(5, &Suite::ALL, 0, 2), "of another device"),
        (b"nonsense".to_vec(), "cannot be read"),
    ] {
        let mut world = World::new();
        world.cards.insert(B, handed);

        world.send(A, b"\0hello");
        world.pass(1_000);

        assert!(world.take_opened().is_empty());
        let status = world.status(A);
        assert!(status.refused > 0 && status.sealed == 0);
        assert!(status.refusal.as_deref().is_some_and(|said| said.contains(expected)), "{status:?}");
    }
}

#[test]
fn whoever_alters_what_is_offered_is_noticed() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    let (from, to, body) = world.wire.pop_front().expect("a first message");
    let (aes, chacha) = (Suite::AesGcm.name(), Suite::ChaChaPoly.name());
    let Ok(message::Message::Initiation { sender, offer, noise }) = message::Message::parse(&body) else {
        panic!("a first message")
    };
    assert_eq!(offer, [aes, chacha]);

    for weaker in [vec![chacha.to_owned()], vec![chacha.to_owned(), aes.to_owned()], vec![aes.to_owned()]] {
        let altered = message::initiation(sender, &weaker, noise);
        assert_eq!(world.deliver_one((from, to, altered)), Err(Trouble::Refused), "{weaker:?}");
    }

    assert_eq!(world.status(B).refused, 3);
    assert!(world.wire.is_empty(), "nobody is answered");
}

#[test]
fn an_older_card_with_weaker_suites_is_noticed_by_its_device() {
    let mut world = World::new();
    // The gateway hands over what B offered before it knew better.
    world.cards.insert(B, card(B, &[Suite::ChaChaPoly], 0, 2));

    world.send(A, b"\0hello");
    world.pass(1_000);

    assert!(world.take_opened().is_empty());
    assert!(world.status(B).refused > 0);
    world.cards.insert(B, card(B, &Suite::ALL, 0, 2));
    world.send(A, b"\0hello");
    world.pass(5_000);
    assert!(!world.take_opened().is_empty(), "the newest card works");
    assert_eq!(world.status(A).suite, Some(Suite::AesGcm));
}

#[test]
fn a_device_with_another_key_is_found_by_its_newest_card() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.deliver();
    let other = Terms { secret: Zeroizing::new([200; 32]), ..terms(B, &Suite::ALL, Limits::default()) };
    let word =
        SealWord { device: key(B).public(), key: public_key(&[200; 32]), suites: Suite::names(&Suite::ALL) };
    let (device, addresses) = (key(B).public(), vec![address(B)]);
    let (name, word) = ("device-4".into(), word.sign(&key(B)));
    let card =
        Card { epoch: 1, network: network(), device, name, addresses, word, issued_at: 1, expires_at: 9_000 };
    world.sealers.insert(B, Sealer::new(Terms { card: card.sign(&key(2)), ..other }));
    world.cards.insert(B, card.sign(&key(2)));
    world.take_opened();

    world.ms += 240_000;
    world.with_sealer(A, Sealer::handle_timeout);
    for _ in 0..20 {
        world.send(A, b"\0hello again");
        world.pass(500);
    }

    assert!(world.take_opened().iter().any(|(by, _)| *by == B));
}

#[test]
fn devices_without_a_common_suite_are_told_so() {
    let mut world = World::with(&[Suite::AesGcm], &[Suite::ChaChaPoly], Limits::default());

    world.send(A, b"\0hello");
    world.pass(1_000);

    assert!(world.take_opened().is_empty());
    assert!(world.status(A).refusal.is_some_and(|said| said.contains("no suite in common")));
}

#[test]
fn a_weaker_suite_is_used_where_it_is_all_that_both_have() {
    let mut world = World::with(&Suite::ALL, &[Suite::ChaChaPoly], Limits::default());

    world.send(A, b"\0hello");
    world.deliver();

    assert_eq!(world.take_opened().len(), 1);
    assert_eq!(world.status(A).suite, Some(Suite::ChaChaPoly));
}

#[test]
fn a_revoked_device_is_spoken_with_no_more() {
    let mut world = World::new();
    world.send(A, b"\0hello");
    world.deliver();
    world.take_opened();
    let revoked = key(B).public();

    world.with_sealer(A, |sealer, at| sealer.handle_gone(&revoked, at));
    world.send(B, b"\0still here");
    world.deliver();
    world.pass(3_000);

    assert!(world.take_opened().is_empty());
    assert_eq!(world.send(A, b"\0hello"), Sealed::Held, "asked for anew, after a while");
    world.pass(1_000);
    assert!(world.take_opened().is_empty(), "its card is of before");
    world.ms += 10_000;
    world.cards.insert(B, card(B, &Suite::ALL, 12, 2));
    world.send(A, b"\0welcome back");
    world.pass(10_000);
    assert!(world.take_opened().iter().any(|(by, _)| *by == B), "a later card is believed");
}
