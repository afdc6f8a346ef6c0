//! The routers over real HTTPS and a real socket, with a store of a few lines behind them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "http/client.rs"]
mod client;
#[path = "http/page.rs"]
mod page;
#[path = "http/store.rs"]
mod store;

use std::sync::Arc;

use horizon_api::http::{
    ApiError, LiveEvent, Readiness, ServerView, SessionAnswer, SourceView, StatusReport, View,
};

use horizon_api_server::ControlSocket;

use client::{Answer, Call};
use store::Fixture;

fn view(revision: u64) -> View {
    let server = ServerView { namespace: "default".into(), name: "fra-1".into(), ..ServerView::default() };
    View { revision, controller_version: "1.2.3".into(), servers: vec![server], ..View::default() }
}

fn check_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.json::<ApiError>().code, code);
}

#[tokio::test]
async fn sign_in_link_opens_one_session() {
    let fixture = Fixture::start(view(4)).await;
    let code = fixture.code(None).await;
    let body = format!(r#"{{"code":"{code}"}}"#);

    let answer = fixture.call(Call::post("/v1/session", &body)).await;
    let again = fixture.call(Call::post("/v1/session", &body)).await;

    assert_eq!(answer.status, 201);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-horizon="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200"), "{cookie}");
    check_error(&again, 403, "UnknownCode");
    let who = fixture.call(Call::get("/v1/session").cookie(answer.cookie())).await;
    assert!(who.json::<SessionAnswer>() == answer.json::<SessionAnswer>());
    let shown = fixture.call(Call::get("/v1/view").cookie(answer.cookie())).await;
    assert_eq!(shown.json::<View>(), view(4));
}

#[tokio::test]
async fn nothing_is_shown_without_a_session() {
    let fixture = Fixture::start(view(4)).await;

    for path in ["/v1/session", "/v1/view", "/v1/events"] {
        let stranger = fixture.call(Call::get(path)).await;
        check_error(&stranger, 401, "SignedOut");
        assert!(stranger.json::<ApiError>().hint.contains("horizon-controller sign-in"));
        let forged = fixture.call(Call::get(path).cookie("a".repeat(64))).await;
        check_error(&forged, 401, "SignedOut");
    }
    check_error(&fixture.call(Call::get("/v1/nothing")).await, 404, "NoSuchCall");
    let wrong = fixture.call(Call::post("/v1/view", "{}")).await;
    check_error(&wrong, 405, "WrongMethod");
    assert_eq!(wrong.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn sign_out_wants_the_token_and_our_own_page() {
    let fixture = Fixture::start(view(4)).await;
    let session = fixture.sign_in().await;
    let delete = || Call::delete("/v1/session").cookie(session.cookie());
    let csrf = session.json::<SessionAnswer>().csrf;

    check_error(&fixture.call(delete()).await, 403, "StaleToken");
    check_error(&fixture.call(delete().header("x-horizon-csrf", &"0".repeat(64))).await, 403, "StaleToken");
    let foreign = delete().header("x-horizon-csrf", &csrf).header("origin", "https://evil.example");
    check_error(&fixture.call(foreign).await, 403, "ForeignOrigin");
    let ours = delete().header("x-horizon-csrf", &csrf).header("sec-fetch-site", "same-origin");
    assert_eq!(fixture.call(ours).await.status, 204);
    check_error(&fixture.call(Call::get("/v1/view").cookie(session.cookie())).await, 401, "SignedOut");
}

#[tokio::test]
async fn other_sites_cannot_sign_a_browser_in() {
    let fixture = Fixture::start(view(4)).await;
    let body = format!(r#"{{"code":"{}"}}"#, fixture.code(None).await);

    let foreign = Call::post("/v1/session", &body).header("sec-fetch-site", "cross-site");

    check_error(&fixture.call(foreign).await, 403, "ForeignOrigin");
    assert_eq!(fixture.call(Call::post("/v1/session", &body)).await.status, 201);
}

#[tokio::test]
async fn odd_bodies_are_refused_in_words() {
    let fixture = Fixture::start(view(4)).await;
    let post = |body: &str| fixture.call(Call::post("/v1/session", body));

    check_error(&post("{").await, 400, "Malformed");
    check_error(&post(r#"{"code":7}"#).await, 400, "Malformed");
    check_error(&post(r#"{"code":"nonsense"}"#).await, 403, "UnknownCode");
    check_error(&post(&"x".repeat(64 * 1024 + 1)).await, 413, "TooLarge");
    check_error(&fixture.control(Call::post("/v1/invite", r#"{"kind":"cat"}"#)).await, 400, "Malformed");
}

#[tokio::test]
async fn health_is_open_and_readiness_has_reasons() {
    let folder = SourceView { path: "/etc/horizon".into(), ..SourceView::default() };
    let fixture = Fixture::start(View { sources: vec![folder], ..view(0) }).await;

    assert_eq!(fixture.call(Call::get("/healthz")).await.status, 200);
    assert_eq!(fixture.call(Call::get("/metrics")).await.body, "horizon_revision 4\n");
    let unready = fixture.call(Call::get("/readyz")).await;
    fixture.view.send_replace(Arc::new(view(1)));
    let ready = fixture.call(Call::get("/readyz")).await;

    assert_eq!(unready.status, 503);
    assert_eq!(unready.json::<Readiness>().reasons, ["No revision is committed yet."]);
    assert_eq!((ready.status, ready.json::<Readiness>().ready), (200, true));
}

#[tokio::test]
async fn store_that_is_gone_is_said() {
    let fixture = Fixture::start(view(4)).await;
    let session = fixture.sign_in().await;
    fixture.store.abort();

    check_error(&fixture.call(Call::get("/v1/view").cookie(session.cookie())).await, 503, "NoAnswer");
    assert_eq!(fixture.call(Call::get("/readyz")).await.status, 503);
    assert_eq!(fixture.call(Call::get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn stream_begins_whole_and_goes_on_with_what_changed() {
    let fixture = Fixture::start(view(4)).await;
    let session = fixture.sign_in().await;
    let mut stream = fixture.stream(Call::get("/v1/events").cookie(session.cookie())).await;

    let first = stream.event().await;
    let mut later = view(4);
    for links in 1..=50 {
        later.servers[0].links = links;
        fixture.view.send_replace(Arc::new(later.clone()));
    }
    let mut last = stream.event().await;
    // At most one in between: fifty changes at once travel as the newest.
    if last != (LiveEvent::Server { server: Box::new(later.servers[0].clone()) }) {
        last = stream.event().await;
    }

    assert!(matches!(first, LiveEvent::Snapshot { view: shown, .. } if *shown == view(4)));
    assert_eq!(last, LiveEvent::Server { server: Box::new(later.servers[0].clone()) });
}

#[tokio::test]
async fn bad_handshakes_leave_the_others_alone() {
    let fixture = Fixture::start(view(4)).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(fixture.connect_raw(b"").await);
        fixture.connect_raw(b"GET / HTTP/1.1\r\n\r\n\x00\xff garbage").await;
    }

    assert_eq!(fixture.call(Call::get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn socket_serves_the_verbs() {
    let fixture = Fixture::start(view(4)).await;
    let invite = |name: &str| {
        let body = format!(r#"{{"kind":"server","namespace":"default","name":"{name}"}}"#);
        fixture.control(Call::post("/v1/invite", &body))
    };

    let status = fixture.control(Call::get("/v1/status")).await.json::<StatusReport>();
    assert!(status.readiness.ready);
    assert_eq!(status.view, view(4));
    assert_eq!(invite("fra-1").await.body, r#"{"join":"horizon://localhost?key=fra-1"}"#);
    check_error(&invite("nobody").await, 404, "NoSuchServer");
    check_error(&fixture.control(Call::get("/")).await, 404, "NoSuchCall");
    let question = r#"{"namespace":"default","source":"zoe","destination":"nas:445"}"#;
    let unknown = fixture.control(Call::post("/v1/policy", question)).await;
    check_error(&unknown, 404, "UnknownName");
    assert_eq!(unknown.json::<ApiError>().message, "Nobody is called zoe.");
}

#[tokio::test]
async fn socket_of_a_dead_controller_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());

    let fixture = Fixture::start_at(view(4), &path).await;
    assert_eq!(fixture.control(Call::get("/healthz")).await.status, 200);
    let second = ControlSocket::bind(&path).await;

    assert!(second.err().unwrap().to_string().starts_with("another controller answers on "));
    assert_eq!(fixture.control(Call::get("/healthz")).await.status, 200);
    fixture.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_watch_begins_before_anything_happens_and_ends_well_with_the_controller() {
    let fixture = Fixture::start(view(4)).await;
    let token = format!("Bearer hza_{}", "0".repeat(64));
    let call = Call::get("/apis/horizon.dev/v1alpha1/users?watch=true&fieldSelector=metadata.name%3Dbob")
        .header("authorization", &token);

    let mut stream = fixture.stream(call).await;
    assert_eq!(stream.line().await.as_deref(), Some("HTTP/1.1 200 OK"));
    while stream.line().await.is_some_and(|header| !header.is_empty()) {}
    fixture.stop().await;

    // The last chunk is empty: a client knows that nothing was cut off.
    assert_eq!((stream.line().await.as_deref(), stream.line().await.as_deref()), (Some("0"), Some("")));
}
