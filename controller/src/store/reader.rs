//! Threads that read: their connections can neither write nor checkpoint.
//!
//! Each request sees one moment of the database, because it runs in one transaction.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tracing::error;

use super::error::{Result, StoreError};
use super::statement::{Access, Statements};
use super::vigil::Vigil;

/// Enough for one long read beside short ones.
const THREADS: usize = 2;
const QUEUE_MAX: usize = 1_024;

type Work = Box<dyn FnOnce(&mut Statements) + Send>;

/// The readers' end that callers hold. Dropping it ends the threads.
pub(super) struct Readers {
    queue: Option<SyncSender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path, vigil: &Vigil) -> Result<Self> {
        let (queue, requests) = sync_channel::<Work>(QUEUE_MAX);
        let requests = Arc::new(Mutex::new(requests));
        let mut threads = Vec::new();
        for number in 0..THREADS {
            let statements = connect(path)?;
            let requests = Arc::clone(&requests);
            let candle = vigil.candle();
            let thread = std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    run(statements, &requests);
                    drop(candle);
                })
                .map_err(|error| StoreError::Unusable { path: path.into(), reason: error.to_string() })?;
            threads.push(thread);
        }
        Ok(Self { queue: Some(queue), threads })
    }

    /// Runs `work` on a snapshot of the database.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Statements) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request: Work = Box::new(move |statements| {
            // A caller that no longer waits needs no answer.
            drop(reply.send(snapshot(statements, work)));
        });
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        queue.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Stopped,
        })?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!("a reader of the store ended with a panic");
            }
        }
    }
}

fn connect(path: &Path) -> Result<Statements> {
    let mut statements = Statements::open(path, Access::ReadOnly)?;
    statements.run_once("PRAGMA query_only = ON")?;
    statements.run_once("PRAGMA wal_autocheckpoint = 0")?;
    // 256 KiB: what is read again and again is in memory as objects.
    statements.run_once("PRAGMA cache_size = -256")?;
    Ok(statements)
}

fn run(mut statements: Statements, requests: &Mutex<Receiver<Work>>) {
    loop {
        let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        work(&mut statements);
    }
}

fn snapshot<T>(statements: &mut Statements, work: impl FnOnce(&mut Statements) -> Result<T>) -> Result<T> {
    statements.execute("BEGIN", vec![])?;
    let outcome = work(statements);
    let ended = statements.execute("ROLLBACK", vec![]);
    let value = outcome?;
    ended?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::connect;
    use crate::store::error::StoreError;
    use crate::store::writer;

    #[test]
    fn reader_can_neither_write_nor_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("horizon.db");
        let mut writer = writer::connect(&path).unwrap();
        writer.run_once("CREATE TABLE pair (name TEXT)").unwrap();
        let mut reader = connect(&path).unwrap();

        let write = reader.execute("INSERT INTO pair VALUES ('a')", vec![]);
        let automatic = reader.query_one("PRAGMA wal_autocheckpoint", vec![], |row| row.integer(0)).unwrap();
        let log_before = std::fs::metadata(folder.path().join("horizon.db-wal")).unwrap().len();
        let checkpoint = reader.query_one("PRAGMA wal_checkpoint(TRUNCATE)", vec![], |row| row.integer(0));
        let log_after = std::fs::metadata(folder.path().join("horizon.db-wal")).unwrap().len();

        assert!(matches!(write, Err(StoreError::ReadOnly { .. })));
        assert_eq!(automatic, Some(0));
        assert!(checkpoint.is_err(), "{checkpoint:?}");
        assert!(log_before > 0 && log_before == log_after);
    }
}
