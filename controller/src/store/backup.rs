//! Copies of the whole store, and a store that is made from one.
//!
//! A copy is one moment of the database, without the keys beside it: whoever steals it can use none of the tokens in
//! it. A store that is restored begins an epoch that was never heard of, because what it forgot was in force.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use horizon_node::data_folder::{DataFolder, DataFolderError};

use super::audit::{self, AuditEntry, AuditState};
use super::error::{Result, StoreError};
use super::statement::{Access, Statements};
use super::{meta, migration, revision, writer};

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    pub epoch: i64,
    /// The last revision in it; 0 before the first.
    pub revision: i64,
    pub bytes: u64,
}

/// A store that was made from a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredStore {
    pub backup: Backup,
    /// The epoch that begins with it.
    pub epoch: i64,
    /// Where the database went that was there before.
    pub replaced: Option<PathBuf>,
}

/// Copies the database into a file that is whole or not there. Blocks.
pub(super) fn write(database: &Path, file: &Path) -> Result<Backup> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(StoreError::FileExists { path: file.to_path_buf() });
    }
    let draft = file.with_extension("partial");
    let written = copy(database, &draft).and_then(|backup| {
        let sync = File::open(&draft).and_then(|copied| copied.sync_all());
        sync.and_then(|()| fs::rename(&draft, file)).map_err(|error| unusable(file, &error))?;
        sync_folder(file).map(|()| backup)
    });
    if written.is_err() {
        drop(fs::remove_file(&draft));
    }
    written
}

fn copy(database: &Path, draft: &Path) -> Result<Backup> {
    // SQLite fills a file that is there and empty; it would make one that others can read.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)
        .map_err(|error| unusable(draft, &error))?;
    let name = draft.to_str().ok_or_else(|| StoreError::Unreadable {
        path: draft.to_path_buf(),
        reason: "its name is not UTF-8".into(),
    })?;
    // Not one of the readers' connections: what only queries may not copy either.
    Statements::open(database, Access::ReadOnly)?.execute("VACUUM INTO ?1", vec![name.into()])?;
    check(draft)
}

/// Makes the store of a folder from a copy. Nothing of the folder is changed before the copy was found to be whole.
///
/// # Errors
/// When a controller runs on the folder, or the copy is damaged, of a newer program, or no copy of a store.
pub fn restore(folder: &Path, file: &Path, epoch_after: i64) -> Result<RestoredStore> {
    let folder = DataFolder::open(folder)?;
    let database = folder.file(super::DATABASE);
    let draft = folder.file("restoring");
    drop(fs::remove_file(&draft));
    super::touch(&draft)?;
    fs::copy(file, &draft).map_err(|error| unusable(file, &error))?;
    let restored = prepare(&draft, epoch_after.max(epoch_of(&database))).and_then(|(backup, epoch)| {
        let replaced = put_aside(&folder, &database)?;
        fs::rename(&draft, &database).map_err(|error| unusable(&database, &error))?;
        sync_folder(&database)?;
        Ok(RestoredStore { backup, epoch, replaced })
    });
    if restored.is_err() {
        drop(fs::remove_file(&draft));
    }
    restored
}

/// Checks a copy, and begins an epoch in it that follows on its own and on every other that is known.
fn prepare(draft: &Path, epoch_after: i64) -> Result<(Backup, i64)> {
    let backup = check(draft)?;
    let mut statements = writer::connect(draft)?;
    migration::migrate(&mut statements)?;
    let epoch = writer::transaction(&mut statements, |statements| {
        let epoch = meta::begin_epoch_after(statements, epoch_after.max(backup.epoch))?;
        meta::set_restored_from(statements, backup.epoch, backup.revision)?;
        let reason = format!("restored a backup of revision {} (epoch {})", backup.revision, backup.epoch);
        let entry = AuditEntry {
            at: horizon_node::clock::unix_ms(),
            actor: "operator".into(),
            action: "restore".into(),
            object: "store".into(),
            detail: serde_json::json!({ "reason": reason, "epoch": epoch }),
        };
        audit::append(statements, &entry)?;
        Ok(epoch)
    })?;
    // Its log must not be left behind when the file gets its name.
    statements.query("PRAGMA wal_checkpoint(TRUNCATE)", vec![], |row| row.integer(0))?;
    statements.query("PRAGMA journal_mode = DELETE", vec![], |row| row.text(0))?;
    drop(statements);
    File::open(draft).and_then(|copied| copied.sync_all()).map_err(|error| unusable(draft, &error))?;
    Ok((backup, epoch))
}

/// Reads a copy from its first page to its last.
fn check(file: &Path) -> Result<Backup> {
    let mut statements = Statements::open(file, Access::ReadOnly)?;
    let damaged = |reason: String| StoreError::Damaged { path: file.to_path_buf(), reason };
    let found = statements.query("PRAGMA integrity_check", vec![], |row| row.text(0))?;
    if found != ["ok"] {
        return Err(damaged(found.first().cloned().unwrap_or_default()));
    }
    if !migration::is_migrated(&mut statements)? {
        return Err(StoreError::NotADatabase { path: file.to_path_buf() });
    }
    if let AuditState::Broken { seq } = audit::verify(&mut statements, i64::MAX)? {
        return Err(damaged(format!("its audit log does not follow from itself at entry {seq}")));
    }
    let revision = revision::last(&mut statements)?.map_or(0, |revision| revision.number);
    let bytes = fs::metadata(file).map_err(|error| unusable(file, &error))?.len();
    Ok(Backup { epoch: meta::epoch(&mut statements)?, revision, bytes })
}

/// Returns the epoch of the database that is there; 0 where none is, or where it cannot be read.
fn epoch_of(database: &Path) -> i64 {
    let open = || meta::epoch(&mut Statements::open(database, Access::ReadOnly)?);
    if database.exists() { open().unwrap_or(0) } else { 0 }
}

/// Moves the database that is there out of the way: whoever restored the wrong copy wants it back.
fn put_aside(folder: &DataFolder, database: &Path) -> Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let aside = folder.file(&format!("replaced-{}", horizon_node::clock::unix_s()));
    for suffix in ["-wal", "-shm", ""] {
        let from = PathBuf::from(format!("{}{suffix}", database.display()));
        let to = PathBuf::from(format!("{}{suffix}", aside.display()));
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&from, &error)),
        }
    }
    Ok(Some(aside))
}

fn sync_folder(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unusable(folder, &error))
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    DataFolderError::of(path, error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn what_is_restored_begins_an_epoch_that_nobody_has_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let [data, elsewhere, file] = ["data", "elsewhere", "copy"].map(|name| folder.path().join(name));
        let store = Store::open(&data).unwrap().raise_epoch().await.unwrap();
        let backup = store.backup(file.clone()).await.unwrap();
        assert_eq!((backup.epoch, backup.revision), (2, 0));
        let store = store.raise_epoch().await.unwrap();
        let busy = restore(&data, &file, 0).err().unwrap().to_string();
        store.close().await;

        let here = restore(&data, &file, 0).unwrap();
        let there = restore(&elsewhere, &file, 9).unwrap();

        assert!(busy.contains("in use"), "{busy}");
        assert_eq!((here.epoch, there.epoch), (4, 10));
        assert!(here.replaced.unwrap().exists() && there.replaced.is_none());
        assert_eq!(Store::open(&data).unwrap().start().epoch, 4);
    }

    #[tokio::test]
    async fn a_copy_that_is_damaged_or_none_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [data, file, other] = ["data", "copy", "other"].map(|name| folder.path().join(name));
        let store = Store::open(&data).unwrap();
        store.backup(file.clone()).await.unwrap();
        let again = store.backup(file.clone()).await.unwrap_err().to_string();
        store.close().await;
        let mut bytes = fs::read(&file).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0x55);
        fs::write(&file, bytes).unwrap();
        fs::write(&other, "no database").unwrap();

        for copy in [&file, &other] {
            restore(&data, copy, 0).unwrap_err();
        }

        assert!(again.contains("there already"), "{again}");
        let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("restor")), "{left:?}");
        assert_eq!(Store::open(&data).unwrap().start().epoch, 1);
    }
}
