//! What the reconciler promises about a cluster: nothing goes that nobody took away, and everybody hears why.

use std::collections::BTreeMap;

use horizon_api::{
    condition::Condition,
    resource::{API_VERSION, Kind, ObjectKey},
    token::TokenKind,
};
use horizon_planner::manifest::{Parsed, parse_object};
use serde_json::{Value, json};

use super::*;
use crate::{
    fate::Word,
    source::cluster::{ClusterScan, Declared, KindScan, locator},
};

fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, "default", name)
}

fn object(kind: Kind, name: &str, spec: &Value) -> Value {
    let uid = format!("{name}-1");
    let metadata = json!({ "name": name, "namespace": "default", "generation": 1, "uid": uid });
    json!({ "apiVersion": API_VERSION, "kind": kind.to_string(), "metadata": metadata, "spec": spec })
}

fn office() -> Value {
    object(Kind::Network, "office", &json!({ "addressPools": [{ "cidr": "10.77.0.0/24" }] }))
}

fn source_of(kind: Kind) -> String {
    crate::source::cluster::source_of(kind, None)
}

fn user(name: &str) -> Value {
    object(Kind::User, name, &json!({}))
}

/// What the cluster has of one kind.
fn seen(kind: Kind, objects: &[Value], definition: &str) -> ClusterScan {
    let name = |object: &Value| key(kind, object["metadata"]["name"].as_str().unwrap());
    let parsed: Vec<Parsed> = objects.iter().map(|o| parse_object(&name(o), &locator(&name(o)), o)).collect();
    let declared = |object: &Value| Declared {
        uid: object["metadata"]["uid"].as_str().unwrap().into(),
        generation: object["metadata"]["generation"].as_i64().unwrap(),
    };
    let scan = KindScan {
        parsed: Arc::new(Parsed::merge(&parsed)),
        declared: objects.iter().map(|object| (name(object), declared(object))).collect(),
        trouble: None,
        definition: Some(definition.into()),
    };
    ClusterScan { kinds: BTreeMap::from([(kind, scan)]), ..ClusterScan::default() }
}

impl World {
    async fn with_cluster(folder: tempfile::TempDir) -> Self {
        Self::open_with(folder, Kind::ALL.map(source_of).into(), Some(None)).await
    }

    /// One whose every kind was listed, and has nothing.
    async fn with_empty_cluster() -> Self {
        let mut world = Self::with_cluster(tempfile::tempdir().unwrap()).await;
        for kind in Kind::ALL {
            world.see(seen(kind, &[], "1")).await;
        }
        world
    }

    /// One in which alice may sign in with this token.
    async fn with_alice(token: &Token) -> Self {
        let spec = json!({ "userRef": { "name": "alice" }, "networkRefs": [{ "name": "office" }],
            "hash": token.digest().to_text(), "expiresAt": "2100-01-01T00:00:00Z" });
        let mut world = Self::with_empty_cluster().await;
        world.see(seen(Kind::Network, &[office()], "1")).await;
        world.see(seen(Kind::User, &[user("alice")], "1")).await;
        world.see(seen(Kind::PersonalKey, &[object(Kind::PersonalKey, "alice", &spec)], "1")).await;
        world
    }

    async fn see(&mut self, scan: ClusterScan) {
        self.reconciler.handle(Event::Cluster(scan)).await;
    }

    fn knows(&self, key: &ObjectKey) -> bool {
        self.reconciler.state.committed.contains_key(key)
    }

    fn reason(&self, kind: Kind) -> &str {
        &self.reconciler.state.source_notes[&source_of(kind)].reason
    }

    fn told(&mut self, key: &ObjectKey) -> Option<Word> {
        self.reconciler.state.take_words().remove(key)
    }
}

fn ready(conditions: &[Condition]) -> (String, String) {
    let ready = conditions.iter().find(|condition| condition.kind == "Ready").unwrap();
    (ready.reason.to_string(), ready.message.to_string())
}

#[tokio::test]
async fn nothing_is_committed_before_every_kind_was_listed() {
    let mut world = World::with_cluster(tempfile::tempdir().unwrap()).await;

    world.see(seen(Kind::User, &[user("alice")], "1")).await;
    assert!(!world.knows(&key(Kind::User, "alice")));
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::User) {
        world.see(seen(kind, &[], "1")).await;
    }

    assert!(world.knows(&key(Kind::User, "alice")));
}

#[tokio::test]
async fn a_definition_that_is_made_anew_takes_nothing_away() {
    let alice = key(Kind::User, "alice");
    let mut world = World::with_empty_cluster().await;
    world.see(seen(Kind::User, &[user("alice"), user("ben")], "1")).await;

    world.see(seen(Kind::User, &[user("ben"), user("carl")], "2")).await;
    assert!(world.knows(&alice));
    assert!(world.reason(Kind::User).contains("User/alice"), "{}", world.reason(Kind::User));
    let Some(Word::Stays(why)) = world.told(&alice) else { panic!("it stays") };
    assert!(why.contains("made anew"), "{why}");
    // Whoever is deleted from then on goes.
    world.see(seen(Kind::User, &[user("ben")], "2")).await;
    assert!(world.knows(&alice) && !world.knows(&key(Kind::User, "carl")));
    // The other kinds are read as ever, and a restart makes no difference.
    assert_eq!(world.reason(Kind::Network), "");
    let World { reconciler, _published: published, folder } = world;
    drop((reconciler, published));
    let mut world = World::with_cluster(folder).await;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::User) {
        world.see(seen(kind, &[], "1")).await;
    }
    world.see(seen(Kind::User, &[user("ben")], "2")).await;
    assert!(world.knows(&alice));

    // Applied again, and then deleted, it goes.
    world.see(seen(Kind::User, &[user("alice"), user("ben")], "2")).await;
    assert_eq!(world.reason(Kind::User), "");
    world.see(seen(Kind::User, &[user("ben")], "2")).await;
    assert!(!world.knows(&alice));
}

#[tokio::test]
async fn what_cannot_be_read_takes_nothing_away() {
    let mut world = World::with_empty_cluster().await;
    world.see(seen(Kind::User, &[user("alice")], "1")).await;

    let mut scan = seen(Kind::User, &[], "1");
    scan.kinds.get_mut(&Kind::User).unwrap().trouble = Some("no right to list users".into());
    world.see(scan).await;

    assert!(world.knows(&key(Kind::User, "alice")));
    assert_eq!(world.reason(Kind::User), "no right to list users");
}

#[tokio::test]
async fn a_bad_object_hears_why_and_a_fine_one_what_became_of_it() {
    let mut world = World::with_empty_cluster().await;
    let bad = object(Kind::Network, "lab", &json!({ "addressPools": [{ "cidr": "10.78.0.1/24" }] }));

    world.see(seen(Kind::Network, &[office(), bad.clone()], "1")).await;

    let Some(Word::Waiting(word)) = world.told(&key(Kind::Network, "lab")) else { panic!("it waits") };
    assert_eq!(word.observed, Some(1));
    assert!(ready(&word.conditions).1.contains("spec.addressPools[0].cidr"), "{:?}", word.conditions);
    // Whoever mends it in the wrong way hears of the new text, though the verdict is the same.
    let mut worse = bad;
    worse["metadata"]["generation"] = 2.into();
    world.see(seen(Kind::Network, &[office(), worse], "1")).await;
    let Some(Word::Waiting(word)) = world.told(&key(Kind::Network, "lab")) else { panic!("it waits") };
    assert_eq!(word.observed, Some(2));
}

#[tokio::test]
async fn what_a_folder_declares_already_is_refused_in_the_cluster() {
    let sources = Kind::ALL.map(source_of).into_iter().chain([SOURCE.to_owned()]).collect();
    let mut world = World::open_with(tempfile::tempdir().unwrap(), sources, Some(None)).await;
    world.write(&[NETWORK]).await;
    for kind in Kind::ALL {
        world.see(seen(kind, &[], "1")).await;
    }

    world.see(seen(Kind::Network, &[office()], "1")).await;

    let Some(Word::Waiting(word)) = world.told(&key(Kind::Network, "office")) else { panic!("it waits") };
    let (reason, message) = ready(&word.conditions);
    assert_eq!(reason, "Conflicted");
    assert!(message.contains("a.yaml"), "{message}");
}

#[tokio::test]
async fn a_token_is_made_once_and_good_once_it_is_in_its_secret() {
    let spec = json!({ "role": "Server", "generate": {} });
    let name = key(Kind::RegistrationKey, "gw");
    let identity = json!({ "networkRefs": [{ "name": "office" }], "endpoints": [{ "host": "gw.example" }],
        "identity": { "registrationKeyRef": { "name": "gw" } } });
    let mut world = World::with_empty_cluster().await;
    world.see(seen(Kind::Network, &[office()], "1")).await;
    world.see(seen(Kind::RegistrationKey, &[object(Kind::RegistrationKey, "gw", &spec)], "1")).await;
    world.see(seen(Kind::Server, &[object(Kind::Server, "gw", &identity)], "1")).await;
    let lacks = |word: Option<Word>| match word {
        Some(Word::InForce { lacks_token, .. }) => lacks_token,
        other => panic!("{other:?}"),
    };
    assert!(lacks(world.told(&name)));
    let shown = world.invite(InviteKind::Server, "gw").await.err().unwrap();
    assert!(shown.contains("gw-registration-key"), "{shown}");

    let lost = world.reconciler.make_token(&name).unwrap();
    check_refused(world.join(&lost.join.token, 1).await, RefusalCode::UnknownKey);
    let made = world.reconciler.make_token(&name).unwrap();
    let token = made.join.token.clone();
    world.reconciler.keep_token(name.clone(), made).await.unwrap();

    assert!(!lacks(world.told(&name)));
    assert!(world.reconciler.make_token(&name).is_none());
    assert!(world.join(&token, 1).await.is_ok());
    // Whoever deletes the key and declares it again wants another token; until there is one, the old one is good.
    let mut again = object(Kind::RegistrationKey, "gw", &spec);
    again["metadata"]["uid"] = "gw-2".into();
    world.see(seen(Kind::RegistrationKey, &[again], "1")).await;
    assert!(lacks(world.told(&name)));
    let made = world.reconciler.make_token(&name).unwrap();
    assert_eq!(made.object, "gw-2");
    world.reconciler.keep_token(name.clone(), made).await.unwrap();
    assert!(!lacks(world.told(&name)));
    check_refused(world.join(&token, 2).await, RefusalCode::UnknownKey);
    assert_eq!(world.reconciler.store.load().await.unwrap().token_secrets.len(), 1);
}

#[tokio::test]
async fn an_object_that_is_another_one_hears_what_became_of_it() {
    let mut world = World::with_empty_cluster().await;
    world.see(seen(Kind::User, &[user("alice")], "1")).await;
    world.told(&key(Kind::User, "alice")).unwrap();

    let mut again = user("alice");
    again["metadata"]["uid"] = "alice-2".into();
    world.see(seen(Kind::User, &[again], "1")).await;

    assert!(matches!(world.told(&key(Kind::User, "alice")), Some(Word::InForce { .. })));
}

#[tokio::test]
async fn what_stays_in_force_although_it_was_deleted_is_told() {
    let users: Vec<Value> = (0..7).map(|number| user(&format!("u{number}"))).collect();
    let mut world = World::with_empty_cluster().await;
    world.see(seen(Kind::User, &users, "1")).await;
    drop(world.reconciler.state.take_words());

    // All at once is a mistake until somebody says that it is none.
    world.see(seen(Kind::User, &[], "1")).await;

    let Some(Word::Stays(why)) = world.told(&key(Kind::User, "u0")) else { panic!("it stays") };
    assert!(why.contains("7 of 7 objects of the cluster disappeared"), "{why}");
}

#[tokio::test]
async fn a_login_begins_no_change_that_must_be_confirmed() {
    let token = token(TokenKind::Personal, 1);
    let laptop = key(Kind::Device, "laptop-1");
    let mut world = World::with_alice(&token).await;
    let within = horizon_api::http::ArmRequest { within: 60 };
    world.reconciler.arm(&within).await.unwrap();

    world.login(&token, 1).await.unwrap();
    let Some(Word::Create(committed)) = world.told(&laptop) else { panic!("it joined") };
    world.see(seen(Kind::Device, &[object(Kind::Device, "laptop-1", &json!(committed.spec))], "1")).await;
    assert!(world.reconciler.state.guard.provisional().is_none());

    world.see(seen(Kind::User, &[user("alice"), user("ben")], "1")).await;
    assert!(world.reconciler.state.guard.provisional().is_some());
}

#[tokio::test]
async fn a_device_that_joined_is_told_to_the_cluster_and_becomes_its_own() {
    let token = token(TokenKind::Personal, 1);
    let laptop = key(Kind::Device, "laptop-1");
    let mut world = World::with_alice(&token).await;
    world.login(&token, 1).await.unwrap();
    let addresses = |world: &World| {
        let all = world.reconciler.state.allocations.iter();
        all.filter(|(_, owner, _)| **owner == laptop).map(|(_, _, a)| a.to_vec()).collect::<Vec<_>>()
    };
    let before = addresses(&world);

    let Some(Word::Create(committed)) = world.told(&laptop) else { panic!("it joined") };
    let created = object(Kind::Device, "laptop-1", &json!(committed.spec));
    world.see(seen(Kind::Device, std::slice::from_ref(&created), "1")).await;

    assert_eq!(world.reconciler.state.committed[&laptop].owner.source, source_of(Kind::Device));
    assert!(matches!(world.told(&laptop), Some(Word::InForce { .. })));
    assert_eq!((addresses(&world), before.len()), (before, 1));
    assert!(world.login(&token, 1).await.is_ok());
    // And whoever deletes it there locks it out.
    world.see(seen(Kind::Device, &[], "1")).await;
    assert!(!world.knows(&laptop));
    assert!(world.reconciler.state.compiled.revoked.contains(&node(1)));
}
