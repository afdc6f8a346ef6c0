//! Public keys that are refused everywhere, numbered in the order they were revoked.

use super::error::{Result, StoreError};
use super::statement::{Row, Statements};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub number: i64,
    pub public_key: Vec<u8>,
    pub owner: String,
    pub reason: String,
    pub revoked_at: i64,
}

/// A revocation to be made; its number is given by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    pub public_key: Vec<u8>,
    pub owner: String,
    pub reason: String,
    pub now: i64,
}

/// Revokes a key. The number must not be wasted on one that is revoked: look with [`find`] first.
pub(super) fn insert(statements: &mut Statements, revoke: &Revoke) -> Result<Revocation> {
    statements.execute(
        "INSERT INTO revocations (public_key, owner, reason, revoked_at) VALUES (?1, ?2, ?3, ?4)",
        vec![
            revoke.public_key.as_slice().into(),
            revoke.owner.as_str().into(),
            revoke.reason.as_str().into(),
            revoke.now.into(),
        ],
    )?;
    find(statements, &revoke.public_key)?
        .ok_or_else(|| StoreError::Misuse("a revocation that was stored is not there".into()))
}

pub(super) fn find(statements: &mut Statements, public_key: &[u8]) -> Result<Option<Revocation>> {
    statements.query_one(
        "SELECT number, public_key, owner, reason, revoked_at FROM revocations WHERE public_key = ?1",
        vec![public_key.into()],
        from_row,
    )
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Revocation>> {
    statements.query(
        "SELECT number, public_key, owner, reason, revoked_at FROM revocations ORDER BY number",
        vec![],
        from_row,
    )
}

fn from_row(row: &Row<'_>) -> Result<Revocation> {
    Ok(Revocation {
        number: row.integer(0)?,
        public_key: row.blob(1)?,
        owner: row.text(2)?,
        reason: row.text(3)?,
        revoked_at: row.integer(4)?,
    })
}
