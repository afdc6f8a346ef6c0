//! The definitions of kinds in a cluster, as they were when everything of the kind was there.

use super::error::Result;
use super::statement::Statements;

/// The definition of a kind, by the cluster's name for its making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub kind: String,
    pub uid: String,
}

pub(super) fn put(statements: &mut Statements, definition: Definition) -> Result<()> {
    statements.execute(
        "INSERT INTO definitions (kind, uid) VALUES (?1, ?2) ON CONFLICT (kind) DO UPDATE SET uid = excluded.uid",
        vec![definition.kind.into(), definition.uid.into()],
    )?;
    Ok(())
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Definition>> {
    statements.query("SELECT kind, uid FROM definitions ORDER BY kind", vec![], |row| {
        Ok(Definition { kind: row.text(0)?, uid: row.text(1)? })
    })
}
