//! The resource API beside a real kube-apiserver with etcd, one after the other on one machine, under the same load by the
//! same client: 20,000 users in 20 namespaces, 200 watchers, 1,000 writes a second.
//!
//! `HORIZON_KUBERNETES=… HORIZON_BIN_DIR=… cargo bench -p horizon-tests --bench api` prints one table. What counts are
//! the ratios of one run. `HORIZON_BENCH_OBJECTS` makes it smaller.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement prints, and ends when it cannot go on"
)]

use std::{
    collections::HashSet,
    env,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use futures_util::{AsyncBufReadExt, StreamExt, stream};
use horizon_tests::{cluster::Cluster, standalone::Standalone};
use http::Request;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const NAMESPACES: usize = 20;
const WATCHERS: usize = 200;
/// Requests at the same time.
const CALLERS: usize = 64;
const WRITES_PER_S: u64 = 1_000;
const SUSTAINED: Duration = Duration::from_secs(10);
const PAGE: usize = 500;

/// What was measured of one server.
struct Figures {
    creates_per_s: f64,
    list_s: f64,
    updates_per_s: f64,
    kept_rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    delivered: usize,
    resident_mib: f64,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let objects: usize =
        env::var("HORIZON_BENCH_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let ours = {
        let controller = Standalone::empty().unwrap();
        let kubeconfig = controller.kubeconfig(&[]).unwrap();
        runtime.block_on(measure(&kubeconfig, objects, || controller.memory_bytes())).unwrap()
    };
    print_alone(&ours);
    let Some(cluster) = Cluster::start().unwrap() else { return };
    cluster.install_crds().unwrap();
    let theirs =
        runtime.block_on(measure(&cluster.kubeconfig(), objects, || cluster.memory_bytes())).unwrap();
    drop(cluster);
    print(objects, &ours, &theirs);
}

/// What is known before the other side is measured, or where there is none.
fn print_alone(ours: &Figures) {
    println!(
        "the controller alone: {:.1} MiB, {:.0} creates a second",
        ours.resident_mib, ours.creates_per_s
    );
}

fn print(objects: usize, ours: &Figures, theirs: &Figures) {
    println!("{objects} objects, {NAMESPACES} namespaces, {WATCHERS} watchers; ratios are ours / theirs");
    println!("{:34}{:>12}{:>24}{:>9}", "", "controller", "kube-apiserver + etcd", "ratio");
    let row = |name: &str, of: &dyn Fn(&Figures) -> f64| {
        let (one, other) = (of(ours), of(theirs));
        println!("{name:34}{one:>12.2}{other:>24.2}{:>9.2}", one / other);
    };
    row("creates a second", &|f| f.creates_per_s);
    row("list of all in pages, s", &|f| f.list_s);
    row("updates a second, no watcher", &|f| f.updates_per_s);
    row("of 1,000 updates a second kept", &|f| f.kept_rate);
    row("delivery to watchers, p50, ms", &|f| f.p50_ms);
    row("delivery to watchers, p99, ms", &|f| f.p99_ms);
    row("deliveries seen", &|f| f.delivered as f64);
    row("resident memory, MiB", &|f| f.resident_mib);
}

async fn measure(
    kubeconfig: &Path,
    objects: usize,
    memory_bytes: impl Fn() -> anyhow::Result<u64>,
) -> anyhow::Result<Figures> {
    let server = Server::connect(kubeconfig).await?;
    for number in 0..NAMESPACES {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": space(number) } });
        server.call("POST", "/api/v1/namespaces", "application/json", &namespace).await?;
    }
    let start = Instant::now();
    server.each(objects, |number| server.create(number)).await?;
    let creates_per_s = objects as f64 / start.elapsed().as_secs_f64();

    let start = Instant::now();
    let listed = server.list_all().await?;
    let list_s = start.elapsed().as_secs_f64();
    anyhow::ensure!(listed == objects, "{listed} objects are listed, and not {objects}");

    let (start, updates) = (Instant::now(), objects / 4);
    server.each(updates, |number| server.touch(number * 4, 0)).await?;
    let updates_per_s = updates as f64 / start.elapsed().as_secs_f64();

    let (kept_rate, mut delays_us) = sustain(&server, objects).await?;
    delays_us.sort_unstable();
    let at = |part: f64| {
        delays_us.get((delays_us.len() as f64 * part) as usize).map_or(f64::NAN, |us| *us as f64 / 1e3)
    };
    Ok(Figures {
        creates_per_s,
        list_s,
        updates_per_s,
        kept_rate,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        delivered: delays_us.len(),
        resident_mib: memory_bytes()? as f64 / f64::from(1 << 20),
    })
}

/// Writes at a fixed rate while everybody watches. Returns how much of the rate was kept, and what every delivery took.
async fn sustain(server: &Server, objects: usize) -> anyhow::Result<(f64, Vec<u64>)> {
    let (seen, mut delays) = mpsc::unbounded_channel();
    let mut watchers = Vec::new();
    for number in 0..WATCHERS {
        let (server, seen) = (server.clone(), seen.clone());
        let lines = server.watch(&space(number % NAMESPACES)).await?;
        watchers.push(tokio::spawn(async move { server.note(lines, &seen).await }));
    }
    drop(seen);
    let done = Arc::new(AtomicU64::new(0));
    let (start, count) = (Instant::now(), WRITES_PER_S * SUSTAINED.as_secs());
    let gap = Duration::from_secs(1) / u32::try_from(WRITES_PER_S)?;
    let (jobs, wanted) = async_queue(count, gap, start);
    let mut writers = Vec::new();
    for _ in 0..CALLERS {
        let (server, jobs, done) = (server.clone(), Arc::clone(&wanted), Arc::clone(&done));
        writers.push(tokio::spawn(async move {
            loop {
                let next = jobs.lock().await.recv().await;
                let Some(number) = next else { return Ok::<_, anyhow::Error>(()) };
                let object = usize::try_from(number)? * 7_919 % objects;
                server.touch(object, server.now_us()).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    tokio::time::sleep(SUSTAINED).await;
    let kept = done.load(Ordering::Relaxed) as f64 / count as f64;
    jobs.abort();
    for writer in writers {
        writer.await??;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    watchers.iter().for_each(tokio::task::JoinHandle::abort);
    let mut all = Vec::new();
    while let Ok(delay) = delays.try_recv() {
        all.push(delay);
    }
    Ok((kept, all))
}

type Jobs = Arc<tokio::sync::Mutex<mpsc::Receiver<u64>>>;

/// Hands out numbers at a fixed rate; whoever is late does not make the next ones late.
fn async_queue(count: u64, gap: Duration, start: Instant) -> (tokio::task::JoinHandle<()>, Jobs) {
    let (send, receive) = mpsc::channel(CALLERS);
    let feeder = tokio::spawn(async move {
        for number in 0..count {
            let due = start + gap * u32::try_from(number).unwrap_or(u32::MAX);
            tokio::time::sleep_until(due.into()).await;
            if send.send(number).await.is_err() {
                return;
            }
        }
    });
    (feeder, Arc::new(tokio::sync::Mutex::new(receive)))
}

fn space(number: usize) -> String {
    format!("bench-{number}")
}

/// A server and its clock.
#[derive(Clone)]
struct Server {
    client: Client,
    began: Instant,
}

impl Server {
    async fn connect(kubeconfig: &Path) -> anyhow::Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)?, began: Instant::now() })
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    async fn call(&self, method: &str, path: &str, kind: &str, body: &Value) -> anyhow::Result<String> {
        let request = Request::builder().method(method).uri(path).header("Content-Type", kind);
        let request = request.body(serde_json::to_vec(body)?)?;
        self.client.request_text(request).await.with_context(|| format!("{method} {path}"))
    }

    /// Does something for every number, many at the same time.
    async fn each<F: Future<Output = anyhow::Result<()>>>(
        &self,
        count: usize,
        act: impl Fn(usize) -> F,
    ) -> anyhow::Result<()> {
        let mut acts = stream::iter((0..count).map(act)).buffer_unordered(CALLERS);
        while let Some(done) = acts.next().await {
            done?;
        }
        Ok(())
    }

    async fn create(&self, number: usize) -> anyhow::Result<()> {
        let object = json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "name": format!("u{number}"), "annotations": { "at": "0" } },
            "spec": { "groups": ["staff", format!("team-{}", number % 50)] },
        });
        let path = format!("/apis/horizon.dev/v1alpha1/namespaces/{}/users", space(number % NAMESPACES));
        self.call("POST", &path, "application/json", &object).await.map(drop)
    }

    async fn touch(&self, number: usize, at_us: u64) -> anyhow::Result<()> {
        let patch = json!({ "metadata": { "annotations": { "at": at_us.to_string() } } });
        let path =
            format!("/apis/horizon.dev/v1alpha1/namespaces/{}/users/u{number}", space(number % NAMESPACES));
        self.call("PATCH", &path, "application/merge-patch+json", &patch).await.map(drop)
    }

    async fn list_all(&self) -> anyhow::Result<usize> {
        let (mut count, mut token) = (0, String::new());
        loop {
            let path = format!("/apis/horizon.dev/v1alpha1/users?limit={PAGE}&continue={token}");
            let request = Request::get(path).body(vec![])?;
            let page: Value = serde_json::from_str(&self.client.request_text(request).await?)?;
            count += page["items"].as_array().context("no items")?.len();
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => return Ok(count),
            }
        }
    }

    async fn watch(
        &self,
        namespace: &str,
    ) -> anyhow::Result<impl futures_util::AsyncBufRead + Unpin + use<>> {
        let path = format!("/apis/horizon.dev/v1alpha1/namespaces/{namespace}/users");
        let request = Request::get(format!("{path}?limit=1")).body(vec![])?;
        let page: Value = serde_json::from_str(&self.client.request_text(request).await?)?;
        let version = page["metadata"]["resourceVersion"].as_str().context("no version")?;
        let request = Request::get(format!("{path}?watch=1&resourceVersion={version}")).body(vec![])?;
        Ok(Box::pin(self.client.request_stream(request).await?))
    }

    /// Notes how long every line was under way.
    async fn note(
        &self,
        mut lines: impl futures_util::AsyncBufRead + Unpin,
        seen: &mpsc::UnboundedSender<u64>,
    ) {
        const MARK: &str = "\"at\":\"";
        let (mut line, mut known) = (String::new(), HashSet::new());
        while lines.read_line(&mut line).await.is_ok_and(|count| count > 0) {
            let now = self.now_us();
            let rest = line.split_once(MARK).map_or("", |(_, rest)| rest);
            let at = rest.split('"').next().and_then(|text| text.parse::<u64>().ok());
            // A status that changes later says the same moment again; that is no delivery of the write.
            if let Some(at) = at.filter(|at| *at > 0 && known.insert(*at)) {
                seen.send(now.saturating_sub(at)).expect("the measurement goes on");
            }
            line.clear();
        }
    }
}
