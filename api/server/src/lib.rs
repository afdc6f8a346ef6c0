//! The controller's HTTP face: the console over HTTPS, and the control socket for the verbs on the host.
//!
//! It holds no state: it reads the newest [`View`] from a `watch` and sends [`Command`]s to the task that
//! owns the store; the resource API reads the shelves of a [`Keeper`] and sends it [`Write`]s. Secrets are made here and leave only as hashes, so the store never sees one.

mod admission;
mod check;
mod command;
mod console;
mod control;
mod failure;
mod health;
mod input;
mod live;
mod object;
mod origin;
mod resources;
mod secret;
mod serve;
mod session;

use std::sync::Arc;

use horizon_api::http::View;
use tokio::sync::{Semaphore, mpsc, watch};

use resources::Desk;

pub use command::{Command, Refusal, Reply, SESSION_IDLE, SESSION_LIFE, SIGN_IN_LIFE, Session};
pub use console::console_router;
pub use control::control_router;
pub use resources::{Admin, Admins, Counts, Deed, Holder, Keeper, Lookup, NotKept, Write};
pub use secret::{SecretHash, Token};
pub use serve::{ControlSocket, serve_https, serve_unix};

/// What the routers read and whom they ask.
#[derive(Clone)]
pub struct AppState {
    pub view: watch::Receiver<Arc<View>>,
    pub commands: mpsc::Sender<Command>,
    /// Renders the metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Where the console is reached, such as `https://gw.example.org:7443`, without a slash at the end.
    pub console_url: Arc<str>,
    /// What the resource API reads and whom it asks; only the face towards the network serves it.
    pub keeper: Keeper,
}

/// Open event streams at once. Each costs a task and at most one set of changes.
const STREAMS_MAX: usize = 256;

/// Texts that are checked at once; each may take a processor for a second.
const CHECKS_MAX: usize = 4;

struct Shared {
    state: AppState,
    streams: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    desk: Desk,
}

impl Shared {
    fn new(state: AppState) -> Arc<Self> {
        let [streams, checks] = [STREAMS_MAX, CHECKS_MAX].map(|most| Arc::new(Semaphore::new(most)));
        Arc::new(Self { state, streams, checks, desk: Desk::default() })
    }
}
