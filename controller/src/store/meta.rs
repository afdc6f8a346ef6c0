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

/// Begins the epoch after this one.
pub(super) fn begin_epoch_after(statements: &mut Statements, other: i64) -> Result<i64> {
    statements
        .execute("UPDATE meta SET value = max(value, ?1) + 1 WHERE key = 'epoch'", vec![other.into()])?;
    epoch(statements)
}

/// Remembers up to where the store knows what was in force: gateways may have run more since.
pub(super) fn set_restored_from(statements: &mut Statements, epoch: i64, revision: i64) -> Result<()> {
    for (key, value) in [("restored_epoch", epoch), ("restored_revision", revision)] {
        statements.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            vec![key.into(), value.into()],
        )?;
    }
    Ok(())
}

/// Returns the epoch and the revision of the backup that the store was made from, if it was made from one.
pub(super) fn restored_from(statements: &mut Statements) -> Result<Option<(i64, i64)>> {
    let epoch = find(statements, "restored_epoch")?;
    Ok(epoch.zip(find(statements, "restored_revision")?))
}

/// Returns how many peppers lie over each digest of a token.
pub(super) fn peppers(statements: &mut Statements) -> Result<i64> {
    read(statements, "peppers")
}

/// Counts another pepper.
pub(super) fn add_pepper(statements: &mut Statements) -> Result<i64> {
    statements.execute("UPDATE meta SET value = value + 1 WHERE key = 'peppers'", vec![])?;
    peppers(statements)
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
    find(statements, key)?.ok_or_else(|| StoreError::Misuse(format!("no {key} in meta")))
}

fn find(statements: &mut Statements, key: &str) -> Result<Option<i64>> {
    statements.query_one("SELECT value FROM meta WHERE key = ?1", vec![key.into()], |row| row.integer(0))
}
