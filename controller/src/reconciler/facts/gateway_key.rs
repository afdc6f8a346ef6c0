//! Facts about gateways that take another key.

use horizon_api::{signed::Signed, wire::rotation::Succession};

use super::*;
use crate::event::NextKeyRequest;

fn next(gateway: u8, next: u8) -> NextKeyRequest {
    NextKeyRequest { gateway: node(gateway), next: node(next), remote: REMOTE }
}

fn attach(gateway: u8) -> AttachRequest {
    AttachRequest { gateway: node(gateway), follows: vec![], remote: REMOTE }
}

/// A Server with a gateway, key 1, and alice's device, key 9.
async fn world() -> (World, Vec<String>) {
    let [server, person] = [token(TokenKind::Registration, 1), token(TokenKind::Personal, 2)];
    let objects = vec![
        NETWORK.to_owned(),
        SERVER.to_owned(),
        ALICE.to_owned(),
        registration_key("gw", &hash(&server)),
        format!(
            "kind: PersonalKey\nmetadata: {{name: alice}}\nspec: {{userRef: {{name: alice}}, networkRefs: [{{name: office}}], {}}}",
            hash(&person)
        ),
    ];
    let mut world = World::start(&objects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.join(&server, 1).await.unwrap();
    world.login(&person, 9).await.unwrap();
    (world, objects)
}

impl World {
    /// What devices are told of the only gateway: the key that it has, the next one, the one before.
    async fn offered(&mut self) -> (PublicKey, Option<PublicKey>, Option<PublicKey>) {
        let servers = self.refresh(9).await.unwrap().servers;
        (servers[0].key, servers[0].next, servers[0].previous)
    }

    fn names_gateway(&self, gateway: u8) -> bool {
        self._published.snapshots.borrow().gateways.contains_key(&node(gateway))
    }
}

#[tokio::test]
async fn devices_hear_of_a_gateways_next_key_before_it_has_that() {
    let (mut world, objects) = world().await;

    let since = world.reconciler.announce_key(&next(1, 2)).await.unwrap();

    assert_eq!(world.offered().await, (node(1), Some(node(2)), None));
    assert!(world.names_gateway(1) && !world.names_gateway(2), "it has the key before");
    assert_eq!(world.reconciler.announce_key(&next(1, 2)).await, Ok(since), "a retry changes nothing");
    let mut world = world.restart().await;
    world.declare(&objects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(world.offered().await, (node(1), Some(node(2)), None));
    assert_eq!(world.reconciler.announce_key(&next(1, 2)).await, Ok(since));

    assert!(world.reconciler.attach(&attach(2)).await.is_ok());

    assert_eq!(world.offered().await, (node(2), None, Some(node(1))));
    assert!(!world.names_gateway(1) && world.names_gateway(2));
    check_refused(world.reconciler.attach(&attach(1)).await, RefusalCode::NotEnrolled);
    assert!(world.reconciler.attach(&attach(2)).await.is_ok());
    let events = world.kinds_of_events().await;
    assert!(["KeyAnnounced", "KeyRotated"].iter().all(|kind| events.iter().any(|event| event == kind)));
    let mut world = world.restart().await;
    world.declare(&objects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(world.offered().await, (node(2), None, Some(node(1))));
    assert!(world.is_revoked(1), "for good");
}

#[tokio::test]
async fn a_key_that_is_somebodys_or_was_announced_by_nobody_follows_no_other() {
    let (mut world, _) = world().await;

    check_refused(world.reconciler.attach(&attach(2)).await, RefusalCode::NotEnrolled);
    check_refused(world.reconciler.announce_key(&next(1, 9)).await, RefusalCode::AlreadyBound);
    check_refused(world.reconciler.announce_key(&next(1, 1)).await, RefusalCode::AlreadyBound);
    world.reconciler.announce_key(&next(1, 2)).await.unwrap();
    world.reconciler.announce_key(&next(1, 3)).await.unwrap();

    check_refused(world.reconciler.attach(&attach(2)).await, RefusalCode::NotEnrolled);
    assert!(world.reconciler.attach(&attach(3)).await.is_ok(), "the last one that was announced");
    check_refused(world.reconciler.announce_key(&next(3, 1)).await, RefusalCode::AlreadyBound);
}

#[tokio::test]
async fn a_gateway_that_announces_one_key_after_the_other_has_to_wait_and_takes_the_last_one_up() {
    let (mut world, _) = world().await;
    for key in 2..6 {
        world.reconciler.announce_key(&next(1, key)).await.unwrap();
    }

    check_refused(world.reconciler.announce_key(&next(1, 6)).await, RefusalCode::Busy);

    assert!(world.reconciler.announce_key(&next(1, 5)).await.is_ok(), "it is known");
    assert!(world.reconciler.attach(&attach(5)).await.is_ok());
    check_refused(world.reconciler.announce_key(&next(5, 6)).await, RefusalCode::Busy);
}

#[tokio::test]
async fn the_key_of_a_declared_server_is_changed_where_it_is_declared() {
    let declare = |seed: u8| {
        format!(
            "kind: Server\nmetadata: {{name: gw}}\nspec: {{identity: {{publicKey: \"{}\"}}, networkRefs: [{{name: office}}], endpoints: [{{host: gw.example, port: 7444}}]}}",
            node(seed)
        )
    };
    let mut world = World::start(&[NETWORK, &declare(1)]).await;
    assert!(world.reconciler.attach(&attach(1)).await.is_ok());

    let refused = world.reconciler.announce_key(&next(1, 2)).await.unwrap_err();

    assert!(refused.message.contains("a.yaml") && refused.hint.contains(&node(2).to_string()), "{refused}");
    world.declare(&[NETWORK, &declare(2)]).await;
    assert!(world.reconciler.attach(&attach(2)).await.is_ok());
    check_refused(world.reconciler.attach(&attach(1)).await, RefusalCode::NotEnrolled);
}

#[tokio::test]
async fn what_a_servers_text_says_may_be_the_key_before_and_the_next_one() {
    let own = token(TokenKind::Registration, 1);
    let key = registration_key("gw", &hash(&own));
    let declare = |seed: u8| {
        SERVER.replace("{registrationKeyRef: {name: gw}}", &format!("{{publicKey: \"{}\"}}", node(seed)))
    };
    let mut world = World::start(&[NETWORK, SERVER, &key]).await;
    world.join(&own, 1).await.unwrap();
    world.declare(&[NETWORK, &declare(1), &key]).await;
    let remarks = |world: &World| {
        let problems = &world.reconciler.state.compiled.problems;
        problems.iter().map(|problem| (problem.code.to_string(), problem.fix.to_string())).collect::<Vec<_>>()
    };

    world.reconciler.announce_key(&next(1, 2)).await.unwrap();
    assert!(world.reconciler.attach(&attach(2)).await.is_ok());

    let told = [("FormerKey".to_owned(), format!("write `publicKey: \"{}\"`", node(2)))];
    assert_eq!(remarks(&world), told);
    assert!(world.names_gateway(2));
    world.declare(&[NETWORK, &declare(2), &key]).await;
    assert_eq!(remarks(&world), []);
    world.write(&[NETWORK, &declare(3), &key]).await;
    assert_eq!(remarks(&world)[0].0, "KeyChanged");
}

#[tokio::test]
async fn a_server_that_is_held_keeps_its_key() {
    let (mut world, objects) = world().await;
    world.reconciler.announce_key(&next(1, 2)).await.unwrap();
    let disabled = objects[1].replace("spec: {", "spec: {adminState: Disabled, ");
    let texts: Vec<_> =
        objects.iter().map(|text| if text == &objects[1] { &disabled } else { text }).collect();
    world.declare(&texts.iter().map(|text| text.as_str()).collect::<Vec<_>>()).await;

    check_refused(world.reconciler.attach(&attach(2)).await, RefusalCode::KeyDisabled);

    assert!(world.reconciler.attach(&attach(1)).await.is_ok());
    world.declare(&objects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(world.reconciler.attach(&attach(2)).await.is_ok());
}

#[tokio::test]
async fn a_restored_store_believes_the_key_that_it_knows_about_the_one_that_follows() {
    let (mut world, _) = world().await;
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
    let follows = vec![Succession::sign(&key(1), &node(2)), Succession::sign(&key(2), &node(3))];
    let shown = |follows: &[Signed]| AttachRequest { follows: follows.to_vec(), ..attach(3) };

    check_refused(world.reconciler.attach(&shown(&follows)).await, RefusalCode::NotEnrolled);
    world.reconciler.state.restored_from = Some(world.reconciler.state.version);
    check_refused(world.reconciler.attach(&shown(&follows[1..])).await, RefusalCode::NotEnrolled);
    let forged = [Succession::sign(&key(9), &node(3))];
    check_refused(world.reconciler.attach(&shown(&forged)).await, RefusalCode::NotEnrolled);
    assert!(world.reconciler.attach(&shown(&follows)).await.is_ok());

    assert_eq!(world.offered().await, (node(3), None, Some(node(1))));
    check_refused(world.reconciler.attach(&attach(1)).await, RefusalCode::NotEnrolled);
    assert!(world.reconciler.attach(&attach(3)).await.is_ok());
}
