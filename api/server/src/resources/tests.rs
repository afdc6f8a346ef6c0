//! Requests as clients send them, against a keeper in memory. What is decided is tested in `horizon-machinery`; here it
//! is seen that it is asked, and carried out.

mod store;

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use serde_json::{Value, json};

use super::Desk;
use store::{Answer, Fixture, USERS, user};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

#[track_caller]
fn check(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

#[tokio::test]
async fn strangers_learn_the_version_and_nothing_else() {
    let fixture = Fixture::start();

    assert_eq!(
        fixture.ask("", "GET /version").await.json()["gitVersion"].as_str().map(|v| &v[..5]),
        Some("v1.34")
    );
    assert_eq!(fixture.ask("", "GET /livez").await.body, b"ok");
    for path in ["/api", "/apis", "/openapi/v3", USERS, "/apis/nobody/v1"] {
        let answer = fixture.ask("", &format!("GET {path}")).await;
        assert_eq!(answer.refused(401, "Unauthorized"), "Unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let mut request = fixture.request("", "GET /apis", "", Body::empty());
    request.headers_mut().insert("cookie", "__Host-horizon=0".parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer hza_{}", "0".repeat(64)).parse().unwrap());
    fixture.send(request).await.refused(401, "Unauthorized");
}

#[tokio::test]
async fn what_is_served_is_told_once() {
    let fixture = Fixture::start();
    let groups = fixture.ask("auditor", "GET /apis").await;
    assert_eq!(check(&groups, 200)["groups"][0]["name"], "horizon.dev");
    assert_eq!(groups.header("cache-control"), "no-cache, private");

    let request = |tag: &str| {
        let mut request = fixture.request("auditor", "GET /apis", "", Body::empty());
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        request.headers_mut().insert("accept", accept.parse().unwrap());
        request.headers_mut().insert("if-none-match", tag.parse().unwrap());
        request
    };
    let first = fixture.send(request("\"other\"")).await;
    assert_eq!(check(&first, 200)["kind"], "APIGroupDiscoveryList");
    let again = fixture.send(request(first.header("etag"))).await;
    assert_eq!((again.status, again.body.len()), (304, 0));

    let root = fixture.ask("auditor", "GET /openapi/v3").await.json();
    let path = root["paths"]["apis/horizon.dev/v1alpha1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = fixture.ask("auditor", &format!("GET {path}")).await;
    assert_eq!(document.header("cache-control"), "private, max-age=31536000, immutable");
    check(&document, 200);
}

#[tokio::test]
async fn what_is_not_served_is_a_status() {
    let fixture = Fixture::start();

    fixture.ask("owner", "GET /apis/nobody/v1/things").await.refused(404, "NotFound");
    fixture.ask("owner", "POST /apis").await.refused(405, "MethodNotAllowed");
    fixture.ask("owner", "TRACE /version").await.refused(405, "MethodNotAllowed");
    fixture.ask("owner", &format!("GET {USERS}/nobody")).await.refused(404, "NotFound");
    fixture.ask("owner", &format!("GET {USERS}?labelSelector=%zz")).await.refused(400, "BadRequest");
    fixture.ask("owner", &format!("GET {USERS}?resourceVersion=99&limit=1")).await.refused(504, "Timeout");
}

#[tokio::test]
async fn each_does_what_their_role_may() {
    let fixture = Fixture::start();
    let admins = "/apis/horizon.dev/v1alpha1/namespaces/default/admins";
    let all = "/apis/horizon.dev/v1alpha1/users";

    for (subject, line, status) in [
        ("auditor", format!("GET {USERS}"), 200),
        ("auditor", format!("POST {USERS}"), 403),
        ("auditor", "GET /api/v1/namespaces/default/secrets".to_owned(), 403),
        ("admin", format!("GET {admins}"), 200),
        ("admin", format!("POST {admins}"), 403),
        ("admin", format!("POST {USERS}"), 201),
        ("local", format!("GET {USERS}"), 200),
        ("local", format!("GET {all}"), 403),
        ("foreign", format!("GET {USERS}"), 403),
        ("foreign", format!("DELETE {USERS}"), 403),
        ("owner", format!("GET {all}"), 200),
        ("owner", format!("PATCH {USERS}/alice/status"), 403),
        ("owner", format!("GET {USERS}/alice/status"), 200),
    ] {
        let request = fixture.request(subject, &line, JSON, user("alice", "a").to_string());
        let answer = fixture.send(request).await;
        assert_eq!(answer.status, status, "{subject} {line}: {}", String::from_utf8_lossy(&answer.body));
    }
    let sentence = fixture.ask("foreign", &format!("GET {USERS}")).await.refused(403, "Forbidden");
    assert!(
        sentence.starts_with("users.horizon.dev is forbidden: User \"foreign\" cannot list"),
        "{sentence}"
    );
}

#[tokio::test]
async fn an_object_is_made_read_changed_and_deleted() {
    let fixture = Fixture::start();

    let made = check(&fixture.create("alice", "a").await, 201);
    assert_eq!(
        (&made["metadata"]["resourceVersion"], &made["metadata"]["generation"]),
        (&json!("2"), &json!(1))
    );
    fixture.create("alice", "a").await.refused(409, "AlreadyExists");
    assert_eq!(check(&fixture.ask("owner", &format!("GET {USERS}/alice")).await, 200), made);

    let line = format!("PATCH {USERS}/alice");
    let patched = fixture.write(&line, MERGE, &json!({ "spec": { "maxDevices": 7, "colour": 1 } })).await;
    assert_eq!(check(&patched, 200)["spec"]["maxDevices"], 7);
    assert_eq!(patched.header("warning"), "299 - \"unknown field \\\"spec.colour\\\"\"");
    let nothing = check(&fixture.write(&line, MERGE, &json!({})).await, 200);
    assert_eq!(nothing["metadata"]["resourceVersion"], "3");
    let replaced = fixture.write(&format!("PUT {USERS}/alice"), JSON, &made).await;
    assert!(replaced.refused(409, "Conflict").contains("the object has been modified"));
    let patch = json!([{ "op": "replace", "path": "/spec/maxDevices", "value": 0 }]);
    fixture.write(&line, "application/json-patch+json", &patch).await.refused(422, "Invalid");

    let line = format!("DELETE {USERS}/alice");
    let wrong = json!({ "preconditions": { "uid": "other" } });
    fixture.write(&line, JSON, &wrong).await.refused(409, "Conflict");
    let gone = check(&fixture.ask("owner", &line).await, 200);
    assert_eq!((&gone["status"], &gone["details"]["uid"]), (&json!("Success"), &made["metadata"]["uid"]));
    fixture.ask("owner", &line).await.refused(404, "NotFound");
}

#[tokio::test]
async fn an_object_with_a_finalizer_waits_and_goes() {
    let fixture = Fixture::start();
    let mut alice = user("alice", "a");
    alice["metadata"]["finalizers"] = json!(["example.org/wait"]);
    check(&fixture.write(&format!("POST {USERS}"), JSON, &alice).await, 201);

    let marked = check(&fixture.ask("owner", &format!("DELETE {USERS}/alice")).await, 200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    let patch = json!({ "metadata": { "finalizers": null } });
    check(&fixture.write(&format!("PATCH {USERS}/alice"), MERGE, &patch).await, 200);
    fixture.ask("owner", &format!("GET {USERS}/alice")).await.refused(404, "NotFound");
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let fixture = Fixture::start();
    let line = format!("POST {USERS}?dryRun=All");

    let made = check(&fixture.write(&line, JSON, &user("alice", "a")).await, 201);
    assert_eq!(made["metadata"]["resourceVersion"], Value::Null);
    fixture.ask("owner", &format!("GET {USERS}/alice")).await.refused(404, "NotFound");
    fixture.create("alice", "a").await;
    check(&fixture.ask("owner", &format!("DELETE {USERS}/alice?dryRun=All")).await, 200);
    check(&fixture.ask("owner", &format!("GET {USERS}/alice")).await, 200);
}

#[tokio::test]
async fn appliers_own_their_fields() {
    let fixture = Fixture::start();
    let apply = |manager: &str, more: &str, yaml: &str| {
        let line = format!("PATCH {USERS}/alice?fieldManager={manager}{more}");
        fixture.send(fixture.request("owner", &line, APPLY, yaml.to_owned()))
    };
    let head = "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata:\n  name: alice\n";
    let (five, six) = (format!("{head}spec:\n  maxDevices: 5\n"), format!("{head}spec:\n  maxDevices: 6\n"));

    check(&apply("one", "", &five).await, 201);
    let conflict = apply("two", "", &six).await;
    assert!(conflict.refused(409, "Conflict").contains("conflict with \"one\""));
    assert_eq!(conflict.json()["details"]["causes"][0]["field"], ".spec.maxDevices");
    let forced = check(&apply("two", "&force=true", &six).await, 200);
    assert_eq!(forced["spec"]["maxDevices"], 6);
    apply("two", "", "a: [").await.refused(400, "BadRequest");
}

#[tokio::test]
async fn lists_come_in_pages_and_forms() {
    let fixture = Fixture::start();
    for (name, team) in [("alice", "a"), ("bob", "b"), ("carol", "a")] {
        fixture.create(name, team).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };

    let page = check(&fixture.ask("owner", &format!("GET {USERS}?limit=2")).await, 200);
    assert_eq!(
        (names(&page), &page["kind"]),
        (vec!["alice".to_owned(), "bob".to_owned()], &json!("UserList"))
    );
    let token = page["metadata"]["continue"].as_str().unwrap();
    let rest = check(&fixture.ask("owner", &format!("GET {USERS}?limit=2&continue={token}")).await, 200);
    assert_eq!(names(&rest), ["carol"]);
    let team = check(&fixture.ask("owner", &format!("GET {USERS}?labelSelector=team%3Da")).await, 200);
    assert_eq!(names(&team), ["alice", "carol"]);

    let shown = async |accept: &str, path: &str| {
        let mut request = fixture.request("owner", &format!("GET {path}"), "", Body::empty());
        request.headers_mut().insert("accept", accept.parse().unwrap());
        fixture.send(request).await
    };
    let table =
        shown("application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io", USERS).await.json();
    assert_eq!((&table["kind"], &table["rows"][1]["cells"][0]), (&json!("Table"), &json!("bob")));
    let metadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let one = shown(metadata, &format!("{USERS}/bob")).await.json();
    assert_eq!((&one["kind"], &one["spec"]), (&json!("PartialObjectMetadata"), &Value::Null));
    shown(metadata, USERS).await.refused(406, "NotAcceptable");
    let all = shown("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", USERS).await.json();
    assert_eq!(
        (&all["kind"], all["items"].as_array().map(Vec::len)),
        (&json!("PartialObjectMetadataList"), Some(3))
    );
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    let yaml = shown("application/yaml", &format!("{USERS}/bob")).await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    // In which order depends on what else is built with this crate.
    assert!(
        String::from_utf8(yaml.body).unwrap().lines().any(|line| line == "apiVersion: horizon.dev/v1alpha1")
    );
}

#[tokio::test]
async fn few_long_lists_are_written_at_once() {
    let fixture = Fixture::start();
    for number in 0..300 {
        fixture.create(&format!("u{number}"), "a").await;
    }
    let open = async |accept: &str, query: &str| {
        let mut request = fixture.request("owner", &format!("GET {USERS}{query}"), "", Body::empty());
        request.headers_mut().insert("accept", accept.parse().unwrap());
        tower_service::Service::call(&mut fixture.router.clone(), request).await.unwrap()
    };

    for (accept, most) in [("application/yaml", 4), (JSON, 64)] {
        let mut unread = vec![];
        for _ in 0..most {
            unread.push(open(accept, "").await);
        }
        assert!(unread.iter().all(|response| response.status() == 200));
        let refused = open(accept, "").await;
        let retry_after = refused.headers()["retry-after"].to_str().unwrap();
        assert_eq!((refused.status().as_u16(), retry_after), (429, "2"));
        assert_eq!(open(accept, "?limit=10").await.status(), 200);
        drop(unread);
        while open(accept, "").await.status() == 429 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_watch_tells_what_a_writer_writes() {
    let fixture = Fixture::start();
    fixture.create("alice", "a").await;
    let mut events = fixture.watch("auditor", "labelSelector=team%3Da").await;

    assert_eq!(events.next().await, "ADDED alice");
    fixture.create("bob", "b").await;
    let patch = json!({ "metadata": { "labels": { "team": "a" } } });
    fixture.write(&format!("PATCH {USERS}/bob"), MERGE, &patch).await;
    fixture.write(&format!("PATCH {USERS}/alice"), MERGE, &json!({ "spec": { "maxDevices": 7 } })).await;
    fixture.ask("owner", &format!("DELETE {USERS}/alice")).await;
    for expected in ["ADDED bob", "MODIFIED alice", "DELETED alice"] {
        assert_eq!(events.next().await, expected);
    }
}

#[tokio::test]
async fn a_watch_that_comes_too_late_or_lasts_too_long_ends() {
    let fixture = Fixture::start();
    for number in 0..12 {
        fixture.create(&format!("u{number}"), "a").await;
    }

    let mut late = fixture.watch("owner", "resourceVersion=1").await;
    assert_eq!((late.next().await, late.next().await), ("ERROR Expired".to_owned(), String::new()));
    let mut short = fixture.watch("owner", "resourceVersion=13&timeoutSeconds=1").await;
    assert_eq!(short.next().await, "");
}

#[tokio::test]
async fn a_watch_ends_with_its_token_or_its_rights() {
    let fixture = Fixture::start();
    let mut revoked = fixture.watch("auditor", "").await;
    let mut dismissed = fixture.watch("local", "").await;
    let mut other = fixture.watch("owner", "").await;

    fixture.revoke("auditor");
    fixture.admins.send_modify(|admins| drop(Arc::make_mut(admins).remove("local")));

    assert_eq!((revoked.next().await, dismissed.next().await), (String::new(), String::new()));
    fixture.create("alice", "a").await;
    assert_eq!(other.next().await, "ADDED alice");
    fixture.ask("local", &format!("GET {USERS}")).await.refused(401, "Unauthorized");
}

#[tokio::test]
async fn a_watch_of_the_page_ends_with_its_session() {
    let mut fixture = Fixture::start();
    let is_signed_in = fixture.answer_sessions("owner");
    let secret = "a".repeat(64);
    let mut watch = fixture.watch_with("cookie", &format!("__Host-horizon={secret}")).await;
    fixture.create("alice", "a").await;
    assert_eq!(watch.next().await, "ADDED alice");

    is_signed_in.send_replace(false);

    assert_eq!(watch.next().await, "");
}

#[tokio::test]
async fn a_token_is_not_of_somebody_who_is_declared_later_under_the_same_name() {
    let fixture = Fixture::start();
    let mut watch = fixture.watch("local", "").await;
    check(&fixture.ask("local", &format!("GET {USERS}")).await, 200);

    fixture.admins.send_modify(|admins| {
        Arc::make_mut(admins).get_mut("local").unwrap().uid = "another".into();
    });

    fixture.ask("local", &format!("GET {USERS}")).await.refused(401, "Unauthorized");
    assert_eq!(watch.next().await, "");
}

#[tokio::test]
async fn a_watch_outlives_a_store_that_is_away_but_not_its_admin() {
    let fixture = Fixture::start();
    let mut dismissed = fixture.watch("local", "").await;
    let mut other = fixture.watch("owner", "").await;

    fixture.fall_silent();
    while fixture.ask("local", &format!("GET {USERS}")).await.status != 503 {
        tokio::task::yield_now().await;
    }
    fixture.admins.send_modify(|admins| drop(Arc::make_mut(admins).remove("local")));

    assert_eq!(dismissed.next().await, "");
    assert!(other.is_open().await);
}

#[tokio::test]
async fn a_watch_ends_when_nobody_says_that_its_token_is_valid() {
    let fixture = Fixture::start_with(Desk { silence_max: Duration::from_millis(100), ..Desk::default() });
    let mut watch = fixture.watch("owner", "").await;

    fixture.fall_silent();

    assert_eq!(watch.next().await, "");
}

#[tokio::test]
async fn tokens_that_strangers_make_up_are_looked_up_in_a_queue_of_their_own() {
    let fixture = Fixture::start();
    fixture.ask("owner", &format!("GET {USERS}")).await;
    fixture.fall_silent();
    let stranger = || {
        let mut request = fixture.request("", "GET /apis", "", Body::empty());
        request
            .headers_mut()
            .insert("authorization", format!("Bearer hza_{}", "0".repeat(64)).parse().unwrap());
        fixture.send(request)
    };

    stranger().await.refused(503, "ServiceUnavailable");

    assert!(fixture.commands.is_empty(), "a stranger stands among those who hold and confirm");
}

#[tokio::test]
async fn one_watcher_too_many_is_told_to_come_again() {
    let fixture = Fixture::start();
    let mut open = vec![];
    for _ in 0..1024 {
        open.push(fixture.watch("owner", "").await);
    }

    let refused = fixture.ask("owner", &format!("GET {USERS}?watch=1")).await;
    refused.refused(429, "TooManyRequests");
    assert_eq!(refused.header("retry-after"), "5");
    drop(open);
    while fixture.ask("owner", &format!("GET {USERS}?watch=1&timeoutSeconds=-1")).await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_was_overtaken_decides_again() {
    let fixture = Fixture::start();
    let made = check(&fixture.create("alice", "a").await, 201);
    let line = format!("PATCH {USERS}/alice");
    let patch = |devices: u32| json!({ "spec": { "maxDevices": devices } });

    *fixture.rival.lock().unwrap() = 3;
    let patched = check(&fixture.write(&line, MERGE, &patch(7)).await, 200);
    assert_eq!(
        (&patched["spec"]["maxDevices"], &patched["metadata"]["labels"]["rival"]),
        (&json!(7), &json!("5"))
    );

    *fixture.rival.lock().unwrap() = 100;
    fixture.write(&line, MERGE, &patch(8)).await.refused(409, "Conflict");
    assert_eq!(*fixture.rival.lock().unwrap(), 92);

    *fixture.rival.lock().unwrap() = 0;
    let newest = check(&fixture.ask("owner", &format!("GET {USERS}/alice")).await, 200);
    *fixture.rival.lock().unwrap() = 1;
    let mut replaced = newest.clone();
    replaced["spec"]["maxDevices"] = json!(9);
    fixture.write(&format!("PUT {USERS}/alice"), JSON, &replaced).await.refused(409, "Conflict");
    assert_ne!(newest, made);
}

#[tokio::test]
async fn a_body_has_its_bounds() {
    let fixture = Fixture::start();
    let post = format!("POST {USERS}");
    let send =
        async |media: &str, body: String| fixture.send(fixture.request("owner", &post, media, body)).await;

    send(JSON, " ".repeat(4 << 20)).await.refused(413, "RequestEntityTooLarge");
    send("text/plain", "{}".to_owned()).await.refused(415, "UnsupportedMediaType");
    send(JSON, "{".to_owned()).await.refused(400, "BadRequest");
    send("application/vnd.kubernetes.protobuf", "k8s".to_owned()).await.refused(400, "BadRequest");
    let line = format!("PATCH {USERS}/alice");
    let patch = fixture.write(&line, "application/strategic-merge-patch+json", &json!({})).await;
    patch.refused(415, "UnsupportedMediaType");
    fixture.write(&format!("{post}?dryRun=Some"), JSON, &user("alice", "a")).await.refused(422, "Invalid");
    let strict =
        json!({ "apiVersion": "horizon.dev/v1alpha1", "kind": "User", "metadata": { "name": "a" }, "x": 1 });
    fixture.write(&format!("{post}?fieldValidation=Strict"), JSON, &strict).await.refused(400, "BadRequest");
    let yaml = "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {generateName: guest-}\nspec: {}\n";
    let made = check(&send("application/yaml", yaml.to_owned()).await, 201);
    assert_eq!(made["metadata"]["name"].as_str().map(str::len), Some(11));
}

#[tokio::test]
async fn bodies_together_have_their_bound() {
    let fixture = Fixture::start();
    let post = format!("POST {USERS}");
    let (mut open, mut tasks) = (vec![], vec![]);
    for _ in 0..22 {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        sender.send(Ok(vec![b' '; 3 << 20])).await.unwrap();
        open.push(sender);
        let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
        let request = fixture.request("owner", &post, JSON, body);
        let router = fixture.router.clone();
        tasks.push(tokio::spawn(async move { tower_service::Service::call(&mut { router }, request).await }));
    }
    // Twenty-one of them fill 63 MiB; the last one is refused while they wait.
    let last = tasks.pop().unwrap().await.unwrap().unwrap();
    assert_eq!(last.status(), 429);
    drop(open);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().status(), 400);
    }
}

#[tokio::test]
async fn a_selection_is_deleted() {
    let fixture = Fixture::start();
    for number in 0..100 {
        fixture.create(&format!("u{number}"), if number % 2 == 0 { "a" } else { "b" }).await;
    }

    let deleted = check(&fixture.ask("owner", &format!("DELETE {USERS}?labelSelector=team%3Da")).await, 200);
    assert_eq!(deleted["items"].as_array().map(Vec::len), Some(50));
    let left = check(&fixture.ask("owner", &format!("GET {USERS}")).await, 200);
    assert_eq!(left["items"].as_array().map(Vec::len), Some(50));
}

#[tokio::test]
async fn people_are_told_what_they_may() {
    let fixture = Fixture::start();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": { "verb": "create", "group": "horizon.dev", "resource": "users", "namespace": "default" } },
    });
    let line = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews?dryRun=All";
    let allowed = async |subject: &str| {
        let answer = fixture.send(fixture.request(subject, line, JSON, review.to_string())).await;
        check(&answer, 201)["status"]["allowed"].clone()
    };

    assert_eq!((allowed("local").await, allowed("auditor").await), (json!(true), json!(false)));
}

#[tokio::test]
async fn namespaces_are_written_too() {
    let fixture = Fixture::start();
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "berlin" } });

    check(&fixture.write("POST /api/v1/namespaces", JSON, &namespace).await, 201);
    let line = "PATCH /api/v1/namespaces/berlin";
    let patch = json!({ "metadata": { "labels": { "a": "b" } } });
    let patched = fixture.write(line, "application/strategic-merge-patch+json", &patch).await;
    assert_eq!(check(&patched, 200)["metadata"]["labels"]["a"], "b");
}
