//! All talk with the controller: the session's calls, the event stream into signals, and the resource API.

pub(crate) mod follow;
pub(crate) mod resources;

use std::time::Duration;

use gloo_net::http::{Request, Response};
use horizon_api::{
    http::{
        ApiError, ArmedView, CSRF_HEADER, DeviceView, EventView, HeldPlan, HoldView, LiveEvent, ServerView,
        SessionAnswer, SessionRequest, SourceView, StaleView, View,
    },
    problem::Problem,
    resource::Kind,
};
use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, prelude::Closure};
use web_sys::{EventSource, MessageEvent};

use crate::{model::refusal::Refusal, rows::Rows};

/// Between two attempts after the controller refused the stream; lost connections the browser retries itself.
const RETRY: Duration = Duration::from_secs(2);

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CallError {
    Unreachable,
    SignedOut,
    Refused(ApiError),
    /// By the resource API, which has words of its own.
    Status(Refusal),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable => f.write_str("The controller does not answer."),
            Self::SignedOut => f.write_str("The session has ended."),
            Self::Refused(error) => error.fmt(f),
            Self::Status(refusal) => f.write_str(&refusal.message),
        }
    }
}

pub(crate) async fn who() -> Result<SessionAnswer, CallError> {
    read(Request::get("/v1/session").send().await).await
}

pub(crate) async fn sign_in(code: String) -> Result<SessionAnswer, CallError> {
    let request = Request::post("/v1/session").json(&SessionRequest { code });
    read(request.map_err(|_| CallError::Unreachable)?.send().await).await
}

pub(crate) async fn sign_out(csrf: &str) -> Result<(), CallError> {
    accept(Request::delete("/v1/session").header(CSRF_HEADER, csrf).send().await).await.map(|_| ())
}

async fn read(sent: Result<Response, gloo_net::Error>) -> Result<SessionAnswer, CallError> {
    accept(sent).await?.json().await.map_err(|_| CallError::Unreachable)
}

async fn accept(sent: Result<Response, gloo_net::Error>) -> Result<Response, CallError> {
    let response = sent.map_err(|_| CallError::Unreachable)?;
    match response.status() {
        200..=299 => Ok(response),
        401 => Err(CallError::SignedOut),
        _ => Err(refused(&response.text().await.unwrap_or_default())),
    }
}

/// Whatever stands between may answer too, in words that nobody reads here.
fn refused(body: &str) -> CallError {
    let status = serde_json::from_str(body).ok().and_then(|body| Refusal::read(&body));
    if let Some(refusal) = status {
        return CallError::Status(refusal);
    }
    serde_json::from_str(body).map_or(CallError::Unreachable, CallError::Refused)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    Connecting,
    Open,
    Lost,
    /// The session has ended; there is nothing to retry.
    SignedOut,
}

/// What is in force, beside servers and devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Head {
    pub epoch: u64,
    pub revision: u64,
    /// Whether objects are declared in a Kubernetes cluster.
    pub cluster: bool,
    pub controller_version: String,
    pub started_at: u64,
    pub sources: Vec<SourceView>,
}

/// What is between texts and their effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Guard {
    pub plans: Vec<HeldPlan>,
    pub holds: Vec<HoldView>,
    pub armed: Option<ArmedView>,
    pub stale: Vec<StaleView>,
}

/// The newest view, in signals.
#[derive(Clone, Copy)]
pub(crate) struct Live {
    pub link: RwSignal<Link>,
    /// `None` until the first snapshot.
    pub head: RwSignal<Option<Head>>,
    pub servers: Rows<ServerView>,
    pub devices: Rows<DeviceView>,
    pub problems: RwSignal<Vec<Problem>>,
    pub guard: RwSignal<Guard>,
    pub events: RwSignal<Vec<EventView>>,
    /// The controller's clock, in unix milliseconds.
    pub now: RwSignal<u64>,
    /// The controller's clock less the browser's.
    ahead_ms: RwSignal<i64>,
    stream: StoredValue<Option<SendWrapper<Stream>>>,
}

/// The source and the callbacks that it holds.
struct Stream {
    source: EventSource,
    _opened: Closure<dyn FnMut()>,
    _errored: Closure<dyn FnMut()>,
    _received: Closure<dyn FnMut(MessageEvent)>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.close();
    }
}

impl Live {
    pub(crate) fn connect() -> Self {
        let live = Self {
            link: RwSignal::new(Link::Connecting),
            head: RwSignal::new(None),
            servers: Rows::new(),
            devices: Rows::new(),
            problems: RwSignal::new(Vec::new()),
            guard: RwSignal::new(Guard::default()),
            events: RwSignal::new(Vec::new()),
            now: RwSignal::new(browser_now()),
            ahead_ms: RwSignal::new(0),
            stream: StoredValue::new(None),
        };
        live.open();
        let tick = move || live.now.set(browser_now().saturating_add_signed(live.ahead_ms.get_untracked()));
        if let Ok(clock) = set_interval_with_handle(tick, Duration::from_secs(1)) {
            on_cleanup(move || clock.clear());
        }
        on_cleanup(move || {
            live.stream.try_set_value(None);
        });
        live
    }

    fn open(self) {
        let Ok(source) = EventSource::new("/v1/events") else {
            self.link.set(Link::Lost);
            return;
        };
        let opened = Closure::<dyn FnMut()>::new(move || self.link.set(Link::Open));
        let errored = {
            let source = source.clone();
            Closure::<dyn FnMut()>::new(move || self.lost(&source))
        };
        let received = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            let text = message.data().as_string().unwrap_or_default();
            match serde_json::from_str(&text) {
                Ok(event) => self.apply(event),
                Err(error) => leptos::logging::error!("event of the stream: {error}"),
            }
        });
        source.set_onopen(Some(opened.as_ref().unchecked_ref()));
        source.set_onerror(Some(errored.as_ref().unchecked_ref()));
        source.set_onmessage(Some(received.as_ref().unchecked_ref()));
        let stream = Stream { source, _opened: opened, _errored: errored, _received: received };
        self.stream.set_value(Some(SendWrapper::new(stream)));
    }

    /// The browser retries a lost connection by itself, but never one that was refused.
    fn lost(self, source: &EventSource) {
        self.link.set(Link::Lost);
        if source.ready_state() == EventSource::CLOSED {
            set_timeout(move || spawn_local(self.reopen()), RETRY);
        }
    }

    async fn reopen(self) {
        match who().await {
            Ok(_) => self.open(),
            Err(CallError::SignedOut) => {
                self.link.try_set(Link::SignedOut);
            }
            Err(CallError::Unreachable | CallError::Refused(_) | CallError::Status(_)) => {
                set_timeout(move || spawn_local(self.reopen()), RETRY);
            }
        }
    }

    fn apply(self, event: LiveEvent) {
        match event {
            LiveEvent::Snapshot { now, view } => self.begin(now, *view),
            LiveEvent::Revision { revision, sources, complete: _ } => self.head.update(|head| {
                if let Some(head) = head {
                    (head.revision, head.sources) = (revision, sources);
                }
            }),
            LiveEvent::Server { server } => self.servers.put(server.key(), *server),
            LiveEvent::Device { device } => self.devices.put(device.key(), *device),
            LiveEvent::Gone { key } if key.kind == Kind::Server => self.servers.remove(&key),
            LiveEvent::Gone { key } => self.devices.remove(&key),
            LiveEvent::Problems { problems } => self.problems.set(problems),
            LiveEvent::Guard { plans, holds, armed, stale } => {
                self.guard.set(Guard { plans, holds, armed, stale });
            }
            LiveEvent::Events { events } => self.events.set(events),
        }
    }

    fn begin(self, now: u64, view: View) {
        self.ahead_ms.set(now.cast_signed().saturating_sub(browser_now().cast_signed()));
        self.now.set(now);
        self.servers.replace(view.servers.into_iter().map(|server| (server.key(), server)));
        self.devices.replace(view.devices.into_iter().map(|device| (device.key(), device)));
        self.problems.set(view.problems);
        self.events.set(view.events);
        let View { epoch, revision, cluster, controller_version, started_at, sources, .. } = view;
        let View { plans, holds, armed, stale, .. } = view;
        self.guard.set(Guard { plans, holds, armed, stale });
        self.head.set(Some(Head { epoch, revision, cluster, controller_version, started_at, sources }));
    }
}

fn browser_now() -> u64 {
    // Milliseconds since 1970 fit well below 2^53.
    js_sys::Date::now() as u64
}
