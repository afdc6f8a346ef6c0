//! What can go wrong in the store, each in one line that an operator can act on.

use std::path::PathBuf;

use horizon_node::data_folder::DataFolderError;

/// An error of the store. It can be cloned, because a failed commit fails everyone in its group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    #[error("no access to {path}: run as its owner, or change its owner and mode ({reason})")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path} is read-only: mount it writable, or choose another data folder (--data)")]
    ReadOnly { path: PathBuf },
    #[error("no space left for {path}: free some, nothing was changed")]
    Full { path: PathBuf },
    #[error("{path} is not a Horizon database: move it away, or restore a backup")]
    NotADatabase { path: PathBuf },
    #[error("{path} is damaged: restore a backup ({reason})")]
    Damaged { path: PathBuf, reason: String },
    #[error("{path} is there already: name a file that is not; nothing was changed")]
    FileExists { path: PathBuf },
    #[error("cannot use {path}: {reason}")]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "the database has schema {database}, this program knows up to {binary}: start a version at least as new"
    )]
    TooNew { database: i64, binary: i64 },
    #[error(
        "migration {version} in the database differs from this program's: start the build that made it, or restore a backup"
    )]
    MigrationChanged { version: i64 },
    #[error("the store is busy: its queue is full, try again")]
    Busy,
    #[error("the store has stopped: the controller's log says why, start it again")]
    Stopped,
    #[error(
        "revision {number} is already committed with other content: restart the controller, it reads what is in force"
    )]
    RevisionTaken { number: i64 },
    #[error(
        "revision {number} does not follow revision {last}: restart the controller, it reads what is in force"
    )]
    RevisionGap { number: i64, last: i64 },
    #[error("the store's epoch is {stored}, not {given}: it was restored, compile again")]
    EpochChanged { stored: i64, given: i64 },
    #[error("address {address} of network {network} already belongs to {owner}")]
    AddressTaken { network: String, address: String, owner: String },
    /// A mistake in this program: the statement and its values do not fit.
    #[error("misuse of the store: {0}")]
    Misuse(String),
    #[error("constraint: {0}")]
    Constraint(String),
    #[error("database error {code}: {message}")]
    Database { code: i32, message: String },
}

pub(super) type Result<T> = std::result::Result<T, StoreError>;
