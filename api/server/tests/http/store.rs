//! A store in memory behind the command queue, and both faces in front of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use horizon_api::{
    http::{ApiError, InviteAnswer, ObjectReport, OwnerKind, SessionAnswer, SignInLink, View},
    resource::{AdminRole, Kind, ObjectKey},
};
use horizon_api_server::{
    Admin, Admins, AppState, Command, ControlSocket, Deed, Holder, Keeper, Lookup, NotKept, Refusal,
    SecretHash, Session, Token, Write, console_router, control_router, serve_https, serve_unix,
};
use horizon_machinery::{
    collection::{Collection, Limits},
    resource::Resource,
    stored::{Stored, key},
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, UnixStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use crate::client::{Answer, Call, Stream};

pub(crate) struct Fixture {
    pub(crate) view: watch::Sender<Arc<View>>,
    pub(crate) store: JoinHandle<()>,
    pub(crate) admins: watch::Sender<Arc<Admins>>,
    /// Who wrote, in their order.
    pub(crate) writers: Arc<Mutex<Vec<String>>>,
    address: std::net::SocketAddr,
    trust: TlsConnector,
    socket: PathBuf,
    stop: watch::Sender<bool>,
    faces: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn start(view: View) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        Self { _folder: folder, ..Self::start_at(view, &socket).await }
    }

    pub(crate) async fn start_at(view: View, socket: &Path) -> Self {
        let (view, shown) = watch::channel(Arc::new(view));
        let (commands, queue) = mpsc::channel(16);
        let store = tokio::spawn(run(queue));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (config, trust) = certificates();
        let (admins, in_force) = watch::channel(Arc::new(admins()));
        let writers = Arc::<Mutex<Vec<String>>>::default();
        let keeper = keeper(in_force, Arc::clone(&writers));
        let state = AppState {
            view: shown,
            commands,
            metrics: Arc::new(|| "horizon_revision 4\n".to_owned()),
            console_url: format!("https://localhost:{}", address.port()).into(),
            keeper,
        };
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let https = serve_https(listener, config, console_router(state.clone()), until(stopped.clone()));
        let control = ControlSocket::bind(socket).await.unwrap();
        let faces = vec![
            tokio::spawn(https),
            tokio::spawn(serve_unix(control, control_router(state), until(stopped))),
        ];
        let (socket, _folder) = (socket.to_owned(), tempfile::tempdir().unwrap());
        Self { view, store, admins, writers, address, trust, socket, stop, faces, _folder }
    }

    pub(crate) async fn call(&self, call: Call) -> Answer {
        call.send(self.connect_tls().await).await
    }

    pub(crate) async fn stream(&self, call: Call) -> Stream {
        call.open(self.connect_tls().await).await
    }

    pub(crate) async fn control(&self, call: Call) -> Answer {
        call.send(UnixStream::connect(&self.socket).await.unwrap()).await
    }

    pub(crate) async fn connect_raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Asks for a link for somebody; with no name, for the operator.
    pub(crate) async fn link(&self, admin: Option<&str>) -> Answer {
        let body = json!({ "admin": admin.map(|name| format!("Admin/{name}")) });
        self.control(Call::post("/v1/sign-in-link", &body.to_string())).await
    }

    pub(crate) async fn code(&self, admin: Option<&str>) -> String {
        let link = self.link(admin).await.json::<SignInLink>();
        let prefix = format!("https://localhost:{}/sign-in#code=", self.address.port());
        link.url.strip_prefix(&prefix).unwrap().to_owned()
    }

    pub(crate) async fn sign_in(&self) -> Answer {
        let body = format!(r#"{{"code":"{}"}}"#, self.code(None).await);
        self.call(Call::post("/v1/session", &body)).await
    }

    /// Signs an Admin in; returns the cookie, and the token that goes with what changes something.
    pub(crate) async fn session_of(&self, admin: Option<&str>) -> (String, String) {
        let body = format!(r#"{{"code":"{}"}}"#, self.code(admin).await);
        let answer = self.call(Call::post("/v1/session", &body)).await;
        (answer.cookie(), answer.json::<SessionAnswer>().csrf)
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for face in self.faces {
            face.await.unwrap();
        }
    }

    async fn connect_tls(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        self.trust.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }
}

fn certificates() -> (Arc<ServerConfig>, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

async fn run(mut queue: mpsc::Receiver<Command>) {
    let mut codes = Vec::<(SecretHash, Holder)>::new();
    let mut sessions = BTreeMap::<SecretHash, Session>::new();
    while let Some(command) = queue.recv().await {
        // Whoever asked may have left.
        match command {
            Command::Invite { request, reply } if request.name == "nobody" => {
                let error = ApiError::new("NoSuchServer", "There is no such server.", "");
                let _ = reply.send(Err(Refusal::Missing(error)));
            }
            Command::Invite { request, reply } => {
                let join = format!("horizon://localhost?key={}", request.name);
                let _ = reply.send(Ok(InviteAnswer { join }));
            }
            // Nobody of these tests asks: a reply that is dropped says so.
            Command::Plan { .. }
            | Command::OwnKeys { .. }
            | Command::Keys { .. }
            | Command::ListTokens { .. }
            | Command::Approve { .. }
            | Command::Hold { .. }
            | Command::Release { .. }
            | Command::Arm { .. }
            | Command::Confirm { .. }
            | Command::MintToken { .. }
            | Command::EndTokens { .. }
            | Command::Backup { .. }
            | Command::ApproveDevice { .. } => {}
            Command::Object { request, reply } if request.object.name == "bob" => {
                let _ = reply.send(Err(Refusal::Missing(ApiError::new("NotFound", "there is none", ""))));
            }
            Command::Object { request, reply } => {
                let _ = reply.send(Ok(report(request.object)));
            }
            Command::Policy { question, reply } => {
                let message = format!("Nobody is called {}.", question.source);
                let _ = reply.send(Err(Refusal::Missing(ApiError::new("UnknownName", message, ""))));
            }
            Command::MintSignIn { code, holder, reply } => {
                let operator = Holder { subject: "operator".into(), uid: String::new() };
                codes.push((code, holder.unwrap_or(operator)));
                let _ = reply.send(Ok(7));
            }
            Command::TakeSignIn { code, session, from, reply } => {
                assert!(from.is_some_and(|from| from.ip().is_loopback()));
                let taken = codes.iter().position(|(known, _)| *known == code);
                let _ = reply.send(match taken.map(|place| codes.remove(place)) {
                    Some((_, Holder { subject, uid })) => {
                        let begun = Session { subject, uid, expires_at: 9 };
                        Ok(sessions.entry(session).or_insert(begun).clone())
                    }
                    None => Err(Refusal::Denied(ApiError::new("UnknownCode", "No such code.", ""))),
                });
            }
            Command::LookupSession { session, reply } => {
                let _ = reply.send(Ok(sessions.get(&session).cloned()));
            }
            Command::SignOut { session, reply } => {
                sessions.remove(&session);
                let _ = reply.send(Ok(()));
            }
            Command::Settle { reply } => {
                let _ = reply.send(Ok(()));
            }
            Command::CheckReady { reply } => {
                let _ = reply.send(Ok(Vec::new()));
            }
        }
    }
}

fn report(object: ObjectKey) -> ObjectReport {
    ObjectReport {
        object,
        source: "files:/etc/horizon".into(),
        owner: OwnerKind::Source,
        place: "people.yaml:3".into(),
        generation: 1,
        conditions: vec![],
        gateways: vec![],
        server: None,
        key: None,
    }
}

/// The token that is the operator's; every other one is nobody's.
pub(crate) fn token() -> String {
    format!("hza_{}", "0".repeat(64))
}

/// The operator, an Auditor of everything, and an Owner of one namespace.
fn admins() -> Admins {
    let admin = |name: &str, role, namespace: Option<&str>| {
        let key = ObjectKey::new(Kind::Admin, namespace.unwrap_or("default"), name);
        let (uid, namespace) = (format!("uid-of-{name}"), namespace.map(str::to_owned));
        (format!("{}/{name}", key.namespace), Admin { key: Some(key), uid, role, namespace })
    };
    let operator = Admin { key: None, uid: String::new(), role: AdminRole::Owner, namespace: None };
    Admins::from([
        ("operator".to_owned(), operator),
        admin("audrey", AdminRole::Auditor, None),
        admin("otto", AdminRole::Owner, Some("office")),
    ])
}

/// Returns a keeper of one user and of the Admins who are not in force; it keeps what is written.
fn keeper(admins: watch::Receiver<Arc<Admins>>, writers: Arc<Mutex<Vec<String>>>) -> Keeper {
    let (lookups, mut asked) = mpsc::channel::<Lookup>(16);
    tokio::spawn(async move {
        let known = Token::parse(&token()).ok().unwrap().hash();
        while let Some(Lookup { token, reply, .. }) = asked.recv().await {
            let operator = Holder { subject: "operator".into(), uid: String::new() };
            let _ = reply.send(Ok((token == known).then_some(operator)));
        }
    });
    let alice = json!({ "maxDevices": 5 });
    let admin = |more: Value| {
        let mut spec = json!({ "role": "Owner", "auth": { "oidcSubject": "a" } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let users = shelf(Kind::User, &[("alice", alice)]);
    let declared = [
        ("dora", admin(json!({ "disabled": true }))),
        ("edgar", admin(json!({ "expiresAt": "2020-01-01T00:00:00Z" }))),
        ("helen", admin(json!({}))),
        ("nils", admin(json!({}))),
    ];
    let shelves = [users, shelf(Kind::Admin, &declared)];
    let receivers = shelves.iter().map(|(name, shelf)| (name.clone(), shelf.subscribe())).collect();
    let (writes, queue) = mpsc::channel(16);
    tokio::spawn(keep(queue, shelves.into(), writers));
    Keeper {
        shelves: Arc::new(receivers),
        admins,
        counts: watch::channel(Arc::default()).1,
        writes,
        lookups,
        endings: watch::channel(0).1,
        system_namespace: "default".into(),
    }
}

type Shelf = watch::Sender<Arc<Collection>>;

fn shelf(kind: Kind, objects: &[(&str, Value)]) -> (String, Shelf) {
    let resource = Resource::of(kind);
    let stored = objects.iter().map(|(name, spec)| {
        let object = json!({
            "apiVersion": resource.api_version(),
            "kind": resource.kind,
            "metadata": { "name": name, "namespace": "default", "uid": "u", "resourceVersion": "1" },
            "spec": spec,
        });
        Stored::new(&object, 1, &resource.selectable)
    });
    let limits = Limits { changes_max: 10, bytes_max: 1 << 20 };
    (resource.qualified(), watch::Sender::new(Arc::new(Collection::new(stored, 1, 1, limits))))
}

async fn keep(
    mut queue: mpsc::Receiver<Write>,
    shelves: BTreeMap<String, Shelf>,
    writers: Arc<Mutex<Vec<String>>>,
) {
    let mut version = 1;
    while let Some(Write { resource, namespace, name, deed, by, reply, .. }) = queue.recv().await {
        let shelf = &shelves[&resource.qualified()];
        version += 1;
        let mut next = (**shelf.borrow()).clone();
        let outcome = match deed {
            Deed::Put(mut object) => {
                object["metadata"]["resourceVersion"] = version.to_string().into();
                let stored = Stored::new(&object, version, &resource.selectable);
                next.put(Arc::clone(&stored)).unwrap();
                Ok(stored)
            }
            Deed::Delete => {
                let last = next.get(&key(&namespace, &name)).cloned().unwrap();
                next.remove(last.key(), version).unwrap();
                Ok::<_, NotKept>(last)
            }
        };
        writers.lock().unwrap().push(by);
        shelf.send_replace(Arc::new(next));
        let _ = reply.send(outcome);
    }
}
