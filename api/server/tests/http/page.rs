//! What the console's page asks with its cookie: the resource API, verdicts on texts, whose an object is.

use std::sync::Arc;

use horizon_api::{
    http::{ApiError, CheckAnswer, HoldView, ObjectView, OwnerKind, View},
    resource::{Kind, ObjectKey},
};
use serde_json::{Value, json};

use crate::{
    check_error,
    client::{Answer, Call},
    store::{Fixture, token},
    view,
};

const USERS: &str = "/apis/horizon.dev/v1alpha1/namespaces/default/users";
const BOB: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata:
  name: bob
spec:
  maxDevices: 2
";

fn apply() -> Call {
    let path = format!("{USERS}/bob?fieldManager=horizon-console&fieldValidation=Strict");
    Call::send_text("PATCH", &path, "application/apply-patch+yaml", BOB)
}

/// Checks that this is a refusal of the resource API; returns its sentence.
#[track_caller]
fn refused(answer: &Answer, code: u16, reason: &str) -> String {
    let status: Value = answer.json();
    assert_eq!((answer.status, &status["kind"]), (code, &json!("Status")), "{status}");
    assert_eq!(status["reason"], reason, "{status}");
    status["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_page_reads_and_writes_objects_with_its_cookie() {
    let fixture = Fixture::start(view(4)).await;
    let (cookie, csrf) = fixture.session_of(None).await;

    let list = fixture.call(Call::get(USERS).cookie(cookie.clone())).await;
    assert_eq!(list.json::<Value>()["items"][0]["metadata"]["name"], "alice");
    let ours = apply().cookie(cookie.clone()).header("x-horizon-csrf", &csrf);
    let written = fixture.call(ours.header("sec-fetch-site", "same-origin")).await;
    assert_eq!(written.status, 201, "{}", written.body);
    assert_eq!(*fixture.writers.lock().unwrap(), ["operator"]);
    let path = format!("{USERS}/bob");
    let deleted = Call::delete(&path).cookie(cookie.clone()).header("x-horizon-csrf", &csrf);
    assert_eq!(fixture.call(deleted).await.status, 200);
    refused(&fixture.call(Call::get(&path).cookie(cookie)).await, 404, "NotFound");
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing_and_counts_on_our_own_page_only() {
    let fixture = Fixture::start(view(4)).await;
    let (cookie, csrf) = fixture.session_of(None).await;
    let call = async |call: Call| fixture.call(call.cookie(cookie.clone())).await;

    let sentence = refused(&call(apply()).await, 403, "Forbidden");
    assert!(sentence.contains("CSRF"), "{sentence}");
    refused(&call(apply().header("x-horizon-csrf", &"0".repeat(64))).await, 403, "Forbidden");
    let foreign = apply().header("x-horizon-csrf", &csrf).header("origin", "https://evil.example");
    refused(&call(foreign).await, 403, "Forbidden");
    for site in ["cross-site", "same-site"] {
        refused(&call(Call::get(USERS).header("sec-fetch-site", site)).await, 403, "Forbidden");
        let watch = Call::get(&format!("{USERS}?watch=true")).header("sec-fetch-site", site);
        refused(&call(watch).await, 403, "Forbidden");
    }
    refused(&fixture.call(Call::get(USERS).cookie("a".repeat(64))).await, 401, "Unauthorized");
    assert!(fixture.writers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_wins_over_a_cookie() {
    let fixture = Fixture::start(view(4)).await;
    let (auditor, _) = fixture.session_of(Some("audrey")).await;
    let (operator, csrf) = fixture.session_of(None).await;
    let bearer = |call: Call, token: &str| call.header("authorization", &format!("Bearer {token}"));

    // Neither the Auditor's rights nor the page's rules are asked.
    let written = fixture.call(bearer(apply().cookie(auditor), &token())).await;
    assert_eq!(written.status, 201, "{}", written.body);
    let nobodys = format!("hza_{}", "1".repeat(64));
    let made_up = apply().cookie(operator.clone()).header("x-horizon-csrf", &csrf);
    refused(&fixture.call(bearer(made_up, &nobodys)).await, 401, "Unauthorized");
    let basic = Call::get(USERS).cookie(operator).header("authorization", "Basic YTpi");
    refused(&fixture.call(basic).await, 401, "Unauthorized");
}

#[tokio::test]
async fn an_auditor_looks_and_changes_nothing() {
    let fixture = Fixture::start(view(4)).await;
    let (cookie, csrf) = fixture.session_of(Some("audrey")).await;
    let call =
        async |call: Call| fixture.call(call.cookie(cookie.clone()).header("x-horizon-csrf", &csrf)).await;
    let review = json!({
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": "*", "group": "horizon.dev", "resource": "users", "namespace": "default",
        } },
    });

    for path in ["/v1/view", USERS, "/v1/object?kind=User&namespace=default&name=alice"] {
        assert_eq!(call(Call::get(path)).await.status, 200, "{path}");
    }
    let sentence = refused(&call(apply()).await, 403, "Forbidden");
    assert!(sentence.ends_with("an Auditor changes nothing"), "{sentence}");
    refused(&call(Call::delete(&format!("{USERS}/alice"))).await, 403, "Forbidden");
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let asked = call(Call::post(path, &review.to_string())).await;
    assert_eq!(asked.json::<Value>()["status"]["allowed"], false);
    assert_eq!(call(Call::send_text("POST", "/v1/check", "application/yaml", BOB)).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_with_its_admin_whoever_has_the_name_later() {
    let fixture = Fixture::start(view(4)).await;
    let (cookie, _) = fixture.session_of(Some("audrey")).await;
    let path = format!("{USERS}?watch=true");
    let mut watch = fixture.stream(Call::get(&path).cookie(cookie.clone())).await;
    let mut events = fixture.stream(Call::get("/v1/events").cookie(cookie.clone())).await;
    events.event().await;

    fixture.admins.send_modify(|admins| {
        Arc::make_mut(admins).get_mut("default/audrey").unwrap().uid = "another".into();
    });

    while watch.line().await.is_some_and(|line| line != "0") {}
    while events.line().await.is_some_and(|line| line != "0") {}
    check_error(&fixture.call(Call::get("/v1/view").cookie(cookie.clone())).await, 401, "SignedOut");
    refused(&fixture.call(Call::get(USERS).cookie(cookie)).await, 401, "Unauthorized");
}

#[tokio::test]
async fn a_link_whose_admin_went_opens_nothing() {
    let fixture = Fixture::start(view(4)).await;
    let body = format!(r#"{{"code":"{}"}}"#, fixture.code(Some("audrey")).await);

    fixture.admins.send_modify(|admins| drop(Arc::make_mut(admins).remove("default/audrey")));

    check_error(&fixture.call(Call::post("/v1/session", &body)).await, 403, "NotInForce");
}

#[tokio::test]
async fn links_are_for_admins_in_force_who_govern_all_namespaces() {
    let helen = ObjectKey::new(Kind::Admin, "default", "helen");
    let hold =
        HoldView { object: helen, reason: "on holiday".into(), by: "operator".into(), until: u64::MAX };
    let fixture = Fixture::start(View { holds: vec![hold], ..view(4) }).await;

    assert_eq!(fixture.link(Some("audrey")).await.status, 201);
    for (name, status, code, word) in [
        ("nobody", 404, "NoAdmin", "there is no Admin/nobody"),
        ("office/otto", 403, "OneNamespace", "governs the namespace office"),
        ("dora", 403, "Disabled", "is disabled"),
        ("edgar", 403, "Expired", "expired at 2020-01-01T00:00:00Z"),
        ("helen", 403, "Held", "is held by operator: on holiday"),
        ("nils", 403, "NotInForce", "is not in force"),
    ] {
        let answer = fixture.link(Some(name)).await;
        check_error(&answer, status, code);
        let error = answer.json::<ApiError>();
        assert!(error.message.contains(word) && !error.hint.is_empty(), "{error}");
    }
}

#[tokio::test]
async fn a_text_gets_its_verdict() {
    let fixture = Fixture::start(view(4)).await;
    let (cookie, csrf) = fixture.session_of(None).await;
    let check = |text: &str| Call::send_text("POST", "/v1/check", "application/yaml", text);
    let call =
        async |call: Call| fixture.call(call.cookie(cookie.clone()).header("x-horizon-csrf", &csrf)).await;

    let wrong = call(check(&BOB.replace(": 2", ": two"))).await.json::<CheckAnswer>();
    let problem = &wrong.problems[0];
    assert_eq!((problem.line, problem.column, problem.path.as_str()), (6, 15, "spec.maxDevices"));
    assert!(problem.is_error() && !problem.code.is_empty() && !problem.message.is_empty(), "{problem}");
    let fine = call(check(BOB)).await.json::<CheckAnswer>();
    assert_eq!((fine.problems.len(), fine.objects[0].object.to_string()), (0, "User/bob".to_owned()));
    let binary = call(check("a: \u{0}")).await.json::<CheckAnswer>();
    assert!(binary.problems[0].is_error());
    assert_eq!(call(check(&"#".repeat(1024 * 1024))).await.status, 200);
    check_error(&call(check(&"#".repeat(1024 * 1024 + 1))).await, 413, "TooLarge");
    check_error(&fixture.call(check(BOB)).await, 401, "SignedOut");
    check_error(&fixture.call(check(BOB).cookie(cookie.clone())).await, 403, "StaleToken");
}

#[tokio::test]
async fn an_object_is_shown_with_its_owner_and_its_text() {
    let fixture = Fixture::start(view(4)).await;
    let (cookie, csrf) = fixture.session_of(None).await;
    let ask = async |query: &str| {
        fixture.call(Call::get(&format!("/v1/object?{query}")).cookie(cookie.clone())).await
    };

    let shown = ask("kind=User&namespace=default&name=alice").await.json::<ObjectView>();
    assert_eq!((shown.report.owner, shown.report.place.as_str()), (OwnerKind::Source, "people.yaml:3"));
    assert!(shown.manifest.contains("kind: User") && shown.manifest.contains("maxDevices: 5"));
    assert!(!shown.manifest.contains("resourceVersion"), "{}", shown.manifest);
    check_error(&ask("kind=User&namespace=default&name=nobody").await, 404, "NotFound");
    check_error(&ask("kind=User&namespace=default&name=bob").await, 404, "NotFound");
    // Of what a client has just written the reconciler hears a moment later.
    fixture.call(apply().cookie(cookie.clone()).header("x-horizon-csrf", &csrf)).await;
    let written = ask("kind=User&namespace=default&name=bob").await.json::<ObjectView>();
    assert_eq!(written.report.owner, OwnerKind::Client);
    check_error(&ask("kind=Cat&namespace=default&name=alice").await, 400, "Malformed");
    check_error(&ask("kind=User&name=alice").await, 400, "Malformed");
    check_error(&fixture.call(Call::get("/v1/object?kind=User")).await, 401, "SignedOut");
}

#[tokio::test]
async fn what_a_cluster_declares_no_session_changes() {
    let fixture = Fixture::start(View { cluster: true, ..view(4) }).await;
    let (cookie, csrf) = fixture.session_of(None).await;
    let call =
        async |call: Call| fixture.call(call.cookie(cookie.clone()).header("x-horizon-csrf", &csrf)).await;

    let sentence = refused(&call(apply()).await, 403, "Forbidden");
    assert!(sentence.contains("kubectl apply -f -"), "{sentence}");
    refused(&call(Call::delete(&format!("{USERS}/alice"))).await, 403, "Forbidden");
    assert_eq!(call(Call::get(USERS)).await.status, 200);
    assert!(fixture.writers.lock().unwrap().is_empty());
}
