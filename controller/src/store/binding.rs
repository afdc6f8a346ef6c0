//! Which public key a server or device has, and when it was last heard of.

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::gateway_key;
use super::statement::{Row, Statements};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Server,
    Device,
}

impl NodeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Device => "Device",
        }
    }
}

/// A node's key, by the uid of its object. `evidence` is JSON that the node reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub owner: String,
    pub kind: NodeKind,
    pub public_key: Vec<u8>,
    pub bound_at: i64,
    pub last_seen_at: i64,
    pub evidence: String,
    pub enrolment: Option<Enrolment>,
}

/// The key that enrolled a node, as far as it must be known when the key is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The uid of the key's object.
    pub key: String,
    /// The keyed digest of its token.
    pub token: Vec<u8>,
    /// What the key said last of its revocation.
    pub on_revoke: String,
}

/// What is known anew of the key that enrolled a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reenrolled {
    pub public_key: Vec<u8>,
    pub enrolment: Enrolment,
}

/// A sign of life of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub owner: String,
    pub at: i64,
}

/// What a node states of itself, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub owner: String,
    pub evidence: String,
}

/// Keeps the newest statement of a node that is bound.
pub(super) fn state(statements: &mut Statements, statement: Statement) -> Result<()> {
    statements.execute(
        "UPDATE bindings SET evidence = ?2 WHERE owner = ?1",
        vec![statement.owner.into(), statement.evidence.into()],
    )?;
    Ok(())
}

/// Binds a node again as it was, unless its owner or its key is bound by now.
pub(super) fn restore(statements: &mut Statements, binding: Binding) -> Result<()> {
    if of_owner(statements, &binding.owner)?.is_some()
        || of_public_key(statements, &binding.public_key)?.is_some()
    {
        return Ok(());
    }
    put(statements, binding)
}

/// Binds a node. The same node again, with the same key, brings newer evidence.
pub(super) fn put(statements: &mut Statements, binding: Binding) -> Result<()> {
    let Enrolment { key, token, on_revoke } = binding.enrolment.unwrap_or_else(Enrolment::none);
    statements.execute(
        "INSERT INTO bindings (owner, kind, public_key, bound_at, last_seen_at, evidence, key, token, on_revoke)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (owner) DO UPDATE SET bound_at = excluded.bound_at, evidence = excluded.evidence,
             last_seen_at = max(last_seen_at, excluded.last_seen_at), key = excluded.key, token = excluded.token,
             on_revoke = excluded.on_revoke
             WHERE public_key = excluded.public_key",
        vec![
            binding.owner.into(),
            binding.kind.name().into(),
            binding.public_key.into(),
            binding.bound_at.into(),
            binding.last_seen_at.into(),
            binding.evidence.into(),
            key.into(),
            token.into(),
            on_revoke.into(),
        ],
    )?;
    Ok(())
}

/// Gives a node the key that follows the one that it had.
pub(super) fn rotate(statements: &mut Statements, owner: &str, old: &[u8], next: &[u8]) -> Result<()> {
    statements.execute(
        "UPDATE bindings SET public_key = ?3 WHERE owner = ?1 AND public_key = ?2",
        vec![owner.into(), old.into(), next.into()],
    )?;
    Ok(())
}

/// Notes which key a node has enrolled with, and what that says.
pub(super) fn reenrol(statements: &mut Statements, node: &Reenrolled) -> Result<()> {
    let Reenrolled { public_key, enrolment } = node;
    statements.execute(
        "UPDATE bindings SET key = ?2, token = ?3, on_revoke = ?4 WHERE public_key = ?1",
        vec![
            public_key.as_slice().into(),
            enrolment.key.as_str().into(),
            enrolment.token.as_slice().into(),
            enrolment.on_revoke.as_str().into(),
        ],
    )?;
    Ok(())
}

/// Times only move forward, whatever order reports arrive in.
pub(super) fn see(statements: &mut Statements, seen: &Seen) -> Result<()> {
    statements.execute(
        "UPDATE bindings SET last_seen_at = max(last_seen_at, ?2) WHERE owner = ?1",
        vec![seen.owner.as_str().into(), seen.at.into()],
    )?;
    Ok(())
}

pub(super) fn delete(statements: &mut Statements, owner: &str) -> Result<()> {
    statements.execute("DELETE FROM bindings WHERE owner = ?1", vec![owner.into()])?;
    gateway_key::delete(statements, owner)
}

pub(super) fn of_owner(statements: &mut Statements, owner: &str) -> Result<Option<Binding>> {
    statements.query_one(
        "SELECT owner, kind, public_key, bound_at, last_seen_at, evidence, key, token, on_revoke FROM bindings WHERE owner = ?1",
        vec![owner.into()],
        from_row,
    )
}

pub(super) fn of_public_key(statements: &mut Statements, public_key: &[u8]) -> Result<Option<Binding>> {
    statements.query_one(
        "SELECT owner, kind, public_key, bound_at, last_seen_at, evidence, key, token, on_revoke FROM bindings
         WHERE public_key = ?1",
        vec![public_key.into()],
        from_row,
    )
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Binding>> {
    statements.query(
        "SELECT owner, kind, public_key, bound_at, last_seen_at, evidence, key, token, on_revoke FROM bindings ORDER BY owner",
        vec![],
        from_row,
    )
}

fn from_row(row: &Row<'_>) -> Result<Binding> {
    let kind = match row.text(1)?.as_str() {
        "Server" => NodeKind::Server,
        // The table admits no third.
        _ => NodeKind::Device,
    };
    let enrolment = Enrolment { key: row.text(6)?, token: row.blob(7)?, on_revoke: row.text(8)? };
    Ok(Binding {
        owner: row.text(0)?,
        kind,
        public_key: row.blob(2)?,
        bound_at: row.integer(3)?,
        last_seen_at: row.integer(4)?,
        evidence: row.text(5)?,
        enrolment: (enrolment.token.len() == 32).then_some(enrolment),
    })
}

impl Enrolment {
    /// Returns what stands for the absence of a key.
    fn none() -> Self {
        Self { key: String::new(), token: vec![0], on_revoke: "Keep".into() }
    }
}
