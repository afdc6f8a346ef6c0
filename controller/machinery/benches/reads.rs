//! How fast reads are answered: 20,000 objects, 200 watchers; snapshots of up to 100,000.

use std::{sync::Arc, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use horizon_api::resource::Kind;
use horizon_machinery::{
    collection::{Collection, Limits},
    list::{Page, Scope},
    negotiate::Form,
    openapi,
    parameters::read::{Read, Watch},
    query::Query,
    resource::Resource,
    stored::Stored,
    watch::{Lines, Poll, Subject, Watcher},
};
use jiff::Timestamp;
use serde_json::json;

const LIMITS: Limits = Limits { changes_max: 100_000, bytes_max: 256 << 20 };
const USERS: Scope<'_> = Scope { resource: "users.horizon.dev", namespace: "default" };

fn main() {
    divan::main();
}

fn user(number: usize, version: u64) -> Arc<Stored> {
    let team = format!("t{}", number % 200);
    let object = json!({
        "apiVersion": "horizon.dev/v1alpha1",
        "kind": "User",
        "metadata": {
            "name": format!("user-{number:06}"), "namespace": "default", "resourceVersion": version.to_string(),
            "uid": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "creationTimestamp": "2026-11-28T18:00:00Z",
            "labels": { "team": team },
        },
        "spec": { "groups": ["staff"], "maxDevices": 5, "displayName": "x".repeat(600) },
    });
    Stored::new(&object, version, &[])
}

fn users(count: usize) -> Collection {
    Collection::new((0..count).map(|number| user(number, 1)), 1, 1, LIMITS)
}

fn read(query: &str) -> Read {
    let query = Query::parse(query).expect("the benchmark's queries are good");
    Read::parse(&query, |_| true).expect("the benchmark's queries are good")
}

/// A whole list in pages of 500, as JSON.
#[divan::bench(args = ["limit=500", "limit=500&labelSelector=team%3Dt7"])]
fn list_in_pages(bencher: Bencher<'_, '_>, query: &str) {
    let users = users(20_000);
    bencher.counter(ItemsCount::new(20_000usize)).bench(|| {
        let (mut token, mut bytes) = (String::new(), 0);
        loop {
            let Read::List(list) = read(&format!("{query}&continue={token}")) else { return bytes };
            let Ok(page) = Page::read(&users, USERS, &list) else { return bytes };
            bytes += page.json("horizon.dev/v1alpha1", "User").len();
            if page.continuation.is_empty() {
                return bytes;
            }
            token = page.continuation;
        }
    });
}

/// One change, told to every one of 200 watchers.
#[divan::bench(args = ["", "labelSelector=team%3Dt7"])]
fn change_told_to_200(bencher: Bencher<'_, '_>, query: &str) {
    let mut users = users(20_000);
    let Read::Watch(watch) = read(&format!("watch=1&resourceVersion=1&{query}")) else { return };
    let mut watchers: Vec<Watcher> = (0..200).map(|_| start(&users, &watch)).collect();
    let mut version = 1;
    bencher.counter(ItemsCount::new(200usize)).bench_local(|| {
        version += 1;
        let changed = user(version as usize % 20_000, version);
        users.put(changed).expect("versions rise");
        let mut lines = 0;
        for watcher in &mut watchers {
            while let Poll::Events(events) = watcher.poll(&users, Duration::from_secs(1)) {
                lines += events.iter().map(|event| event.line().len()).sum::<usize>();
            }
        }
        lines
    });
}

fn start(users: &Collection, watch: &Watch) -> Watcher {
    let subject = Subject {
        scope: USERS,
        api_version: "horizon.dev/v1alpha1",
        kind: "User",
        now: Duration::ZERO,
        timeout: Duration::from_secs(1800),
    };
    Watcher::start(users, subject, watch)
}

/// A snapshot for one reader.
#[divan::bench(args = [10_000, 100_000])]
fn clone_of(bencher: Bencher<'_, '_>, count: usize) {
    let users = users(count);
    bencher.bench(|| users.clone());
}

/// One write without readers, and one after each snapshot, when what it touches must be copied.
#[divan::bench(args = [(10_000, false), (100_000, false), (10_000, true), (100_000, true)])]
fn put_into(bencher: Bencher<'_, '_>, (count, has_reader): (usize, bool)) {
    let mut users = users(count);
    let mut version = 1;
    let mut reader = None;
    bencher
        .with_inputs(|| {
            version += 1;
            user(version as usize * 7919 % count, version)
        })
        .bench_local_values(|changed| {
            users.put(changed).expect("versions rise");
            reader = has_reader.then(|| users.clone());
            reader.is_some()
        });
}

/// A watch that begins with 10,000 objects, in each form.
#[divan::bench(args = ["", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/json;as=Table;v=v1;g=meta.k8s.io"])]
fn first_state_of_10000(bencher: Bencher<'_, '_>, accept: &str) {
    let users = users(10_000);
    let Read::Watch(watch) = read("watch=1") else { return };
    let query = Query::default();
    let now = Timestamp::UNIX_EPOCH;
    bencher.counter(ItemsCount::new(10_000usize)).bench(|| {
        let form = Form::of_watch(accept).expect("it is a form of a watch");
        let mut lines = Lines::new(Resource::of(Kind::User), form, &query).expect("the query is empty");
        let mut watcher = start(&users, &watch);
        let mut bytes = 0;
        while let Poll::Events(events) = watcher.poll(&users, Duration::from_secs(1)) {
            let line = |event| lines.write(event, now, &|_, _, _| None);
            bytes += events.iter().flat_map(line).map(|piece| piece.len()).sum::<usize>();
        }
        bytes
    });
}

/// What a first request for OpenAPI costs; later ones cost nothing.
#[divan::bench]
fn openapi_once() -> usize {
    openapi::v2_protobuf().bytes.len() + openapi::v3_root().bytes.len()
}
