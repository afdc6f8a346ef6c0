//! What the use of a key promises.

use super::{Named, UseKey, UseOutcome};
use crate::store::facts::{commit, object};
use crate::store::{CommitRevision, NodeKind, Object, Revoke, Store};

fn request(key: &str, owner: &str, node: u8) -> UseKey {
    UseKey {
        key: Named { uid: key.into(), name: format!("RegistrationKey/{key}") },
        digest: blake3::hash(key.as_bytes()).as_bytes().to_vec(),
        uses_max: Some(1),
        on_revoke: "Keep".into(),
        owner: Named { uid: owner.into(), name: format!("Server/{owner}") },
        owner_kind: NodeKind::Server,
        creates: None,
        public_key: vec![node; 32],
        evidence: "{}".into(),
        remote: "192.0.2.1:5".into(),
        event_id: format!("{key}-{owner}-{node}"),
        now: 10,
    }
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path()).unwrap()
}

async fn kinds(store: &Store) -> Vec<String> {
    store.recent_events(1_000).await.unwrap().into_iter().map(|stored| stored.event.kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_64_concurrent_uses_of_a_one_time_key_binds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut joins = tokio::task::JoinSet::new();
    for node in 0..64 {
        let store = store.clone();
        joins.spawn(async move { store.use_key(request("k", &format!("server-{node}"), node)).await });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = joins.join_next().await {
        outcomes.push(outcome.unwrap().unwrap());
    }

    assert_eq!(outcomes.iter().filter(|outcome| **outcome == UseOutcome::Bound).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == UseOutcome::Exhausted).count(), 63);
    let stored = store.load().await.unwrap();
    assert_eq!((stored.bindings.len(), stored.token_uses[0].uses), (1, 1));
    let kinds = kinds(&store).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "KeyUsed").count(), 1);
    assert_eq!(store.audit_length().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_64_concurrent_joins_of_one_server_binds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut joins = tokio::task::JoinSet::new();
    for node in 0..64 {
        let store = store.clone();
        let request = UseKey { uses_max: None, ..request("k", "server", node) };
        joins.spawn(async move { store.use_key(request).await });
    }
    let mut bound = 0;
    while let Some(outcome) = joins.join_next().await {
        let outcome = outcome.unwrap().unwrap();
        bound += usize::from(outcome == UseOutcome::Bound);
        assert!(matches!(outcome, UseOutcome::Bound | UseOutcome::OwnerAlreadyBound), "{outcome:?}");
    }

    assert_eq!(bound, 1);
    assert_eq!(store.load().await.unwrap().token_uses[0].uses, 1);
}

#[tokio::test]
async fn retry_succeeds_and_uses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);

    let first = store.use_key(request("k", "server", 1)).await.unwrap();
    // Later, and with an owner that the caller made up again.
    let retry = UseKey { now: 5_000, ..request("k", "made up again", 1) };
    let again = store.use_key(retry).await.unwrap();

    assert_eq!(first, UseOutcome::Bound);
    assert_eq!(again, UseOutcome::AlreadyBound { owner: "server".into() });
    assert_eq!(store.load().await.unwrap().token_uses[0].uses, 1);
    assert_eq!(kinds(&store).await, ["KeyUsed"]);
}

#[tokio::test]
async fn refused_use_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.use_key(request("k", "server", 1)).await.unwrap();
    let revoke = Revoke { public_key: vec![9; 32], owner: "lost".into(), reason: "lost".into(), now: 5 };
    store.commit_revision(CommitRevision { revoked: vec![revoke], ..commit(1) }).await.unwrap();
    let before = store.load().await.unwrap();

    let refused = [
        (request("k", "b", 2), UseOutcome::Exhausted),
        (request("other", "server", 2), UseOutcome::OwnerAlreadyBound),
        (request("other", "b", 1), UseOutcome::PublicKeyTaken { owner: "server".into() }),
        (request("other", "b", 9), UseOutcome::Revoked),
    ];
    for (number, (request, expected)) in refused.into_iter().enumerate() {
        let request = UseKey { event_id: format!("refused-{number}"), ..request };
        assert_eq!(store.use_key(request).await, Ok(expected));
    }

    assert_eq!(store.load().await.unwrap(), before);
    assert_eq!(kinds(&store).await, ["KeyUsed"]);
}

#[tokio::test]
async fn node_that_comes_again_with_another_token_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.use_key(request("k", "laptop", 1)).await.unwrap();

    let again = store.use_key(UseKey { now: 20, ..request("other", "laptop", 1) }).await.unwrap();
    let third = UseKey { uses_max: Some(1), ..request("other", "laptop", 1) };
    let retry = store.use_key(third).await.unwrap();

    assert_eq!(again, UseOutcome::Bound);
    assert_eq!(retry, UseOutcome::AlreadyBound { owner: "laptop".into() });
    let stored = store.load().await.unwrap();
    assert_eq!((stored.bindings.len(), stored.bindings[0].bound_at), (1, 20));
    assert_eq!(stored.token_uses.iter().map(|token| token.uses).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn spent_token_stays_spent_when_its_key_is_declared_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.use_key(request("k", "server", 1)).await.unwrap();
    let mut deletion = commit(1);
    deletion.deleted = vec!["k".into()];
    store.commit_revision(deletion).await.unwrap();

    let key = Named { uid: "declared again".into(), name: "RegistrationKey/other".into() };
    let outcome = store.use_key(UseKey { key, ..request("k", "other", 2) }).await;

    assert_eq!(outcome, Ok(UseOutcome::Exhausted));
}

#[tokio::test]
async fn event_of_a_use_names_objects_as_people_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);

    store.use_key(request("k", "gw-1", 1)).await.unwrap();
    let event = store.recent_events(1).await.unwrap().remove(0).event;

    assert_eq!(event.object, "Server/gw-1");
    assert_eq!(event.detail["reason"], "bound with RegistrationKey/k");
}

#[tokio::test]
async fn use_makes_the_object_of_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let device = Object { kind: "Device".into(), source: "api".into(), ..object("laptop", 0) };
    let login =
        UseKey { owner_kind: NodeKind::Device, creates: Some(device.clone()), ..request("k", "laptop", 1) };

    store.use_key(login).await.unwrap();
    let stored = store.load().await.unwrap();

    assert_eq!(stored.objects, [device]);
    assert_eq!(stored.bindings[0].kind, NodeKind::Device);
}

#[tokio::test]
async fn deleted_server_gives_its_public_key_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.use_key(request("k", "server", 1)).await.unwrap();
    let mut deletion = commit(1);
    deletion.deleted = vec!["server".into()];
    store.commit_revision(deletion).await.unwrap();

    let with_spent_key = store.use_key(request("k", "again", 1)).await.unwrap();
    let with_other_key = store.use_key(request("other", "again", 1)).await.unwrap();

    assert_eq!(with_spent_key, UseOutcome::Exhausted);
    assert_eq!(with_other_key, UseOutcome::Bound);
}
