//! The data folder: made private, and held by one controller at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::{Result, StoreError};

/// A data folder that is ours until this is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    // Closing it gives the lock back.
    _lock: File,
}

impl Folder {
    pub(super) fn take(path: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| named(path, &error))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|error| named(&lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: path.into(), pid: holder(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(named(&lock_path, &error)),
        }
        write_pid(&mut lock).map_err(|error| named(&lock_path, &error))?;
        Ok(Self { path: path.into(), _lock: lock })
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("horizon.db")
    }

    /// Makes the database's file, private to its owner, before SQLite makes it with the usual mode.
    pub(super) fn touch_database(&self) -> Result<()> {
        let path = self.database();
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| named(&path, &error))?;
        Ok(())
    }
}

fn write_pid(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

/// Returns the process id that the holder wrote.
fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    let read = lock.rewind().and_then(|()| (&*lock).take(32).read_to_string(&mut text));
    match text.trim() {
        pid if read.is_ok() && !pid.is_empty() => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn named(path: &Path, error: &std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    let reason = error.to_string().to_lowercase();
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of input and output errors are open")]
    match error.kind() {
        ErrorKind::PermissionDenied => StoreError::Unreadable { path, reason },
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { path },
        _ => StoreError::Unusable { path, reason },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};
    use std::path::Path;

    use super::named;

    #[track_caller]
    fn check(kind: ErrorKind, expected: &str) {
        assert_eq!(named(Path::new("/data"), &Error::from(kind)).to_string(), expected);
    }

    #[test]
    fn error_of_the_disk_says_what_to_do() {
        check(
            ErrorKind::PermissionDenied,
            "no access to /data: run as its owner, or change its owner and mode (permission denied)",
        );
        check(
            ErrorKind::ReadOnlyFilesystem,
            "/data is read-only: mount it writable, or choose another data folder (--data)",
        );
        check(ErrorKind::StorageFull, "no space left for /data: free some, nothing was changed");
        check(ErrorKind::NotADirectory, "cannot use /data: not a directory");
    }
}
