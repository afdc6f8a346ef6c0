//! Another pepper over every digest of a token, in one transaction: afterwards all of them are under it, or none is.

use super::audit::{self, AuditEntry};
use super::error::{Result, StoreError};
use super::meta;
use super::statement::Statements;

/// Where digests of tokens are: what reads one of them, and what replaces it.
const PLACES: [(&str, &str); 5] = [
    ("SELECT DISTINCT digest FROM issued_keys", "UPDATE issued_keys SET digest = ?2 WHERE digest = ?1"),
    ("SELECT DISTINCT digest FROM tokens", "UPDATE tokens SET digest = ?2 WHERE digest = ?1"),
    ("SELECT DISTINCT digest FROM key_uses", "UPDATE key_uses SET digest = ?2 WHERE digest = ?1"),
    (
        "SELECT DISTINCT token FROM bindings WHERE length(token) = 32",
        "UPDATE bindings SET token = ?2 WHERE token = ?1",
    ),
    (
        "SELECT DISTINCT digest FROM api_tokens WHERE keyed = 1",
        "UPDATE api_tokens SET digest = ?2 WHERE digest = ?1",
    ),
];

/// Lays another pepper over every digest, if so many lay there before.
pub(super) fn lay(
    statements: &mut Statements,
    before: i64,
    under: impl Fn(&[u8]) -> Option<[u8; 32]>,
    entry: &AuditEntry,
) -> Result<()> {
    let there = meta::peppers(statements)?;
    if there == before + 1 {
        // A retry after a lost answer.
        return Ok(());
    }
    if there != before {
        return Err(StoreError::Misuse(format!("{there} peppers are laid, and not {before}")));
    }
    for (select, update) in PLACES {
        for digest in statements.query(select, vec![], |row| row.blob(0))? {
            let moved = under(&digest);
            let moved = moved.ok_or_else(|| StoreError::Misuse("a digest is not 32 bytes long".into()))?;
            statements.execute(update, vec![digest.into(), moved.as_slice().into()])?;
        }
    }
    meta::add_pepper(statements)?;
    audit::append(statements, entry)
}
