//! Resources as they are in force: each once, with its owner, its generation and its conditions.

use super::error::Result;
use super::statement::{Row, Statements};

/// A stored resource. `spec` and `conditions` are JSON, `source` and `locator` say who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub uid: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub generation: i64,
    pub source: String,
    pub locator: String,
    pub spec: String,
    pub conditions: String,
    pub created_at: i64,
    /// The revision that last changed it; 0 until one took it in.
    pub revision: i64,
}

/// Conditions of an object whose text did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectConditions {
    pub uid: String,
    pub conditions: String,
}

pub(super) fn put(statements: &mut Statements, object: Object) -> Result<()> {
    statements.execute(
        "INSERT INTO objects (uid, kind, namespace, name, generation, source, locator, spec, conditions,
             created_at, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (uid) DO UPDATE SET generation = excluded.generation, source = excluded.source,
             locator = excluded.locator, spec = excluded.spec, conditions = excluded.conditions,
             revision = excluded.revision",
        vec![
            object.uid.into(),
            object.kind.into(),
            object.namespace.into(),
            object.name.into(),
            object.generation.into(),
            object.source.into(),
            object.locator.into(),
            object.spec.into(),
            object.conditions.into(),
            object.created_at.into(),
            object.revision.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn set_conditions(statements: &mut Statements, conditions: ObjectConditions) -> Result<()> {
    statements.execute(
        "UPDATE objects SET conditions = ?2 WHERE uid = ?1",
        vec![conditions.uid.into(), conditions.conditions.into()],
    )?;
    Ok(())
}

pub(super) fn delete(statements: &mut Statements, uid: &str) -> Result<()> {
    statements.execute("DELETE FROM objects WHERE uid = ?1", vec![uid.into()])?;
    Ok(())
}

pub(super) fn all(statements: &mut Statements) -> Result<Vec<Object>> {
    statements.query(
        "SELECT uid, kind, namespace, name, generation, source, locator, spec, conditions, created_at,
             revision
         FROM objects ORDER BY namespace, kind, name",
        vec![],
        from_row,
    )
}

fn from_row(row: &Row<'_>) -> Result<Object> {
    Ok(Object {
        uid: row.text(0)?,
        kind: row.text(1)?,
        namespace: row.text(2)?,
        name: row.text(3)?,
        generation: row.integer(4)?,
        source: row.text(5)?,
        locator: row.text(6)?,
        spec: row.text(7)?,
        conditions: row.text(8)?,
        created_at: row.integer(9)?,
        revision: row.integer(10)?,
    })
}
