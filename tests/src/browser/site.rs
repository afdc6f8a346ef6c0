//! The controller's HTTP face on loopback, showing a view that the test writes.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anyhow::Context;
use horizon_api::{
    http::{ApiError, View},
    resource::AdminRole,
};
use horizon_api_server::{
    Admin, Admins, AppState, Command, ControlSocket, Keeper, Refusal, SecretHash, Session, console_router,
    control_router, serve_https, serve_unix,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// A site with its own store; the HTTPS face can go away and come back on the same port.
pub struct Site {
    pub view: watch::Sender<Arc<View>>,
    address: SocketAddr,
    state: AppState,
    config: Arc<ServerConfig>,
    folder: tempfile::TempDir,
    face: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    /// A stream ends with whoever says who may look.
    _admins: watch::Sender<Arc<Admins>>,
}

impl Site {
    pub async fn start(view: View) -> anyhow::Result<Self> {
        let (view, shown) = watch::channel(Arc::new(view));
        let (commands, queue) = mpsc::channel(16);
        tokio::spawn(keep(queue));
        let operator = Admin { key: None, uid: String::new(), role: AdminRole::Owner, namespace: None };
        let (admins, in_force) = watch::channel(Arc::new(Admins::from([("operator".to_owned(), operator)])));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = AppState {
            view: shown,
            commands,
            metrics: Arc::new(String::new),
            console_url: format!("https://localhost:{}", address.port()).into(),
            keeper: keeper(in_force),
        };
        let folder = tempfile::tempdir()?;
        let socket = ControlSocket::bind(&folder.path().join("control.sock")).await?;
        tokio::spawn(serve_unix(socket, control_router(state.clone()), std::future::pending()));
        let mut site = Self { view, address, state, config: config()?, folder, face: None, _admins: admins };
        site.open(listener);
        Ok(site)
    }

    /// Cuts every connection and listens no more.
    pub async fn vanish(&mut self) -> anyhow::Result<()> {
        let (stop, face) = self.face.take().context("the site is away already")?;
        stop.send_replace(true);
        face.await.context("stop the site")
    }

    /// Listens again on the same port.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        self.open(TcpListener::bind(self.address).await?);
        Ok(())
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.state.console_url)
    }

    /// Asks the control socket for a sign-in link, as `horizon-controller sign-in` does.
    pub async fn sign_in_link(&self) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("control.sock")).await?;
        let request = "POST /v1/sign-in-link HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("read the answer")?;
        let link: horizon_api::http::SignInLink = serde_json::from_str(body)?;
        Ok(link.url)
    }

    fn open(&mut self, listener: TcpListener) {
        let (stop, mut stopped) = watch::channel(false);
        let (config, router) = (Arc::clone(&self.config), console_router(self.state.clone()));
        let face = tokio::spawn(serve_https(listener, config, router, async move {
            // An error means that the site is dropped: the same thing.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }));
        self.face = Some((stop, face));
    }
}

fn config() -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?))
}

/// Codes and sessions in memory; everything else there is nothing of.
async fn keep(mut queue: mpsc::Receiver<Command>) {
    let mut codes = Vec::<SecretHash>::new();
    let mut sessions = BTreeMap::<SecretHash, Session>::new();
    while let Some(command) = queue.recv().await {
        // Whoever asked may have left.
        match command {
            Command::MintSignIn { code, reply, holder: _ } => {
                codes.push(code);
                let _ = reply.send(Ok(u64::MAX));
            }
            Command::TakeSignIn { code, session, reply, from: _ } => {
                let place = codes.iter().position(|known| *known == code);
                let begun = Session { subject: "operator".into(), uid: String::new(), expires_at: u64::MAX };
                let _ = reply.send(match place.map(|place| codes.remove(place)) {
                    Some(_) => Ok(sessions.entry(session).or_insert(begun).clone()),
                    None => Err(Refusal::Denied(ApiError::new(
                        "UnknownCode",
                        "This link was used already, or it has expired.",
                        "",
                    ))),
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
            Command::Invite { reply, .. } => {
                let _ = reply.send(Err(Refusal::Missing(ApiError::new("NoSuchServer", "None.", ""))));
            }
            // Nobody of these tests asks: a reply that is dropped says so.
            Command::Policy { .. }
            | Command::OwnKeys { .. }
            | Command::Keys { .. }
            | Command::ListTokens { .. }
            | Command::Plan { .. }
            | Command::Approve { .. }
            | Command::Hold { .. }
            | Command::Release { .. }
            | Command::Arm { .. }
            | Command::Confirm { .. }
            | Command::Object { .. }
            | Command::MintToken { .. }
            | Command::Backup { .. }
            | Command::EndTokens { .. }
            | Command::ApproveDevice { .. } => {}
        }
    }
}

/// Nothing is kept: these tests look at the console.
fn keeper(admins: watch::Receiver<Arc<Admins>>) -> Keeper {
    Keeper {
        shelves: Arc::default(),
        admins,
        counts: watch::channel(Arc::default()).1,
        writes: mpsc::channel(1).0,
        lookups: mpsc::channel(1).0,
        endings: watch::channel(0).1,
        system_namespace: "horizon-system".into(),
    }
}
