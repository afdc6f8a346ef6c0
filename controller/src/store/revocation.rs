//! Public keys that are refused everywhere, numbered in the order they were revoked.

use serde_json::json;

use super::audit::{self, AuditEntry};
use super::error::Result;
use super::statement::{Row, Statements};

/// Why the key of an ephemeral device is revoked: a token that is good lets the same device in again.
pub const FORGOTTEN: &str = "the ephemeral device was forgotten";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub number: i64,
    pub public_key: Vec<u8>,
    pub owner: String,
    pub reason: String,
    pub revoked_at: i64,
}

/// A revocation to be made, whose number is given by the store, or to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    pub public_key: Vec<u8>,
    pub owner: String,
    pub reason: String,
    pub now: i64,
}

/// Revokes a key; the first revocation of a key stands.
pub(super) fn revoke(statements: &mut Statements, revoke: &Revoke) -> Result<()> {
    // A number must not be wasted on one that is revoked.
    if find(statements, &revoke.public_key)?.is_some() {
        return Ok(());
    }
    statements.execute(
        "INSERT INTO revocations (public_key, owner, reason, revoked_at) VALUES (?1, ?2, ?3, ?4)",
        vec![
            revoke.public_key.as_slice().into(),
            revoke.owner.as_str().into(),
            revoke.reason.as_str().into(),
            revoke.now.into(),
        ],
    )?;
    audit::append(statements, &entry("revoke", revoke))
}

/// Ends what was revoked for this reason, and for no other.
pub(super) fn lift(statements: &mut Statements, revoke: &Revoke) -> Result<()> {
    let lifted = statements.execute(
        "DELETE FROM revocations WHERE public_key = ?1 AND reason = ?2",
        vec![revoke.public_key.as_slice().into(), revoke.reason.as_str().into()],
    )?;
    if lifted == 0 { Ok(()) } else { audit::append(statements, &entry("end-revocation", revoke)) }
}

fn entry(action: &str, revoke: &Revoke) -> AuditEntry {
    AuditEntry {
        at: revoke.now,
        actor: "controller".into(),
        action: action.into(),
        object: revoke.owner.clone(),
        detail: json!({ "reason": revoke.reason }),
    }
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
