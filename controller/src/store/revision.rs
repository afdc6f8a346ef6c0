//! Revisions: one committed, numbered compilation of everything.

use super::error::Result;
use super::statement::{Row, Statements};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub number: i64,
    pub epoch: i64,
    pub hash: Vec<u8>,
    pub created_at: i64,
    pub summary: String,
}

pub(super) fn insert(statements: &mut Statements, revision: Revision) -> Result<()> {
    statements.execute(
        "INSERT INTO revisions (number, epoch, hash, created_at, summary) VALUES (?1, ?2, ?3, ?4, ?5)",
        vec![
            revision.number.into(),
            revision.epoch.into(),
            revision.hash.into(),
            revision.created_at.into(),
            revision.summary.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn last(statements: &mut Statements) -> Result<Option<Revision>> {
    statements.query_one(
        "SELECT number, epoch, hash, created_at, summary FROM revisions ORDER BY number DESC LIMIT 1",
        vec![],
        from_row,
    )
}

pub(super) fn find(statements: &mut Statements, number: i64) -> Result<Option<Revision>> {
    statements.query_one(
        "SELECT number, epoch, hash, created_at, summary FROM revisions WHERE number = ?1",
        vec![number.into()],
        from_row,
    )
}

fn from_row(row: &Row<'_>) -> Result<Revision> {
    Ok(Revision {
        number: row.integer(0)?,
        epoch: row.integer(1)?,
        hash: row.blob(2)?,
        created_at: row.integer(3)?,
        summary: row.text(4)?,
    })
}
