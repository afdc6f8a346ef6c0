//! Counters of the store itself.

use super::error::{Result, StoreError};
use super::statement::Statements;

/// Rises when the store is restored from a backup, or taken over from somebody who may still run; gateways refuse an
/// older one.
pub(super) fn epoch(statements: &mut Statements) -> Result<i64> {
    read(statements, "epoch")
}

/// Begins the next epoch: what an older one says is refused from here on, wherever this one was heard.
pub(super) fn raise_epoch(statements: &mut Statements) -> Result<i64> {
    statements.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'", vec![])?;
    epoch(statements)
}

/// Counts this start. It is also the proof, before anything else runs, that the store can be written.
pub(super) fn count_start(statements: &mut Statements) -> Result<i64> {
    statements.execute("UPDATE meta SET value = value + 1 WHERE key = 'starts'", vec![])?;
    read(statements, "starts")
}

/// Writes what is there already: a full transaction without a change.
pub(super) fn touch(statements: &mut Statements) -> Result<()> {
    statements.execute("UPDATE meta SET value = value WHERE key = 'starts'", vec![]).map(drop)
}

fn read(statements: &mut Statements, key: &str) -> Result<i64> {
    statements
        .query_one("SELECT value FROM meta WHERE key = ?1", vec![key.into()], |row| row.integer(0))?
        .ok_or_else(|| StoreError::Misuse(format!("no {key} in meta")))
}
