//! The audit log: a chain of hashes, written in the transaction of the change that it tells of.
//!
//! `hash = BLAKE3("hz-audit-v1" ‖ previous hash ‖ seq as 8 bytes, big-endian ‖ entry)`; the first entry
//! follows 32 zero bytes. A missing, altered or reordered entry breaks the chain.

use serde_json::{Value as Json, json};

use super::error::Result;
use super::statement::{Row, Statements};

const DOMAIN: &[u8] = b"hz-audit-v1";
const START: [u8; 32] = [0; 32];

/// Who did what to which object. No secrets, and people by their id.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub detail: Json,
}

/// A link of the chain as it is stored; `entry` is JSON text, hashed as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuditRecord {
    pub(super) seq: i64,
    pub(super) prev: Vec<u8>,
    pub(super) entry: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

/// What a look at the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditState {
    Empty,
    Intact {
        seq: i64,
        hash: Vec<u8>,
    },
    /// The first entry that does not follow from the one before it.
    Broken {
        seq: i64,
    },
}

pub(super) fn append(statements: &mut Statements, entry: &AuditEntry) -> Result<()> {
    let text = json!({
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "object": entry.object,
        "detail": entry.detail,
    });
    let bytes = text.to_string().into_bytes();
    let (seq, prev) = match tail(statements, 1)?.pop() {
        Some(last) => (last.seq + 1, last.hash),
        None => (1, START.to_vec()),
    };
    let hash = link(&prev, seq, &bytes);
    statements.execute(
        "INSERT INTO audit (seq, prev, entry, hash) VALUES (?1, ?2, ?3, ?4)",
        vec![seq.into(), prev.into(), bytes.into(), hash.as_bytes().as_slice().into()],
    )?;
    Ok(())
}

/// Returns the newest entries, oldest first.
pub(super) fn tail(statements: &mut Statements, limit: i64) -> Result<Vec<AuditRecord>> {
    let mut records = statements.query(
        "SELECT seq, prev, entry, hash FROM audit ORDER BY seq DESC LIMIT ?1",
        vec![limit.max(0).into()],
        from_row,
    )?;
    records.reverse();
    Ok(records)
}

/// Checks the newest entries against each other, and the first of all against the start.
pub(super) fn verify(statements: &mut Statements, limit: i64) -> Result<AuditState> {
    Ok(state_of(&tail(statements, limit)?))
}

fn state_of(records: &[AuditRecord]) -> AuditState {
    let Some(last) = records.last() else { return AuditState::Empty };
    let mut before: Option<&AuditRecord> = None;
    for record in records {
        let follows = match before {
            Some(before) => record.seq == before.seq + 1 && record.prev == before.hash,
            None => record.seq > 1 || record.prev == START,
        };
        if !follows || record.hash != link(&record.prev, record.seq, &record.entry).as_bytes() {
            return AuditState::Broken { seq: record.seq };
        }
        before = Some(record);
    }
    AuditState::Intact { seq: last.seq, hash: last.hash.clone() }
}

fn link(prev: &[u8], seq: i64, entry: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN).update(prev).update(&seq.to_be_bytes()).update(entry);
    hasher.finalize()
}

fn from_row(row: &Row<'_>) -> Result<AuditRecord> {
    Ok(AuditRecord { seq: row.integer(0)?, prev: row.blob(1)?, entry: row.blob(2)?, hash: row.blob(3)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{AuditEntry, AuditRecord, AuditState, append, state_of, tail, verify};
    use crate::store::error::StoreError;
    use crate::store::migration::migrate;
    use crate::store::statement::{Access, Statements};

    fn chain(length: i64) -> Statements {
        let mut statements = Statements::open(":memory:".as_ref(), Access::ReadWrite).unwrap();
        migrate(&mut statements).unwrap();
        for at in 0..length {
            let entry = AuditEntry {
                at,
                actor: "admin".into(),
                action: "Test".into(),
                object: String::new(),
                detail: json!({ "n": at }),
            };
            append(&mut statements, &entry).unwrap();
        }
        statements
    }

    #[track_caller]
    fn check_broken(spoil: impl FnOnce(&mut Vec<AuditRecord>), seq: i64) {
        let mut records = tail(&mut chain(5), 10).unwrap();
        spoil(&mut records);
        assert_eq!(state_of(&records), AuditState::Broken { seq });
    }

    #[test]
    fn chain_that_was_appended_to_is_intact() {
        assert_eq!(verify(&mut chain(0), 10).unwrap(), AuditState::Empty);
        assert!(matches!(verify(&mut chain(5), 10).unwrap(), AuditState::Intact { seq: 5, .. }));
        assert!(matches!(verify(&mut chain(5), 2).unwrap(), AuditState::Intact { seq: 5, .. }));
    }

    #[test]
    fn altered_missing_and_swapped_entries_are_found() {
        check_broken(|records| records[2].entry[3] ^= 1, 3);
        check_broken(|records| records[2].hash[0] ^= 1, 3);
        check_broken(|records| drop(records.remove(1)), 3);
        check_broken(|records| records.swap(1, 2), 3);
        check_broken(
            |records| {
                records.remove(0);
                records.iter_mut().for_each(|record| record.seq -= 1);
            },
            1,
        );
    }

    #[test]
    fn entry_can_be_neither_changed_nor_deleted() {
        let mut statements = chain(2);

        let update = statements.execute("UPDATE audit SET entry = x'00' WHERE seq = 1", vec![]);
        let delete = statements.execute("DELETE FROM audit WHERE seq = 2", vec![]);

        let message = |what| Err(StoreError::Constraint(format!("an audit entry is never {what}")));
        assert_eq!(update, message("changed"));
        assert_eq!(delete, message("deleted"));
        assert_eq!(tail(&mut statements, 10).unwrap().len(), 2);
    }
}
