//! A store in memory behind the command queue, and both faces in front of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use horizon_api::{
    http::{ApiError, InviteAnswer, SignInLink, View},
    resource::{AdminRole, Kind},
};
use horizon_api_server::{
    Admin, Admins, AppState, Command, ControlSocket, Holder, Keeper, Lookup, Refusal, SecretHash, Session,
    console_router, control_router, serve_https, serve_unix,
};
use horizon_machinery::{
    collection::{Collection, Limits},
    resource::Resource,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
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
    address: std::net::SocketAddr,
    trust: TlsConnector,
    socket: PathBuf,
    stop: watch::Sender<bool>,
    faces: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
    _owners: Owners,
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
        let (keeper, owners) = keeper();
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
        Self { view, store, address, trust, socket, stop, faces, _folder, _owners: owners }
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

    pub(crate) async fn code(&self) -> String {
        let link = self.control(Call::post("/v1/sign-in-link", "")).await.json::<SignInLink>();
        let prefix = format!("https://localhost:{}/sign-in#code=", self.address.port());
        link.url.strip_prefix(&prefix).unwrap().to_owned()
    }

    pub(crate) async fn sign_in(&self) -> Answer {
        let body = format!(r#"{{"code":"{}"}}"#, self.code().await);
        self.call(Call::post("/v1/session", &body)).await
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
    let mut codes = Vec::<SecretHash>::new();
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
            | Command::Approve { .. }
            | Command::Hold { .. }
            | Command::Release { .. }
            | Command::Arm { .. }
            | Command::Confirm { .. }
            | Command::Object { .. }
            | Command::MintToken { .. }
            | Command::EndTokens { .. } => {}
            Command::Policy { question, reply } => {
                let message = format!("Nobody is called {}.", question.source);
                let _ = reply.send(Err(Refusal::Missing(ApiError::new("UnknownName", message, ""))));
            }
            Command::MintSignIn { code, reply } => {
                codes.push(code);
                let _ = reply.send(Ok(7));
            }
            Command::TakeSignIn { code, session, from, reply } => {
                assert!(from.is_some_and(|from| from.ip().is_loopback()));
                let taken = codes.iter().position(|known| *known == code).map(|place| codes.remove(place));
                let begun = Session { subject: "operator".into(), expires_at: 9 };
                let _ = reply.send(match taken {
                    Some(_) => Ok(sessions.entry(session).or_insert(begun).clone()),
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

/// What the resource API lives from.
type Owners = (watch::Sender<Arc<Collection>>, watch::Sender<Arc<Admins>>);

/// Returns a keeper of no users, which keeps nothing.
fn keeper() -> (Keeper, Owners) {
    let resource = Resource::of(Kind::User);
    let limits = Limits { changes_max: 1, bytes_max: 1 };
    let (users, shelf) = watch::channel(Arc::new(Collection::new([], 1, 1, limits)));
    let operator = Admin { key: None, uid: String::new(), role: AdminRole::Owner, namespace: None };
    let (lookups, mut asked) = mpsc::channel::<Lookup>(16);
    tokio::spawn(async move {
        while let Some(Lookup { reply, .. }) = asked.recv().await {
            let _ = reply.send(Ok(Some(Holder { subject: "operator".into(), uid: String::new() })));
        }
    });
    let (admins, in_force) = watch::channel(Arc::new(Admins::from([("operator".to_owned(), operator)])));
    let keeper = Keeper {
        shelves: Arc::new(BTreeMap::from([(resource.qualified(), shelf)])),
        admins: in_force,
        counts: watch::channel(Arc::default()).1,
        writes: mpsc::channel(1).0,
        lookups,
        endings: watch::channel(0).1,
        system_namespace: "horizon-system".into(),
    };
    (keeper, (users, admins))
}
