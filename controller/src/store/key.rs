//! Run-time facts of registration and personal keys: the digest of their token, and how often it was used.

use super::error::Result;
use super::statement::{Row, Statements};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Registration,
    Personal,
}

impl KeyKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Registration => "RegistrationKey",
            Self::Personal => "PersonalKey",
        }
    }
}

/// What the store knows of a key, by the uid of its object. `digest` is keyed by the caller's pepper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub uid: String,
    pub kind: KeyKind,
    pub digest: Vec<u8>,
    pub uses: i64,
}

/// A secret that was made for a key declared with `generate: {}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueKey {
    pub uid: String,
    pub kind: KeyKind,
    pub digest: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueOutcome {
    Issued,
    /// The key has its secret already, and that is shown only once.
    AlreadyIssued,
}

pub(super) fn issue(statements: &mut Statements, key: IssueKey) -> Result<IssueOutcome> {
    let inserted = statements.execute(
        "INSERT INTO keys (uid, kind, digest, uses) VALUES (?1, ?2, ?3, 0) ON CONFLICT (uid) DO NOTHING",
        vec![key.uid.as_str().into(), key.kind.name().into(), key.digest.as_slice().into()],
    )?;
    if inserted == 1 || find(statements, &key.uid)?.is_some_and(|stored| stored.digest == key.digest) {
        Ok(IssueOutcome::Issued)
    } else {
        Ok(IssueOutcome::AlreadyIssued)
    }
}

/// Counts one use, unless `uses_max` is reached. A declared key has its row from its first use.
pub(super) fn count_use(statements: &mut Statements, key: &IssueKey, uses_max: Option<i64>) -> Result<bool> {
    statements.execute(
        "INSERT INTO keys (uid, kind, digest, uses) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT (uid) DO UPDATE SET digest = excluded.digest",
        vec![key.uid.as_str().into(), key.kind.name().into(), key.digest.as_slice().into()],
    )?;
    let counted = statements.execute(
        "UPDATE keys SET uses = uses + 1 WHERE uid = ?1 AND (?2 IS NULL OR uses < ?2)",
        vec![key.uid.as_str().into(), uses_max.into()],
    )?;
    Ok(counted == 1)
}

pub(super) fn find(statements: &mut Statements, uid: &str) -> Result<Option<Key>> {
    statements.query_one(
        "SELECT uid, kind, digest, uses FROM keys WHERE uid = ?1",
        vec![uid.into()],
        from_row,
    )
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Key>> {
    statements.query("SELECT uid, kind, digest, uses FROM keys ORDER BY uid", vec![], from_row)
}

/// Forgets a key that is gone, with its uses: what it bound stays bound.
pub(super) fn delete(statements: &mut Statements, uid: &str) -> Result<()> {
    statements.execute("DELETE FROM key_uses WHERE key = ?1", vec![uid.into()])?;
    statements.execute("DELETE FROM keys WHERE uid = ?1", vec![uid.into()])?;
    Ok(())
}

/// Remembers which node used a token, so that its retry is recognised.
pub(super) struct KeyUse<'a> {
    pub(super) digest: &'a [u8],
    pub(super) public_key: &'a [u8],
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
    pub(super) used_at: i64,
}

pub(super) fn put_use(statements: &mut Statements, key_use: &KeyUse<'_>) -> Result<()> {
    statements.execute(
        "INSERT INTO key_uses (digest, public_key, key, owner, used_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (digest, public_key) DO UPDATE SET key = excluded.key, owner = excluded.owner,
             used_at = excluded.used_at",
        vec![
            key_use.digest.into(),
            key_use.public_key.into(),
            key_use.key.into(),
            key_use.owner.into(),
            key_use.used_at.into(),
        ],
    )?;
    Ok(())
}

/// Returns whom the use of this token by this public key bound.
pub(super) fn used_for(
    statements: &mut Statements,
    digest: &[u8],
    public_key: &[u8],
) -> Result<Option<String>> {
    statements.query_one(
        "SELECT owner FROM key_uses WHERE digest = ?1 AND public_key = ?2",
        vec![digest.into(), public_key.into()],
        |row| row.text(0),
    )
}

fn from_row(row: &Row<'_>) -> Result<Key> {
    let kind = match row.text(1)?.as_str() {
        "RegistrationKey" => KeyKind::Registration,
        // The table admits no third.
        _ => KeyKind::Personal,
    };
    Ok(Key { uid: row.text(0)?, kind, digest: row.blob(2)?, uses: row.integer(3)? })
}
