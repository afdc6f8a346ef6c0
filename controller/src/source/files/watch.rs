//! Looks at the folder again whenever something seems to have changed, and regularly whatever happens.
//!
//! Events of the kernel are only a hint: they are lost when a queue overflows, when the root is replaced, on
//! network file systems. So an event says "look", never what to look for; the root's parent is watched too,
//! and what is watched is compared with what is there before each look.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch as channel};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, warn};

use super::walk::identity;
use super::{FolderScan, scan};

/// How to watch a folder.
#[derive(Debug, Clone)]
pub struct Watch {
    pub root: PathBuf,
    /// Something is in force that came from this folder.
    pub had_manifests: bool,
    /// Quiet for this long means that whoever writes is done …
    pub settle: Duration,
    /// … and after this long nobody is waited for.
    pub settle_max: Duration,
    /// Time between looks when nothing happens.
    pub rescan: Duration,
}

impl Watch {
    pub fn new(root: impl Into<PathBuf>, had_manifests: bool) -> Self {
        Self {
            root: root.into(),
            had_manifests,
            settle: Duration::from_millis(200),
            settle_max: Duration::from_secs(2),
            rescan: Duration::from_secs(30),
        }
    }
}

/// A folder that is watched until its last receiver is gone.
#[derive(Debug, Clone)]
pub struct FolderWatch {
    /// The newest scan; it changes only when the folder did. Closed when the watch ended, which it should not.
    pub scans: channel::Receiver<Arc<FolderScan>>,
    pub detections: Arc<Detections>,
}

/// What found the changes: with `by_event` at rest the watch is blind, and changes take until the next look.
#[derive(Debug, Default)]
pub struct Detections {
    pub scans: AtomicU64,
    pub by_event: AtomicU64,
    pub by_rescan: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    Event,
    Rescan,
}

/// Looks at the folder, and returns once that is done; then keeps watching it.
pub async fn watch(options: Watch) -> Result<FolderWatch, tokio::task::JoinError> {
    let hint = Arc::new(Notify::new());
    let lookout = Lookout {
        root: options.root.clone(),
        had_manifests: options.had_manifests,
        hint: Arc::clone(&hint),
        armed: None,
    };
    let detections = Arc::new(Detections::default());
    let (lookout, first) = look(lookout).await?;
    detections.scans.fetch_add(1, Ordering::Relaxed);
    let (sender, scans) = channel::channel(Arc::new(first));
    let task = Task { options, hint, detections: Arc::clone(&detections), sender };
    tokio::spawn(async move {
        if let Err(error) = task.run(lookout).await {
            error!(%error, "the watch of a folder of manifests ended");
        }
    });
    Ok(FolderWatch { scans, detections })
}

struct Task {
    options: Watch,
    hint: Arc<Notify>,
    detections: Arc<Detections>,
    sender: channel::Sender<Arc<FolderScan>>,
}

impl Task {
    async fn run(self, mut lookout: Lookout) -> Result<(), tokio::task::JoinError> {
        while let Some(cause) = self.next_cause().await {
            let (back, scan) = look(lookout).await?;
            lookout = back;
            self.detections.scans.fetch_add(1, Ordering::Relaxed);
            if **self.sender.borrow() == scan {
                continue;
            }
            match cause {
                Cause::Event => self.detections.by_event.fetch_add(1, Ordering::Relaxed),
                Cause::Rescan => self.detections.by_rescan.fetch_add(1, Ordering::Relaxed),
            };
            debug!(root = %self.options.root.display(), ?cause, files = scan.files.len(), "folder changed");
            self.sender.send_replace(Arc::new(scan));
        }
        Ok(())
    }

    /// Waits for a reason to look; `None` when nobody listens any more.
    async fn next_cause(&self) -> Option<Cause> {
        tokio::select! {
            () = self.hint.notified() => {
                self.settled().await;
                Some(Cause::Event)
            }
            () = sleep_until(Instant::now() + self.options.rescan) => Some(Cause::Rescan),
            () = self.sender.closed() => None,
        }
    }

    async fn settled(&self) {
        let latest = Instant::now() + self.options.settle_max;
        loop {
            let quiet = (Instant::now() + self.options.settle).min(latest);
            let is_quiet = timeout_at(quiet, self.hint.notified()).await.is_err();
            if is_quiet || Instant::now() >= latest {
                return;
            }
        }
    }
}

/// What looks at the folder; it goes to a blocking thread and back.
struct Lookout {
    root: PathBuf,
    had_manifests: bool,
    hint: Arc<Notify>,
    armed: Option<Armed>,
}

struct Armed {
    place: Place,
    // Watches as long as it lives.
    _watcher: RecommendedWatcher,
}

/// Where the root leads, and what is there.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    real_root: Option<PathBuf>,
    identity: Option<(u64, u64)>,
}

async fn look(mut lookout: Lookout) -> Result<(Lookout, FolderScan), tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || {
        // Armed first: what is written before is seen by the scan, what is written after raises an event.
        lookout.arm();
        let scan = scan(&lookout.root, lookout.had_manifests);
        lookout.had_manifests |= scan.has_manifests();
        (lookout, scan)
    })
    .await
}

impl Lookout {
    fn arm(&mut self) {
        let place = place(&self.root);
        if self.armed.as_ref().is_some_and(|armed| armed.place == place) {
            return;
        }
        self.armed = match self.watcher(&place) {
            Ok(watcher) => Some(Armed { place, _watcher: watcher }),
            Err(error) => {
                warn!(root = %self.root.display(), %error, "folder not watched, only looked at regularly");
                None
            }
        };
    }

    fn watcher(&self, place: &Place) -> notify::Result<RecommendedWatcher> {
        let hint = Arc::clone(&self.hint);
        let root = absolute(&self.root);
        let real_root = place.real_root.clone();
        let filter = Filter { root: root.clone(), real_root: real_root.clone() };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| filter.is_hint(&event)) {
                hint.notify_one();
            }
        })?;
        let mut parents: Vec<&Path> = [Some(root.as_path()), real_root.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(Path::parent)
            .collect();
        parents.dedup();
        for parent in parents.into_iter().filter(|parent| parent.is_dir()) {
            watcher.watch(parent, RecursiveMode::NonRecursive)?;
        }
        if let Some(real_root) = &real_root {
            watcher.watch(real_root, RecursiveMode::Recursive)?;
        }
        Ok(watcher)
    }
}

fn place(root: &Path) -> Place {
    let real_root = root.canonicalize().ok().filter(|root| root.is_dir());
    let identity = real_root.as_ref().and_then(|root| root.metadata().ok()).map(|found| identity(&found));
    Place { real_root, identity }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Which events are worth a look: not our own reading, and not what happens beside the root.
struct Filter {
    root: PathBuf,
    real_root: Option<PathBuf>,
}

impl Filter {
    fn is_hint(&self, event: &notify::Event) -> bool {
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(|path| self.concerns(path))
    }

    fn concerns(&self, path: &Path) -> bool {
        let inside = self.real_root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        match inside.or_else(|| path.strip_prefix(&self.root).ok()) {
            Some(inside) => !inside.starts_with(".git"),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use notify::event::{AccessKind, CreateKind, Flag};
    use notify::{Event, EventKind};

    use super::Filter;

    #[track_caller]
    fn check(kind: EventKind, path: &str, expected: bool) {
        let filter = Filter { root: "/etc/horizon".into(), real_root: Some("/srv/git/5".into()) };
        let event = Event::new(kind).add_path(PathBuf::from(path));
        assert_eq!(filter.is_hint(&event), expected, "{path}");
    }

    #[test]
    fn only_changes_of_the_root_and_inside_it_are_hints() {
        let created = EventKind::Create(CreateKind::Any);
        check(created, "/srv/git/5/a.yaml", true);
        check(created, "/srv/git/5/..data", true);
        check(created, "/srv/git/5", true);
        check(created, "/etc/horizon", true);
        check(created, "/etc/passwd", false);
        check(created, "/srv/git/6", false);
        check(created, "/srv/git/5/.git/index.lock", false);
        check(EventKind::Access(AccessKind::Any), "/srv/git/5/a.yaml", false);
    }

    #[test]
    fn overflow_is_a_hint() {
        let filter = Filter { root: Path::new("/a").into(), real_root: None };
        assert!(filter.is_hint(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
