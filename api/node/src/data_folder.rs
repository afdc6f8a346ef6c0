//! The folder that a daemon owns: made private, and locked so that no second daemon uses it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

/// A locked data folder. The lock ends with the value, or with the process.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    #[error("cannot make the data folder {path}: {reason}; make it, or name another with --data DIR")]
    Make { path: PathBuf, reason: io::Error },
    #[error(
        "cannot write to the data folder {path}: {reason}; give this user the right to it, free some space, or name another with --data DIR"
    )]
    Write { path: PathBuf, reason: io::Error },
    #[error(
        "the data folder {path} is in use by process {holder}; stop it, or name another folder with --data DIR"
    )]
    InUse { path: PathBuf, holder: String },
}

impl DataFolder {
    /// Makes the folder (mode 0700) where it is missing, checks that it can be written to, and locks it.
    ///
    /// # Errors
    /// See [`DataFolderError`].
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let fail_make = |reason| DataFolderError::Make { path: path.to_owned(), reason };
        let fail_write = |reason| DataFolderError::Write { path: path.to_owned(), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail_make)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(fail_write)?;
        if !try_lock(&lock).map_err(fail_write)? {
            let mut holder = String::new();
            drop(lock.read_to_string(&mut holder));
            return Err(DataFolderError::InUse { path: path.to_owned(), holder: holder.trim().to_owned() });
        }
        lock.set_len(0).map_err(fail_write)?;
        writeln!(lock, "{}", std::process::id()).map_err(fail_write)?;
        lock.sync_all().map_err(fail_write)?;
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
    /// [`DataFolderError::Make`].
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataFolderError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(|reason| DataFolderError::Make { path: path.clone(), reason })?;
        Ok(path)
    }
}

/// `flock(2)` without waiting: it ends with the process, also after `kill -9`.
fn try_lock(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open for as long as `file` lives; flock reads no memory of ours.
    #[allow(unsafe_code, reason = "flock has no safe form in std for this toolchain")]
    let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if result == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        error => Err(error),
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
}
