//! The Git work tree that a folder may be part of: whether Git is at work in it, and which commit it shows.
//!
//! While Git changes the files of a work tree, its `index.lock` exists. What is in the folder then is half of the old
//! commit and half of the new one, and nobody wants either half.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::read::Stamp;

/// A work tree's own folder, and the one that it shares with others of the same repository.
#[derive(Debug)]
pub(super) struct Checkout {
    own: PathBuf,
    shared: PathBuf,
}

impl Checkout {
    /// Finds the work tree around a folder.
    pub(super) fn around(root: &Path) -> Option<Self> {
        let root = root.canonicalize().ok()?;
        root.ancestors().find_map(|folder| Self::of(&folder.join(".git")))
    }

    fn of(git: &Path) -> Option<Self> {
        let own = match git.metadata().ok()? {
            found if found.is_dir() => git.to_owned(),
            // A linked work tree names its folder in a file.
            _ => git.parent()?.join(line_of(git)?.strip_prefix("gitdir: ")?),
        };
        let shared = line_of(&own.join("commondir")).map_or_else(|| own.clone(), |path| own.join(path));
        own.join("HEAD").is_file().then_some(Self { own, shared })
    }

    /// Returns the lock that Git holds while it changes files.
    pub(super) fn lock(&self) -> Option<PathBuf> {
        let lock = self.own.join("index.lock");
        lock.symlink_metadata().is_ok().then_some(lock)
    }

    /// Returns what changes whenever Git has changed files.
    pub(super) fn index(&self) -> Option<Stamp> {
        self.own.join("index").metadata().ok().map(|found| Stamp::of(&found))
    }

    /// Returns the id of the commit that is checked out.
    pub(super) fn commit(&self) -> Option<String> {
        let head = line_of(&self.own.join("HEAD"))?;
        let Some(reference) = head.strip_prefix("ref: ") else { return id(&head) };
        if !reference.starts_with("refs/") || reference.contains("..") {
            return None;
        }
        let loose = [&self.own, &self.shared].into_iter().find_map(|folder| line_of(&folder.join(reference)));
        loose.as_deref().and_then(id).or_else(|| self.packed(reference))
    }

    fn packed(&self, reference: &str) -> Option<String> {
        let text = text_of(&self.shared.join("packed-refs"))?;
        let found = text.lines().filter_map(|line| line.split_once(' ')).find(|(_, name)| *name == reference);
        found.and_then(|(text, _)| id(text))
    }
}

/// Whatever a file says, only what is an id is shown to anybody.
fn id(text: &str) -> Option<String> {
    let is_id = [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

fn line_of(path: &Path) -> Option<String> {
    text_of(path)?.lines().next().map(|line| line.trim_end().to_owned())
}

fn text_of(path: &Path) -> Option<String> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A `packed-refs` with ten thousand branches fits.
const BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Checkout;

    const ID: &str = "8f2c0a4d3b1e5f60718293a4b5c6d7e8f9012345";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(root: &Path) -> Option<String> {
        Checkout::around(root)?.commit()
    }

    #[test]
    fn commit_is_found_wherever_git_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("site/manifests")).unwrap();
        assert_eq!(commit(&root.join("site/manifests")), None);

        write(root, ".git/HEAD", &format!("{ID}\n"));
        assert_eq!(commit(&root.join("site/manifests")).as_deref(), Some(ID));
        write(root, ".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(commit(root), None);
        write(root, ".git/packed-refs", &format!("# pack-refs\n{ID} refs/heads/main\n"));
        assert_eq!(commit(root).as_deref(), Some(ID));
        let loose = ID.replace('8', "9");
        write(root, ".git/refs/heads/main", &format!("{loose}\n"));
        assert_eq!(commit(root), Some(loose));
    }

    #[test]
    fn linked_work_tree_has_its_own_head_and_lock() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "repository/.git/HEAD", "ref: refs/heads/main\n");
        write(root, "repository/.git/refs/heads/live", &format!("{ID}\n"));
        write(root, "repository/.git/worktrees/live/HEAD", "ref: refs/heads/live\n");
        write(root, "repository/.git/worktrees/live/commondir", "../..\n");
        write(root, "live/.git", "gitdir: ../repository/.git/worktrees/live\n");
        let live = root.join("live");

        assert_eq!(commit(&live).as_deref(), Some(ID));
        write(root, "repository/.git/index.lock", "");
        assert_eq!(Checkout::around(&live).unwrap().lock(), None);
        write(root, "repository/.git/worktrees/live/index.lock", "");
        assert!(Checkout::around(&live).unwrap().lock().is_some());
    }

    #[test]
    fn what_is_no_id_is_shown_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "secret", "hunter2\n");
        for head in ["ref: ../secret", "ref: refs/../../secret", "hunter2", "", "ref: refs/heads/none"] {
            write(root, ".git/HEAD", head);
            assert_eq!(commit(root), None, "{head}");
        }
    }
}
