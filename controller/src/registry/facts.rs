//! What the registry promises, with a real store and a real reconciler.

use std::{sync::Arc, time::Duration};

use horizon_api::resource::Kind;
use horizon_api_server::{Deed, NotKept, Write};
use horizon_machinery::{collection::Collection, resource::Resource, stored::Stored};
use horizon_node::clock;
use horizon_planner::manifest::parse_folder;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{Parts, Registry, Seal, definition, learn::parsed, namespace, start::ShelvesSeen};
use crate::{
    event::Event,
    identity::ControllerIdentity,
    reconciler::{self, Advertised, Reconciler},
    source::files::{FolderScan, ManifestFile},
    store::Store,
};

const SOURCE: &str = "files:/manifests";
const ALICE: &str = "kind: User\nmetadata: {name: alice, labels: {team: a}}\nspec: {groups: [staff]}";
const ANN: &str = "kind: Admin\nmetadata: {name: ann}\nspec: {role: Owner, auth: {oidcSubject: ann}}";
const PATIENCE: Duration = Duration::from_secs(20);

/// A controller without its network.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    events: mpsc::Sender<Event>,
    writes: mpsc::Sender<Write>,
    shelves: ShelvesSeen,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    async fn start(objects: &[&str]) -> Self {
        Self::open(tempfile::tempdir().unwrap(), objects).await
    }

    async fn open(folder: tempfile::TempDir, objects: &[&str]) -> Self {
        let store = Store::open(folder.path()).unwrap();
        let identity = ControllerIdentity::load(folder.path(), store.start(), clock::unix_s()).unwrap();
        let advertised = Advertised { host: "controller.example".into(), port: 7443 };
        let sources = vec![SOURCE.to_owned()];
        let parts = reconciler::Parts {
            store: store.clone(),
            identity,
            endpoint: None,
            sources,
            cluster: None,
            advertised,
        };
        let (reconciler, published) = Reconciler::new(parts).await.unwrap();
        let (events, inbox) = mpsc::channel(16);
        let mut tasks = vec![tokio::spawn(reconciler.run(inbox))];
        let (writes, written) = mpsc::channel(16);
        let seal = Seal::load(folder.path()).unwrap();
        let (fates, events_of) = (published.fates, events.clone());
        let parts = Parts {
            store: store.clone(),
            fates,
            events: events_of,
            writes: written,
            seal,
            has_cluster: false,
        };
        let (registry, shelves) = Registry::start(parts).await.unwrap();
        tasks.push(tokio::spawn(registry.run()));
        let world = Self { folder, store, events, writes, shelves, tasks };
        world.declare(objects).await;
        world
    }

    /// Another process on the same data folder.
    async fn restart(self, objects: &[&str]) -> Self {
        let Self { folder, store, tasks, events, writes, .. } = self;
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        drop((events, writes));
        store.close().await;
        Self::open(folder, objects).await
    }

    async fn declare(&self, objects: &[&str]) {
        let documents: Vec<_> =
            objects.iter().map(|object| format!("apiVersion: horizon.dev/v1alpha1\n{object}\n")).collect();
        let text = documents.join("---\n");
        let parsed = parse_folder(&[("a.yaml", text.as_bytes())]);
        let file = ManifestFile { path: "a.yaml".into(), bytes: text.into_bytes().into() };
        let scan = Arc::new(FolderScan { files: vec![file], ..FolderScan::default() });
        self.events.send(Event::Scanned { source: SOURCE.into(), scan, parsed }).await.ok().unwrap();
    }

    fn shelf(&self, resource: &Resource) -> Arc<Collection> {
        Arc::clone(&self.shelves[&resource.qualified()].borrow())
    }

    fn get(&self, kind: Kind, name: &str) -> Option<Arc<Stored>> {
        self.shelf(Resource::of(kind)).get(&format!("default/{name}")).cloned()
    }

    /// Waits until an object is as expected.
    async fn wait(&self, kind: Kind, name: &str, is_so: impl Fn(Option<&Value>) -> bool) -> Value {
        let mut shelf = self.shelves[&Resource::of(kind).qualified()].clone();
        let key = format!("default/{name}");
        let seen = timeout(PATIENCE, async {
            loop {
                let object = shelf.borrow_and_update().get(&key).map(|stored| parsed(stored));
                if is_so(object.as_ref()) {
                    return object.unwrap_or_default();
                }
                shelf.changed().await.unwrap();
            }
        });
        match seen.await {
            Ok(object) => object,
            Err(_) => panic!("{kind}/{name} is {:?}", self.get(kind, name).map(|stored| parsed(&stored))),
        }
    }

    async fn write(
        &self,
        kind: Kind,
        name: &str,
        expected: Option<u64>,
        deed: Deed,
        by: &str,
    ) -> Result<Value, String> {
        let resource = Resource::of(kind);
        self.write_to(resource, "default", name, expected, deed, by).await
    }

    async fn write_to(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        expected: Option<u64>,
        deed: Deed,
        by: &str,
    ) -> Result<Value, String> {
        let (reply, kept) = oneshot::channel();
        let (namespace, name, by) = (namespace.to_owned(), name.to_owned(), by.to_owned());
        let write = Write { resource, namespace, name, expected, deed, by, is_dry_run: false, reply };
        self.writes.send(write).await.ok().unwrap();
        match kept.await.unwrap() {
            Ok(stored) => Ok(parsed(&stored)),
            Err(NotKept::Moved) => Err("moved".to_owned()),
            Err(NotKept::Refused(refusal)) => Err(format!("{} {}", refusal.code, refusal.message)),
        }
    }

    async fn create(&self, kind: Kind, name: &str, spec: Value, by: &str) -> Result<Value, String> {
        self.write(kind, name, None, Deed::Put(object(kind, name, spec)), by).await
    }

    /// Changes the spec of an object.
    async fn edit(&self, kind: Kind, name: &str, spec: Value, by: &str) -> Result<Value, String> {
        let current = self.get(kind, name).unwrap();
        let mut object = parsed(&current);
        object["spec"] = spec;
        object["metadata"]["generation"] = (object["metadata"]["generation"].as_i64().unwrap() + 1).into();
        self.write(kind, name, Some(current.version()), Deed::Put(object), by).await
    }

    async fn delete(&self, kind: Kind, name: &str) -> Result<Value, String> {
        let version = self.get(kind, name).map(|stored| stored.version());
        self.write(kind, name, version, Deed::Delete, "operator").await
    }
}

fn object(kind: Kind, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "horizon.dev/v1alpha1",
        "kind": kind.as_str(),
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    })
}

fn condition(object: Option<&Value>, kind: &str) -> Option<(String, String)> {
    let conditions = object?.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    Some((found["status"].as_str()?.to_owned(), found["reason"].as_str()?.to_owned()))
}

fn is_ready(object: Option<&Value>) -> bool {
    condition(object, "Ready").is_some_and(|(status, _)| status == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_folder_declares_is_shown_and_not_written() {
    let world = World::start(&[ALICE]).await;

    let alice = world.wait(Kind::User, "alice", is_ready).await;
    let refused = world.edit(Kind::User, "alice", json!({}), "operator").await.unwrap_err();
    let kept = world.delete(Kind::User, "alice").await.unwrap_err();

    assert_eq!(
        (&alice["metadata"]["labels"]["team"], &alice["spec"]["groups"][0]),
        (&json!("a"), &json!("staff"))
    );
    assert_eq!(alice["status"]["observedGeneration"], 1);
    let why = "409 Operation cannot be fulfilled on users.horizon.dev \"alice\": it is declared at a.yaml:1 in \
               /manifests: change it there";
    assert_eq!((refused.as_str(), kept.as_str()), (why, why));
    world.declare(&[]).await;
    world.wait(Kind::User, "alice", |object| object.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_writes_is_in_force_and_says_so() {
    let world = World::start(&[]).await;

    let created = world.create(Kind::User, "bob", json!({ "groups": ["staff"] }), "operator").await.unwrap();
    let in_force = world.wait(Kind::User, "bob", is_ready).await;
    let again = world.create(Kind::User, "bob", json!({}), "operator").await;
    world.edit(Kind::User, "bob", json!({ "groups": ["ops"] }), "operator").await.unwrap();
    let edited =
        world.wait(Kind::User, "bob", |object| object.unwrap()["status"]["observedGeneration"] == 2).await;

    let version =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&created) < version(&in_force) && version(&in_force) < version(&edited));
    assert_eq!(in_force["status"]["observedGeneration"], 1);
    assert_eq!(again, Err("moved".to_owned()));
    assert_eq!(edited["spec"]["groups"], json!(["ops"]));
    assert!(edited["status"]["revision"].as_u64() > in_force["status"]["revision"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_object_is_gone_when_the_answer_comes() {
    let world = World::start(&[]).await;
    world.create(Kind::User, "bob", json!({}), "operator").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;

    let deleted = world.delete(Kind::User, "bob").await.unwrap();

    assert!(deleted["metadata"]["deletionTimestamp"].is_null());
    assert!(world.get(Kind::User, "bob").is_none());
    assert_eq!(world.store.documents().await.unwrap().documents.len(), 1, "the namespace");
    world.create(Kind::User, "bob", json!({}), "operator").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_shows_the_same_under_the_same_versions() {
    let world = World::start(&[ALICE]).await;
    world.create(Kind::User, "bob", json!({ "groups": ["staff"] }), "operator").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;
    world.wait(Kind::User, "alice", is_ready).await;
    let shown = |world: &World| ["alice", "bob"].map(|name| parsed(&world.get(Kind::User, name).unwrap()));
    let before = (shown(&world), world.shelf(Resource::of(Kind::User)).version());

    let world = world.restart(&[ALICE]).await;

    assert_eq!(shown(&world), before.0);
    // A watch goes on from where it was.
    assert!(world.shelf(Resource::of(Kind::User)).refuse_forgotten(before.1).is_ok());
    world.edit(Kind::User, "bob", json!({}), "operator").await.unwrap();
    world.wait(Kind::User, "bob", |object| object.unwrap()["status"]["observedGeneration"] == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_in_force_says_why() {
    let world = World::start(&["kind: User\nmetadata: {name: alice}\nspec: {}"]).await;
    world.wait(Kind::User, "alice", is_ready).await;

    let spec = json!({ "userRef": { "name": "nobody" }, "networkRefs": [{ "name": "nowhere" }] });
    world.create(Kind::Device, "laptop", spec, "operator").await.unwrap();
    let laptop =
        world.wait(Kind::Device, "laptop", |object| condition(object, "ResolvedRefs").is_some()).await;

    assert_eq!(condition(Some(&laptop), "ResolvedRefs"), Some(("False".into(), "RefNotFound".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_their_own_way_in_by_the_resource_api() {
    let world = World::start(&[ANN]).await;
    let owner = json!({ "role": "Owner", "auth": { "oidcSubject": "ben" } });
    world.create(Kind::Admin, "ben", owner, "operator").await.unwrap();
    world.wait(Kind::Admin, "ben", is_ready).await;

    let auditor = json!({ "role": "Auditor", "auth": { "oidcSubject": "ben" } });
    world.edit(Kind::Admin, "ben", auditor, "default/ben").await.unwrap();
    let held = world.wait(Kind::Admin, "ben", |object| condition(object, "Stale").is_some()).await;
    // Neither time nor another change makes it pass.
    world.declare(&[ANN, ALICE]).await;
    world.wait(Kind::User, "alice", is_ready).await;

    assert_eq!(condition(Some(&held), "Stale"), Some(("True".into(), "AwaitingApproval".into())));
    let ben = parsed(&world.get(Kind::Admin, "ben").unwrap());
    assert_eq!(condition(Some(&ben), "Stale"), Some(("True".into(), "AwaitingApproval".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_there_before_and_after_what_is_in_it() {
    let world = World::start(&["kind: User\nmetadata: {name: eve, namespace: lab}\nspec: {}"]).await;
    let names = || {
        let shelf = world.shelf(namespace::resource());
        let all = shelf.state_at(shelf.version(), std::ops::Bound::Unbounded);
        all.map(|stored| stored.key().to_owned()).collect::<Vec<_>>()
    };
    timeout(PATIENCE, async {
        while names().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();

    let mut user = object(Kind::User, "eve", json!({}));
    user["metadata"]["namespace"] = "nowhere".into();
    let users = Resource::of(Kind::User);
    let nowhere = world.write_to(users, "nowhere", "eve", None, Deed::Put(user), "operator").await;
    let mut lab = parsed(world.shelf(namespace::resource()).get("lab").unwrap());
    let version = Some(lab["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap());
    lab["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let used =
        world.write_to(namespace::resource(), "", "lab", version, Deed::Put(lab.clone()), "operator").await;
    assert!(used.unwrap_err().contains("User/lab/eve is declared at a.yaml:1"));
    assert_eq!(names(), ["default", "lab"]);
    assert_eq!(nowhere.unwrap_err(), "404 namespaces \"nowhere\" not found");
    world.declare(&[]).await;
    let users = Resource::of(Kind::User);
    let mut shelf = world.shelves[&users.qualified()].clone();
    timeout(PATIENCE, shelf.wait_for(|users| users.is_empty())).await.unwrap().unwrap();
    let mut bob = object(Kind::User, "bob", json!({}));
    bob["metadata"]["namespace"] = "lab".into();
    world.write_to(users, "lab", "bob", None, Deed::Put(bob), "operator").await.unwrap();
    world.write_to(namespace::resource(), "", "lab", version, Deed::Put(lab), "operator").await.unwrap();
    let mut shelf = world.shelves[&namespace::resource().qualified()].clone();
    timeout(PATIENCE, shelf.wait_for(|names| names.len() == 1)).await.unwrap().unwrap();
    let mut shelf = world.shelves[&users.qualified()].clone();
    timeout(PATIENCE, shelf.wait_for(|users| users.is_empty())).await.unwrap().unwrap();
    assert_eq!(world.shelf(definition::resource()).len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_kept_and_no_word_of_it_is_in_the_store() {
    let world = World::start(&[]).await;
    let secrets = Resource::find("", "v1", "secrets").unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": { "url": "aHVzaC1odXNo" },
        "metadata": { "name": "hook", "namespace": "default", "uid": "u" },
    });

    world.write_to(secrets, "default", "hook", None, Deed::Put(secret), "operator").await.unwrap();
    let stored = world.store.documents().await.unwrap();
    let kept = stored.documents.iter().find(|document| document.key.name == "hook").unwrap();
    assert!(!kept.text.contains("aHVzaC1odXNo") && kept.hash == [0; 32]);
    let world = world.restart(&[]).await;

    let hook = parsed(world.shelf(secrets).get("default/hook").unwrap());
    assert_eq!(hook["data"]["url"], "aHVzaC1odXNo");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_an_object_is_told() {
    let world = World::start(&[]).await;
    world.create(Kind::User, "bob", json!({}), "operator").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;
    world.edit(Kind::User, "bob", json!({ "disabled": true }), "operator").await.unwrap();
    world.wait(Kind::User, "bob", |object| !is_ready(object)).await;

    for resource in super::event::resources() {
        let shelf = world.shelf(resource);
        let all = shelf.state_at(shelf.version(), std::ops::Bound::Unbounded);
        let told: Vec<_> = all.map(|event| parsed(event)["reason"].clone()).collect();
        assert_eq!(told, ["Ready", "Disabled"], "{}", resource.group);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_goes_with_the_last_of_its_finalizers_and_stays_away() {
    let world = World::start(&[]).await;
    let mut bob = object(Kind::User, "bob", json!({}));
    bob["metadata"]["finalizers"] = json!(["example.com/archive"]);
    world.write(Kind::User, "bob", None, Deed::Put(bob.clone()), "operator").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;
    let current = world.get(Kind::User, "bob").unwrap();
    let mut marked = parsed(&current);
    marked["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let marked = world.write(Kind::User, "bob", Some(current.version()), Deed::Put(marked), "operator").await;
    assert_eq!(marked.unwrap()["metadata"]["finalizers"], json!(["example.com/archive"]));

    // What takes the last finalizer out of a marked object is decided as a delete.
    world.delete(Kind::User, "bob").await.unwrap();

    assert!(world.get(Kind::User, "bob").is_none());
    let world = world.restart(&[]).await;
    assert!(world.get(Kind::User, "bob").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_takes_a_name_over_is_shown() {
    let world = World::start(&[]).await;
    world.create(Kind::User, "bob", json!({ "groups": ["ops"] }), "operator").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;
    let text = "kind: User\nmetadata: {name: bob}\nspec: {groups: [staff]}";
    world.declare(&[text]).await;

    world.delete(Kind::User, "bob").await.unwrap();
    let bob = world.wait(Kind::User, "bob", is_ready).await;

    assert_eq!(bob["spec"]["groups"], json!(["staff"]));
    assert!(bob["metadata"]["deletionTimestamp"].is_null());
    let refused = world.edit(Kind::User, "bob", json!({}), "operator").await.unwrap_err();
    assert!(refused.contains("it is declared at a.yaml:1"), "{refused}");
    let world = world.restart(&[text]).await;
    assert_eq!(parsed(&world.get(Kind::User, "bob").unwrap())["spec"]["groups"], json!(["staff"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_remove_whoever_tried_to_remove_themselves() {
    let world = World::start(&[ANN]).await;
    let owner = json!({ "role": "Owner", "auth": { "oidcSubject": "eve" } });
    world.create(Kind::Admin, "eve", owner.clone(), "operator").await.unwrap();
    world.wait(Kind::Admin, "eve", is_ready).await;
    let auditor = json!({ "role": "Auditor", "auth": { "oidcSubject": "eve" } });
    world.edit(Kind::Admin, "eve", auditor, "default/eve").await.unwrap();
    world.wait(Kind::Admin, "eve", |object| condition(object, "Stale").is_some()).await;

    world.delete(Kind::Admin, "eve").await.unwrap();

    world.wait(Kind::Admin, "eve", |object| object.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_once_wrote_something_makes_no_change_by_a_restart() {
    let ben = "kind: Admin\nmetadata: {name: ben}\nspec: {role: Owner, auth: {oidcSubject: ben}}";
    let world = World::start(&[ANN, ben]).await;
    world.create(Kind::User, "bob", json!({}), "default/ben").await.unwrap();
    world.wait(Kind::User, "bob", is_ready).await;

    let world = world.restart(&[ANN]).await;

    world.wait(Kind::Admin, "ben", |object| object.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_is_given_twice() {
    let world = World::start(&[ALICE]).await;
    world.wait(Kind::User, "alice", is_ready).await;
    let [events, _] = super::event::resources();
    let before = world.shelf(events).version();

    let world = world.restart(&[ALICE]).await;

    let events = world.shelf(events);
    assert!(events.version() > before && events.refuse_forgotten(before).is_err());
    assert!(world.shelf(definition::resource()).refuse_forgotten(before).is_err());
}
