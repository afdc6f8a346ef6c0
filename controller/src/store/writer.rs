//! The only thread whose connection writes, and the only one that checkpoints.
//!
//! The SQLite inside libsql loses committed rows when one connection checkpoints while another writes, so
//! both happen here and nowhere else. Requests wait in a bounded queue; whatever is waiting shares one
//! transaction (each in its own savepoint) and one sync of the disk, and all are answered after it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, warn};

use super::error::{Result, StoreError};
use super::statement::{Access, Statements};
use super::vigil::Vigil;

/// Requests that may wait; 1,024 of them are some tens of milliseconds of work.
const QUEUE_MAX: usize = 1_024;
/// Requests that share a commit: more gain nothing, and delay the first.
const GROUP_MAX: usize = 256;
/// Commits between two checkpoints: keeps the log at a few MiB.
const COMMITS_PER_CHECKPOINT: u32 = 500;
/// Without work for this long, the log is copied into the database.
const IDLE: Duration = Duration::from_secs(1);

/// The writer's end that callers hold. Dropping it ends the thread, after a last checkpoint.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

/// What the writer has done since it started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) refused_busy: AtomicU64,
    pub(super) waiting: AtomicU64,
    /// Time spent in transactions, their sync included.
    pub(super) commit_us: AtomicU64,
    /// Why the last transaction was not committed.
    trouble: Mutex<Option<StoreError>>,
}

impl Writer {
    /// Starts the thread on a connection that is already set up.
    pub(super) fn start(statements: Statements, vigil: &Vigil) -> std::io::Result<Self> {
        let (queue, requests) = sync_channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let state = State { statements, counters: Arc::clone(&counters), commits_unchecked: 0 };
        let candle = vigil.candle();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            state.run(&requests);
            drop(candle);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), counters })
    }

    /// Runs `work` in a transaction and returns what it returned once that is on disk.
    /// An error of `work` undoes what it wrote, and nothing else.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Statements) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Write { work: Some(work), outcome: None, reply });
        self.submit(request)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.counters.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn submit(&self, request: Box<dyn Request>) -> Result<()> {
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        let Err(refused) = queue.try_send(request) else { return Ok(()) };
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        match refused {
            TrySendError::Full(_) => {
                self.counters.refused_busy.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Busy)
            }
            TrySendError::Disconnected(_) => Err(StoreError::Stopped),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the store's writer ended with a panic");
        }
    }
}

/// Opens the connection that [`Writer`] will own.
pub(super) fn connect(path: &Path) -> Result<Statements> {
    let mut statements = Statements::open(path, Access::ReadWrite)?;
    for pragma in [
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        // Checkpoints are ours to time.
        "PRAGMA wal_autocheckpoint = 0",
        // 1 MiB: the inner pages of some hundred thousand rows.
        "PRAGMA cache_size = -1024",
    ] {
        statements.run_once(pragma)?;
    }
    Ok(statements)
}

/// Runs `work` in one transaction, for what happens before the thread runs.
pub(super) fn transaction<T>(
    statements: &mut Statements,
    work: impl FnOnce(&mut Statements) -> Result<T>,
) -> Result<T> {
    statements.execute("BEGIN IMMEDIATE", vec![])?;
    let outcome = work(statements).and_then(|value| {
        statements.execute("COMMIT", vec![])?;
        Ok(value)
    });
    if outcome.is_err() {
        roll_back(statements);
    }
    outcome
}

fn roll_back(statements: &mut Statements) {
    // A full disk, for one, has ended it already.
    if statements.is_in_transaction()
        && let Err(error) = statements.execute("ROLLBACK", vec![])
    {
        warn!(%error, "rollback refused");
    }
}

/// What waits in the queue: work that is run, then answered.
trait Request: Send {
    fn run(&mut self, statements: &mut Statements) -> Result<()>;
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Write<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Request for Write<T, F>
where
    T: Send,
    F: FnOnce(&mut Statements) -> Result<T> + Send,
{
    fn run(&mut self, statements: &mut Statements) -> Result<()> {
        let Some(work) = self.work.take() else {
            return Err(StoreError::Misuse("a request runs once".into()));
        };
        let outcome = work(statements);
        let verdict = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        verdict
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let outcome = match (self.outcome, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(StoreError::Stopped),
        };
        // A caller that no longer waits has been told nothing; every write can be repeated.
        drop(self.reply.send(outcome));
    }
}

struct State {
    statements: Statements,
    counters: Arc<Counters>,
    commits_unchecked: u32,
}

impl State {
    fn run(mut self, requests: &Receiver<Box<dyn Request>>) {
        loop {
            match requests.recv_timeout(IDLE) {
                Ok(first) => self.commit_group(first, requests),
                Err(RecvTimeoutError::Timeout) => self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.commits_unchecked >= COMMITS_PER_CHECKPOINT {
                self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)");
            }
        }
        self.commits_unchecked += 1;
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    fn commit_group(&mut self, first: Box<dyn Request>, requests: &Receiver<Box<dyn Request>>) {
        let started = Instant::now();
        let mut group = Vec::new();
        let mut next = Some(first);
        let outcome = transaction(&mut self.statements, |statements| {
            while let Some(mut request) = next.take() {
                let outcome = in_savepoint(statements, request.as_mut());
                group.push(request);
                outcome?;
                if group.len() < GROUP_MAX {
                    next = requests.try_recv().ok();
                }
            }
            Ok(())
        });
        // A transaction that could not begin has taken in nobody: the first is answered all the same.
        group.extend(next);
        self.count(group.len() as u64, started);
        *self.counters.trouble.lock().unwrap_or_else(PoisonError::into_inner) = outcome.clone().err();
        for request in group {
            request.answer(outcome.clone());
        }
    }

    fn count(&mut self, requests: u64, started: Instant) {
        self.commits_unchecked += 1;
        let elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.requests.fetch_add(requests, Ordering::Relaxed);
        self.counters.waiting.fetch_sub(requests, Ordering::Relaxed);
        self.counters.commit_us.fetch_add(elapsed_us, Ordering::Relaxed);
    }

    fn checkpoint(&mut self, pragma: &'static str) {
        if self.commits_unchecked == 0 {
            return;
        }
        // A checkpoint that finds a reader in its way says so in its row, and is tried again later.
        match self.statements.query(pragma, vec![], |row| row.integer(0)) {
            Ok(_) => self.commits_unchecked = 0,
            Err(error) => warn!(%error, "checkpoint refused"),
        }
    }
}

/// Runs one request so that its failure undoes only what it wrote.
/// An error here means that the whole transaction is lost.
fn in_savepoint(statements: &mut Statements, request: &mut dyn Request) -> Result<()> {
    statements.execute("SAVEPOINT request", vec![])?;
    if let Err(error) = request.run(statements) {
        if !statements.is_in_transaction() {
            return Err(error);
        }
        statements.execute("ROLLBACK TO request", vec![])?;
    }
    statements.execute("RELEASE request", vec![])?;
    Ok(())
}

#[cfg(test)]
mod facts;
