//! How fast reads are answered: 20,000 objects, 200 watchers.

use std::{sync::Arc, time::Duration};

use divan::{Bencher, counter::ItemsCount};
use horizon_machinery::{
    collection::{Collection, Limits},
    list::{Page, Scope},
    openapi,
    parameters::read::{Read, Watch},
    query::Query,
    stored::Stored,
    watch::{Poll, Subject, Watcher},
};
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

fn users() -> Collection {
    Collection::new((0..20_000).map(|number| user(number, 1)), 1, 1, LIMITS)
}

fn read(query: &str) -> Read {
    let query = Query::parse(query).expect("the benchmark's queries are good");
    Read::parse(&query, |_| true).expect("the benchmark's queries are good")
}

/// A whole list in pages of 500, as JSON.
#[divan::bench(args = ["limit=500", "limit=500&labelSelector=team%3Dt7"])]
fn list_in_pages(bencher: Bencher<'_, '_>, query: &str) {
    let users = users();
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
    let mut users = users();
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

/// What a first request for OpenAPI costs; later ones cost nothing.
#[divan::bench]
fn openapi_once() -> usize {
    openapi::v2_protobuf().bytes.len() + openapi::v3_root().bytes.len()
}
