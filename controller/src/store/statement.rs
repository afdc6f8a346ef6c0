//! The one place that talks to libsql, and that hides what it does not say.
//!
//! A prepared statement that is not reset stores the previous values, a failed bind is ignored, missing
//! and surplus values are ignored, text is cut at a NUL, and of two statements only the first runs; all of it
//! with `Ok`. So every call here goes the same way: reset, count, bind all, step, reset.
//! `pitfall.rs` shows each of these on the bare library and on this wrapper.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libsql::OpenFlags;
pub(super) use libsql::Value;

use super::error::{Result, StoreError};
use super::sql;

/// A connection with its prepared statements. One thread owns it.
pub(super) struct Statements {
    // Before the connection: each prepared statement keeps the connection open.
    prepared: HashMap<&'static str, libsql::Statement>,
    connection: libsql::Connection,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    ReadWrite,
}

impl Statements {
    pub(super) fn open(path: &Path, access: Access) -> Result<Self> {
        let flags = match access {
            Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        let refused = |error: libsql::Error| StoreError::Unreadable {
            path: path.to_path_buf(),
            reason: error.to_string().to_lowercase(),
        };
        let database = ready(libsql::Builder::new_local(path).flags(flags).build()).map_err(refused)?;
        let connection = database.connect().map_err(refused)?;
        // The library's own default is to fail at once.
        connection.busy_timeout(Duration::from_secs(5)).map_err(refused)?;
        Ok(Self { prepared: HashMap::new(), connection, path: path.to_path_buf() })
    }

    /// Runs a statement that returns no rows; the count means something after INSERT, UPDATE and DELETE only.
    pub(super) fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        check_values(sql, &values)?;
        let statement = prepared(&mut self.prepared, &self.connection, &self.path, sql)?;
        if statement.column_count() != 0 {
            return Err(StoreError::Misuse(format!("execute of a statement that returns rows: {sql}")));
        }
        check_count(sql, statement, &values)?;
        statement.reset();
        let outcome = ready(statement.execute(values));
        statement.reset();
        outcome.map(|count| count as u64).map_err(|error| named(&self.path, error))
    }

    /// Runs a statement that returns rows, to its end.
    pub(super) fn query<T>(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        check_values(sql, &values)?;
        let statement = prepared(&mut self.prepared, &self.connection, &self.path, sql)?;
        check_count(sql, statement, &values)?;
        statement.reset();
        let outcome = collect(statement, values, &self.path, map);
        statement.reset();
        outcome
    }

    /// Runs a statement that returns at most one row.
    pub(super) fn query_one<T>(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
        map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut rows = self.query(sql, values, map)?;
        if rows.len() > 1 {
            return Err(StoreError::Misuse(format!("more than one row from: {sql}")));
        }
        Ok(rows.pop())
    }

    /// Runs one statement of a migration, without keeping it.
    pub(super) fn run_once(&mut self, statement: &str) -> Result<()> {
        check_single(statement)?;
        let prepared = ready(self.connection.prepare(statement)).map_err(|error| named(&self.path, error))?;
        let outcome = ready(prepared.run(()));
        prepared.reset();
        outcome.map_err(|error| named(&self.path, error))
    }

    /// Tells whether a transaction is open. An error such as a full disk may have ended it.
    pub(super) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

/// One row of an answer. A column of another type than asked for is an error, never a panic.
pub(super) struct Row<'a>(&'a libsql::Row);

impl Row<'_> {
    pub(super) fn integer(&self, column: i32) -> Result<i64> {
        let value = self.value(column)?;
        if let Value::Integer(integer) = value { Ok(integer) } else { Err(unexpected(column, &value)) }
    }

    pub(super) fn text(&self, column: i32) -> Result<String> {
        let value = self.value(column)?;
        if let Value::Text(text) = value { Ok(text) } else { Err(unexpected(column, &value)) }
    }

    pub(super) fn blob(&self, column: i32) -> Result<Vec<u8>> {
        let value = self.value(column)?;
        if let Value::Blob(blob) = value { Ok(blob) } else { Err(unexpected(column, &value)) }
    }

    fn value(&self, column: i32) -> Result<Value> {
        if column >= self.0.column_count() {
            return Err(StoreError::Misuse(format!("no column {column}")));
        }
        self.0.get_value(column).map_err(|error| StoreError::Misuse(error.to_string()))
    }
}

fn prepared<'a>(
    cache: &'a mut HashMap<&'static str, libsql::Statement>,
    connection: &libsql::Connection,
    path: &Path,
    sql: &'static str,
) -> Result<&'a libsql::Statement> {
    use std::collections::hash_map::Entry;
    match cache.entry(sql) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => {
            check_single(sql)?;
            let statement = ready(connection.prepare(sql)).map_err(|error| named(path, error))?;
            Ok(entry.insert(statement))
        }
    }
}

fn collect<T>(
    statement: &libsql::Statement,
    values: Vec<Value>,
    path: &Path,
    mut map: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut rows = ready(statement.query(values)).map_err(|error| named(path, error))?;
    let mut mapped = Vec::new();
    while let Some(row) = ready(rows.next()).map_err(|error| named(path, error))? {
        mapped.push(map(&Row(&row))?);
    }
    Ok(mapped)
}

fn check_single(text: &str) -> Result<()> {
    match sql::statements(text).len() {
        1 => Ok(()),
        count => Err(StoreError::Misuse(format!("{count} statements instead of one: {text}"))),
    }
}

fn check_count(sql: &str, statement: &libsql::Statement, values: &[Value]) -> Result<()> {
    let wanted = statement.parameter_count();
    if values.len() == wanted {
        return Ok(());
    }
    Err(StoreError::Misuse(format!("{} values for {wanted} parameters: {sql}", values.len())))
}

fn check_values(sql: &str, values: &[Value]) -> Result<()> {
    let has_nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if values.iter().any(has_nul) {
        return Err(StoreError::Misuse(format!("text with a NUL: {sql}")));
    }
    Ok(())
}

fn unexpected(column: i32, value: &Value) -> StoreError {
    let kind = match value {
        Value::Null => "null",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "text",
        Value::Blob(_) => "a blob",
    };
    StoreError::Misuse(format!("column {column} holds {kind}"))
}

/// Gives an error of the library its name; the primary code is the low byte.
fn named(path: &Path, error: libsql::Error) -> StoreError {
    let libsql::Error::SqliteFailure(code, message) = error else {
        return StoreError::Misuse(error.to_string());
    };
    let path = path.to_path_buf();
    match code & 0xff {
        3 | 14 | 23 => StoreError::Unreadable { path, reason: message },
        8 => StoreError::ReadOnly { path },
        11 => StoreError::Damaged { path, reason: message },
        13 => StoreError::Full { path },
        19 => StoreError::Constraint(message),
        26 => StoreError::NotADatabase { path },
        _ => StoreError::Database { code, message },
    }
}

/// Drives a future of the library: local ones do their work in the first poll and never wait.
fn ready<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod pitfall;
