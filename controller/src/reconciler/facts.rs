//! What the reconciler promises about keys, nodes and a store that refuses, with a real store and no socket.

mod cluster;
mod devices;
mod enrolled;
mod gateway_key;
mod guard;
mod programmed;
mod trust;

use std::{net::IpAddr, sync::Arc};

use horizon_api::{
    http::{InviteKind, InviteRequest},
    join::JoinString,
    key::{PublicKey, SecretKey},
    resource::{Kind, ObjectKey},
    token::{Token, TokenKind, TokenText},
    wire::{Evidence, Refusal, RefusalCode, dev::Granted},
};
use horizon_node::clock;
use horizon_planner::manifest::parse_folder;

use super::{Advertised, Parts, Published, Reconciler, Scope, retry::Retry};
use crate::{
    event::{AttachRequest, Event, JoinRequest, LoginRequest, RefreshRequest, ServerName},
    identity::ControllerIdentity,
    source::files::{FolderScan, ManifestFile},
    store::Store,
};

const SOURCE: &str = "files:/manifests";
const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const NETWORK: &str = "kind: Network\nmetadata: {name: office}\nspec: {addressPools: [{cidr: 10.77.0.0/24}]}";
const ALICE: &str = "kind: User\nmetadata: {name: alice}\nspec: {}";
const SERVER: &str = "kind: Server\nmetadata: {name: gw}\nspec: {networkRefs: [{name: office}], \
                      endpoints: [{host: gw.example}], identity: {registrationKeyRef: {name: gw}}}";

fn registration_key(name: &str, spec: &str) -> String {
    format!("kind: RegistrationKey\nmetadata: {{name: {name}}}\nspec: {{{spec}}}")
}

fn server(name: &str, key: &str) -> String {
    SERVER
        .replace("name: gw}\nspec", &format!("name: {name}}}\nspec"))
        .replace("{name: gw}}}", &format!("{{name: {key}}}}}}}"))
}

fn hash(token: &Token) -> String {
    format!("hash: \"{}\"", token.digest().to_text())
}

fn token(kind: TokenKind, seed: u8) -> Token {
    Token::generate(kind, &[seed; 39])
}

fn node(seed: u8) -> PublicKey {
    SecretKey::from_seed(&[seed; 32]).public()
}

/// A reconciler on a folder of its own.
struct World {
    reconciler: Reconciler,
    _published: Published,
    folder: tempfile::TempDir,
}

impl World {
    async fn start(objects: &[&str]) -> Self {
        let mut world = Self::open(tempfile::tempdir().unwrap()).await;
        world.declare(objects).await;
        world
    }

    /// Another process on the same data folder; it has read no manifest yet.
    async fn restart(self) -> Self {
        let Self { reconciler, _published: published, folder } = self;
        drop((reconciler, published));
        Self::open(folder).await
    }

    async fn open(folder: tempfile::TempDir) -> Self {
        Self::open_with(folder, vec![SOURCE.into()], None).await
    }

    async fn open_with(folder: tempfile::TempDir, sources: Vec<String>, cluster: Option<Scope>) -> Self {
        let store = Store::open(folder.path()).unwrap();
        let identity = ControllerIdentity::load(folder.path(), store.start(), clock::unix_s()).unwrap();
        let parts = Parts {
            store,
            identity,
            endpoint: None,
            sources,
            cluster,
            advertised: Advertised { host: "controller.example".into(), port: 7443 },
        };
        let (reconciler, published) = Reconciler::new(parts).await.unwrap();
        Self { reconciler, _published: published, folder }
    }

    /// Puts exactly these objects into the folder.
    async fn declare(&mut self, objects: &[&str]) {
        self.write(objects).await;
        let problems = &self.reconciler.state.compiled.problems;
        assert!(!problems.iter().any(horizon_api::problem::Problem::is_error), "{problems:?}");
    }

    /// As [`World::declare`], where something may be wrong with it.
    async fn write(&mut self, objects: &[&str]) {
        let documents: Vec<_> =
            objects.iter().map(|object| format!("apiVersion: horizon.dev/v1alpha1\n{object}\n")).collect();
        let text = documents.join("---\n");
        let parsed = parse_folder(&[("a.yaml", text.as_bytes())]);
        let file = ManifestFile { path: "a.yaml".into(), bytes: text.into_bytes().into() };
        let scan = Arc::new(FolderScan { files: vec![file], ..FolderScan::default() });
        self.reconciler.handle(Event::Scanned { source: SOURCE.into(), scan, parsed }).await;
    }

    async fn join(&mut self, token: &Token, gateway: u8) -> Result<ServerName, Refusal> {
        let request = JoinRequest {
            token: TokenText::new(token),
            name: None,
            gateway: node(gateway),
            remote: REMOTE,
            evidence: Evidence::default(),
        };
        self.reconciler.join(request).await
    }

    async fn login(&mut self, token: &Token, device: u8) -> Result<Granted, Refusal> {
        let request = LoginRequest {
            token: TokenText::new(token),
            person: None,
            device_name: format!("laptop-{device}"),
            device: node(device),
            remote: REMOTE,
            evidence: Evidence::default(),
            seal: None,
        };
        self.reconciler.login(request).await
    }

    async fn invite(&mut self, kind: InviteKind, name: &str) -> Result<Token, String> {
        let request = InviteRequest { kind, namespace: "default".into(), name: name.into(), by_key: false };
        let (reply, _waiting) = tokio::sync::oneshot::channel();
        let invited = self.reconciler.invite(request, &reply).await;
        let answer = invited.map_err(|refusal| format!("{refusal:?}"))?;
        Ok(answer.join.parse::<JoinString>().unwrap().token)
    }

    async fn kinds_of_events(&self) -> Vec<String> {
        let events = self.reconciler.store.recent_events(1_000).await.unwrap();
        events.into_iter().map(|stored| stored.event.kind).collect()
    }
}

#[track_caller]
fn check_refused<T>(outcome: Result<T, Refusal>, expected: RefusalCode) {
    assert_eq!(outcome.err().map(|refusal| refusal.code), Some(expected));
}

#[tokio::test]
async fn rotated_key_takes_no_old_token_and_shows_its_new_one() {
    let old = token(TokenKind::Registration, 1);
    let declared = registration_key("gw", &hash(&old));
    let mut world = World::start(&[NETWORK, SERVER, &declared]).await;
    world.join(&old, 1).await.unwrap();

    world.declare(&[NETWORK, SERVER, &server("gw-2", "gw"), &registration_key("gw", "generate: {}")]).await;
    let with_old = world.join(&old, 2).await;
    let made = world.invite(InviteKind::Server, "gw-2").await.unwrap();
    let with_made = world.join(&made, 2).await;

    check_refused(with_old, RefusalCode::UnknownKey);
    assert_eq!(with_made, Ok(("default".into(), "gw-2".into())));
}

#[tokio::test]
async fn token_that_was_made_is_void_once_its_key_declares_another() {
    let made_key = registration_key("gw", "generate: {}");
    let mut world = World::start(&[NETWORK, SERVER, &made_key]).await;
    let made = world.invite(InviteKind::Server, "gw").await.unwrap();
    let own = token(TokenKind::Registration, 1);

    world.declare(&[NETWORK, SERVER, &registration_key("gw", &hash(&own))]).await;
    let while_declared = world.join(&made, 1).await;
    world.declare(&[NETWORK, SERVER, &made_key]).await;
    let when_back = world.join(&made, 1).await;
    let made_again = world.invite(InviteKind::Server, "gw").await.unwrap();

    check_refused(while_declared, RefusalCode::UnknownKey);
    check_refused(when_back, RefusalCode::UnknownKey);
    assert!(world.join(&made_again, 1).await.is_ok());
}

#[tokio::test]
async fn spent_token_stays_spent_under_another_name() {
    let spent = token(TokenKind::Registration, 1);
    let one = registration_key("one", &hash(&spent));
    let mut world = World::start(&[NETWORK, &server("gw", "one"), &one]).await;
    world.join(&spent, 1).await.unwrap();

    world.declare(&[NETWORK]).await;
    let two = registration_key("two", &hash(&spent));
    world.declare(&[NETWORK, &server("gw", "two"), &two]).await;

    check_refused(world.join(&spent, 2).await, RefusalCode::KeyExhausted);
    let key = ObjectKey::new(Kind::RegistrationKey, "default", "two");
    assert_eq!(world.reconciler.state.facts.uses.get(&key), Some(&1));
}

#[tokio::test]
async fn device_that_signed_out_signs_in_with_another_link() {
    let mut world = World::start(&[NETWORK, ALICE]).await;
    let first = world.invite(InviteKind::User, "alice").await.unwrap();
    world.login(&first, 1).await.unwrap();

    let second = world.invite(InviteKind::User, "alice").await.unwrap();
    let again = world.login(&second, 1).await;

    assert!(again.is_ok(), "{:?}", again.err());
    let devices = &world.reconciler.state.compiled.effective.devices;
    assert_eq!(devices.len(), 1);
    assert_eq!(world.kinds_of_events().await, ["KeyUsed", "KeyUsed"]);
}

#[tokio::test]
async fn gateway_joins_again_with_a_rotated_key() {
    let (old, new) = (token(TokenKind::Registration, 1), token(TokenKind::Registration, 2));
    let mut world = World::start(&[NETWORK, SERVER, &registration_key("gw", &hash(&old))]).await;
    world.join(&old, 1).await.unwrap();

    // One hash never takes the place of another: the key lets go of the first one before.
    world.declare(&[NETWORK, SERVER, &registration_key("gw", "generate: {}")]).await;
    world.declare(&[NETWORK, SERVER, &registration_key("gw", &hash(&new))]).await;

    assert!(world.join(&new, 1).await.is_ok());
}

#[tokio::test]
async fn invitation_that_is_over_is_pruned() {
    let mut world = World::start(&[NETWORK, ALICE]).await;
    world.invite(InviteKind::User, "alice").await.unwrap();
    let keys = |world: &World| {
        world.reconciler.state.committed.keys().filter(|key| key.kind == Kind::PersonalKey).count()
    };
    let before = keys(&world);

    for manifest in world.reconciler.state.api_objects.values_mut() {
        if let horizon_api::resource::ResourceSpec::PersonalKey(spec) = &mut Arc::make_mut(manifest).spec {
            Arc::make_mut(spec).expires_at = jiff::Timestamp::from_second(1).ok();
        }
    }
    world.reconciler.recompile("time").await.unwrap();

    assert_eq!((before, keys(&world)), (1, 0));
    assert!(world.reconciler.state.digests.is_empty());
    assert_eq!(world.reconciler.store.load().await.unwrap().issued_keys, []);
}

#[tokio::test]
async fn invitation_that_nobody_waits_for_is_not_made() {
    let made_key = registration_key("gw", "generate: {}");
    let mut world = World::start(&[NETWORK, ALICE, SERVER, &made_key]).await;
    let revision = world.reconciler.state.version.revision;

    for (kind, name) in [(InviteKind::Server, "gw"), (InviteKind::User, "alice")] {
        let request = InviteRequest { kind, namespace: "default".into(), name: name.into(), by_key: false };
        let (reply, waiting) = tokio::sync::oneshot::channel();
        drop(waiting);
        world.reconciler.handle(Event::Invite(request, reply)).await;
    }

    assert_eq!(world.reconciler.state.version.revision, revision);
    assert_eq!(world.reconciler.store.load().await.unwrap().issued_keys, []);
    assert!(world.invite(InviteKind::Server, "gw").await.is_ok());
}

#[tokio::test]
async fn invitation_into_no_network_is_refused_before_anything_is_made() {
    let mut world = World::start(&[ALICE]).await;

    let refused = world.invite(InviteKind::User, "alice").await.err().unwrap();

    assert!(refused.contains("networkRefs"), "{refused}");
    assert!(world.reconciler.state.api_objects.is_empty());
}

#[tokio::test]
async fn user_with_the_longest_name_can_be_invited() {
    let name = "a".repeat(63);
    let user = ALICE.replace("alice", &name);
    let mut world = World::start(&[NETWORK, &user]).await;

    assert!(world.invite(InviteKind::User, &name).await.is_ok());
    assert!(world.invite(InviteKind::User, &name).await.is_ok());
}

#[tokio::test]
async fn login_that_leads_nowhere_uses_no_key() {
    let mut world = World::start(&[NETWORK, ALICE]).await;
    let link = world.invite(InviteKind::User, "alice").await.unwrap();

    world.declare(&[ALICE]).await;
    let nowhere = world.login(&link, 1).await;
    world.declare(&[NETWORK, ALICE]).await;

    check_refused(nowhere, RefusalCode::NotReady);
    assert!(world.login(&link, 1).await.is_ok());
}

#[tokio::test]
async fn flood_of_refusals_leaves_few_rows_and_one_count() {
    let mut world = World::start(&[NETWORK]).await;

    for seed in 0..100 {
        check_refused(world.join(&token(TokenKind::Registration, seed), 1).await, RefusalCode::UnknownKey);
    }
    let during = world.kinds_of_events().await.len();
    let later = clock::unix_ms() + 60_000;
    let counted = world.reconciler.refusals.poll_suppressed(later);

    assert_eq!(during, 5);
    assert_eq!(counted.iter().map(|suppressed| suppressed.count).collect::<Vec<_>>(), [95]);
}

#[tokio::test]
async fn store_that_refuses_is_no_final_answer() {
    let own = token(TokenKind::Registration, 1);
    let mut world = World::start(&[NETWORK, ALICE, SERVER, &registration_key("gw", &hash(&own))]).await;

    let locked = Store::lock_out(world.folder.path());
    world.declare(&[NETWORK, SERVER, &registration_key("gw", &hash(&own))]).await;
    let join = world.join(&own, 1).await;
    let attach =
        world.reconciler.attach(&AttachRequest { gateway: node(1), follows: vec![], remote: REMOTE }).await;
    let refresh =
        world.reconciler.refresh(&RefreshRequest { device: node(2), evidence: None, seal: None }).await;
    let trouble = world.reconciler.store.trouble();
    drop(locked);
    world.reconciler.retry = Retry::default();
    world.reconciler.wake().await;

    check_refused(join, RefusalCode::Busy);
    check_refused(attach, RefusalCode::Busy);
    check_refused(refresh, RefusalCode::Busy);
    assert!(trouble.is_some() && world.reconciler.store.trouble().is_none());
    assert!(world.join(&own, 1).await.is_ok());
}

#[tokio::test]
async fn an_edit_of_metadata_leaves_the_conditions_that_the_store_has() {
    let mut world = World::start(&[NETWORK, ALICE, SERVER, &registration_key("gw", "generate: {}")]).await;
    let conditions = async |world: &World| {
        let objects = world.reconciler.store.load().await.unwrap().objects;
        objects.into_iter().find(|object| object.kind == "Server").unwrap().conditions
    };
    let before = conditions(&world).await;

    let labelled = SERVER.replace("{name: gw}\nspec", "{name: gw, labels: {a: b}}\nspec");
    world.declare(&[NETWORK, ALICE, &labelled, &registration_key("gw", "generate: {}")]).await;

    assert!(before.contains("Programmed") || before.contains("Ready"), "{before}");
    assert_eq!(conditions(&world).await, before);
}

#[tokio::test]
async fn conditions_that_were_not_stored_are_stored_later() {
    let mut world = World::start(&[NETWORK, ALICE]).await;
    let key = ObjectKey::new(Kind::User, "default", "alice");
    world.reconciler.state.ledger.get_mut(&key).unwrap().conditions = Arc::default();

    let locked = Store::lock_out(world.folder.path());
    let refused = world.reconciler.refresh_conditions().await;
    let meanwhile = world.reconciler.state.ledger[&key].conditions.len();
    drop(locked);
    world.reconciler.refresh_conditions().await.unwrap();

    assert!(refused.is_err() && meanwhile == 0);
    assert!(!world.reconciler.state.ledger[&key].conditions.is_empty());
}
