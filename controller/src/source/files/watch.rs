//! Looks at the folder again whenever something seems to have changed, and regularly whatever happens.
//!
//! Events of the kernel are only a hint: they are lost when a queue overflows, when the root is replaced, on
//! network file systems. So an event says "look", never what to look for; the root's parent is watched too,
//! and what is watched is compared with what is there before each look. After an event a file with the times that it
//! had is not read again; the regular look reads everything, so that no clock can hide a change. A look during which
//! the folder changed is repeated: half of a change says of the other half that it is gone.

mod filter;
mod lookout;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{debug, error};

use super::{FolderScan, Incomplete};
use lookout::{Hint, Lookout, Sight};

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
    let hint = Arc::new(Hint::default());
    let lookout = Lookout::new(options.root.clone(), options.had_manifests, Arc::clone(&hint));
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
    hint: Arc<Hint>,
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

    /// Looks at the folder while everybody leaves it alone. When Git never does, the last look stands, and says so; when
    /// others never do, the folder is taken as it is found.
    async fn look(&self, mut lookout: Lookout, cause: Cause) -> Result<(Lookout, FolderScan), JoinError> {
        let latest = Instant::now() + self.options.git_max;
        let mut torn = 0;
        loop {
            let (back, sight) = lookout.look(cause).await?;
            lookout = back;
            self.detections.scans.fetch_add(1, Ordering::Relaxed);
            match sight {
                Sight::Torn(_) if torn < TORN_MAX => {
                    torn += 1;
                    self.settled().await;
                }
                Sight::Whole(scan) | Sight::Torn(scan) => {
                    lookout.had_manifests |= scan.has_manifests();
                    return Ok((lookout, scan));
                }
                Sight::Locked { lock } if Instant::now() >= latest => {
                    let last = FolderScan::clone(&self.sender.borrow());
                    return Ok((lookout, last.held_by_git(&lock)));
                }
                Sight::Locked { .. } => tokio::time::sleep(self.options.settle).await,
            }
        }
    }

    /// Waits for a reason to look; `None` when nobody listens any more.
    async fn next_cause(&self) -> Option<Cause> {
        tokio::select! {
            () = self.hint.raised.notified() => {
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
            let is_quiet = timeout_at(quiet, self.hint.raised.notified()).await.is_err();
            if is_quiet || Instant::now() >= latest {
                return;
            }
        }
    }
}

/// Looks again after one during which the folder changed: whoever still changes it then does so all the time.
const TORN_MAX: u32 = 3;

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
