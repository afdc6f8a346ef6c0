//! The agent's end of its socket: HTTP and JSON for the command line, for root and the agent's own user only.

mod device_name;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use horizon_api::{
    http::ApiError,
    join::{JoinError, JoinString, Place},
    key::SecretKey,
    name::Name,
};
use horizon_node::{data_folder::DataFolder, failure::Failure};
use tokio::{
    net::{UnixListener, UnixStream, unix::SocketAddr},
    sync::{mpsc, oneshot, watch},
};
use tracing::{debug, warn};

use crate::{
    api::{ConnectRequest, LoginRequest, SOCKET, Servers, Status},
    choice::ChoiceError,
    controller::Credential,
    eventloop::{Event, Request, Snapshot},
    state::Problem,
};

/// The socket's file, removed with the value.
pub(crate) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A person who asks for servers gets the known ones when the controller takes longer.
const REFRESH_PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone)]
struct Agent {
    events: mpsc::Sender<Event>,
    snapshots: watch::Receiver<Snapshot>,
}

/// Serves until the process ends.
pub(crate) fn serve(
    data: &DataFolder,
    events: mpsc::Sender<Event>,
    snapshots: watch::Receiver<Snapshot>,
) -> anyhow::Result<Socket> {
    let path = data.file(SOCKET);
    // The folder is locked, so a socket that is there is of a process that is gone.
    drop(fs::remove_file(&path));
    let listener = UnixListener::bind(&path).with_context(|| format!("listen on {}", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    // The file was made by this process, so its owner is this process's user.
    let owner = fs::metadata(&path)?.uid();
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/servers", get(servers))
        .route("/v1/login", post(login))
        .route("/v1/logout", post(logout))
        .route("/v1/connect", post(connect))
        .route("/v1/disconnect", post(disconnect))
        .route("/v1/rotate-key", post(rotate_key))
        .with_state(Agent { events, snapshots });
    tokio::spawn(async move {
        let served = axum::serve(OwnersOnly { listener, owner }, router).await;
        warn!(?served, "the socket ended");
    });
    Ok(Socket(path))
}

async fn status(State(agent): State<Agent>) -> Json<Status> {
    Json(agent.status())
}

async fn servers(State(agent): State<Agent>) -> Result<Json<Servers>, Refused> {
    agent.refresh().await;
    let servers = agent.snapshots.borrow().servers.clone();
    Ok(Json(servers.ok_or_else(|| anyhow::Error::from(not_signed_in()))?))
}

async fn login(
    State(agent): State<Agent>,
    body: Result<Json<LoginRequest>, JsonRejection>,
) -> Result<Json<Status>, Refused> {
    let Json(request) = body.map_err(unreadable)?;
    let credential = credential(&request)?;
    let name = match request.name {
        Some(name) => name.parse::<Name>().map_err(|e| Failure::Usage(format!("the device name {e}")))?,
        None => device_name::of_this_host().ok_or_else(|| {
            Failure::Usage("the host name holds no letter or digit; name the device with --name".into())
        })?,
    };
    agent.ask(|reply| Request::Login { credential: Box::new(credential), name, reply }).await
}

fn credential(request: &LoginRequest) -> Result<Credential, Failure> {
    let usage = |error: JoinError| Failure::Usage(error.to_string());
    if let Some(seed) = &request.key {
        let place: Place = request.link.parse().map_err(usage)?;
        return Ok(Credential::Key { place, key: SecretKey::from_seed(seed) });
    }
    let link: JoinString = request.link.parse().map_err(usage)?;
    Ok(Credential::Link(link))
}

async fn logout(State(agent): State<Agent>) -> Result<Json<Status>, Refused> {
    agent.ask(|reply| Request::Logout { reply }).await
}

async fn connect(
    State(agent): State<Agent>,
    body: Result<Json<ConnectRequest>, JsonRejection>,
) -> Result<Json<Status>, Refused> {
    let Json(request) = body.map_err(unreadable)?;
    let again = request.clone();
    match agent.ask(|reply| Request::Connect { request, reply }).await {
        // The list may be older than the server.
        Err(Refused(error)) if error.is::<ChoiceError>() => {
            agent.refresh().await;
            agent.ask(|reply| Request::Connect { request: again, reply }).await
        }
        answer => answer,
    }
}

async fn disconnect(State(agent): State<Agent>) -> Result<Json<Status>, Refused> {
    agent.ask(|reply| Request::Disconnect { reply }).await
}

async fn rotate_key(State(agent): State<Agent>) -> Result<Json<Status>, Refused> {
    agent.ask(|reply| Request::RotateKey { reply }).await
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over an error")]
fn unreadable(rejection: JsonRejection) -> Failure {
    Failure::Usage(rejection.body_text())
}

/// Returns why nothing can be done before a login.
pub(crate) fn not_signed_in() -> Failure {
    Failure::Failed("this device is not signed in; run `horizon login LINK`".into())
}

impl Agent {
    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<anyhow::Result<()>>) -> Request,
    ) -> Result<Json<Status>, Refused> {
        let (reply, answer) = oneshot::channel();
        let stops = || Failure::Unreachable("the agent stops; start it again".into());
        self.events.send(Event::Asked(request(reply))).await.map_err(|_| stops())?;
        answer.await.map_err(|_| stops())??;
        Ok(Json(self.status()))
    }

    async fn refresh(&self) {
        let (done, is_done) = oneshot::channel();
        if self.events.send(Event::Asked(Request::Refresh { done })).await.is_ok() {
            drop(tokio::time::timeout(REFRESH_PATIENCE, is_done).await);
        }
    }

    fn status(&self) -> Status {
        self.snapshots.borrow().status.clone()
    }
}

/// An answer that is not a success.
struct Refused(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let is_choice = self.0.is::<ChoiceError>();
        let failure = self.0.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        let (status, code) = match failure {
            Some(Failure::Usage(_)) => (StatusCode::BAD_REQUEST, "Usage"),
            Some(Failure::Refused(_)) => (StatusCode::FORBIDDEN, "Refused"),
            Some(Failure::Waits(_)) => (StatusCode::FORBIDDEN, "AwaitingApproval"),
            Some(Failure::Unreachable(_)) => (StatusCode::SERVICE_UNAVAILABLE, "Unreachable"),
            None if is_choice => (StatusCode::BAD_REQUEST, "Usage"),
            Some(Failure::Failed(_)) | None => (StatusCode::INTERNAL_SERVER_ERROR, "Failed"),
        };
        let Problem { message, hint } = Problem::from_line(&format!("{:#}", self.0));
        (status, Json(ApiError::new(code, message, hint))).into_response()
    }
}

/// Takes connections of root and of the agent's own user. The file's mode says the same; this holds where somebody
/// changed the mode.
struct OwnersOnly {
    listener: UnixListener,
    owner: u32,
}

/// Out of descriptors, most likely: others will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Listener for OwnersOnly {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => match stream.peer_cred() {
                    Ok(peer) if peer.uid() == 0 || peer.uid() == self.owner => return (stream, address),
                    Ok(peer) => warn!(uid = peer.uid(), "a stranger is turned away from the socket"),
                    Err(error) => debug!(%error, "a caller left at once"),
                },
                Err(error) => {
                    warn!(%error, "cannot take a call on the socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
