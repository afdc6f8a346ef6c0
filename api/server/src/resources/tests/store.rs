//! A keeper in memory, and a way to call the router without a socket.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::{HeaderMap, Request},
};
use horizon_api::resource::AdminRole;
use horizon_machinery::{
    collection::{Collection, Limits},
    resource::Resource,
    stored::{Stored, key},
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::timeout,
};
use tokio_stream::StreamExt;
use tower_service::Service;

use super::super::{
    Admin, Admins, Deed, Desk, Holder, Keeper, Lookup, NotKept, Write, routes, token::Tokens,
};
use crate::{AppState, Command, SecretHash, Session, Shared, Token};

const LIMITS: Limits = Limits { changes_max: 10, bytes_max: 1 << 20 };
/// How long a token is remembered in these tests, so that none of them waits.
const TOKEN_LIFE: Duration = Duration::from_millis(20);
/// A test that hears nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Fixture {
    pub(super) router: Router,
    pub(super) admins: watch::Sender<Arc<Admins>>,
    pub(super) tokens: Arc<Mutex<BTreeMap<SecretHash, Holder>>>,
    pub(super) rival: Arc<Mutex<usize>>,
    /// What is asked of the task that people on the host ask too.
    pub(super) commands: mpsc::Receiver<Command>,
    by_subject: BTreeMap<String, Token>,
    looks_up: AbortHandle,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

pub(super) struct Events {
    pieces: BodyDataStream,
    rest: Vec<u8>,
}

impl Fixture {
    pub(super) fn start() -> Self {
        Self::start_with(Desk::default())
    }

    pub(super) fn start_with(desk: Desk) -> Self {
        let shelves: BTreeMap<String, watch::Sender<Arc<Collection>>> =
            Resource::all().iter().map(|resource| (resource.qualified(), shelf())).collect();
        let receivers = shelves.iter().map(|(name, shelf)| (name.clone(), shelf.subscribe())).collect();
        let rival = Arc::new(Mutex::new(0));
        let (writes, queue) = mpsc::channel(64);
        tokio::spawn(keep(queue, shelves, Arc::clone(&rival)));
        let (tokens, by_subject, admins) = people();
        let (lookups, asked) = mpsc::channel(64);
        let looks_up = tokio::spawn(look_up(asked, Arc::clone(&tokens))).abort_handle();
        let admins = watch::Sender::new(Arc::new(admins));
        let keeper = Keeper {
            shelves: Arc::new(receivers),
            admins: admins.subscribe(),
            writes,
            lookups,
            endings: watch::channel(0).1,
            counts: watch::channel(Arc::default()).1,
            system_namespace: "horizon-system".into(),
        };
        let (sender, commands) = mpsc::channel(1);
        let state = AppState {
            view: watch::channel(Arc::default()).1,
            commands: sender,
            metrics: Arc::new(String::new),
            console_url: "".into(),
            keeper,
        };
        let desk = Desk { tokens: Tokens::new(TOKEN_LIFE), ..desk };
        let shared = Arc::new(Shared { desk, ..Arc::into_inner(Shared::new(state)).unwrap() });
        Self { router: routes().with_state(shared), admins, tokens, rival, commands, by_subject, looks_up }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = timeout(PATIENCE, self.router.clone().call(request)).await.unwrap().unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) fn request(
        &self,
        subject: &str,
        line: &str,
        media: &str,
        body: impl Into<Body>,
    ) -> Request<Body> {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("user-agent", "kubectl/v1.34.4");
        if let Some(token) = self.by_subject.get(subject) {
            request = request.header("authorization", format!("Bearer {}", token.reveal()));
        }
        if !media.is_empty() {
            request = request.header("content-type", media);
        }
        request.body(body.into()).unwrap()
    }

    /// Sends a request without a body as somebody.
    pub(super) async fn ask(&self, subject: &str, line: &str) -> Answer {
        self.send(self.request(subject, line, "", Body::empty())).await
    }

    /// Sends JSON as the owner.
    pub(super) async fn write(&self, line: &str, media: &str, body: &Value) -> Answer {
        self.send(self.request("owner", line, media, body.to_string())).await
    }

    /// Makes a user as the owner.
    pub(super) async fn create(&self, name: &str, team: &str) -> Answer {
        self.write(&format!("POST {USERS}"), "application/json", &user(name, team)).await
    }

    pub(super) async fn watch(&self, subject: &str, query: &str) -> Events {
        self.open(self.request(subject, &format!("GET {USERS}?watch=1&{query}"), "", Body::empty())).await
    }

    /// Watches as whoever a header says.
    pub(super) async fn watch_with(&self, header: &'static str, value: &str) -> Events {
        let mut request = self.request("", &format!("GET {USERS}?watch=1"), "", Body::empty());
        request.headers_mut().insert(header, value.parse().unwrap());
        self.open(request).await
    }

    /// Answers that every session is somebody's, until the sender says otherwise.
    pub(super) fn answer_sessions(&mut self, subject: &'static str) -> watch::Sender<bool> {
        let mut commands = std::mem::replace(&mut self.commands, mpsc::channel(1).1);
        let (is_signed_in, asked) = watch::channel(true);
        tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                if let Command::LookupSession { reply, .. } = command {
                    let (subject, uid) = (subject.to_owned(), format!("uid-of-{subject}"));
                    let session = Session { subject, uid, expires_at: u64::MAX };
                    let _ = reply.send(Ok(asked.borrow().then_some(session)));
                }
            }
        });
        is_signed_in
    }

    async fn open(&self, request: Request<Body>) -> Events {
        let response = timeout(PATIENCE, self.router.clone().call(request)).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        Events { pieces: response.into_body().into_data_stream(), rest: vec![] }
    }

    /// Answers no more whose a token is.
    pub(super) fn fall_silent(&self) {
        self.looks_up.abort();
    }

    /// Ends a token, as revoking it does.
    pub(super) fn revoke(&self, subject: &str) {
        self.tokens.lock().unwrap().retain(|_, whose| whose.subject != subject);
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a `Status`; returns its sentence.
    #[track_caller]
    pub(super) fn refused(&self, code: u16, reason: &str) -> String {
        let status = self.json();
        assert_eq!((self.status, &status["kind"]), (code, &json!("Status")), "{status}");
        assert_eq!((&status["code"], &status["reason"]), (&json!(code), &json!(reason)), "{status}");
        status["message"].as_str().unwrap().to_owned()
    }
}

impl Events {
    /// Says whether there may be more.
    pub(super) async fn is_open(&mut self) -> bool {
        timeout(Duration::ZERO, self.pieces.next()).await.is_err()
    }

    /// Returns the next event as `TYPE name`; empty at the end.
    pub(super) async fn next(&mut self) -> String {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let event: Value = serde_json::from_slice(&self.rest[..end]).unwrap();
                self.rest.drain(..=end);
                let object = &event["object"];
                let name = object["metadata"]["name"].as_str().or(object["reason"].as_str()).unwrap_or("-");
                return format!("{} {name}", event["type"].as_str().unwrap());
            }
            match timeout(PATIENCE, self.pieces.next()).await.unwrap() {
                Some(piece) => self.rest.extend_from_slice(&piece.unwrap()),
                None => return String::new(),
            }
        }
    }
}

pub(super) const USERS: &str = "/apis/horizon.dev/v1alpha1/namespaces/default/users";

pub(super) fn user(name: &str, team: &str) -> Value {
    json!({
        "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
        "metadata": { "name": name, "labels": { "team": team } },
        "spec": { "displayName": name },
    })
}

fn shelf() -> watch::Sender<Arc<Collection>> {
    watch::Sender::new(Arc::new(Collection::new([], 1, 1, LIMITS)))
}

type People = (Arc<Mutex<BTreeMap<SecretHash, Holder>>>, BTreeMap<String, Token>, Admins);

fn people() -> People {
    let mut tokens = BTreeMap::new();
    let (mut by_subject, mut admins) = (BTreeMap::new(), Admins::new());
    for (subject, role, namespace) in [
        ("owner", AdminRole::Owner, None),
        ("admin", AdminRole::Admin, None),
        ("auditor", AdminRole::Auditor, None),
        ("local", AdminRole::Owner, Some("default")),
        ("foreign", AdminRole::Owner, Some("other")),
    ] {
        let token = Token::generate().unwrap();
        let (holder, uid) = (subject.to_owned(), format!("uid-of-{subject}"));
        tokens.insert(token.hash(), Holder { subject: holder, uid: uid.clone() });
        by_subject.insert(subject.to_owned(), token);
        let namespace = namespace.map(str::to_owned);
        admins.insert(subject.to_owned(), Admin { key: None, uid, role, namespace });
    }
    (Arc::new(Mutex::new(tokens)), by_subject, admins)
}

async fn look_up(mut asked: mpsc::Receiver<Lookup>, tokens: Arc<Mutex<BTreeMap<SecretHash, Holder>>>) {
    while let Some(Lookup { token, reply, .. }) = asked.recv().await {
        let _ = reply.send(Ok(tokens.lock().unwrap().get(&token).cloned()));
    }
}

/// Keeps objects; before each of the next `rival` writes somebody else writes the same object.
async fn keep(
    mut queue: mpsc::Receiver<Write>,
    shelves: BTreeMap<String, watch::Sender<Arc<Collection>>>,
    rival: Arc<Mutex<usize>>,
) {
    let mut version = 1;
    while let Some(write) = queue.recv().await {
        let shelf = &shelves[&write.resource.qualified()];
        let key = key(&write.namespace, &write.name);
        let is_rivalled = {
            let mut rival = rival.lock().unwrap();
            let is_rivalled = *rival > 0;
            *rival = rival.saturating_sub(1);
            is_rivalled
        };
        let current = shelf.borrow().get(&key).cloned();
        if let Some(current) = current.filter(|_| is_rivalled) {
            version += 1;
            let mut object: Value = serde_json::from_slice(&current.json()).unwrap();
            object["metadata"]["labels"]["rival"] = version.to_string().into();
            put(shelf, write.resource, object, version);
        }
        let current = shelf.borrow().get(&key).cloned();
        let outcome = if current.as_ref().map(|current| current.version()) != write.expected {
            Err(NotKept::Moved)
        } else {
            version += 1;
            Ok(match write.deed {
                Deed::Put(object) if write.is_dry_run => Stored::new(&object, 0, &[]),
                Deed::Put(object) => put(shelf, write.resource, object, version),
                Deed::Delete if write.is_dry_run => current.unwrap(),
                Deed::Delete => {
                    let mut next = (**shelf.borrow()).clone();
                    next.remove(&key, version).unwrap();
                    shelf.send_replace(Arc::new(next));
                    current.unwrap()
                }
            })
        };
        let _ = write.reply.send(outcome);
    }
}

fn put(
    shelf: &watch::Sender<Arc<Collection>>,
    resource: &Resource,
    mut object: Value,
    version: u64,
) -> Arc<Stored> {
    object["metadata"]["resourceVersion"] = version.to_string().into();
    let stored = Stored::new(&object, version, &resource.selectable);
    let mut next = (**shelf.borrow()).clone();
    next.put(Arc::clone(&stored)).unwrap();
    shelf.send_replace(Arc::new(next));
    stored
}
