//! From files to a committed revision, with the real store: `cargo bench -p horizon-controller`. Compare lines of one
//! run only. A revision is committed when it is published: in that moment the sessions of gateways send it.

#[path = "../planner/tests/world/crowd.rs"]
mod crowd;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use divan::Bencher;
use horizon_api::{
    http::{InviteKind, InviteRequest},
    join::JoinString,
    key::SecretKey,
    token::TokenText,
    wire::Evidence,
};
use horizon_controller::{
    event::{Event, JoinRequest},
    identity::ControllerIdentity,
    reconciler::{Advertised, Parts, Published, Reconciler},
    source::{
        Reader,
        files::{self, Watch},
    },
    store::Store,
};
use horizon_node::clock;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Numbers of objects, about a kilobyte each.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn main() {
    divan::main();
}

/// A folder that nobody has read yet and an empty store, until the first revision is committed.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn cold_files_to_a_revision(bencher: Bencher<'_, '_>, objects: usize) {
    let folder = Company::write(objects);
    let runtime = runtime();
    bencher.with_inputs(|| Broker::start(&runtime)).bench_local_values(|mut broker| {
        broker.look(&runtime, folder.path());
        broker
    });
}

/// One file is written, until the revision is published whose sections the gateway gets: the watch sees it, and
/// what it waits for more (200 ms without a write) is part of the time.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn one_write_to_a_revision(bencher: Bencher<'_, '_>, objects: usize) {
    one_write(bencher, objects, Watch::new("", false).settle);
}

/// The same for a watch that waits for nothing: what Horizon itself takes.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn one_write_without_the_wait(bencher: Bencher<'_, '_>, objects: usize) {
    one_write(bencher, objects, Duration::ZERO);
}

fn one_write(bencher: Bencher<'_, '_>, objects: usize, settle: Duration) {
    let folder = Company::write(objects);
    let runtime = runtime();
    let mut broker = Broker::start(&runtime);
    broker.follow(&runtime, folder.path(), settle);
    broker.join(&runtime);
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        folder.change(number);
        runtime.block_on(broker.published.snapshots.changed()).expect("it runs");
    });
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// A folder of manifests.
struct Company(tempfile::TempDir);

impl Company {
    fn write(objects: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in crowd::crowd(objects, 1) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets somebody reach another port.
    fn change(&self, number: usize) {
        let path = self.path().join("berlin/part-00000.yaml");
        let text = fs::read_to_string(&path).expect("read");
        let at = text.find("ports: [\"443\"").expect("a policy");
        let end = at + text[at..].find(']').expect("an end");
        let changed = format!("{}ports: [\"443\", \"{}\"{}", &text[..at], 1_000 + number, &text[end..]);
        fs::write(path, changed).expect("written");
    }
}

/// A reconciler with a store of its own.
struct Broker {
    published: Published,
    events: mpsc::Sender<Event>,
    _data: tempfile::TempDir,
}

const SOURCE: &str = "files:/company";

impl Broker {
    fn start(runtime: &Runtime) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::open(data.path()).expect("a store");
        let identity =
            ControllerIdentity::load(data.path(), store.start(), clock::unix_s()).expect("an identity");
        let advertised = Advertised { host: "controller.example".into(), port: 7443 };
        let sources = vec![SOURCE.into()];
        let parts = Parts { store, identity, endpoint: None, sources, cluster: None, advertised };
        let (reconciler, published) = runtime.block_on(Reconciler::new(parts)).expect("a reconciler");
        let (events, inbox) = mpsc::channel(16);
        runtime.spawn(reconciler.run(inbox));
        Self { published, events, _data: data }
    }

    async fn send(&self, event: Event) {
        assert!(self.events.send(event).await.is_ok(), "it runs");
    }

    /// Reads the folder once, and waits for the revision.
    fn look(&mut self, runtime: &Runtime, folder: &Path) {
        let scan = Arc::new(files::scan(folder, false));
        let parsed = Reader::default().read(&scan.files);
        runtime.block_on(async {
            let scanned = Event::Scanned { source: SOURCE.into(), scan, parsed };
            self.send(scanned).await;
            self.published.snapshots.changed().await.expect("it runs");
        });
    }

    /// Reads the folder now and whenever it changes, as `run` does, and waits for the first revision.
    fn follow(&mut self, runtime: &Runtime, folder: &Path, settle: Duration) {
        let events = self.events.clone();
        let options = Watch { settle, ..Watch::new(PathBuf::from(folder), false) };
        runtime.spawn(async move {
            let mut reader = Reader::default();
            let mut scans = files::watch(options).await.expect("a watch").scans;
            loop {
                let scan = scans.borrow_and_update().clone();
                let parsed = tokio::task::block_in_place(|| reader.read(&scan.files));
                let sent = events.send(Event::Scanned { source: SOURCE.into(), scan, parsed }).await;
                if sent.is_err() || scans.changed().await.is_err() {
                    return;
                }
            }
        });
        runtime.block_on(self.published.snapshots.changed()).expect("it runs");
    }

    /// Makes a gateway of the company's server: from now on there is something to program.
    fn join(&mut self, runtime: &Runtime) {
        runtime.block_on(async {
            let request = InviteRequest {
                kind: InviteKind::Server,
                namespace: "default".into(),
                name: "gw-1".into(),
                by_key: false,
            };
            let (reply, answer) = oneshot::channel();
            self.send(Event::Invite(request, reply)).await;
            let Ok(Ok(answer)) = answer.await else { panic!("no invitation") };
            let token = answer.join.parse::<JoinString>().expect("a join string").token;
            let request = JoinRequest {
                token: TokenText::new(&token),
                name: None,
                gateway: SecretKey::from_seed(&[1; 32]).public(),
                remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
                evidence: Evidence::default(),
            };
            let (reply, answer) = oneshot::channel();
            self.send(Event::Join(request, reply)).await;
            assert!(matches!(answer.await, Ok(Ok(_))), "the gateway may not join");
            self.published.snapshots.borrow_and_update();
        });
    }
}
