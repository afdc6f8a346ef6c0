//! `horizon-controller run`: builds the parts; only this file knows them all.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use horizon_api::{
    http::View,
    resource::DEFAULT_NAMESPACE,
    wire::{ALPN_CFG, ALPN_DEV},
};
use horizon_api_server::{
    AppState, ControlSocket, Keeper, console_router, control_router, serve_https, serve_unix,
};
use horizon_node::{
    clock,
    failure::{Failure, cannot_listen},
    quic,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing::info;

use crate::{
    args::RunArgs,
    certificate,
    console::{Console, lookups},
    event::Event,
    identity::ControllerIdentity,
    metrics,
    push::{self, PushContext},
    reconciler::{Advertised, Parts, Published, Reconciler},
    registry::{self, Registry, Seal},
    source::{
        Reader,
        files::{self, Detections, FolderWatch, Watch},
    },
    store::Store,
    tasks::Tasks,
    verbs::SOCKET,
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
    let data = args.data.folder;
    let store = {
        let data = data.clone();
        tokio::task::spawn_blocking(move || Store::open(&data)).await?.context("open the store")?
    };
    let identity = ControllerIdentity::load(&data, store.start(), clock::unix_s())?;
    let tls = certificate::server_config(&data, &advertised.host)?;
    let fingerprint = certificate::fingerprint(&data).context("read the console's certificate")?;
    let endpoint = quic::listen(identity.online(), &[ALPN_CFG, ALPN_DEV], args.quic).map_err(|error| {
        match error.downcast::<std::io::Error>() {
            Ok(error) => cannot_listen("UDP", args.quic, "--quic", &error).into(),
            Err(error) => error,
        }
    })?;
    let listener = TcpListener::bind(args.http)
        .await
        .map_err(|error| cannot_listen("TCP", args.http, "--http", &error))?;
    let path = data.join(SOCKET);
    let socket = ControlSocket::bind(&path).await.with_context(|| format!("listen on {}", path.display()))?;
    let console_url = format!("https://{}:{}", bracketed(&advertised.host), listener.local_addr()?.port());
    let folders = folders(&args.manifests)?;
    let sources = folders.iter().map(|(source, _)| source.clone()).collect();
    let (reconciler, published) =
        Reconciler::new(Parts { store: store.clone(), identity, sources, advertised }).await?;
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let mut tasks = Tasks::default();
    let Published { snapshots, views, fates, admins, counts } = published;
    tasks.spawn("the reconciler", reconciler.run(inbox));
    let (writes, written) = mpsc::channel(WRITES_MAX);
    let seal = Seal::load(&data)?;
    let parts =
        registry::Parts { store: store.clone(), fates, events: events.clone(), writes: written, seal };
    let (registry, shelves) = Registry::start(parts).await.context("start the resource API")?;
    tasks.spawn("the registry", registry.run());
    let system_namespace = DEFAULT_NAMESPACE.into();
    let (lookups, asked) = mpsc::channel(lookups::WAITING_MAX);
    tasks.spawn("the lookup of tokens", lookups::run(store.clone(), asked));
    let endings = watch::Sender::new(0);
    let seen = endings.subscribe();
    let keeper = Keeper { shelves, admins, counts, writes, lookups, endings: seen, system_namespace };
    let watches = watch_folders(&folders, &views, &events, &mut tasks).await?;
    let faces = Faces {
        events: events.clone(),
        store: store.clone(),
        views,
        keeper,
        endings,
        watches,
        console_url,
        fingerprint,
    };
    let (stop, stopped) = watch::channel(false);
    let context = PushContext { events, snapshots };
    tasks.spawn("the push task", push::run(endpoint.clone(), context));
    let mut served = faces.serve(listener, tls, socket, stopped, &mut tasks);
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

/// Returns each folder with the name of its source: its absolute path, however it was written and wherever the
/// process stands. Links stay in it, because what they lead to is swapped.
fn folders(manifests: &[PathBuf]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut folders: Vec<(String, PathBuf)> = Vec::new();
    for folder in manifests {
        let path = std::path::absolute(folder).with_context(|| format!("find {}", folder.display()))?;
        let path: PathBuf = path.components().collect();
        if let Some((_, other)) = folders.iter().find(|(_, other)| is_same_folder(other, &path)) {
            let (other, path) = (other.display(), path.display());
            let text = format!("--manifests {path}: is the same folder as {other}; name it once");
            return Err(Failure::Usage(text).into());
        }
        folders.push((format!("files:{}", path.display()), path));
    }
    Ok(folders)
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

async fn watch_folders(
    folders: &[(String, PathBuf)],
    views: &watch::Receiver<Arc<View>>,
    events: &mpsc::Sender<Event>,
    tasks: &mut Tasks,
) -> anyhow::Result<Vec<(String, Arc<Detections>)>> {
    let mut watches = Vec::new();
    for (source, root) in folders {
        let path = source.trim_start_matches("files:");
        let had_manifests = views.borrow().sources.iter().any(|s| s.path == path && s.objects > 0);
        let FolderWatch { mut scans, detections } = files::watch(Watch::new(root, had_manifests)).await?;
        watches.push((source.clone(), detections));
        let (source, events) = (source.clone(), events.clone());
        let mut reader = Reader::default();
        tasks.spawn("the watch of a folder", async move {
            loop {
                let scan = scans.borrow_and_update().clone();
                // Parsing takes long enough to be in the way of what waits for the network.
                let parsed = tokio::task::block_in_place(|| reader.read(&scan.files));
                let sent = events.send(Event::Scanned { source: source.clone(), scan, parsed }).await;
                if sent.is_err() || scans.changed().await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(watches)
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

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_name_however_it_is_written() {
        let names = |path: &str| folders(&[path.into()]).expect("a name").remove(0).0;

        assert_eq!(names("/etc/horizon/"), "files:/etc/horizon");
        assert_eq!(names("/etc/./horizon//"), "files:/etc/horizon");
        assert_eq!(names("/etc/horizon"), "files:/etc/horizon");
    }

    #[test]
    fn the_same_folder_twice_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("a")).expect("made");
        std::fs::create_dir_all(at("b")).expect("made");
        std::os::unix::fs::symlink("a", at("link")).expect("made");

        assert!(folders(&[at("a"), at("b")]).is_ok());
        assert!(folders(&[at("a"), at("a/")]).is_err());
        assert!(folders(&[at("a"), at("link")]).is_err());
        assert!(folders(&["/nowhere".into(), "/nowhere/".into()]).is_err());
    }
}
