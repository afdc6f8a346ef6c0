//! Which file systems the folders that hold manifests are on: one that is not mounted is not one that somebody emptied.

use std::collections::{BTreeMap, BTreeSet};

use super::{FolderScan, Incomplete};

/// The devices of the folders that a walk went through, by their paths from the root.
pub(super) type Devices = BTreeMap<String, u64>;

/// The folders that held manifests when they were seen last.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    known: BTreeMap<String, Mount>,
}

/// The device of a folder, and that of the folder which it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mount {
    own: u64,
    around: u64,
}

impl Mounts {
    /// Compares a look with the ones before. A folder that is empty now, and on another file system than before while
    /// the one around it is where it was, is a mount that is not there: what it declared is unknown, not gone.
    pub(super) fn judge(&mut self, scan: &mut FolderScan, devices: &Devices) {
        if scan.is_complete() {
            self.known.retain(|path, _| devices.contains_key(path));
        }
        let holding = holding(scan);
        for (path, own) in devices {
            let Some(around) = parent(path).and_then(|parent| devices.get(parent)) else { continue };
            let mount = Mount { own: *own, around: *around };
            if holding.contains(path.as_str()) {
                self.known.insert(path.clone(), mount);
                continue;
            }
            match self.known.get(path) {
                Some(known) if known.own != mount.own && known.around == mount.around => {
                    scan.missed(path, Incomplete::FolderUnreadable, GONE);
                }
                Some(_) => drop(self.known.remove(path)),
                None => {}
            }
        }
    }
}

/// Returns every folder with a manifest in it or below.
fn holding(scan: &FolderScan) -> BTreeSet<String> {
    let files = scan.files.iter().map(|file| &file.path).chain(&scan.unreadable);
    let mut holding = BTreeSet::new();
    for file in files {
        let mut path = file.as_str();
        while let Some(folder) = parent(path) {
            if !holding.insert(folder.to_owned()) {
                break;
            }
            path = folder;
        }
    }
    holding
}

/// Returns the folder that something is in; the root is the empty path, and in nothing.
fn parent(path: &str) -> Option<&str> {
    (!path.is_empty()).then(|| path.rsplit_once('/').map_or("", |(folder, _)| folder))
}

const GONE: &str = "it was on another file system before and is empty now; what it declared stays in force; \
                    mount it, or remove the folder";

#[cfg(test)]
mod tests {
    use super::{Devices, GONE, Mounts};
    use crate::source::files::{FolderScan, Incomplete, ManifestFile};

    fn look(mounts: &mut Mounts, files: &[&str], devices: &[(&str, u64)]) -> FolderScan {
        let file = |path: &&str| ManifestFile { path: (*path).to_owned(), bytes: [].into() };
        let mut scan = FolderScan { files: files.iter().map(file).collect(), ..FolderScan::default() };
        let devices: Devices = devices.iter().map(|(path, device)| ((*path).to_owned(), *device)).collect();
        mounts.judge(&mut scan, &devices);
        scan
    }

    #[test]
    fn an_empty_folder_on_another_device_is_a_mount_that_is_not_there() {
        let mut mounts = Mounts::default();
        let mounted = [("", 1), ("a", 1), ("a/b", 2), ("a/b/c", 2)];
        assert!(look(&mut mounts, &["a/b/c/x.yaml"], &mounted).is_complete());

        for _ in 0..2 {
            let scan = look(&mut mounts, &[], &[("", 1), ("a", 1), ("a/b", 1)]);
            assert_eq!(scan.incomplete, Some(Incomplete::FolderUnreadable));
            assert_eq!((scan.problems.len(), scan.problems[0].path.as_str()), (1, "a/b"));
            assert_eq!(scan.problems[0].message, GONE);
        }
        assert!(look(&mut mounts, &["a/b/c/x.yaml"], &mounted).is_complete());
        assert!(look(&mut mounts, &[], &mounted).is_complete(), "emptied where it is");
        assert!(look(&mut mounts, &[], &[("", 1), ("a", 1), ("a/b", 1)]).is_complete(), "empty before");
    }

    #[test]
    fn a_folder_that_is_gone_or_moved_as_a_whole_is_no_mount() {
        let mut mounts = Mounts::default();
        look(&mut mounts, &["a/x.yaml"], &[("", 1), ("a", 2)]);
        assert!(look(&mut mounts, &["y.yaml"], &[("", 1)]).is_complete(), "removed");
        assert!(look(&mut mounts, &["y.yaml"], &[("", 1), ("a", 1)]).is_complete(), "another folder");

        look(&mut mounts, &["a/x.yaml"], &[("", 1), ("a", 1)]);
        let elsewhere = look(&mut mounts, &["y.yaml"], &[("", 3), ("a", 3)]);
        assert!(elsewhere.is_complete(), "the root is on another device");
    }
}
