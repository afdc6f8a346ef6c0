//! What the bare library does in silence, beside what the wrapper makes of it.
//!
//! The `bare_…` tests fail when an upgrade changes the library: then the wrapper may be simplified.

use libsql::{Connection, Value};

use super::{Access, Statements, ready};
use crate::store::error::StoreError;

const CREATE: &str = "CREATE TABLE pair (name TEXT, amount INTEGER)";
const INSERT: &str = "INSERT INTO pair (name, amount) VALUES (?1, ?2)";

fn bare() -> Connection {
    let database = ready(libsql::Builder::new_local(":memory:").build()).unwrap();
    let connection = database.connect().unwrap();
    ready(connection.execute(CREATE, ())).unwrap();
    connection
}

fn bare_rows(connection: &Connection) -> Vec<(Value, Value)> {
    let mut rows = ready(connection.query("SELECT name, amount FROM pair ORDER BY rowid", ())).unwrap();
    let mut found = Vec::new();
    while let Some(row) = ready(rows.next()).unwrap() {
        found.push((row.get_value(0).unwrap(), row.get_value(1).unwrap()));
    }
    found
}

fn wrapped() -> Statements {
    let mut statements = Statements::open(":memory:".as_ref(), Access::ReadWrite).unwrap();
    statements.run_once(CREATE).unwrap();
    statements
}

fn wrapped_rows(statements: &mut Statements) -> Vec<(String, i64)> {
    statements
        .query("SELECT name, amount FROM pair ORDER BY rowid", vec![], |row| {
            Ok((row.text(0)?, row.integer(1)?))
        })
        .unwrap()
}

fn pair(name: &str, amount: i64) -> Vec<Value> {
    vec![name.into(), amount.into()]
}

fn text(name: &str) -> Value {
    Value::Text(name.to_owned())
}

#[test]
fn bare_execute_without_reset_repeats_the_first_values() {
    let connection = bare();
    let insert = ready(connection.prepare(INSERT)).unwrap();

    for (name, amount) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(ready(insert.execute(pair(name, amount))).unwrap(), 1);
    }

    assert_eq!(bare_rows(&connection), vec![(text("a"), Value::Integer(1)); 3]);
}

#[test]
fn every_execute_stores_its_own_values() {
    let mut statements = wrapped();

    for (name, amount) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(statements.execute(INSERT, pair(name, amount)).unwrap(), 1);
    }

    let expected = vec![("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)];
    assert_eq!(wrapped_rows(&mut statements), expected);
}

const FIND: &str = "SELECT amount FROM pair WHERE name = ?1";

#[test]
fn bare_query_without_reset_misses_its_row() {
    let connection = bare();
    ready(connection.execute("INSERT INTO pair VALUES ('a', 1), ('b', 2)", ())).unwrap();
    let find = ready(connection.prepare(FIND)).unwrap();
    let first = ready(ready(find.query(["a"])).unwrap().next()).unwrap();
    assert!(first.is_some());

    let second = ready(ready(find.query(["b"])).unwrap().next()).unwrap();

    assert!(second.is_none());
}

#[test]
fn every_query_finds_its_row() {
    let mut statements = wrapped();
    statements.execute(INSERT, pair("a", 1)).unwrap();
    statements.execute(INSERT, pair("b", 2)).unwrap();

    for (name, amount) in [("a", 1), ("b", 2), ("a", 1)] {
        let found = statements.query_one(FIND, vec![name.into()], |row| row.integer(0)).unwrap();
        assert_eq!(found, Some(amount));
    }
}

#[test]
fn bare_missing_value_is_null_or_the_one_before() {
    let connection = bare();
    let insert = ready(connection.prepare(INSERT)).unwrap();

    assert_eq!(ready(insert.execute(["a"])).unwrap(), 1);
    insert.reset();
    assert_eq!(ready(insert.execute(pair("b", 2))).unwrap(), 1);
    insert.reset();
    assert_eq!(ready(insert.execute(["c"])).unwrap(), 1);

    let expected = [(text("a"), Value::Null), (text("b"), Value::Integer(2)), (text("c"), Value::Integer(2))];
    assert_eq!(bare_rows(&connection), expected);
}

#[test]
fn bare_surplus_and_misspelt_values_are_ignored() {
    let connection = bare();

    let surplus = vec![text("a"), Value::Integer(1), Value::Integer(9)];
    assert_eq!(ready(connection.execute(INSERT, surplus)).unwrap(), 1);
    let named = "INSERT INTO pair (name, amount) VALUES (:name, :amount)";
    let misspelt = [(":name", text("b")), (":amuont", Value::Integer(2))];
    assert_eq!(ready(connection.execute(named, misspelt)).unwrap(), 1);

    assert_eq!(bare_rows(&connection), [(text("a"), Value::Integer(1)), (text("b"), Value::Null)]);
}

#[test]
fn wrong_number_of_values_is_refused() {
    let mut statements = wrapped();

    for values in [vec![], vec![text("a")], vec![text("a"), Value::Integer(1), Value::Integer(9)]] {
        assert!(matches!(statements.execute(INSERT, values.clone()), Err(StoreError::Misuse(_))));
        assert!(matches!(statements.query(INSERT, values, |_| Ok(())), Err(StoreError::Misuse(_))));
    }

    assert!(wrapped_rows(&mut statements).is_empty());
}

#[test]
fn bare_execute_with_returning_fails_and_writes() {
    let connection = bare();

    let outcome = ready(connection.execute("INSERT INTO pair VALUES ('a', 1) RETURNING amount", ()));

    assert!(matches!(outcome, Err(libsql::Error::ExecuteReturnedRows)));
    assert_eq!(bare_rows(&connection).len(), 1);
}

#[test]
fn execute_with_returning_is_refused_before_it_writes() {
    const RETURNING: &str = "INSERT INTO pair (name, amount) VALUES (?1, ?2) RETURNING amount";
    let mut statements = wrapped();

    assert!(matches!(statements.execute(RETURNING, pair("a", 1)), Err(StoreError::Misuse(_))));
    assert!(wrapped_rows(&mut statements).is_empty());

    let returned = statements.query_one(RETURNING, pair("a", 1), |row| row.integer(0)).unwrap();
    assert_eq!(returned, Some(1));
    assert_eq!(wrapped_rows(&mut statements).len(), 1);
}

const TWO: &str = "INSERT INTO pair VALUES ('a', 1); INSERT INTO pair VALUES ('b', 2)";

#[test]
fn bare_execute_runs_only_the_first_of_two_statements() {
    let connection = bare();

    assert_eq!(ready(connection.execute(TWO, ())).unwrap(), 1);

    assert_eq!(bare_rows(&connection), [(text("a"), Value::Integer(1))]);
}

#[test]
fn two_statements_in_one_text_are_refused() {
    let mut statements = wrapped();

    assert!(matches!(statements.execute(TWO, vec![]), Err(StoreError::Misuse(_))));
    assert!(matches!(statements.run_once(TWO), Err(StoreError::Misuse(_))));

    assert!(wrapped_rows(&mut statements).is_empty());
}

#[test]
fn bare_batch_keeps_what_came_before_its_error() {
    let connection = bare();

    let outcome =
        ready(connection.execute_batch("INSERT INTO pair VALUES ('a', 1); INSERT INTO absent VALUES (1);"));

    assert!(outcome.is_err());
    assert_eq!(bare_rows(&connection).len(), 1);
}

#[test]
fn bare_transactional_batch_can_be_ended_from_inside() {
    let connection = bare();
    let batch = "INSERT INTO pair VALUES ('a', 1); commit; INSERT INTO absent VALUES (1);";

    let outcome = ready(connection.execute_transactional_batch(batch));

    assert!(outcome.is_err());
    assert_eq!(bare_rows(&connection).len(), 1);
}

#[test]
fn bare_text_is_cut_at_a_nul() {
    let connection = bare();

    ready(connection.execute(INSERT, pair("a\0b", 1))).unwrap();

    assert_eq!(bare_rows(&connection), [(text("a"), Value::Integer(1))]);
}

#[test]
fn text_with_a_nul_is_refused() {
    let mut statements = wrapped();

    assert!(matches!(statements.execute(INSERT, pair("a\0b", 1)), Err(StoreError::Misuse(_))));

    assert!(wrapped_rows(&mut statements).is_empty());
}

#[test]
fn value_of_another_type_is_an_error() {
    let mut statements = wrapped();
    statements.execute(INSERT, pair("a", 1)).unwrap();

    let as_integer = statements.query(FIND, vec!["a".into()], |row| row.text(0));
    let no_column = statements.query(FIND, vec!["a".into()], |row| row.integer(1));

    assert!(matches!(as_integer, Err(StoreError::Misuse(_))));
    assert!(matches!(no_column, Err(StoreError::Misuse(_))));
}

#[test]
fn failed_statement_leaves_the_next_call_alone() {
    const UNIQUE: &str = "INSERT INTO once (name) VALUES (?1)";
    let mut statements = wrapped();
    statements.run_once("CREATE TABLE once (name TEXT PRIMARY KEY)").unwrap();

    assert_eq!(statements.execute(UNIQUE, vec!["a".into()]), Ok(1));
    assert!(matches!(statements.execute(UNIQUE, vec!["a".into()]), Err(StoreError::Constraint(_))));
    assert_eq!(statements.execute(UNIQUE, vec!["b".into()]), Ok(1));
}

#[test]
fn full_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut statements = Statements::open(&folder.path().join("small"), Access::ReadWrite).unwrap();
    statements.run_once(CREATE).unwrap();
    statements.run_once("PRAGMA max_page_count = 4").unwrap();

    let outcome = statements.execute(INSERT, pair(&"x".repeat(100_000), 1));

    assert!(matches!(outcome, Err(StoreError::Full { .. })));
}
