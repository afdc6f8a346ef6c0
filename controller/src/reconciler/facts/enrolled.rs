//! What is remembered of the key that enrolled a node, with a real store.

use super::*;
use crate::event::RotateDeviceRequest;

fn personal_key(spec: &str) -> String {
    format!(
        "kind: PersonalKey\nmetadata: {{name: alice}}\nspec: {{userRef: {{name: alice}}, \
         networkRefs: [{{name: office}}], {spec}}}"
    )
}

fn with(key: &Token, more: &str) -> String {
    personal_key(&format!("{}{more}", hash(key)))
}

async fn signed_in(key: &Token, more: &str) -> World {
    let mut world = World::start(&[NETWORK, ALICE, &with(key, more)]).await;
    world.login(key, 1).await.unwrap();
    world
}

impl World {
    pub(super) async fn refresh(&mut self, device: u8) -> Result<Granted, Refusal> {
        self.reconciler.refresh(&RefreshRequest { device: node(device), evidence: None, seal: None }).await
    }

    pub(super) fn is_revoked(&self, device: u8) -> bool {
        self.reconciler.state.compiled.revoked.contains(&node(device))
    }
}

#[tokio::test]
async fn a_key_that_is_gone_cuts_off_over_a_restart_until_its_token_is_declared_again() {
    let (one, other) = (token(TokenKind::Personal, 1), token(TokenKind::Personal, 2));
    let mut world = signed_in(&one, ", onRevoke: Disconnect").await;

    world.declare(&[NETWORK, ALICE]).await;
    let gone = (world.is_revoked(1), world.refresh(1).await);
    let mut world = world.restart().await;
    world.declare(&[NETWORK, ALICE]).await;
    let restarted = (world.is_revoked(1), world.refresh(1).await);
    world.declare(&[NETWORK, ALICE, &with(&other, ", onRevoke: Disconnect")]).await;
    let with_other = (world.is_revoked(1), world.refresh(1).await);
    world.declare(&[NETWORK, ALICE, &with(&one, ", onRevoke: Keep")]).await;

    for (is_revoked, refreshed) in [gone, restarted, with_other] {
        assert!(is_revoked);
        check_refused(refreshed, RefusalCode::Revoked);
    }
    assert!(!world.is_revoked(1) && world.refresh(1).await.is_ok());
    assert!(world.reconciler.store.load().await.unwrap().revocations.is_empty());
}

#[tokio::test]
async fn what_a_key_says_of_its_revocation_may_change_while_it_is_there() {
    let key = token(TokenKind::Personal, 1);
    let mut world = signed_in(&key, "").await;

    world.declare(&[NETWORK, ALICE, &with(&key, ", onRevoke: Expire")]).await;
    let mut world = world.restart().await;
    world.declare(&[NETWORK, ALICE]).await;

    assert!(!world.is_revoked(1));
    check_refused(world.refresh(1).await, RefusalCode::Revoked);
}

#[tokio::test]
async fn a_key_with_another_token_is_the_same_key() {
    let (one, other) = (token(TokenKind::Personal, 1), token(TokenKind::Personal, 2));
    let mut world = signed_in(&one, ", onRevoke: Disconnect").await;

    world.declare(&[NETWORK, ALICE, &with(&other, ", onRevoke: Disconnect")]).await;
    let rotated = world.refresh(1).await;
    world.declare(&[NETWORK, ALICE]).await;
    let gone = world.refresh(1).await;
    world.declare(&[NETWORK, ALICE, &with(&other, ", onRevoke: Disconnect")]).await;

    assert!(rotated.is_ok());
    check_refused(gone, RefusalCode::Revoked);
    assert!(world.refresh(1).await.is_ok());
}

#[tokio::test]
async fn a_device_that_is_cut_off_comes_back_with_another_key() {
    let (one, other) = (token(TokenKind::Personal, 1), token(TokenKind::Personal, 2));
    let mut world = signed_in(&one, ", onRevoke: Disconnect, disabled: false").await;
    let disabled = with(&one, ", onRevoke: Disconnect, disabled: true");
    let second = with(&other, "").replace("name: alice}\nspec", "name: second}\nspec");
    world.declare(&[NETWORK, ALICE, &disabled, &second]).await;
    check_refused(world.refresh(1).await, RefusalCode::Revoked);
    check_refused(world.login(&one, 1).await, RefusalCode::KeyDisabled);

    assert!(world.login(&other, 1).await.is_ok());
    let mut world = world.restart().await;
    world.declare(&[NETWORK, ALICE, &disabled, &second]).await;

    assert!(world.refresh(1).await.is_ok());
    assert_eq!(world.reconciler.state.compiled.effective.devices.len(), 1);
}

#[tokio::test]
async fn a_server_whose_key_is_revoked_serves_nobody_and_keeps_its_place() {
    let key = token(TokenKind::Registration, 1);
    let declared =
        |more: &str| registration_key("gw", &format!("{}, onRevoke: Disconnect{more}", hash(&key)));
    let mut world = World::start(&[NETWORK, SERVER, &declared("")]).await;
    world.join(&key, 1).await.unwrap();
    let attach = AttachRequest { gateway: node(1), follows: vec![], remote: REMOTE };
    let serves = |world: &World| {
        let servers = &world.reconciler.state.compiled.effective.servers;
        servers.values().all(|server| !server.networks.is_empty())
    };

    world.declare(&[NETWORK, SERVER, &declared(", disabled: true")]).await;
    let disabled = (serves(&world), world.reconciler.attach(&attach).await.is_ok());
    world.declare(&[NETWORK, SERVER, &declared("")]).await;

    assert_eq!(disabled, (false, true));
    assert!(serves(&world));
}

#[tokio::test]
async fn a_key_pair_signs_in_as_a_token_does() {
    let person = SecretKey::from_seed(&[5; 32]).public();
    let declared = personal_key(&format!("publicKey: \"{person}\", maxUses: 1, onRevoke: Disconnect"));
    let mut world = World::start(&[NETWORK, ALICE, &declared]).await;
    let login = |device: u8, person: PublicKey| LoginRequest {
        token: TokenText::none(),
        person: Some(person),
        device_name: format!("laptop-{device}"),
        device: node(device),
        remote: REMOTE,
        evidence: Evidence::default(),
        seal: None,
    };

    check_refused(world.reconciler.login(login(1, node(8))).await, RefusalCode::UnknownKey);
    assert!(world.reconciler.login(login(1, person)).await.is_ok());
    assert!(world.reconciler.login(login(1, person)).await.is_ok(), "a retry");
    check_refused(world.reconciler.login(login(2, person)).await, RefusalCode::KeyExhausted);
    let key = "PersonalKey/alice".parse().unwrap();
    let view = world.reconciler.state.key_view(&key).unwrap();
    let last = view.last_use.unwrap();
    assert_eq!((view.uses, last.from.as_str(), last.node.as_str()), (1, "192.0.2.1", "Device/laptop-1"));
    world.declare(&[NETWORK, ALICE]).await;
    check_refused(world.refresh(1).await, RefusalCode::Revoked);
}

#[tokio::test]
async fn a_link_without_a_token_is_for_who_has_a_key_pair() {
    let person = SecretKey::from_seed(&[5; 32]).public();
    let mut world = World::start(&[NETWORK, ALICE]).await;
    let request = || InviteRequest {
        kind: InviteKind::User,
        namespace: "default".into(),
        name: "alice".into(),
        by_key: true,
    };
    let (reply, _waiting) = tokio::sync::oneshot::channel();
    assert!(world.reconciler.invite(request(), &reply).await.is_err());

    world.declare(&[NETWORK, ALICE, &personal_key(&format!("publicKey: \"{person}\""))]).await;
    let link = world.reconciler.invite(request(), &reply).await.unwrap().join;

    let place: horizon_api::join::Place = link.parse().unwrap();
    assert_eq!((place.host.as_str(), place.port), ("controller.example", 7443));
}

#[tokio::test]
async fn another_pepper_voids_no_token_and_forgets_no_use() {
    let (spent, fresh) = (token(TokenKind::Personal, 1), token(TokenKind::Personal, 2));
    let one = with(&spent, ", maxUses: 1, onRevoke: Disconnect");
    let second = with(&fresh, "").replace("name: alice}\nspec", "name: second}\nspec");
    let made = "kind: PersonalKey\nmetadata: {name: third}\nspec: {userRef: {name: alice}, \
                networkRefs: [{name: office}], generate: {}}";
    let mut world = World::start(&[NETWORK, ALICE, &one, &second, made]).await;
    world.login(&spent, 1).await.unwrap();
    let issued = world.invite(InviteKind::User, "alice").await.unwrap();
    let rotate = || horizon_api::http::KeysRequest::Rotate(horizon_api::http::OwnKey::Pepper);

    world.reconciler.keys(rotate()).await.unwrap();
    world.reconciler.keys(rotate()).await.unwrap();
    check_refused(world.login(&spent, 2).await, RefusalCode::KeyExhausted);
    assert!(world.login(&fresh, 2).await.is_ok());
    let mut world = world.restart().await;
    world.declare(&[NETWORK, ALICE, &one, &second, made]).await;

    assert_eq!(world.reconciler.own_keys().peppers, 3);
    assert!(world.login(&spent, 1).await.is_ok(), "a retry");
    check_refused(world.login(&spent, 3).await, RefusalCode::KeyExhausted);
    assert!(world.login(&issued, 3).await.is_ok());
    world.declare(&[NETWORK, ALICE, &second, made]).await;
    check_refused(world.refresh(1).await, RefusalCode::Revoked);
    assert!(world.refresh(2).await.is_ok() && world.refresh(3).await.is_ok());
}

#[tokio::test]
async fn a_pepper_whose_rotation_did_not_happen_counts_for_nothing() {
    let key = token(TokenKind::Personal, 1);
    let mut world = signed_in(&key, "").await;
    let rotate = || horizon_api::http::KeysRequest::Rotate(horizon_api::http::OwnKey::Pepper);

    let lock = Store::lock_out(world.folder.path());
    assert!(world.reconciler.keys(rotate()).await.is_err());
    drop(lock);
    assert!(world.folder.path().join("pepper.2").exists());
    let mut world = world.restart().await;
    world.declare(&[NETWORK, ALICE, &with(&key, "")]).await;

    assert_eq!(world.reconciler.own_keys().peppers, 1);
    assert!(world.login(&key, 1).await.is_ok());
    world.reconciler.keys(rotate()).await.unwrap();
    assert!(world.login(&key, 1).await.is_ok());
}

#[tokio::test]
async fn a_device_takes_another_key_and_the_one_before_is_revoked_for_good() {
    let key = token(TokenKind::Personal, 1);
    let mut world = signed_in(&key, "").await;
    let rotate =
        |device, next| RotateDeviceRequest { device: node(device), next: node(next), remote: REMOTE };
    let before = world.refresh(1).await.unwrap();

    let granted = world.reconciler.rotate_device(&rotate(1, 7)).await.unwrap();

    assert_ne!(granted.grant, before.grant);
    check_refused(world.refresh(1).await, RefusalCode::NotEnrolled);
    assert!(world.refresh(7).await.is_ok());
    check_refused(world.reconciler.rotate_device(&rotate(1, 8)).await, RefusalCode::NotEnrolled);
    check_refused(world.reconciler.rotate_device(&rotate(7, 1)).await, RefusalCode::AlreadyBound);
    let mut world = world.restart().await;
    world.declare(&[NETWORK, ALICE, &with(&key, "")]).await;
    assert!(world.refresh(7).await.is_ok());
    assert!(world.is_revoked(1));
    check_refused(world.login(&key, 1).await, RefusalCode::Revoked);
    assert!(world.reconciler.rotate_device(&rotate(7, 8)).await.is_ok());
}

#[tokio::test]
async fn a_key_that_another_one_followed_is_nobodys_again_whatever_is_declared() {
    let key = token(TokenKind::Personal, 1);
    let mut world = signed_in(&key, "").await;
    let rotate = RotateDeviceRequest { device: node(1), next: node(7), remote: REMOTE };
    world.reconciler.rotate_device(&rotate).await.unwrap();
    let old = format!(
        "kind: Device\nmetadata: {{name: old}}\nspec: {{userRef: {{name: alice}}, \
         networkRefs: [{{name: office}}], publicKey: \"{}\"}}",
        node(1)
    );

    for _ in 0..2 {
        world.declare(&[NETWORK, ALICE, &with(&key, ""), &old]).await;

        assert!(world.is_revoked(1));
        let blocked = &world.reconciler.state.compiled.blocked[&"Device/old".parse().unwrap()];
        assert_eq!(blocked.reason, "KeyFollowed");
        check_refused(world.refresh(1).await, RefusalCode::Revoked);
        assert!(world.refresh(7).await.is_ok());
        world = world.restart().await;
    }
}

#[tokio::test]
async fn a_device_that_takes_one_key_after_the_other_has_to_wait() {
    let key = token(TokenKind::Personal, 1);
    let mut world = signed_in(&key, "").await;
    let rotate =
        |device, next| RotateDeviceRequest { device: node(device), next: node(next), remote: REMOTE };
    for device in 1..5 {
        world.reconciler.rotate_device(&rotate(device, device + 1)).await.unwrap();
    }

    check_refused(world.reconciler.rotate_device(&rotate(5, 6)).await, RefusalCode::Busy);

    assert!(world.refresh(5).await.is_ok() && !world.is_revoked(5));
}
