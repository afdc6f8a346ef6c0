//! Keys of a gateway beside the one that it is bound by: the one that is to follow, and the one before.

use serde_json::json;

use super::audit::{self, AuditEntry};
use super::binding;
use super::error::Result;
use super::event::{self, Event, Severity};
use super::revocation;
use super::statement::{Row, Statements};

/// What is kept of a gateway's keys, by the uid of its Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKeys {
    pub owner: String,
    pub next: Option<Vec<u8>>,
    /// Unix milliseconds since when the next key is known.
    pub announced_at: i64,
    pub previous: Option<Vec<u8>>,
}

/// A key that is to follow the one that a gateway has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextKey {
    /// The uid of the Server.
    pub owner: String,
    /// `Server/name`.
    pub name: String,
    pub next: Vec<u8>,
    pub remote: String,
    pub event_id: String,
    pub now: i64,
}

/// Keeps which key is to follow, unless it is somebody's or was revoked; says whether it was. A retry changes nothing.
pub(super) fn announce(statements: &mut Statements, announced: NextKey) -> Result<bool> {
    let NextKey { owner, name, next, remote, event_id, now } = announced;
    match find(statements, &next)? {
        Some(known) if known == owner => return Ok(false),
        Some(_) => return Ok(true),
        None => {}
    }
    if binding::of_public_key(statements, &next)?.is_some() || revocation::find(statements, &next)?.is_some()
    {
        return Ok(true);
    }
    statements.execute(
        "INSERT INTO gateway_keys (owner, next, announced_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (owner) DO UPDATE SET next = excluded.next, announced_at = excluded.announced_at",
        vec![owner.into(), next.into(), now.into()],
    )?;
    let detail = json!({ "reason": "another key is to follow the one that it has" });
    let (actor, action, object) = (name.clone(), "announce key".to_owned(), name.clone());
    audit::append(statements, &AuditEntry { at: now, actor, action, object, detail: detail.clone() })?;
    let (kind, severity) = ("KeyAnnounced".to_owned(), Severity::Info);
    event::put(statements, &Event { id: event_id, at: now, kind, severity, object: name, remote, detail })?;
    Ok(false)
}

/// Remembers the key before, in the place of the one that followed it.
pub(super) fn follow(statements: &mut Statements, owner: &str, previous: &[u8]) -> Result<()> {
    statements.execute(
        "INSERT INTO gateway_keys (owner, announced_at, previous) VALUES (?1, 0, ?2)
         ON CONFLICT (owner) DO UPDATE SET next = NULL, previous = excluded.previous",
        vec![owner.into(), previous.into()],
    )?;
    Ok(())
}

pub(super) fn delete(statements: &mut Statements, owner: &str) -> Result<()> {
    statements.execute("DELETE FROM gateway_keys WHERE owner = ?1", vec![owner.into()])?;
    Ok(())
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<GatewayKeys>> {
    let sql = "SELECT owner, coalesce(next, x''), announced_at, coalesce(previous, x'') FROM gateway_keys ORDER BY owner";
    statements.query(sql, vec![], from_row)
}

fn find(statements: &mut Statements, next: &[u8]) -> Result<Option<String>> {
    statements
        .query_one("SELECT owner FROM gateway_keys WHERE next = ?1", vec![next.into()], |row| row.text(0))
}

fn from_row(row: &Row<'_>) -> Result<GatewayKeys> {
    let some = |key: Vec<u8>| (!key.is_empty()).then_some(key);
    Ok(GatewayKeys {
        owner: row.text(0)?,
        next: some(row.blob(1)?),
        announced_at: row.integer(2)?,
        previous: some(row.blob(3)?),
    })
}
