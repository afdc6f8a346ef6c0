//! Bearer tokens of the resource API. Only their digests are kept.

use super::error::Result;
use super::statement::{Statements, Value};

/// A token to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// The hash of the token's text.
    pub secret: Vec<u8>,
    /// Whom it stands for.
    pub subject: String,
    /// The uid of their Admin; empty for the operator of the host.
    pub uid: String,
    pub now: i64,
    pub expires_at: i64,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    pub subject: String,
    /// The uid that their Admin had when the token was made; empty for the operator of the host.
    pub uid: String,
}

/// More than this many live tokens are a program that makes one for every call.
const TOKENS_MAX: i64 = 10_000;

/// Stores a token and forgets those that are over; says whether there was room.
pub(super) fn put(statements: &mut Statements, token: &NewApiToken) -> Result<bool> {
    statements.execute("DELETE FROM api_tokens WHERE expires_at <= ?1", vec![token.now.into()])?;
    let count = statements.query_one("SELECT COUNT(*) FROM api_tokens", vec![], |row| row.integer(0))?;
    if count.is_some_and(|count| count >= TOKENS_MAX) {
        return Ok(false);
    }
    statements.execute(
        "INSERT INTO api_tokens (digest, subject, uid, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (digest) DO NOTHING",
        vec![
            digest(&token.secret),
            token.subject.as_str().into(),
            token.uid.as_str().into(),
            token.now.into(),
            token.expires_at.into(),
        ],
    )?;
    Ok(true)
}

/// Returns whom a token stands for, unless it is over.
pub(super) fn find(statements: &mut Statements, secret: &[u8], now: i64) -> Result<Option<TokenHolder>> {
    statements.query_one(
        "SELECT subject, uid FROM api_tokens WHERE digest = ?1 AND expires_at > ?2",
        vec![digest(secret), now.into()],
        |row| Ok(TokenHolder { subject: row.text(0)?, uid: row.text(1)? }),
    )
}

/// Ends every token of a subject, and says how many there were.
pub(super) fn delete_of(statements: &mut Statements, subject: &str) -> Result<u64> {
    statements.execute("DELETE FROM api_tokens WHERE subject = ?1", vec![subject.into()])
}

/// The secrets are random and long, so one fast hash is enough.
fn digest(secret: &[u8]) -> Value {
    Value::Blob(blake3::derive_key("horizon api token v1", secret).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{migration::migrate, statement::Access};

    #[test]
    fn a_token_stands_for_somebody_until_it_ends() {
        let mut statements = Statements::open(":memory:".as_ref(), Access::ReadWrite).unwrap();
        migrate(&mut statements).unwrap();
        let token = |secret: u8, subject: &str| NewApiToken {
            secret: vec![secret; 32],
            subject: subject.into(),
            uid: format!("{subject}-{secret}"),
            now: 10,
            expires_at: 20,
        };
        assert!(put(&mut statements, &token(1, "operator")).unwrap());
        assert!(put(&mut statements, &token(2, "default/ops")).unwrap());
        let mut at = |secret: u8, now| find(&mut statements, &[secret; 32], now).unwrap();

        let holder =
            |subject: &str, uid: &str| Some(TokenHolder { subject: subject.to_owned(), uid: uid.to_owned() });
        assert_eq!((at(1, 19), at(1, 20)), (holder("operator", "operator-1"), None));
        assert_eq!((at(2, 19), at(3, 19)), (holder("default/ops", "default/ops-2"), None));
        assert_eq!(delete_of(&mut statements, "default/ops").unwrap(), 1);
        assert_eq!(find(&mut statements, &[2; 32], 19).unwrap(), None);
    }
}
