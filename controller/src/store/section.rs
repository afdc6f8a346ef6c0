//! Sections: what gateways need, kept once by content.

use super::error::Result;
use super::statement::Statements;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub hash: Vec<u8>,
    pub bytes: Vec<u8>,
}

pub(super) fn put(statements: &mut Statements, section: Section) -> Result<()> {
    statements.execute(
        "INSERT INTO sections (hash, bytes) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING",
        vec![section.hash.into(), section.bytes.into()],
    )?;
    Ok(())
}

#[cfg(test)]
pub(super) fn find(statements: &mut Statements, hash: &[u8]) -> Result<Option<Section>> {
    statements.query_one("SELECT hash, bytes FROM sections WHERE hash = ?1", vec![hash.into()], |row| {
        Ok(Section { hash: row.blob(0)?, bytes: row.blob(1)? })
    })
}

/// Returns the sections that the newest assignment of any server names.
pub(super) fn in_force(statements: &mut Statements) -> Result<Vec<Section>> {
    statements.query(
        "SELECT hash, bytes FROM sections WHERE hash IN (
             SELECT section FROM assignment_sections AS used WHERE used.revision =
                 (SELECT max(revision) FROM assignments WHERE server = used.server))
         ORDER BY hash",
        vec![],
        |row| Ok(Section { hash: row.blob(0)?, bytes: row.blob(1)? }),
    )
}

/// Forgets the sections that no kept assignment names.
pub(super) fn delete_unused(statements: &mut Statements) -> Result<()> {
    statements.execute(
        "DELETE FROM sections WHERE NOT EXISTS
             (SELECT 1 FROM assignment_sections WHERE section = sections.hash)",
        vec![],
    )?;
    Ok(())
}
