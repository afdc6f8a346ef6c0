//! What the reconciler promises about devices that enrol by themselves.

use horizon_api::{
    resource::ResourceSpec,
    verdict::{DiskEncryption, Posture},
};

use super::*;
use crate::{event::SignOutRequest, reconciler::ephemeral::AWAY_MS};

const POOL: &str = "grants: {networkRefs: [{name: office}], tags: [runner]}";

fn devices(world: &World) -> Vec<String> {
    world.reconciler.state.compiled.effective.devices.keys().map(|key| key.name.to_string()).collect()
}

async fn sign_out(world: &mut World, device: u8) -> Result<(), Refusal> {
    world.reconciler.sign_out(&SignOutRequest { device: node(device), remote: REMOTE }).await
}

fn runners(token: &Token, more: &str) -> String {
    let spec = format!(
        "role: Device, {}, maxUses: 9, expiresAt: \"2099-01-01T00:00:00Z\", {POOL}{more}",
        hash(token)
    );
    registration_key("runners", &spec)
}

#[tokio::test]
async fn registration_key_enrols_a_device_of_nobody_with_its_networks_and_tags() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, "")]).await;

    let granted = world.login(&token, 1).await;

    assert!(granted.is_ok(), "{:?}", granted.err());
    let device = world.reconciler.state.compiled.effective.devices.values().next().unwrap();
    assert_eq!((device.user.as_ref(), device.identity.user.as_str()), (None, ""));
    assert!(device.identity.tags.contains("runner"), "{:?}", device.identity);
    assert_eq!(device.networks.len(), 1);
}

#[tokio::test]
async fn device_of_a_user_counts_for_them_and_stands_with_them() {
    let token = token(TokenKind::Registration, 1);
    let user = |spec: &str| ALICE.replace("spec: {}", &format!("spec: {{maxDevices: 1{spec}}}"));
    let key = runners(&token, "").replace("tags: [runner]", "userRef: {name: alice}");
    let mut world = World::start(&[NETWORK, &user(""), &key]).await;

    let first = world.login(&token, 1).await;
    let second = world.login(&token, 2).await;
    world.declare(&[NETWORK, &user(", disabled: true"), &key]).await;
    let disabled =
        world.reconciler.refresh(&RefreshRequest { device: node(1), evidence: None, seal: None }).await;
    let with_key = world.login(&token, 3).await;

    assert!(first.is_ok(), "{:?}", first.err());
    check_refused(second, RefusalCode::TooManyDevices);
    check_refused(disabled, RefusalCode::Revoked);
    check_refused(with_key, RefusalCode::KeyDisabled);
}

#[tokio::test]
async fn key_enrols_what_its_role_says_and_nothing_else() {
    let (for_servers, for_devices) = (token(TokenKind::Registration, 1), token(TokenKind::Registration, 2));
    let mut world = World::start(&[
        NETWORK,
        SERVER,
        &registration_key("gw", &hash(&for_servers)),
        &runners(&for_devices, ""),
    ])
    .await;

    let device = world.login(&for_servers, 1).await;
    let server = world.join(&for_devices, 2).await;

    check_refused(device, RefusalCode::NoCandidate);
    check_refused(server, RefusalCode::NoCandidate);
    assert!(world.reconciler.state.token_uses.is_empty());
}

#[tokio::test]
async fn ephemeral_device_is_forgotten_when_it_signs_out_and_may_come_again() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, ", ephemeral: true")]).await;
    world.login(&token, 1).await.unwrap();

    sign_out(&mut world, 1).await.unwrap();
    let gone = devices(&world);
    let revoked = world.reconciler.state.compiled.revoked.contains(&node(1));
    let refresh =
        world.reconciler.refresh(&RefreshRequest { device: node(1), evidence: None, seal: None }).await;
    let again = world.login(&token, 1).await;

    assert!(gone.is_empty() && revoked, "{gone:?}");
    check_refused(refresh, RefusalCode::NotEnrolled);
    assert!(again.is_ok(), "{:?}", again.err());
    assert!(!world.reconciler.state.compiled.revoked.contains(&node(1)));
    let world = world.restart().await;
    assert!(world.reconciler.state.facts.revoked.is_empty());
    assert!(world.kinds_of_events().await.contains(&"DeviceSignedOut".to_owned()));
}

#[tokio::test]
async fn forgotten_device_does_not_come_again_with_a_one_time_key() {
    let token = token(TokenKind::Registration, 1);
    let key = runners(&token, ", ephemeral: true").replace("maxUses: 9", "maxUses: 1");
    let mut world = World::start(&[NETWORK, &key]).await;
    world.login(&token, 1).await.unwrap();

    sign_out(&mut world, 1).await.unwrap();

    check_refused(world.login(&token, 1).await, RefusalCode::KeyExhausted);
}

#[tokio::test]
async fn other_devices_stay_when_they_sign_out_or_are_away() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, "")]).await;
    world.login(&token, 1).await.unwrap();

    sign_out(&mut world, 1).await.unwrap();
    world.reconciler.state.started_at_ms = 0;
    world.reconciler.state.ledger.values_mut().for_each(|uid| uid.created_at_ms = 0);
    world.reconciler.forget_away().await;

    assert_eq!(devices(&world), ["laptop-1"]);
}

#[tokio::test]
async fn ephemeral_device_that_was_not_heard_of_for_two_hours_is_forgotten() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, ", ephemeral: true")]).await;
    world.login(&token, 1).await.unwrap();
    let forget_after = async |world: &mut World, away_ms: i64| {
        let at = clock::unix_ms() - away_ms;
        world.reconciler.state.started_at_ms = at;
        world.reconciler.state.ledger.values_mut().for_each(|uid| uid.created_at_ms = at);
        world.reconciler.forget_away().await;
        devices(world)
    };

    let a_moment_before = forget_after(&mut world, AWAY_MS - 60_000).await;
    world.reconciler.refresh(&RefreshRequest { device: node(1), evidence: None, seal: None }).await.unwrap();
    let heard_of = forget_after(&mut world, AWAY_MS).await;
    world.reconciler.state.last_seen.restore(node(1), 0);
    let away = forget_after(&mut world, AWAY_MS).await;

    assert_eq!((a_moment_before.len(), heard_of.len(), away.len()), (1, 1, 0));
}

#[tokio::test]
async fn join_link_of_devices_is_shown_once_and_only_for_their_keys() {
    let made = registration_key("made", &format!("role: Device, generate: {{}}, {POOL}"));
    let mut world = World::start(&[NETWORK, &made, &registration_key("gw", "generate: {}")]).await;

    let token = world.invite(InviteKind::Device, "made").await.unwrap();
    let again = world.invite(InviteKind::Device, "made").await.err().unwrap();
    let of_servers = world.invite(InviteKind::Device, "gw").await.err().unwrap();

    assert!(world.login(&token, 1).await.is_ok());
    assert!(again.contains("shown already"), "{again}");
    assert!(of_servers.contains("enrols servers"), "{of_servers}");
    let spec = &world
        .reconciler
        .state
        .committed
        .values()
        .find(|object| object.key.kind == Kind::Device)
        .unwrap()
        .spec;
    assert!(matches!(spec, ResourceSpec::Device(spec) if spec.user_ref.is_none()));
}

const CAREFUL: &str = "kind: Network\nmetadata: {name: office}\nspec: {addressPools: [{cidr: 10.77.0.0/24}], newDevices: Approve}";

async fn approve(world: &mut World, name: &str) -> Result<(), String> {
    let device = ObjectKey::new(Kind::Device, "default", name);
    let request = horizon_api::http::ApproveDeviceRequest { device };
    world.reconciler.approve_device(&request).await.map(drop).map_err(|refusal| format!("{refusal:?}"))
}

#[tokio::test]
async fn new_device_waits_until_it_is_approved_and_uses_its_key_once() {
    let token = token(TokenKind::Registration, 1);
    let key = runners(&token, "").replace("maxUses: 9", "maxUses: 1");
    let mut world = World::start(&[CAREFUL, &key]).await;

    let first = world.login(&token, 1).await;
    let again = world.login(&token, 1).await;
    let refresh =
        world.reconciler.refresh(&RefreshRequest { device: node(1), evidence: None, seal: None }).await;
    let events = world.kinds_of_events().await;
    let mut world = world.restart().await;
    world.declare(&[CAREFUL, &key]).await;
    approve(&mut world, "laptop-1").await.unwrap();

    check_refused(first, RefusalCode::AwaitingApproval);
    check_refused(again, RefusalCode::AwaitingApproval);
    check_refused(refresh, RefusalCode::AwaitingApproval);
    assert_eq!(
        events,
        ["KeyUsed", "DeviceAwaitsApproval"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
    );
    let granted =
        world.reconciler.refresh(&RefreshRequest { device: node(1), evidence: None, seal: None }).await;
    assert!(granted.is_ok(), "{:?}", granted.err());
    let world = world.restart().await;
    let device = world.reconciler.state.compiled.effective.devices.values().next().unwrap();
    assert_eq!(device.standing, horizon_planner::compile::Standing::Active);
}

#[tokio::test]
async fn devices_that_were_there_before_stay_approved() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, "")]).await;
    world.login(&token, 1).await.unwrap();

    world.declare(&[CAREFUL, &runners(&token, "")]).await;

    let refresh =
        world.reconciler.refresh(&RefreshRequest { device: node(1), evidence: None, seal: None }).await;
    assert!(refresh.is_ok(), "{:?}", refresh.err());
}

#[tokio::test]
async fn approval_of_what_somebody_wrote_is_written_there() {
    let device = "kind: Device\nmetadata: {name: kiosk}\nspec: {networkRefs: [{name: office}], tags: [kiosk], approved: false}";
    let mut world = World::start(&[NETWORK, device]).await;

    let refused = approve(&mut world, "kiosk").await.unwrap_err();

    assert!(refused.contains("a.yaml") && refused.contains("approved: false"), "{refused}");
    assert!(approve(&mut world, "nobody").await.is_err());
}

fn stated(disk: DiskEncryption) -> Option<Evidence> {
    let posture = Posture { os: "debian".into(), disk, ..Posture::default() };
    Some(Evidence { posture: Some(posture), ..Evidence::default() })
}

/// What a grant says that its device said.
fn posture_of(granted: &Granted) -> Option<Posture> {
    let signed: horizon_api::signed::Signed = horizon_api::cbor::decode(&granted.grant).unwrap();
    signed.read_own::<horizon_api::grant::Grant>().unwrap().identity.posture.map(|posture| *posture)
}

#[tokio::test]
async fn what_a_device_states_is_in_its_grant_until_it_states_something_else() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, "")]).await;
    let revision = |world: &World| world.reconciler.state.version.revision;
    world.login(&token, 1).await.unwrap();
    let before = revision(&world);

    let mut disks = Vec::new();
    for evidence in [stated(DiskEncryption::Encrypted), stated(DiskEncryption::Unencrypted), None] {
        let request = RefreshRequest { device: node(1), evidence, seal: None };
        let granted = world.reconciler.refresh(&request).await.unwrap();
        disks.push(posture_of(&granted).map(|posture| posture.disk));
    }
    let request = RefreshRequest { device: node(1), evidence: stated(DiskEncryption::Encrypted), seal: None };
    world.reconciler.refresh(&request).await.unwrap();
    let after = revision(&world);
    let world = world.restart().await;

    assert_eq!(disks, [Some(DiskEncryption::Encrypted), Some(DiskEncryption::Unencrypted), None]);
    assert_eq!(before, after, "nothing is compiled for it");
    let device = world.reconciler.state.compiled.effective.devices.values().next().unwrap();
    let kept = device.identity.posture.as_ref().map(|posture| (posture.os.as_str(), posture.disk));
    assert_eq!(kept, Some(("debian", DiskEncryption::Encrypted)));
}

#[tokio::test]
async fn no_device_says_more_than_a_page_can_show() {
    let token = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, &runners(&token, "")]).await;
    world.login(&token, 1).await.unwrap();

    let posture = Posture { os: "x\n".repeat(30_000).into(), ..Posture::default() };
    let evidence = Some(Evidence { posture: Some(posture), ..Evidence::default() });
    let granted =
        world.reconciler.refresh(&RefreshRequest { device: node(1), evidence, seal: None }).await.unwrap();

    assert_eq!(posture_of(&granted).map(|posture| posture.os.len()), Some(64));
}
