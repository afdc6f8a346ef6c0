//! The folder that a daemon owns: private, and locked so that no second daemon uses it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A locked data folder. The lock ends with the value, or with the process.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataFolderError {
    #[error("no access to {path}: run as its owner, or change its owner and mode")]
    NoAccess { path: PathBuf },
    #[error(
        "others can look into {path} and it holds other things too: run `chmod 700 {path}`, or name another data folder with --data DIR"
    )]
    Open { path: PathBuf },
    #[error("{path} is read-only: mount it writable, or name another data folder with --data DIR")]
    ReadOnly { path: PathBuf },
    #[error("no space left for {path}: free some; nothing was changed")]
    Full { path: PathBuf },
    #[error("cannot use {path}: {reason}; name another data folder with --data DIR")]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "{path} is in use by process {holder}: stop that one, or name another data folder with --data DIR"
    )]
    InUse { path: PathBuf, holder: String },
}

impl DataFolder {
    /// Makes the folder where it is missing, takes everybody else's access to it away, checks that it can be
    /// written to, and locks it.
    ///
    /// # Errors
    /// See [`DataFolderError`].
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let fail = |error: io::Error| DataFolderError::of(path, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
        if is_open(path).map_err(fail)? {
            if !is_ours(path).map_err(fail)? {
                return Err(DataFolderError::Open { path: path.to_owned() });
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(fail)?;
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                drop(lock.read_to_string(&mut holder));
                return Err(DataFolderError::InUse {
                    path: path.to_owned(),
                    holder: holder.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        lock.set_len(0).map_err(fail)?;
        writeln!(lock, "{}", std::process::id()).map_err(fail)?;
        lock.sync_all().map_err(fail)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns a folder in it, made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataFolderError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(|error| DataFolderError::of(&path, &error))?;
        Ok(path)
    }
}

/// Whoever made the folder may have left it open to others, and keys are in it.
fn is_open(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Only a folder that is empty or was ours before is changed: `--data /tmp` must not lock everybody out.
fn is_ours(path: &Path) -> io::Result<bool> {
    if path.join("lock").exists() {
        return Ok(true);
    }
    for entry in fs::read_dir(path)? {
        // A disk of its own begins with this.
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

impl DataFolderError {
    /// Sorts an error of the file system by what a person does about it.
    pub fn of(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of input and output errors are open")]
        match error.kind() {
            ErrorKind::PermissionDenied => Self::NoAccess { path },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Unusable { path, reason: error.to_string().to_lowercase() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_by_name_until_the_first_leaves() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let first = DataFolder::open(&path).expect("free");

        let second = DataFolder::open(&path).expect_err("in use").to_string();
        drop(first);

        assert!(second.contains(&std::process::id().to_string()), "{second}");
        assert!(DataFolder::open(&path).is_ok());
    }

    #[test]
    fn a_folder_that_was_open_to_others_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("changed");

        let _data = DataFolder::open(folder.path()).expect("free");

        let mode = fs::metadata(folder.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_shared_folder_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("somebody's"), "").expect("written");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("changed");

        let refused = DataFolder::open(folder.path()).expect_err("not ours");

        assert!(matches!(refused, DataFolderError::Open { .. }), "{refused}");
        let mode = fs::metadata(folder.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    }

    #[test]
    fn an_error_of_the_disk_says_what_to_do() {
        let text = |kind: ErrorKind| DataFolderError::of(Path::new("/data"), &kind.into()).to_string();

        assert!(text(ErrorKind::PermissionDenied).contains("run as its owner"));
        assert!(text(ErrorKind::ReadOnlyFilesystem).contains("mount it writable"));
        assert!(text(ErrorKind::StorageFull).contains("free some"));
        assert!(text(ErrorKind::NotADirectory).starts_with("cannot use /data: not a directory"));
    }
}
