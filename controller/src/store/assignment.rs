//! Assignments: the signed list of sections that one server must run.

use super::error::Result;
use super::statement::Statements;

/// Older assignments a server keeps, for looking back.
const KEPT: i64 = 16;

/// `bytes` is what was signed, with its signature; `sections` are the hashes that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub server: String,
    pub bytes: Vec<u8>,
    pub sections: Vec<Vec<u8>>,
}

/// An assignment that is in force, and the revision that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAssignment {
    pub server: String,
    pub revision: i64,
    pub bytes: Vec<u8>,
}

pub(super) fn insert(statements: &mut Statements, revision: i64, assignment: Assignment) -> Result<()> {
    let server = assignment.server;
    statements.execute(
        "INSERT INTO assignments (server, revision, bytes) VALUES (?1, ?2, ?3)",
        vec![server.as_str().into(), revision.into(), assignment.bytes.into()],
    )?;
    for section in assignment.sections {
        statements.execute(
            "INSERT INTO assignment_sections (server, revision, section) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
            vec![server.as_str().into(), revision.into(), section.into()],
        )?;
    }
    delete_old(statements, &server)
}

/// Returns the newest assignment of each server.
pub(super) fn in_force(statements: &mut Statements) -> Result<Vec<StoredAssignment>> {
    statements.query(
        "SELECT server, revision, bytes FROM assignments AS newest WHERE revision =
             (SELECT max(revision) FROM assignments WHERE server = newest.server)
         ORDER BY server",
        vec![],
        |row| Ok(StoredAssignment { server: row.text(0)?, revision: row.integer(1)?, bytes: row.blob(2)? }),
    )
}

/// Forgets everything of a server that is gone or has no gateway to run it.
pub(super) fn delete_of(statements: &mut Statements, server: &str) -> Result<()> {
    statements.execute("DELETE FROM assignments WHERE server = ?1", vec![server.into()])?;
    Ok(())
}

fn delete_old(statements: &mut Statements, server: &str) -> Result<()> {
    statements.execute(
        "DELETE FROM assignments WHERE server = ?1 AND revision <
             (SELECT min(revision) FROM
                 (SELECT revision FROM assignments WHERE server = ?1 ORDER BY revision DESC LIMIT ?2))",
        vec![server.into(), KEPT.into()],
    )?;
    Ok(())
}
