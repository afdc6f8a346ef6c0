//! Run-time facts of tokens: which one was made for which object, how often each was used, and by whom.
//!
//! Digests are keyed by the caller's pepper. Uses belong to the digest: an object that is removed and declared
//! again with the same token, or under another name, does not make a spent token fresh.

use super::error::Result;
use super::statement::Statements;

/// The token that was made for a key declared with `generate: {}`, by the uid of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedKey {
    pub uid: String,
    pub digest: Vec<u8>,
}

/// How often a token was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUses {
    pub digest: Vec<u8>,
    pub uses: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueOutcome {
    Issued,
    /// The key has its secret already, and that is shown only once.
    AlreadyIssued,
}

pub(super) fn issue(statements: &mut Statements, key: &IssuedKey) -> Result<IssueOutcome> {
    let inserted = statements.execute(
        "INSERT INTO issued_keys (uid, digest) VALUES (?1, ?2) ON CONFLICT (uid) DO NOTHING",
        vec![key.uid.as_str().into(), key.digest.as_slice().into()],
    )?;
    let stored = statements.query_one(
        "SELECT digest FROM issued_keys WHERE uid = ?1",
        vec![key.uid.as_str().into()],
        |row| row.blob(0),
    )?;
    if inserted == 1 || stored.is_some_and(|digest| digest == key.digest) {
        Ok(IssueOutcome::Issued)
    } else {
        Ok(IssueOutcome::AlreadyIssued)
    }
}

/// Takes another token for a key in the place of the one that was made before, if any was, and notes for which object of
/// the cluster its secret is.
pub(super) fn issue_in_secret(statements: &mut Statements, key: &IssuedKey, object: &str) -> Result<()> {
    withdraw(statements, &key.uid)?;
    issue(statements, key)?;
    statements.execute(
        "INSERT INTO token_secrets (key, object) VALUES (?1, ?2)",
        vec![key.uid.as_str().into(), object.into()],
    )?;
    Ok(())
}

/// Returns for which object of the cluster the secret of each key is.
pub(super) fn secrets(statements: &mut Statements) -> Result<Vec<(String, String)>> {
    statements.query("SELECT key, object FROM token_secrets ORDER BY key", vec![], |row| {
        Ok((row.text(0)?, row.text(1)?))
    })
}

/// Counts one use of a token, unless `uses_max` is reached.
pub(super) fn count_use(statements: &mut Statements, digest: &[u8], uses_max: Option<i64>) -> Result<bool> {
    statements.execute(
        "INSERT INTO tokens (digest, uses) VALUES (?1, 0) ON CONFLICT (digest) DO NOTHING",
        vec![digest.into()],
    )?;
    let counted = statements.execute(
        "UPDATE tokens SET uses = uses + 1 WHERE digest = ?1 AND (?2 IS NULL OR uses < ?2)",
        vec![digest.into(), uses_max.into()],
    )?;
    Ok(counted == 1)
}

/// Counts the uses of a token that is known again; it never becomes fresher by that.
pub(super) fn restore_uses(statements: &mut Statements, token: &TokenUses) -> Result<()> {
    statements.execute(
        "INSERT INTO tokens (digest, uses) VALUES (?1, ?2)
         ON CONFLICT (digest) DO UPDATE SET uses = max(uses, excluded.uses)",
        vec![token.digest.as_slice().into(), token.uses.into()],
    )?;
    Ok(())
}

pub(super) fn issued(statements: &mut Statements) -> Result<Vec<IssuedKey>> {
    statements.query("SELECT uid, digest FROM issued_keys ORDER BY uid", vec![], |row| {
        Ok(IssuedKey { uid: row.text(0)?, digest: row.blob(1)? })
    })
}

pub(super) fn uses(statements: &mut Statements) -> Result<Vec<TokenUses>> {
    statements.query("SELECT digest, uses FROM tokens ORDER BY digest", vec![], |row| {
        Ok(TokenUses { digest: row.blob(0)?, uses: row.integer(1)? })
    })
}

/// The newest use of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// The uid of the key's object.
    pub key: String,
    pub at: i64,
    /// The address that it came from; empty when it is not known any more.
    pub remote: String,
    /// `Kind/name` of what it enrolled or signed in.
    pub node: String,
}

/// Returns the newest use of every key. Of the rows of a group SQLite takes that of the maximum.
pub(super) fn last_uses(statements: &mut Statements) -> Result<Vec<LastUse>> {
    let sql = "SELECT key, max(used_at), remote, node FROM key_uses GROUP BY key ORDER BY key";
    statements.query(sql, vec![], |row| {
        Ok(LastUse { key: row.text(0)?, at: row.integer(1)?, remote: row.text(2)?, node: row.text(3)? })
    })
}

/// Forgets the token that was made for an object: nobody can present it any more, so its count goes too.
/// The count of a declared token stays, because its text may be declared again.
pub(super) fn withdraw(statements: &mut Statements, uid: &str) -> Result<()> {
    statements.execute(
        "DELETE FROM tokens WHERE digest IN (SELECT digest FROM issued_keys WHERE uid = ?1)",
        vec![uid.into()],
    )?;
    statements.execute("DELETE FROM issued_keys WHERE uid = ?1", vec![uid.into()])?;
    statements.execute("DELETE FROM token_secrets WHERE key = ?1", vec![uid.into()])?;
    Ok(())
}

/// Forgets a key that is gone: what it bound stays bound.
pub(super) fn delete(statements: &mut Statements, uid: &str) -> Result<()> {
    statements.execute("DELETE FROM key_uses WHERE key = ?1", vec![uid.into()])?;
    withdraw(statements, uid)
}

/// Remembers which node used a token, so that its retry is recognised.
pub(super) struct KeyUse<'a> {
    pub(super) digest: &'a [u8],
    pub(super) public_key: &'a [u8],
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
    pub(super) used_at: i64,
    pub(super) remote: &'a str,
    pub(super) node: &'a str,
}

pub(super) fn put_use(statements: &mut Statements, key_use: &KeyUse<'_>) -> Result<()> {
    statements.execute(
        "INSERT INTO key_uses (digest, public_key, key, owner, used_at, remote, node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (digest, public_key) DO UPDATE SET key = excluded.key, owner = excluded.owner,
             used_at = excluded.used_at, remote = excluded.remote, node = excluded.node",
        vec![
            key_use.digest.into(),
            key_use.public_key.into(),
            key_use.key.into(),
            key_use.owner.into(),
            key_use.used_at.into(),
            key_use.remote.into(),
            key_use.node.into(),
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
