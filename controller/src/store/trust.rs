//! How far servers are believed: a record and the newest challenges of each.

use super::error::Result;
use super::statement::{Row, Statements};

/// What is kept of one server, by the uid of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    pub owner: String,
    pub record: Vec<u8>,
    /// In the order of time.
    pub challenges: Vec<Challenge>,
}

/// A challenge that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub at: i64,
    pub latency_us: i64,
    /// Empty where the answer was good.
    pub failure: String,
}

/// Replaces the record, adds the challenges, and forgets all but the newest `kept`. What belongs to no object any more
/// is not kept.
pub(super) fn put(statements: &mut Statements, trust: Trust, kept: i64) -> Result<()> {
    let Trust { owner, record, challenges } = trust;
    let stored = statements.execute(
        "INSERT INTO server_trust (owner, record) SELECT ?1, ?2
         WHERE EXISTS (SELECT 1 FROM objects WHERE uid = ?1)
         ON CONFLICT (owner) DO UPDATE SET record = excluded.record",
        vec![owner.as_str().into(), record.into()],
    )?;
    if stored == 0 {
        return Ok(());
    }
    for challenge in challenges {
        statements.execute(
            "INSERT INTO verification_log (owner, at, latency_us, failure) VALUES (?1, ?2, ?3, ?4)",
            vec![
                owner.as_str().into(),
                challenge.at.into(),
                challenge.latency_us.into(),
                challenge.failure.replace('\0', "\u{fffd}").into(),
            ],
        )?;
    }
    statements.execute(
        "DELETE FROM verification_log WHERE owner = ?1 AND number <= (
             SELECT number FROM verification_log WHERE owner = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2
         )",
        vec![owner.into(), kept.into()],
    )?;
    Ok(())
}

pub(super) fn delete(statements: &mut Statements, owner: &str) -> Result<()> {
    statements.execute("DELETE FROM server_trust WHERE owner = ?1", vec![owner.into()])?;
    statements.execute("DELETE FROM verification_log WHERE owner = ?1", vec![owner.into()])?;
    Ok(())
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Trust>> {
    let mut all =
        statements.query("SELECT owner, record FROM server_trust ORDER BY owner", vec![], |row| {
            Ok(Trust { owner: row.text(0)?, record: row.blob(1)?, challenges: vec![] })
        })?;
    let sql = "SELECT owner, at, latency_us, failure FROM verification_log ORDER BY number";
    for (owner, challenge) in statements.query(sql, vec![], challenge)? {
        if let Ok(place) = all.binary_search_by(|trust| trust.owner.cmp(&owner)) {
            all[place].challenges.push(challenge);
        }
    }
    Ok(all)
}

fn challenge(row: &Row<'_>) -> Result<(String, Challenge)> {
    let challenge = Challenge { at: row.integer(1)?, latency_us: row.integer(2)?, failure: row.text(3)? };
    Ok((row.text(0)?, challenge))
}
