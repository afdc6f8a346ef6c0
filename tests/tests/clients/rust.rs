//! A client with kube-rs: a reflector that lives through a restart of the controller, pages, server-side apply,
//! conflicts and the bodies of errors. It runs in this process, so that it may kill the controller itself.

use std::{collections::BTreeSet, path::Path, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use futures_util::StreamExt as _;
use horizon_tests::standalone::Standalone;
use kube::{
    Api, Client, Config, Error, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{GroupVersionKind, Status},
    discovery,
    runtime::{
        WatchStreamExt as _,
        reflector::{Store, reflector, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::block_in_place,
    time::{sleep, timeout},
};

/// What must happen on two busy cores happens within this time; a watcher's pause between tries is in it.
const PATIENCE: Duration = Duration::from_secs(90);
const AUDITOR_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$ZXhhbXBsZXNhbHRzYWx0$bm90YXJlYWxoYXNoYnV0b25lb2Z0aGVyaWdodGxlbmd0aA";

#[test]
fn a_client_in_rust_lives_with_the_controller() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut controller = Standalone::empty().unwrap();

    let done = runtime.block_on(check(&mut controller));

    done.with_context(|| controller.log()).unwrap();
}

async fn check(controller: &mut Standalone) -> anyhow::Result<()> {
    let client = client(&controller.kubeconfig(&[])?).await?;
    let users = kind(&client, "User").await.context("discovery")?;
    let people = Api::namespaced_with(client.clone(), "default", &users);
    check_reflector(controller, &people, &users).await.context("reflector")?;
    check_streamed_list(&people).await.context("streamed list")?;
    check_pages(&people, &users).await.context("pages")?;
    check_apply(&people).await.context("server-side apply")?;
    check_conflict(&people).await.context("conflict")?;
    check_errors(&people, &users).await.context("errors")?;
    check_auditor(controller, &client).await.context("an Auditor")
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Finds a kind as a client does that knows its name only.
async fn kind(client: &Client, kind: &str) -> anyhow::Result<ApiResource> {
    let group = discovery::group(client, "horizon.dev").await?;
    let (resource, _) = group.recommended_kind(kind).with_context(|| format!("{kind} is not listed"))?;
    let by_name = GroupVersionKind::gvk("horizon.dev", "v1alpha1", kind);
    ensure!(discovery::pinned_kind(client, &by_name).await?.0 == resource, "{resource:?}");
    Ok(resource)
}

fn object(resource: &ApiResource, name: &str, spec: Value) -> DynamicObject {
    DynamicObject::new(name, resource).data(json!({ "spec": spec }))
}

async fn check_reflector(
    controller: &mut Standalone,
    people: &Api<DynamicObject>,
    users: &ApiResource,
) -> anyhow::Result<()> {
    let create = PostParams::default();
    people.create(&create, &object(users, "alice", json!({ "groups": ["staff"] }))).await?;
    let writer = Writer::new(users.clone());
    let store = writer.as_reader();
    let mut events = followed(people, writer);
    await_event(&mut events, "listed").await?;
    people.create(&create, &object(users, "bob", json!({}))).await?;
    await_event(&mut events, "bob").await?;
    for name in ["alice", "bob"] {
        settle(people, &store, name).await?;
    }

    block_in_place(|| controller.kill().and_then(|()| controller.start()))?;

    let label = json!({ "metadata": { "labels": { "seen": "after" } } });
    people.patch("alice", &PatchParams::default(), &Patch::Merge(&label)).await?;
    await_event(&mut events, "alice after").await?;
    people.delete("bob", &DeleteParams::default()).await?;
    await_event(&mut events, "bob is gone").await?;
    let held: Vec<String> = store.state().iter().map(|object| object.name_any()).collect();
    ensure!(held == ["alice"], "the store holds {held:?}");
    // It went on from the version that it knew: nothing had expired.
    while let Ok(event) = events.try_recv() {
        ensure!(event != "listed", "it listed once more");
    }
    Ok(())
}

/// Runs a reflector and tells what it sees: `listed` after each list, the name of what is there, with its label
/// `seen`, and what is gone.
fn followed(people: &Api<DynamicObject>, writer: Writer<DynamicObject>) -> UnboundedReceiver<String> {
    let (told, events) = unbounded_channel();
    let stream = reflector(writer, watcher(people.clone(), watcher::Config::default()));
    let stream = stream.default_backoff();
    tokio::spawn(async move {
        let mut stream = pin!(stream);
        while let Some(event) = stream.next().await {
            // What goes wrong while the controller is away is tried again.
            let Ok(event) = event else { continue };
            let text = match event {
                Event::Init | Event::InitApply(_) => continue,
                Event::InitDone => "listed".to_owned(),
                Event::Apply(object) => match object.labels().get("seen") {
                    Some(seen) => format!("{} {seen}", object.name_any()),
                    None => object.name_any(),
                },
                Event::Delete(object) => format!("{} is gone", object.name_any()),
            };
            if told.send(text).is_err() {
                return;
            }
        }
    });
    events
}

/// Reads events until this one comes. Others may come before it: a status follows each change.
async fn await_event(events: &mut UnboundedReceiver<String>, wanted: &str) -> anyhow::Result<()> {
    let mut seen = vec![];
    let found = timeout(PATIENCE, async {
        while let Some(event) = events.recv().await {
            if event == wanted {
                return true;
            }
            seen.push(event);
        }
        false
    });
    let is_found = found.await.unwrap_or(false);
    ensure!(is_found, "{wanted:?} did not come, but {seen:?}");
    Ok(())
}

/// Waits until the controller told what it makes of an object, and the store knows.
async fn settle(people: &Api<DynamicObject>, store: &Store<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let settled = timeout(PATIENCE, async {
        loop {
            let object = people.get(name).await?;
            let observed = object.data["status"]["observedGeneration"].as_i64();
            let version = object.resource_version();
            let is_known = |known: &&Arc<DynamicObject>| known.name_any() == name;
            let known = store.state().iter().find(is_known).and_then(|known| known.resource_version());
            if observed.is_some() && observed == object.metadata.generation && known == version {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    settled.await.with_context(|| format!("{name} has no status"))?
}

/// A first list that comes as a watch, which ends with a bookmark.
async fn check_streamed_list(people: &Api<DynamicObject>) -> anyhow::Result<()> {
    let stream = watcher(people.clone(), watcher::Config::default().streaming_lists());
    let mut stream = pin!(stream);
    let mut names = vec![];
    let ended = timeout(PATIENCE, async {
        while let Some(event) = stream.next().await {
            match event? {
                Event::Init => {}
                Event::InitApply(object) => names.push(object.name_any()),
                Event::InitDone => return Ok(()),
                Event::Apply(object) | Event::Delete(object) => names.push(object.name_any() + " too early"),
            }
        }
        anyhow::bail!("it ended")
    });
    ended.await.context("no bookmark ended the first events")??;
    ensure!(names == ["alice"], "{names:?}");
    Ok(())
}

async fn check_pages(people: &Api<DynamicObject>, users: &ApiResource) -> anyhow::Result<()> {
    for name in ["page-1", "page-2", "page-3"] {
        people.create(&PostParams::default(), &object(users, name, json!({}))).await?;
    }
    let mut pages: Vec<Vec<String>> = vec![];
    let mut wanted = ListParams::default().limit(2);
    loop {
        let page = people.list(&wanted).await?;
        pages.push(page.items.iter().map(ResourceExt::name_any).collect());
        if pages.len() == 1 {
            // What is deleted meanwhile is on the page that was begun before.
            people.delete("page-3", &DeleteParams::default()).await?;
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => wanted = wanted.continue_token(&token),
            None => break,
        }
    }
    ensure!(pages == [["alice", "page-1"], ["page-2", "page-3"]], "{pages:?}");
    let selected = people.list(&ListParams::default().labels("seen=after")).await?;
    ensure!(selected.items.len() == 1 && selected.items[0].name_any() == "alice", "{selected:?}");
    Ok(())
}

async fn check_apply(people: &Api<DynamicObject>) -> anyhow::Result<()> {
    let carol = |devices: u32| {
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "name": "carol" }, "spec": { "maxDevices": devices },
        })
    };
    people.patch("carol", &PatchParams::apply("one"), &Patch::Apply(carol(2))).await?;

    let status = refused(people.patch("carol", &PatchParams::apply("two"), &Patch::Apply(carol(3))).await)?;
    is_refused_so(&status, 409, "Conflict")?;
    let [cause] = causes(&status);
    let told = (cause.reason.as_str(), cause.message.as_str(), cause.field.as_str());
    ensure!(told == ("FieldManagerConflict", "conflict with \"one\"", ".spec.maxDevices"), "{told:?}");

    let forced = PatchParams::apply("two").force();
    let applied = people.patch("carol", &forced, &Patch::Apply(carol(3))).await?;
    let managers = applied.managed_fields().iter();
    let managers: BTreeSet<_> = managers.filter_map(|entry| entry.manager.as_deref()).collect();
    ensure!(managers == BTreeSet::from(["two"]) && applied.data["spec"]["maxDevices"] == 3, "{applied:?}");
    Ok(())
}

async fn check_conflict(people: &Api<DynamicObject>) -> anyhow::Result<()> {
    let mut stale = people.get("carol").await?;
    let patch = json!({ "spec": { "displayName": "Carol" } });
    let patched = people.patch("carol", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    ensure!(patched.data["spec"] == json!({ "displayName": "Carol", "maxDevices": 3 }), "{patched:?}");

    let status = refused(people.replace("carol", &PostParams::default(), &stale).await)?;
    is_refused_so(&status, 409, "Conflict")?;
    ensure!(status.is_conflict(), "{status:?}");

    // A status that comes meanwhile makes another version; who is told so tries again.
    let replaced = timeout(PATIENCE, async {
        loop {
            stale.metadata.resource_version = people.get("carol").await?.resource_version();
            match people.replace("carol", &PostParams::default(), &stale).await {
                Err(Error::Api(status)) if status.is_conflict() => {}
                answer => return anyhow::Ok(answer?),
            }
        }
    });
    let replaced = replaced.await.context("every version was an old one")??;
    ensure!(replaced.data["spec"] == json!({ "maxDevices": 3 }), "{replaced:?}");
    Ok(())
}

async fn check_errors(people: &Api<DynamicObject>, users: &ApiResource) -> anyhow::Result<()> {
    let create = PostParams::default();
    let twice = refused(people.create(&create, &object(users, "carol", json!({}))).await)?;
    is_refused_so(&twice, 409, "AlreadyExists")?;

    let missing = refused(people.get("nobody").await)?;
    is_refused_so(&missing, 404, "NotFound")?;
    ensure!(missing.message == "users.horizon.dev \"nobody\" not found", "{}", missing.message);
    let details = missing.details.context("no details")?;
    let about = (details.name.as_str(), details.group.as_str(), details.kind.as_str());
    ensure!(about == ("nobody", "horizon.dev", "users"), "{about:?}");
    ensure!(people.get_opt("nobody").await?.is_none(), "found nobody");

    let wrong = json!({ "maxDevices": 5000, "email": "dave" });
    let invalid = refused(people.create(&create, &object(users, "dave", wrong)).await)?;
    is_refused_so(&invalid, 422, "Invalid")?;
    ensure!(invalid.is_invalid(), "{invalid:?}");
    let told = causes(&invalid).map(|cause| format!("{} {}: {}", cause.reason, cause.field, cause.message));
    ensure!(
        told == [
            "FieldValueInvalid spec.email: Invalid value: \"dave\": must be a mail address, such as alice@example.net",
            "FieldValueInvalid spec.maxDevices: Invalid value: 5000: must be an integer from 1 to 1000",
        ],
        "{told:?}"
    );

    let colour = json!({ "apiVersion": users.api_version, "kind": users.kind, "spec": { "colour": "red" } });
    let strict = PatchParams::default().validation_strict();
    let unknown = refused(people.patch("carol", &strict, &Patch::Merge(&colour)).await)?;
    ensure!(unknown.message.contains("unknown field \"spec.colour\""), "{unknown:?}");
    Ok(())
}

/// An Auditor reads, and is told why nothing may be written.
async fn check_auditor(controller: &Standalone, client: &Client) -> anyhow::Result<()> {
    let admins = kind(client, "Admin").await?;
    let everyone = Api::namespaced_with(client.clone(), "default", &admins);
    let spec = json!({ "login": "eve", "role": "Auditor", "auth": { "passwordHash": AUDITOR_HASH } });
    everyone.create(&PostParams::default(), &object(&admins, "eve", spec)).await?;
    let config = timeout(PATIENCE, async {
        loop {
            match block_in_place(|| controller.kubeconfig(&["eve"])) {
                Ok(path) => return path,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    });
    let eve = self::client(&config.await.context("eve gets no kubeconfig")?).await?;
    let users = kind(&eve, "User").await?;
    let people: Api<DynamicObject> = Api::namespaced_with(eve, "default", &users);

    ensure!(people.get("alice").await?.name_any() == "alice", "an Auditor reads");
    let status = refused(people.delete("alice", &DeleteParams::default()).await)?;
    is_refused_so(&status, 403, "Forbidden")?;
    ensure!(
        status.message
            == "users.horizon.dev \"alice\" is forbidden: User \"default/eve\" cannot delete resource \"users\" in API \
                group \"horizon.dev\" in the namespace \"default\": an Auditor changes nothing",
        "{}",
        status.message
    );
    Ok(())
}

/// Returns the `Status` with which a call was refused.
fn refused<T>(answer: Result<T, Error>) -> anyhow::Result<Status> {
    match answer {
        Ok(_) => anyhow::bail!("what must be refused was taken"),
        Err(Error::Api(status)) => Ok(*status),
        Err(error) => Err(error.into()),
    }
}

fn is_refused_so(status: &Status, code: u16, reason: &str) -> anyhow::Result<()> {
    let told = (status.code, status.reason.as_str());
    ensure!(told == (code, reason) && status.is_failure(), "{status:?} and not {code} {reason}");
    Ok(())
}

/// Returns as many causes as are expected; empty ones where there are fewer, and one too many is told by its place.
fn causes<const COUNT: usize>(status: &Status) -> [kube::core::response::StatusCause; COUNT] {
    let causes = status.details.iter().flat_map(|details| details.causes.clone());
    let causes: Vec<_> = causes.collect();
    let found = causes.len();
    causes.try_into().unwrap_or_else(|_| panic!("{found} causes and not {COUNT}: {status:?}"))
}
