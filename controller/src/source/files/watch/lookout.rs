//! One look at a folder: was it of one moment, or did somebody change the folder meanwhile?

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tracing::warn;

use super::Cause;
use super::filter::Filter;
use crate::source::files::git::Checkout;
use crate::source::files::read::Stamp;
use crate::source::files::walk::{Links, identity};
use crate::source::files::{FolderScan, Memory, scan_again};

/// What looks at the folder; it goes to a blocking thread and back.
pub(super) struct Lookout {
    root: PathBuf,
    pub(super) had_manifests: bool,
    hint: Arc<Hint>,
    armed: Option<Armed>,
    memory: Memory,
}

/// What one look saw.
pub(super) enum Sight {
    Whole(FolderScan),
    /// The folder changed meanwhile: some of it may be of before, and some of after.
    Torn(FolderScan),
    /// Git changes the files.
    Locked {
        lock: PathBuf,
    },
}

/// Says that something seems to have changed.
#[derive(Debug, Default)]
pub(super) struct Hint {
    pub(super) raised: Notify,
    count: AtomicU64,
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

/// What is another one when the folder changed while somebody looked at it.
#[derive(Debug, PartialEq, Eq)]
struct Marks {
    place: Place,
    commit: Option<String>,
    index: Option<Stamp>,
    hints: u64,
}

impl Lookout {
    pub(super) fn new(root: PathBuf, had_manifests: bool, hint: Arc<Hint>) -> Self {
        Self { root, had_manifests, hint, armed: None, memory: Memory::default() }
    }

    pub(super) async fn look(mut self, cause: Cause) -> Result<(Self, Sight), JoinError> {
        tokio::task::spawn_blocking(move || {
            // Armed first: what is written before is seen by the scan, what is written after raises an event.
            self.arm();
            let sight = self.see(|lookout| lookout.scan(cause));
            (self, sight)
        })
        .await
    }

    fn scan(&mut self, cause: Cause) -> (FolderScan, Links) {
        self.memory.shelf.begin(cause == Cause::Event);
        let scanned = scan_again(&self.root, self.had_manifests, &mut self.memory);
        self.memory.shelf.end();
        scanned
    }

    fn see(&mut self, scan: impl FnOnce(&mut Self) -> (FolderScan, Links)) -> Sight {
        let before = self.marks();
        // A lock that comes and goes between these lines leaves another index, or another commit.
        if let Some(lock) = self.lock() {
            return Sight::Locked { lock };
        }
        let (scan, links) = scan(self);
        if let Some(lock) = self.lock() {
            return Sight::Locked { lock };
        }
        let is_whole = self.marks() == before && !links.lead_elsewhere();
        let scan = FolderScan { commit: before.commit, ..scan };
        if is_whole { Sight::Whole(scan) } else { Sight::Torn(scan) }
    }

    fn lock(&self) -> Option<PathBuf> {
        Checkout::around(&self.root)?.lock()
    }

    fn marks(&self) -> Marks {
        let checkout = Checkout::around(&self.root);
        Marks {
            place: place(&self.root),
            commit: checkout.as_ref().and_then(Checkout::commit),
            index: checkout.as_ref().and_then(Checkout::index),
            hints: self.hint.count.load(Ordering::Acquire),
        }
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
                hint.raise();
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

impl Hint {
    fn raise(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.raised.notify_one();
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

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, remove_file, rename};
    use std::os::unix::fs::symlink;

    use super::*;

    const COMMIT: &str = "8f2c0a4d3b1e5f60718293a4b5c6d7e8f9012345";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Looks at a folder that something is done to after it was walked through, and before the look is over.
    fn is_torn(root: &Path, change: impl FnOnce(&Lookout)) -> bool {
        let mut lookout = Lookout::new(root.to_owned(), false, Arc::default());
        let sight = lookout.see(|lookout| {
            let scanned = lookout.scan(Cause::Rescan);
            change(lookout);
            scanned
        });
        assert!(!matches!(sight, Sight::Locked { .. }));
        matches!(sight, Sight::Torn(_))
    }

    #[test]
    fn a_checkout_that_comes_and_goes_within_a_look_tears_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, ".git/HEAD", "ref: refs/heads/main\n");
        write(root, ".git/refs/heads/main", &format!("{COMMIT}\n"));
        write(root, ".git/index", "old");
        write(root, "a.yaml", "a");

        assert!(!is_torn(root, |_| {}));
        assert!(is_torn(root, |_| {
            write(root, ".git/index.lock", "new");
            rename(root.join(".git/index.lock"), root.join(".git/index")).unwrap();
        }));
        assert!(is_torn(root, |_| {
            write(root, ".git/refs/heads/main", &format!("{}\n", COMMIT.replace('8', "7")));
        }));
    }

    #[test]
    fn a_link_that_is_swapped_within_a_look_tears_it() {
        let folder = tempfile::tempdir().unwrap();
        let swap = |link: &str, to: &str| {
            symlink(to, folder.path().join("tmp")).unwrap();
            rename(folder.path().join("tmp"), folder.path().join(link)).unwrap();
        };
        for release in ["v1", "v2"] {
            write(folder.path(), &format!("{release}/..x/a.yaml"), release);
            write(folder.path(), &format!("{release}/..y/a.yaml"), release);
        }
        for release in ["v1", "v2"] {
            symlink("..x", folder.path().join(release).join("..data")).unwrap();
            symlink("..data/a.yaml", folder.path().join(release).join("a.yaml")).unwrap();
        }
        swap("current", "v1");
        let root = folder.path().join("current");

        assert!(!is_torn(&root, |_| {}));
        assert!(is_torn(&root, |_| swap("current", "v2")));
        assert!(is_torn(&root, |_| swap("v2/..data", "..y")));
        assert!(is_torn(&root, |_| remove_file(root.join("..data")).unwrap()));
    }

    #[test]
    fn a_hint_within_a_look_tears_it() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.yaml", "a");

        assert!(is_torn(folder.path(), |lookout| lookout.hint.raise()));
    }
}
