//! Sign-in: a link that works once becomes a session. Only hashes of their secrets are kept.

use super::error::Result;
use super::statement::{Row, Statements, Value};

/// A link to be made; `secret` travels in it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewLink {
    pub secret: Vec<u8>,
    /// Who signs in with it.
    pub subject: String,
    /// The uid of their Admin; empty for the operator of the host.
    pub uid: String,
    pub now: i64,
    pub expires_at: i64,
}

/// The exchange of a link for a session, whose secret becomes the cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct TakeLink {
    pub link_secret: Vec<u8>,
    pub session_secret: Vec<u8>,
    pub now: i64,
    pub session_expires_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub subject: String,
    /// The uid that their Admin had when the link was made; empty for the operator of the host.
    pub uid: String,
    pub created_at: i64,
    pub expires_at: i64,
}

pub(super) fn put_link(statements: &mut Statements, link: &NewLink) -> Result<()> {
    delete_expired(statements, link.now)?;
    statements.execute(
        "INSERT INTO sign_in_links (digest, subject, uid, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (digest) DO NOTHING",
        vec![
            digest(&link.secret),
            link.subject.as_str().into(),
            link.uid.as_str().into(),
            link.now.into(),
            link.expires_at.into(),
        ],
    )?;
    Ok(())
}

/// Makes the session, if the link is valid and unused; the same session again is the same answer.
pub(super) fn take_link(statements: &mut Statements, take: &TakeLink) -> Result<Option<Session>> {
    let session_digest = digest(&take.session_secret);
    let holder = statements.query_one(
        "UPDATE sign_in_links SET session = ?2
         WHERE digest = ?1 AND expires_at > ?3 AND (session IS NULL OR session = ?2)
         RETURNING subject, uid",
        vec![digest(&take.link_secret), session_digest.clone(), take.now.into()],
        |row| Ok((row.text(0)?, row.text(1)?)),
    )?;
    let Some((subject, uid)) = holder else { return Ok(None) };
    statements.execute(
        "INSERT INTO sessions (digest, subject, uid, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (digest) DO NOTHING",
        vec![session_digest, subject.into(), uid.into(), take.now.into(), take.session_expires_at.into()],
    )?;
    find(statements, &take.session_secret, take.now)
}

/// Returns the session of a cookie, unless it has expired.
pub(super) fn find(statements: &mut Statements, secret: &[u8], now: i64) -> Result<Option<Session>> {
    statements.query_one(
        "SELECT subject, uid, created_at, expires_at FROM sessions WHERE digest = ?1 AND expires_at > ?2",
        vec![digest(secret), now.into()],
        from_row,
    )
}

pub(super) fn delete(statements: &mut Statements, secret: &[u8]) -> Result<()> {
    statements.execute("DELETE FROM sessions WHERE digest = ?1", vec![digest(secret)])?;
    Ok(())
}

fn delete_expired(statements: &mut Statements, now: i64) -> Result<()> {
    statements.execute("DELETE FROM sign_in_links WHERE expires_at <= ?1", vec![now.into()])?;
    statements.execute("DELETE FROM sessions WHERE expires_at <= ?1", vec![now.into()])?;
    Ok(())
}

/// The secrets are random and long, so one fast hash is enough.
fn digest(secret: &[u8]) -> Value {
    Value::Blob(blake3::derive_key("horizon sign-in secret v1", secret).to_vec())
}

fn from_row(row: &Row<'_>) -> Result<Session> {
    Ok(Session {
        subject: row.text(0)?,
        uid: row.text(1)?,
        created_at: row.integer(2)?,
        expires_at: row.integer(3)?,
    })
}
