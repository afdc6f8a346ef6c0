//! `horizon-controller run`: builds the parts; only this file knows them all.

mod folders;
mod listening;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use horizon_api::{
    http::View,
    resource::{DEFAULT_NAMESPACE, Kind, Period},
};
use horizon_api_server::{
    Admins, AppState, ControlSocket, Counts, Keeper, console_router, control_router, serve_https, serve_unix,
};
use horizon_kube::{Cluster, Fence};
use horizon_node::{clock, failure::Failure};
use horizon_trust::pace::Pace;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing::info;

use self::listening::Listening;
use crate::{
    args::RunArgs,
    console::{
        Console,
        lookups::{self, Lookups},
    },
    event::Event,
    fate::Fates,
    identity::{ControllerIdentity, Pepper},
    metrics,
    push::{self, PushContext},
    reconciler::{Advertised, Parts, Published, Reconciler},
    registry::{self, Registry, Seal},
    source::{
        cluster::{Desk, source_of},
        files::Detections,
    },
    store::Store,
    tasks::Tasks,
    turn,
};

/// Events that wait for the reconciler: a heartbeat of each of 1,000 gateways.
const EVENTS_MAX: usize = 1024;
/// Requests of the console and the socket: more than wait at once on a page that somebody reloads.
const COMMANDS_MAX: usize = 256;
/// Writes of the resource API that wait; each holds an object of at most 1.5 MiB.
const WRITES_MAX: usize = 128;
/// For what is still being answered when the controller stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Runs the controller until a signal says stop.
///
/// # Errors
/// When a part cannot start, each with what to do.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    clock::check(clock::unix_s()).map_err(Failure::Failed)?;
    let advertised = advertised(args.advertise.as_deref(), args.quic)?;
    let pace = pace(args.challenge_every)?;
    let data = args.data.folder;
    let folders = folders::folders(&args.manifests)?;
    let cluster = if args.kube { Some(Cluster::find(args.kube_namespace).await?) } else { None };
    let (store, mut fence) = open_store(&data, cluster.as_ref()).await?;
    let place = Place { data, folders, advertised, http: args.http, quic: args.quic, pace };
    let served = serve(place, store, cluster, &mut fence).await;
    // A start that fails is no end without a word: the next one need not wait, nor begin an epoch.
    if let Some(fence) = fence {
        fence.give_back().await;
    }
    served
}

/// Where the controller keeps its data, what it reads, and where it is reached.
struct Place {
    data: PathBuf,
    folders: Vec<(String, PathBuf)>,
    advertised: Advertised,
    http: SocketAddr,
    quic: SocketAddr,
    pace: Pace,
}

/// Serves until a signal says stop. Takes the fence once everything runs.
async fn serve(
    place: Place,
    store: Store,
    cluster: Option<Cluster>,
    fence: &mut Option<Fence>,
) -> anyhow::Result<()> {
    let Place { data, folders, mut advertised, http, quic, pace } = place;
    let identity = ControllerIdentity::load(&data, store.start(), clock::unix_s())?;
    let listening = Listening::open(&data, &identity, http, quic, &advertised.host).await?;
    if advertised.port == 0 {
        // Any port was asked for, and this is the one.
        advertised.port = listening.endpoint.local_addr()?.port();
    }
    let kinds = cluster.iter().flat_map(|cluster| Kind::ALL.map(|kind| source_of(kind, cluster.scope())));
    let sources = folders.iter().map(|(source, _)| source.clone()).chain(kinds).collect();
    let scope = cluster.as_ref().map(|cluster| cluster.scope().map(str::to_owned));
    let has_cluster = scope.is_some();
    let pepper = identity.pepper().clone();
    key_api_tokens(&store, &pepper).await?;
    let parts = Parts {
        store: store.clone(),
        identity,
        endpoint: Some(listening.endpoint.clone()),
        sources,
        cluster: scope,
        advertised,
    };
    let (reconciler, published) = Reconciler::new(parts).await?;
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let mut tasks = Tasks::default();
    let Published { snapshots, views, fates, words, admins, counts } = published;
    tasks.spawn("the reconciler", reconciler.run(inbox));
    let api = Api { store: &store, pepper: &pepper, data: &data, events: &events, has_cluster };
    let endings = watch::Sender::new(0);
    let keeper = api.start(fates, admins, counts, endings.subscribe(), &mut tasks).await?;
    let watches = folders::watch(&folders, &views, &events, &mut tasks).await?;
    if let Some(cluster) = cluster {
        let namespace = cluster.scope().unwrap_or("*");
        info!(address = cluster.address(), namespace, "the cluster is watched");
        tasks.spawn("the watch of the cluster", Desk::new(cluster, words, events.clone()).run());
    }
    let Listening { endpoint, listener, socket, tls, fingerprint, console_url } = listening;
    let faces = Faces {
        events: events.clone(),
        store: store.clone(),
        pepper,
        views,
        keeper,
        endings,
        watches,
        console_url,
        fingerprint,
    };
    let (stop, stopped) = watch::channel(false);
    let context = PushContext { events, snapshots, pace };
    tasks.spawn("the push task", push::run(endpoint.clone(), context));
    let mut served = faces.serve(listener, tls, socket, stopped.clone(), &mut tasks);
    if let Some(fence) = fence.take() {
        served.spawn("the Lease of the cluster", turn::keep(fence, until(stopped)));
    }
    wait_for_end(&store, &mut tasks, &mut served).await?;
    info!("controller stops");
    stop.send_replace(true);
    endpoint.close(0u32.into(), b"the controller stops");
    endpoint.wait_idle().await;
    served.finish(STOP_PATIENCE).await;
    tasks.finish(Duration::ZERO).await;
    drop(faces);
    store.close().await;
    Ok(())
}

/// Opens the store; where a cluster is served, once it is the turn of this process.
async fn open_store(data: &Path, cluster: Option<&Cluster>) -> anyhow::Result<(Store, Option<Fence>)> {
    if let Some(cluster) = cluster {
        let (store, fence) = turn::take(cluster, data).await?;
        return Ok((store, Some(fence)));
    }
    let data = data.to_owned();
    let store = tokio::task::spawn_blocking(move || Store::open(&data)).await?.context("open the store")?;
    Ok((store, None))
}

/// Tokens that were made before digests were kept under the pepper go on.
async fn key_api_tokens(store: &Store, pepper: &Pepper) -> anyhow::Result<()> {
    let pepper = pepper.clone();
    let keyed = move |digest: &[u8]| Some(*pepper.over(digest.try_into().ok()?).as_bytes());
    store.key_api_tokens(keyed).await.context("put the tokens of the resource API under the pepper")
}

/// What the resource API is made of.
struct Api<'a> {
    store: &'a Store,
    pepper: &'a Pepper,
    data: &'a Path,
    events: &'a mpsc::Sender<Event>,
    has_cluster: bool,
}

impl Api<'_> {
    /// Starts what keeps its objects, and returns what asks it.
    async fn start(
        &self,
        fates: mpsc::Receiver<Fates>,
        admins: watch::Receiver<Arc<Admins>>,
        counts: watch::Receiver<Arc<Counts>>,
        endings: watch::Receiver<u64>,
        tasks: &mut Tasks,
    ) -> anyhow::Result<Keeper> {
        let (writes, written) = mpsc::channel(WRITES_MAX);
        let parts = registry::Parts {
            store: self.store.clone(),
            fates,
            events: self.events.clone(),
            writes: written,
            seal: Seal::load(self.data)?,
            has_cluster: self.has_cluster,
        };
        let (registry, shelves) = Registry::start(parts).await.context("start the resource API")?;
        tasks.spawn("the registry", registry.run());
        let (lookups, asked) = mpsc::channel(lookups::WAITING_MAX);
        let (store, pepper, events) = (self.store.clone(), self.pepper.clone(), self.events.clone());
        tasks.spawn("the lookup of tokens", Lookups { store, pepper, events }.run(asked));
        let system_namespace = DEFAULT_NAMESPACE.into();
        Ok(Keeper { shelves, admins, counts, writes, lookups, endings, system_namespace })
    }
}

/// A task that ends when it should not takes the process down, and so does a thread of the store.
async fn wait_for_end(store: &Store, tasks: &mut Tasks, served: &mut Tasks) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = tasks.ended() => Err(ended),
        ended = served.ended() => Err(ended),
        () = store.broken() => anyhow::bail!("a thread of the store ended: the log says why; start the controller again"),
    }
}

/// The parts that answer people.
struct Faces {
    events: mpsc::Sender<Event>,
    store: Store,
    pepper: Pepper,
    views: watch::Receiver<Arc<View>>,
    keeper: Keeper,
    endings: watch::Sender<u64>,
    watches: Vec<(String, Arc<Detections>)>,
    console_url: String,
    fingerprint: String,
}

impl Faces {
    fn serve(
        &self,
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        socket: ControlSocket,
        stopped: watch::Receiver<bool>,
        tasks: &mut Tasks,
    ) -> Tasks {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let views = self.views.clone();
        let console = Console {
            store: self.store.clone(),
            pepper: self.pepper.clone(),
            events: self.events.clone(),
            views: views.clone(),
            admins: self.keeper.admins.clone(),
            endings: self.endings.clone(),
        };
        tasks.spawn("the console", console.run(inbox));
        let (store, watches, metric_views) = (self.store.clone(), self.watches.clone(), views.clone());
        let render = move || metrics::render(&metric_views.borrow(), store.counters(), &watches);
        let state = AppState {
            view: views,
            commands,
            metrics: Arc::new(render),
            console_url: self.console_url.as_str().into(),
            keeper: self.keeper.clone(),
        };
        info!(console = %self.console_url, certificate_sha256 = %self.fingerprint, "controller runs");
        let unix = serve_unix(socket, control_router(state.clone()), until(stopped.clone()));
        let https = serve_https(listener, tls, console_router(state), until(stopped));
        let mut served = Tasks::default();
        served.spawn("the control socket", unix);
        served.spawn("the HTTPS face", https);
        served
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone is a stop too.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

fn pace(every: Period) -> anyhow::Result<Pace> {
    let pace = Pace::new(Duration::from_secs(u64::from(every.as_seconds())));
    pace.map_err(|error| Failure::Usage(format!("--challenge-every {every}: {error}")).into())
}

fn advertised(flag: Option<&str>, quic: SocketAddr) -> anyhow::Result<Advertised> {
    let Some(text) = flag else {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let host = if quic.ip().is_unspecified() { host } else { quic.ip().to_string() };
        return Ok(Advertised { host, port: quic.port() });
    };
    let wrong = || {
        Failure::Usage(format!("--advertise {text}: must be HOST:PORT, such as controller.example.net:7443"))
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err(wrong().into());
    }
    Ok(Advertised { host, port: port.parse().map_err(|_| wrong())? })
}
