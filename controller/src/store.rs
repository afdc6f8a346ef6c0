//! What the controller remembers, in libSQL.
//!
//! One thread writes and checkpoints, two read, and no call of the library runs on a worker of the runtime.
//! Every operation is one transaction and can be repeated: after a crash a write may be there though nobody
//! was told. Times are milliseconds of Unix time, uids are text, JSON is text that is not looked into.

mod allocation;
mod api_token;
mod assignment;
mod audit;
mod backup;
mod binding;
mod commit;
mod definition;
mod document;
mod error;
mod event;
mod gateway_key;
mod guard;
mod hold;
mod key;
mod load;
mod meta;
mod migration;
mod object;
mod pepper;
mod reader;
mod revision;
mod revocation;
mod rotate_key;
mod section;
mod session;
mod sql;
mod statement;
mod trust;
mod use_key;
mod vigil;
mod writer;

#[cfg(test)]
mod crash;
#[cfg(test)]
mod facts;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use horizon_node::data_folder::{DataFolder, DataFolderError};
use tracing::{error, info};

pub use allocation::Allocation;
pub use api_token::{ApiToken, NewApiToken};
pub use assignment::{Assignment, StoredAssignment};
pub use audit::{AuditEntry, AuditState};
pub use backup::{Backup, RestoredStore, restore};
pub use binding::{Binding, Enrolment, NodeKind, Reenrolled, Seen, Statement};
pub use commit::{CommitOutcome, CommitRevision, Restored};
pub use definition::Definition;
pub use document::{Document, DocumentChanges, DocumentKey, StoredDocuments};
pub use error::StoreError;
pub use event::{Event, Severity, StoredEvent};
pub use gateway_key::{GatewayKeys, NextKey};
pub use guard::{Armed, Guard, Plan, Reverted};
pub use hold::Hold;
pub use key::{IssueOutcome, IssuedKey, LastUse, TokenUses};
pub use load::Stored;
pub use object::{Object, ObjectConditions};
pub use revision::Revision;
pub use revocation::{FORGOTTEN, Revocation, Revoke};
pub use rotate_key::{Changed, ROTATED, RotateKey};
pub use section::Section;
pub use session::{NewLink, Session, TakeLink};
pub use trust::{Challenge, Trust};
pub use use_key::{Named, UseKey, UseOutcome};

use error::Result;
use reader::Readers;
use statement::Statements;
use vigil::Vigil;
use writer::Writer;

/// Name of the database in the data folder.
const DATABASE: &str = "horizon.db";
/// Entries of the audit log that are checked at every start.
const AUDIT_CHECKED_AT_START: i64 = 10_000;

/// The store of one data folder. Clones are the same store; the last one dropped closes it.
#[derive(Clone)]
pub struct Store {
    parts: Arc<Parts>,
}

// In the order in which they end: the last checkpoint needs readers gone, and the folder is given back last.
struct Parts {
    readers: Readers,
    writer: Writer,
    vigil: Vigil,
    start: Start,
    folder: DataFolder,
}

/// What was found when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Starts of this store, this one included.
    pub number: i64,
    pub engine: String,
    pub audit: AuditState,
    pub epoch: i64,
    /// Nothing was ever committed: no node knows this controller yet.
    pub is_fresh: bool,
    /// How many peppers lie over each digest of a token.
    pub peppers: i64,
}

/// Counters since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounters {
    pub commits: u64,
    pub requests: u64,
    pub refused_busy: u64,
    pub waiting: u64,
    /// Time spent in transactions, their sync included.
    pub commit_us: u64,
}

impl Store {
    /// Opens the store of a folder, making both when they are not there. Blocks: call it before serving.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = DataFolder::open(folder)?;
        let path = folder.file(DATABASE);
        touch(&path)?;
        let mut statements = writer::connect(&path)?;
        migration::migrate(&mut statements)?;
        let start = writer::transaction(&mut statements, check_start)?;
        let vigil = Vigil::default();
        let readers = Readers::start(&path, &vigil)?;
        let writer = Writer::start(statements, &vigil)
            .map_err(|error| StoreError::Unusable { path: path.clone(), reason: error.to_string() })?;
        info!(path = %path.display(), start = start.number, engine = start.engine, "store opened");
        if let AuditState::Broken { seq } = start.audit {
            error!(seq, "the audit log does not follow from itself: the store was altered or lost entries");
        }
        Ok(Self { parts: Arc::new(Parts { readers, writer, vigil, start, folder }) })
    }

    /// Closes the store when this is its last clone, off the runtime's workers.
    pub async fn close(self) {
        // A panic of the store's threads is logged where they are joined.
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }

    /// Waits until a thread of the store ends, which none does while the store is open, unless it breaks.
    pub async fn broken(&self) {
        self.parts.vigil.ended().await;
    }

    /// Says why the last transaction was not committed, until one is.
    pub fn trouble(&self) -> Option<StoreError> {
        self.parts.writer.trouble()
    }

    /// Writes without changing anything, to find out whether writing works again.
    pub async fn probe(&self) -> Result<()> {
        self.parts.writer.write(meta::touch).await
    }

    /// Begins the next epoch, before anything was read: whoever had the store before may still run.
    ///
    /// # Errors
    /// When the store refuses; then the epoch is what it was.
    pub async fn raise_epoch(mut self) -> Result<Self> {
        let epoch = self.parts.writer.write(meta::raise_epoch).await?;
        let parts = Arc::get_mut(&mut self.parts)
            .ok_or_else(|| StoreError::Misuse("the epoch is raised before the store is shared".into()))?;
        parts.start.epoch = epoch;
        info!(epoch, "the next epoch begins");
        Ok(self)
    }

    /// Remembers the definitions of kinds in the cluster.
    pub async fn set_definitions(&self, definitions: Vec<Definition>) -> Result<()> {
        let work = |statements: &mut Statements| {
            definitions.into_iter().try_for_each(|one| definition::put(statements, one))
        };
        self.parts.writer.write(work).await
    }

    /// Copies the store as it is at one moment into a file.
    ///
    /// # Errors
    /// When the file is there already or cannot be written; then there is no file.
    pub async fn backup(&self, file: PathBuf) -> Result<Backup> {
        let database = self.parts.folder.file(DATABASE);
        let work = tokio::task::spawn_blocking(move || backup::write(&database, &file));
        work.await.map_err(|_| StoreError::Stopped)?
    }

    pub fn start(&self) -> &Start {
        &self.parts.start
    }

    pub fn counters(&self) -> StoreCounters {
        let counters = self.parts.writer.counters();
        StoreCounters {
            commits: counters.commits.load(Ordering::Relaxed),
            requests: counters.requests.load(Ordering::Relaxed),
            refused_busy: counters.refused_busy.load(Ordering::Relaxed),
            waiting: counters.waiting.load(Ordering::Relaxed),
            commit_us: counters.commit_us.load(Ordering::Relaxed),
        }
    }

    /// Returns everything that the reconciler needs at its start, as of one moment.
    pub async fn load(&self) -> Result<Stored> {
        self.parts.readers.read(load::load).await
    }

    /// Commits one revision in one transaction.
    pub async fn commit_revision(&self, commit: CommitRevision) -> Result<CommitOutcome> {
        self.parts.writer.write(|statements| commit::commit_revision(statements, commit)).await
    }

    /// Updates conditions between revisions, as acks arrive.
    pub async fn set_conditions(&self, conditions: Vec<ObjectConditions>) -> Result<()> {
        let work = |statements: &mut Statements| {
            conditions.into_iter().try_for_each(|one| object::set_conditions(statements, one))
        };
        self.parts.writer.write(work).await
    }

    /// Uses a key and binds a node, or neither.
    pub async fn use_key(&self, request: UseKey) -> Result<UseOutcome> {
        self.parts.writer.write(|statements| use_key::use_key(statements, request)).await
    }

    /// Stores the digest of a secret that was made for a key, once.
    pub async fn issue_key(&self, key: IssuedKey, audit: AuditEntry) -> Result<IssueOutcome> {
        let work = move |statements: &mut Statements| {
            let outcome = key::issue(statements, &key)?;
            if outcome == IssueOutcome::Issued {
                audit::append(statements, &audit)?;
            }
            Ok(outcome)
        };
        self.parts.writer.write(work).await
    }

    /// Stores the digest of a token that is in a secret of the cluster, made for this object there; the token that the
    /// key had before is void.
    pub async fn issue_in_secret(&self, key: IssuedKey, object: String, audit: AuditEntry) -> Result<()> {
        let work = move |statements: &mut Statements| {
            key::issue_in_secret(statements, &key, &object)?;
            audit::append(statements, &audit)
        };
        self.parts.writer.write(work).await
    }

    /// Holds an object.
    pub async fn hold(&self, hold: Hold, audit: AuditEntry) -> Result<()> {
        let work = move |statements: &mut Statements| {
            hold::put(statements, hold)?;
            audit::append(statements, &audit)
        };
        self.parts.writer.write(work).await
    }

    /// Ends a hold; one that is not there is no error, because the first answer may have been lost.
    pub async fn end_hold(&self, object: String, audit: AuditEntry) -> Result<()> {
        let work = move |statements: &mut Statements| {
            if hold::delete(statements, &object)? { audit::append(statements, &audit) } else { Ok(()) }
        };
        self.parts.writer.write(work).await
    }

    /// Writes what is between texts and their effect, and what is revoked for good by that.
    pub async fn set_guard(&self, guard: Guard, revoked: Vec<Revoke>, audits: Vec<AuditEntry>) -> Result<()> {
        let work = move |statements: &mut Statements| {
            guard::replace(statements, guard)?;
            revoked.iter().try_for_each(|revoke| revocation::revoke(statements, revoke))?;
            audits.iter().try_for_each(|audit| audit::append(statements, audit))
        };
        self.parts.writer.write(work).await
    }

    /// Records signs of life.
    pub async fn see(&self, seen: Vec<Seen>) -> Result<()> {
        let work =
            move |statements: &mut Statements| seen.iter().try_for_each(|one| binding::see(statements, one));
        self.parts.writer.write(work).await
    }

    /// Keeps how far servers are believed, with the newest `kept` challenges of each.
    pub async fn keep_trust(&self, trust: Vec<Trust>, kept: i64) -> Result<()> {
        let work = move |statements: &mut Statements| {
            trust.into_iter().try_for_each(|one| trust::put(statements, one, kept))
        };
        self.parts.writer.write(work).await
    }

    /// Keeps what a node states of itself.
    pub async fn state(&self, statement: Statement) -> Result<()> {
        self.parts.writer.write(move |statements| binding::state(statements, statement)).await
    }

    /// Stores a security event; the same id again is stored once.
    pub async fn add_event(&self, event: Event) -> Result<()> {
        self.parts.writer.write(move |statements| event::put(statements, &event)).await
    }

    /// Returns the newest events, newest first.
    pub async fn recent_events(&self, limit: i64) -> Result<Vec<StoredEvent>> {
        self.parts.readers.read(move |statements| event::recent(statements, limit)).await
    }

    /// Returns what the resource API showed last.
    pub async fn documents(&self) -> Result<StoredDocuments> {
        self.parts.readers.read(document::all).await
    }

    /// Changes what the resource API shows, all of it or nothing, with what is to be remembered of who did it.
    pub async fn change_documents(&self, changes: DocumentChanges, audits: Vec<AuditEntry>) -> Result<()> {
        let work = move |statements: &mut Statements| {
            document::change(statements, changes)?;
            audits.iter().try_for_each(|audit| audit::append(statements, audit))
        };
        self.parts.writer.write(work).await
    }

    /// Stores a token of the resource API, if there is room for one more.
    pub async fn add_api_token(&self, token: NewApiToken, audit: AuditEntry) -> Result<bool> {
        let work = move |statements: &mut Statements| {
            let is_kept = api_token::put(statements, &token)?;
            if is_kept {
                audit::append(statements, &audit)?;
            }
            Ok(is_kept)
        };
        self.parts.writer.write(work).await
    }

    /// Returns the token of the resource API with a digest, be it over or not.
    pub async fn api_token(&self, digest: Vec<u8>) -> Result<Option<ApiToken>> {
        self.parts.readers.read(move |statements| api_token::find(statements, &digest)).await
    }

    /// Returns the tokens of the resource API that are valid.
    pub async fn api_tokens(&self, now: i64) -> Result<Vec<ApiToken>> {
        self.parts.readers.read(move |statements| api_token::live(statements, now)).await
    }

    /// Notes when and from where a token was used last.
    pub async fn note_api_token(&self, digest: Vec<u8>, at: i64, remote: String) -> Result<()> {
        let work = move |statements: &mut Statements| api_token::note_use(statements, &digest, at, &remote);
        self.parts.writer.write(work).await
    }

    /// Puts digests of tokens that were kept without a pepper under it.
    pub async fn key_api_tokens(
        &self,
        keyed: impl Fn(&[u8]) -> Option<[u8; 32]> + Send + 'static,
    ) -> Result<()> {
        self.parts.writer.write(move |statements| api_token::key_earlier(statements, keyed)).await
    }

    /// Keeps which key is to follow a gateway's, unless it is somebody's already; says whether it is.
    pub async fn announce_key(&self, next: NextKey) -> Result<bool> {
        self.parts.writer.write(move |statements| gateway_key::announce(statements, next)).await
    }

    /// Gives a node another key, unless that is somebody's already; says whether it is.
    pub async fn rotate_key(&self, rotation: RotateKey) -> Result<bool> {
        self.parts.writer.write(move |statements| rotate_key::rotate(statements, rotation)).await
    }

    /// Adds an entry to the audit log for what is kept elsewhere.
    pub async fn note(&self, audit: AuditEntry) -> Result<()> {
        self.parts.writer.write(move |statements| audit::append(statements, &audit)).await
    }

    /// Lays another pepper over every digest of a token, if so many lay there before.
    pub async fn lay_pepper(
        &self,
        before: i64,
        under: impl Fn(&[u8]) -> Option<[u8; 32]> + Send + 'static,
        audit: AuditEntry,
    ) -> Result<()> {
        self.parts.writer.write(move |statements| pepper::lay(statements, before, under, &audit)).await
    }

    /// Ends the token with an id, and says whether there was one.
    pub async fn end_api_token(&self, id: String, audit: AuditEntry) -> Result<bool> {
        let work = move |statements: &mut Statements| {
            let was_there = api_token::delete(statements, &id)?;
            if was_there {
                audit::append(statements, &audit)?;
            }
            Ok(was_there)
        };
        self.parts.writer.write(work).await
    }

    /// Ends every token of a subject, and says how many there were.
    pub async fn end_api_tokens(&self, subject: String, audit: AuditEntry) -> Result<u64> {
        let work = move |statements: &mut Statements| {
            let ended = api_token::delete_of(statements, &subject)?;
            audit::append(statements, &audit)?;
            Ok(ended)
        };
        self.parts.writer.write(work).await
    }

    /// Stores a sign-in link.
    pub async fn create_link(&self, link: NewLink) -> Result<()> {
        self.parts.writer.write(move |statements| session::put_link(statements, &link)).await
    }

    /// Exchanges a link for a session; `None` when it is unknown, used or expired.
    pub async fn take_link(&self, take: TakeLink) -> Result<Option<Session>> {
        self.parts.writer.write(move |statements| session::take_link(statements, &take)).await
    }

    /// Returns the session that a cookie's secret opens.
    pub async fn session(&self, secret: Vec<u8>, now: i64) -> Result<Option<Session>> {
        self.parts.readers.read(move |statements| session::find(statements, &secret, now)).await
    }

    /// Ends a session.
    pub async fn end_session(&self, secret: Vec<u8>) -> Result<()> {
        self.parts.writer.write(move |statements| session::delete(statements, &secret)).await
    }
}

/// Makes the database's file, private to its owner, before SQLite makes it with the usual mode.
fn touch(path: &Path) -> Result<()> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map(|_| ()).map_err(|error| DataFolderError::of(path, &error).into())
}

fn check_start(statements: &mut Statements) -> Result<Start> {
    let engine = statements.query_one("SELECT sqlite_version()", vec![], |row| row.text(0))?;
    Ok(Start {
        number: meta::count_start(statements)?,
        engine: engine.unwrap_or_default(),
        audit: audit::verify(statements, AUDIT_CHECKED_AT_START)?,
        epoch: meta::epoch(statements)?,
        is_fresh: revision::last(statements)?.is_none(),
        peppers: meta::peppers(statements)?,
    })
}
