//! Objects that admins took out of force, until a moment.

use super::error::Result;
use super::statement::{Row, Statements};

/// A hold on an object, which is named as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub object: String,
    pub reason: String,
    pub by: String,
    pub at: i64,
    pub until: i64,
}

/// Holds an object; a second hold takes the place of the first.
pub(super) fn put(statements: &mut Statements, hold: Hold) -> Result<()> {
    statements.execute(
        "INSERT INTO holds (object, reason, held_by, held_at, until) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (object) DO UPDATE SET reason = excluded.reason, held_by = excluded.held_by,
             held_at = excluded.held_at, until = excluded.until",
        vec![hold.object.into(), hold.reason.into(), hold.by.into(), hold.at.into(), hold.until.into()],
    )?;
    Ok(())
}

pub(super) fn delete(statements: &mut Statements, object: &str) -> Result<bool> {
    Ok(statements.execute("DELETE FROM holds WHERE object = ?1", vec![object.into()])? == 1)
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Hold>> {
    let sql = "SELECT object, reason, held_by, held_at, until FROM holds ORDER BY object";
    statements.query(sql, vec![], from_row)
}

fn from_row(row: &Row<'_>) -> Result<Hold> {
    Ok(Hold {
        object: row.text(0)?,
        reason: row.text(1)?,
        by: row.text(2)?,
        at: row.integer(3)?,
        until: row.integer(4)?,
    })
}
