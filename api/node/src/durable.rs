//! Files that are whole or not there: temporary file, fsync, rename, fsync of the folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::random;

/// Writes a file that only its owner may read. After a crash it has its old content or all of the new, and there may be
/// a file beside it that nobody reads.
///
/// # Errors
/// When the folder cannot be written to, or the disk is full: the old file is untouched.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let number = u64::from_be_bytes(random::bytes());
    write_by_way_of(&path.with_extension(format!("new.{number:016x}")), path, bytes)
}

/// Renames a file in its folder: after a crash it has the one name or the other.
///
/// # Errors
/// When the folder cannot be written to.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    let folder = to.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
    File::open(folder)?.sync_all()
}

/// Removes a file for good: after a crash it is not back. Returns whether it was there.
///
/// # Errors
/// When the folder cannot be written to.
pub fn remove(path: &Path) -> io::Result<bool> {
    let was_there = match fs::remove_file(path) {
        Ok(()) => true,
        // Whoever removed it may not have come to the rest.
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let folder = path.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
    File::open(folder)?.sync_all()?;
    Ok(was_there)
}

/// In a folder that is shared, such as `/tmp`, somebody else may have put a link where the temporary file goes: it is
/// made by this call, or nothing is written.
fn write_by_way_of(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        drop(fs::remove_file(temporary));
    }
    written?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");

        write(&path, b"old").expect("written");
        write(&path, b"new").expect("written");

        assert_eq!(fs::read(&path).expect("read"), b"new");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn what_is_removed_is_gone_and_may_be_removed_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        write(&path, b"old").expect("written");

        assert!(remove(&path).expect("removed") && !path.exists());
        assert!(!remove(&path).expect("nothing to remove"));
        assert!(remove(&folder.path().join("none/state")).is_err(), "its folder is not there");
    }

    #[test]
    fn what_somebody_else_placed_there_is_neither_followed_nor_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, placed, target] = ["state", "state.new", "target"].map(|name| folder.path().join(name));
        fs::write(&target, b"theirs").expect("written");
        std::os::unix::fs::symlink(&target, &placed).expect("linked");

        let refused = write_by_way_of(&placed, &path, b"ours").expect_err("refused");

        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).expect("read"), b"theirs");
        assert!(placed.is_symlink() && !path.exists());
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        fs::create_dir(&path).expect("made");

        write(&path, b"ours").expect_err("a folder is no file");

        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
