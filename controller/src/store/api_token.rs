//! Bearer tokens of the resource API. Only digests under the pepper are kept.

use super::error::Result;
use super::statement::{Row, Statements};

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiToken {
    /// The keyed digest of the token.
    pub digest: Vec<u8>,
    /// The part that may be shown.
    pub id: String,
    /// Whom it stands for.
    pub subject: String,
    /// The uid of their Admin; empty for the operator of the host.
    pub uid: String,
    /// Prefixes between spaces; from everywhere when empty.
    pub sources: String,
    pub now: i64,
    pub expires_at: i64,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    pub digest: Vec<u8>,
    pub id: String,
    pub subject: String,
    /// The uid that their Admin had when the token was made; empty for the operator of the host.
    pub uid: String,
    pub sources: String,
    pub created_at: i64,
    pub expires_at: i64,
    /// 0: never.
    pub last_used_at: i64,
    pub last_remote: String,
}

/// More than this many live tokens are a program that makes one for every call.
const TOKENS_MAX: i64 = 10_000;
/// Tokens that are over are kept for so long, so that who still uses one can be told from a stranger.
const KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

/// Stores a token and forgets those that are long over; says whether there was room.
pub(super) fn put(statements: &mut Statements, token: &NewApiToken) -> Result<bool> {
    statements
        .execute("DELETE FROM api_tokens WHERE expires_at <= ?1", vec![(token.now - KEPT_MS).into()])?;
    let count = statements.query_one(
        "SELECT COUNT(*) FROM api_tokens WHERE expires_at > ?1",
        vec![token.now.into()],
        |row| row.integer(0),
    )?;
    if count.is_some_and(|count| count >= TOKENS_MAX) {
        return Ok(false);
    }
    statements.execute(
        "INSERT INTO api_tokens (digest, id, subject, uid, sources, created_at, expires_at, keyed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) ON CONFLICT (digest) DO NOTHING",
        vec![
            token.digest.as_slice().into(),
            token.id.as_str().into(),
            token.subject.as_str().into(),
            token.uid.as_str().into(),
            token.sources.as_str().into(),
            token.now.into(),
            token.expires_at.into(),
        ],
    )?;
    Ok(true)
}

/// Returns a token, be it over or not.
pub(super) fn find(statements: &mut Statements, digest: &[u8]) -> Result<Option<ApiToken>> {
    statements.query_one(
        "SELECT digest, id, subject, uid, sources, created_at, expires_at, last_used_at, last_remote
         FROM api_tokens WHERE digest = ?1 AND keyed = 1",
        vec![digest.into()],
        from_row,
    )
}

/// Returns the tokens that are valid, the newest first.
pub(super) fn live(statements: &mut Statements, now: i64) -> Result<Vec<ApiToken>> {
    statements.query(
        "SELECT digest, id, subject, uid, sources, created_at, expires_at, last_used_at, last_remote
         FROM api_tokens WHERE expires_at > ?1 ORDER BY created_at DESC, id",
        vec![now.into()],
        from_row,
    )
}

/// Notes that a token was used.
pub(super) fn note_use(statements: &mut Statements, digest: &[u8], at: i64, remote: &str) -> Result<()> {
    statements.execute(
        "UPDATE api_tokens SET last_used_at = max(last_used_at, ?2), last_remote = ?3 WHERE digest = ?1",
        vec![digest.into(), at.into(), remote.into()],
    )?;
    Ok(())
}

/// Ends every token of a subject, and says how many there were.
pub(super) fn delete_of(statements: &mut Statements, subject: &str) -> Result<u64> {
    statements.execute("DELETE FROM api_tokens WHERE subject = ?1", vec![subject.into()])
}

/// Ends the token with an id, and says whether there was one.
pub(super) fn delete(statements: &mut Statements, id: &str) -> Result<bool> {
    Ok(statements.execute("DELETE FROM api_tokens WHERE id = ?1", vec![id.into()])? > 0)
}

/// Puts the digests that were kept without a pepper under it.
pub(super) fn key_earlier(
    statements: &mut Statements,
    keyed: impl Fn(&[u8]) -> Option<[u8; 32]>,
) -> Result<()> {
    let earlier =
        statements.query("SELECT digest FROM api_tokens WHERE keyed = 0", vec![], |row| row.blob(0))?;
    for digest in earlier {
        let Some(under) = keyed(&digest) else { continue };
        statements.execute(
            "UPDATE api_tokens SET digest = ?2, keyed = 1 WHERE digest = ?1",
            vec![digest.into(), under.as_slice().into()],
        )?;
    }
    Ok(())
}

fn from_row(row: &Row<'_>) -> Result<ApiToken> {
    Ok(ApiToken {
        digest: row.blob(0)?,
        id: row.text(1)?,
        subject: row.text(2)?,
        uid: row.text(3)?,
        sources: row.text(4)?,
        created_at: row.integer(5)?,
        expires_at: row.integer(6)?,
        last_used_at: row.integer(7)?,
        last_remote: row.text(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{migration::migrate, statement::Access};

    fn open() -> Statements {
        let mut statements = Statements::open(":memory:".as_ref(), Access::ReadWrite).unwrap();
        migrate(&mut statements).unwrap();
        statements
    }

    fn token(number: u8, subject: &str) -> NewApiToken {
        NewApiToken {
            digest: vec![number; 32],
            id: format!("T{number}"),
            subject: subject.into(),
            uid: format!("{subject}-{number}"),
            sources: String::new(),
            now: 10,
            expires_at: 20,
        }
    }

    #[test]
    fn tokens_are_listed_and_end_one_by_one_and_all_of_somebody() {
        let mut statements = open();
        for (number, subject) in [(1, "operator"), (2, "default/ops"), (3, "default/ops")] {
            assert!(put(&mut statements, &token(number, subject)).unwrap());
        }
        note_use(&mut statements, &[2; 32], 15, "192.0.2.1").unwrap();
        let used = find(&mut statements, &[2; 32]).unwrap().unwrap();

        assert_eq!((used.last_used_at, used.last_remote.as_str()), (15, "192.0.2.1"));
        assert_eq!(
            (live(&mut statements, 19).unwrap().len(), live(&mut statements, 20).unwrap().len()),
            (3, 0)
        );
        assert!(delete(&mut statements, "T3").unwrap() && !delete(&mut statements, "T3").unwrap());
        assert_eq!(delete_of(&mut statements, "default/ops").unwrap(), 1);
        assert_eq!(find(&mut statements, &[2; 32]).unwrap(), None);
    }

    #[test]
    fn digests_of_before_count_once_they_are_under_the_pepper() {
        let mut statements = open();
        let sql = "INSERT INTO api_tokens (digest, subject, uid, created_at, expires_at) VALUES (?1, 'a', '', 1, 2)";
        statements.execute(sql, vec![vec![5_u8; 32].into()]).unwrap();
        let keyed = |digest: &[u8]| Some(*blake3::hash(digest).as_bytes());

        assert_eq!(find(&mut statements, &[5; 32]).unwrap(), None);
        key_earlier(&mut statements, keyed).unwrap();
        key_earlier(&mut statements, keyed).unwrap();

        assert!(find(&mut statements, blake3::hash(&[5; 32]).as_bytes()).unwrap().is_some());
    }
}
