//! Looks at the folder again whenever something seems to have changed, and regularly whatever happens.
//!
//! Events of the kernel are only a hint: they are lost when a queue overflows, when the root is replaced, on
//! network file systems. So an event says "look", never what to look for; the root's parent is watched too,
//! and what is watched is compared with what is there before each look. After an event a file with the times that it
//! had is not read again; the regular look reads everything, so that no clock can hide a change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch as channel};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error, warn};

use super::git::Checkout;
use super::walk::identity;
use super::{FolderScan, Incomplete, Shelf, scan_again};

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
    /// Git may take so long to change the files before anybody is told.
    pub git_max: Duration,
}

impl Watch {
    pub fn new(root: impl Into<PathBuf>, had_manifests: bool) -> Self {
        Self {
            root: root.into(),
            had_manifests,
            settle: Duration::from_millis(200),
            settle_max: Duration::from_secs(2),
            rescan: Duration::from_secs(30),
            git_max: Duration::from_secs(10),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Event,
    Rescan,
}

/// Looks at the folder, and returns once that is done; then keeps watching it.
pub async fn watch(options: Watch) -> Result<FolderWatch, JoinError> {
    let hint = Arc::new(Notify::new());
    let lookout = Lookout {
        root: options.root.clone(),
        had_manifests: options.had_manifests,
        hint: Arc::clone(&hint),
        armed: None,
        shelf: Shelf::default(),
    };
    let detections = Arc::new(Detections::default());
    let (sender, scans) = channel::channel(Arc::default());
    let task = Task { options, hint, detections: Arc::clone(&detections), sender };
    let (lookout, first) = task.look(lookout, Cause::Rescan).await?;
    task.sender.send_replace(Arc::new(first));
    let mut scans = scans;
    scans.mark_unchanged();
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
    async fn run(self, mut lookout: Lookout) -> Result<(), JoinError> {
        while let Some(cause) = self.next_cause().await {
            let (back, scan) = self.look(lookout, cause).await?;
            lookout = back;
            if **self.sender.borrow() == scan {
                continue;
            }
            match cause {
                Cause::Event => self.detections.by_event.fetch_add(1, Ordering::Relaxed),
                Cause::Rescan => self.detections.by_rescan.fetch_add(1, Ordering::Relaxed),
            };
            let commit = scan.commit.as_deref().unwrap_or_default();
            debug!(root = %self.options.root.display(), ?cause, files = scan.files.len(), commit, "folder changed");
            self.sender.send_replace(Arc::new(scan));
        }
        Ok(())
    }

    /// Looks at the folder while Git leaves it alone. When Git never does, the last look stands, and says so.
    async fn look(&self, mut lookout: Lookout, cause: Cause) -> Result<(Lookout, FolderScan), JoinError> {
        let latest = Instant::now() + self.options.git_max;
        loop {
            let (back, sight) = lookout.look(cause).await?;
            lookout = back;
            self.detections.scans.fetch_add(1, Ordering::Relaxed);
            match sight {
                Sight::Whole(scan) => return Ok((lookout, scan)),
                Sight::Half { lock } if Instant::now() >= latest => {
                    let last = FolderScan::clone(&self.sender.borrow());
                    return Ok((lookout, last.held_by_git(&lock)));
                }
                Sight::Half { .. } => tokio::time::sleep(self.options.settle).await,
            }
        }
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
    shelf: Shelf,
}

/// What one look saw.
enum Sight {
    Whole(FolderScan),
    /// Git changed the files meanwhile.
    Half {
        lock: PathBuf,
    },
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

impl FolderScan {
    /// Says that the folder may be something else by now.
    fn held_by_git(mut self, lock: &Path) -> Self {
        let lock = lock.display();
        let message = format!("Git is changing the files: remove {lock} if no Git is running");
        self.problems.retain(|problem| !problem.path.is_empty());
        self.problem("", message);
        self.sort();
        self.incomplete = Some(Incomplete::GitAtWork);
        self
    }
}

impl Lookout {
    async fn look(mut self, cause: Cause) -> Result<(Self, Sight), JoinError> {
        tokio::task::spawn_blocking(move || {
            // Armed first: what is written before is seen by the scan, what is written after raises an event.
            self.arm();
            let sight = self.see(cause);
            (self, sight)
        })
        .await
    }

    fn see(&mut self, cause: Cause) -> Sight {
        let checkout = Checkout::around(&self.root);
        let lock = || checkout.as_ref().and_then(Checkout::lock);
        let commit = || checkout.as_ref().and_then(Checkout::commit);
        if let Some(lock) = lock() {
            return Sight::Half { lock };
        }
        let before = commit();
        self.shelf.begin(cause == Cause::Event);
        let scan = scan_again(&self.root, self.had_manifests, &mut self.shelf);
        self.shelf.end();
        if let Some(lock) = lock() {
            return Sight::Half { lock };
        }
        self.had_manifests |= scan.has_manifests();
        Sight::Whole(FolderScan { commit: before, ..scan })
    }

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
            // Git's own files change when it looks at itself; these say that it changed what is checked out.
            Some(inside) if inside.starts_with(".git") => {
                [".git", ".git/HEAD", ".git/index", ".git/packed-refs"]
                    .iter()
                    .any(|path| inside == Path::new(path))
                    || inside.starts_with(".git/refs/heads")
            }
            Some(_) => true,
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
        check(created, "/srv/git/5/.git/objects/5f/0718", false);
        check(created, "/srv/git/5/.git/index", true);
        check(created, "/srv/git/5/.git/refs/heads/main", true);
        check(EventKind::Access(AccessKind::Any), "/srv/git/5/a.yaml", false);
    }

    #[test]
    fn overflow_is_a_hint() {
        let filter = Filter { root: Path::new("/a").into(), real_root: None };
        assert!(filter.is_hint(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
