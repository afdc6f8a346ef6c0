//! The numbered steps from an empty file to the schema that this program knows.
//!
//! Each runs in one transaction with its row, and its text is hashed: a database made by other steps, or by
//! later ones, is refused rather than guessed at. A step that was released never changes; add the next one.

use super::error::{Result, StoreError};
use super::statement::{Statements, Value};
use super::{sql, writer};

struct Migration {
    version: i64,
    text: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, text: include_str!("migration/0001_start.sql") },
    Migration { version: 2, text: include_str!("migration/0002_guard.sql") },
    Migration { version: 3, text: include_str!("migration/0003_approval.sql") },
    Migration { version: 4, text: include_str!("migration/0004_documents.sql") },
    Migration { version: 5, text: include_str!("migration/0005_cluster.sql") },
    Migration { version: 6, text: include_str!("migration/0006_sessions_of_admins.sql") },
    Migration { version: 7, text: include_str!("migration/0007_server_trust.sql") },
    Migration { version: 8, text: include_str!("migration/0008_enrolments.sql") },
    Migration { version: 9, text: include_str!("migration/0009_api_tokens.sql") },
    Migration { version: 10, text: include_str!("migration/0010_peppers.sql") },
    Migration { version: 11, text: include_str!("migration/0011_gateway_keys.sql") },
];

/// Brings the database to the schema of this program.
pub(super) fn migrate(statements: &mut Statements) -> Result<()> {
    apply(statements, MIGRATIONS)
}

/// Says whether a database is one of this program's, of whatever version.
pub(super) fn is_migrated(statements: &mut Statements) -> Result<bool> {
    let tables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('schema_migrations', 'meta')";
    Ok(statements.query(tables, vec![], |row| row.text(0))?.len() == 2)
}

fn apply(statements: &mut Statements, migrations: &[Migration]) -> Result<()> {
    statements.run_once(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
             version INTEGER PRIMARY KEY, blake3 BLOB NOT NULL, program TEXT NOT NULL
         ) STRICT",
    )?;
    let applied = applied(statements)?;
    let binary = migrations.last().map_or(0, |migration| migration.version);
    if let Some((database, _)) = applied.last()
        && *database > binary
    {
        return Err(StoreError::TooNew { database: *database, binary });
    }
    for migration in migrations {
        let hash = blake3::hash(migration.text.as_bytes());
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, stored)) if stored == hash.as_bytes() => {}
            Some(_) => return Err(StoreError::MigrationChanged { version: migration.version }),
            None => step(statements, migration, hash)?,
        }
    }
    Ok(())
}

fn applied(statements: &mut Statements) -> Result<Vec<(i64, Vec<u8>)>> {
    statements.query("SELECT version, blake3 FROM schema_migrations ORDER BY version", vec![], |row| {
        Ok((row.integer(0)?, row.blob(1)?))
    })
}

fn step(statements: &mut Statements, migration: &Migration, hash: blake3::Hash) -> Result<()> {
    writer::transaction(statements, |statements| {
        for statement in sql::statements(migration.text) {
            statements.run_once(statement)?;
        }
        let row: Vec<Value> = vec![
            migration.version.into(),
            hash.as_bytes().as_slice().into(),
            env!("CARGO_PKG_VERSION").into(),
        ];
        statements
            .execute("INSERT INTO schema_migrations (version, blake3, program) VALUES (?1, ?2, ?3)", row)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{Migration, apply, migrate};
    use crate::store::error::StoreError;
    use crate::store::statement::{Access, Statements};

    fn empty() -> Statements {
        Statements::open(":memory:".as_ref(), Access::ReadWrite).unwrap()
    }

    fn tables(statements: &mut Statements) -> Vec<String> {
        let sql =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        statements.query(sql, vec![], |row| row.text(0)).unwrap()
    }

    const FIRST: Migration =
        Migration { version: 1, text: "CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER);" };
    const SECOND: Migration = Migration { version: 2, text: "CREATE TABLE c (n INTEGER);" };
    const BROKEN: Migration =
        Migration { version: 2, text: "CREATE TABLE c (n INTEGER); CREATE TABLE a (n INTEGER);" };

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut statements = empty();

        migrate(&mut statements).unwrap();
        let first = tables(&mut statements);
        migrate(&mut statements).unwrap();

        assert!(first.contains(&"objects".to_owned()));
        assert_eq!(tables(&mut statements), first);
    }

    #[test]
    fn later_step_is_added_to_an_older_database() {
        let mut statements = empty();
        apply(&mut statements, &[FIRST]).unwrap();

        apply(&mut statements, &[FIRST, SECOND]).unwrap();

        assert_eq!(tables(&mut statements), ["a", "b", "c", "schema_migrations"]);
    }

    #[test]
    fn newer_database_is_refused() {
        let mut statements = empty();
        apply(&mut statements, &[FIRST, SECOND]).unwrap();

        let outcome = apply(&mut statements, &[FIRST]);

        assert_eq!(outcome, Err(StoreError::TooNew { database: 2, binary: 1 }));
    }

    #[test]
    fn changed_step_is_refused() {
        let mut statements = empty();
        apply(&mut statements, &[FIRST]).unwrap();

        let outcome = apply(&mut statements, &[Migration { text: "CREATE TABLE z (n INTEGER)", ..FIRST }]);

        assert_eq!(outcome, Err(StoreError::MigrationChanged { version: 1 }));
    }

    #[test]
    fn step_that_fails_leaves_nothing() {
        let mut statements = empty();
        apply(&mut statements, &[FIRST]).unwrap();

        assert!(apply(&mut statements, &[FIRST, BROKEN]).is_err());

        assert_eq!(tables(&mut statements), ["a", "b", "schema_migrations"]);
        apply(&mut statements, &[FIRST, SECOND]).unwrap();
    }
}
