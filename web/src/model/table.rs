//! The table of a kind, as the resource API writes it, and what a watch says of it later.

use horizon_api::resource::{Kind, ObjectKey};
use serde_json::Value;

use super::refusal::Refusal;

/// A table, or a piece of one that a watch sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Empty in all but the first piece.
    pub columns: Vec<Column>,
    pub rows: Vec<(ObjectKey, Row)>,
    /// From where a watch goes on.
    pub version: String,
}

/// A column that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub description: String,
    /// Its place in the cells of a row.
    pub place: usize,
    /// Whether it says how old the object is, which changes by itself.
    pub is_age: bool,
}

/// An object in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub cells: Vec<String>,
    /// When it was created, as the controller wrote it.
    pub created: String,
    /// Changes with the object.
    pub version: String,
}

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Objects are this.
    Put(Table),
    /// Objects are no more.
    Gone(Vec<ObjectKey>),
    /// Nothing happened until then.
    Nothing,
    /// It ends: the objects must be read again.
    Over(Refusal),
}

impl Table {
    /// Reads a table of a kind; `None` if it is none.
    pub fn read(kind: Kind, json: &Value) -> Option<Self> {
        if json["kind"] != "Table" {
            return None;
        }
        let columns = json["columnDefinitions"].as_array();
        let columns = columns.into_iter().flatten().enumerate().filter_map(column);
        let rows = json["rows"].as_array();
        let rows = rows.into_iter().flatten().filter_map(|json| row(kind, json));
        let version = text(&json["metadata"]["resourceVersion"]);
        Some(Self { columns: columns.collect(), rows: rows.collect(), version })
    }
}

impl Event {
    /// Reads a line of a watch; `None` if it is none.
    pub fn read(kind: Kind, line: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(line).ok()?;
        let object = &json["object"];
        let table = || Table::read(kind, object);
        match json["type"].as_str()? {
            "ADDED" | "MODIFIED" => table().map(Self::Put),
            "DELETED" => {
                table().map(|table| Self::Gone(table.rows.into_iter().map(|(key, _)| key).collect()))
            }
            "ERROR" => Some(Self::Over(Refusal::read(object).unwrap_or_default())),
            _ => Some(Self::Nothing),
        }
    }
}

/// Columns of a higher priority are for those who ask for more.
fn column((place, json): (usize, &Value)) -> Option<Column> {
    let is_shown = json["priority"].as_u64().unwrap_or(0) == 0;
    let name = text(&json["name"]);
    let is_age = json["type"] == "date" && name == "Age";
    is_shown.then(|| Column { name, description: text(&json["description"]), place, is_age })
}

fn row(kind: Kind, json: &Value) -> Option<(ObjectKey, Row)> {
    let metadata = &json["object"]["metadata"];
    let key = ObjectKey::new(kind, metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    let cells = json["cells"].as_array()?.iter().map(cell);
    let row = Row {
        cells: cells.collect(),
        created: text(&metadata["creationTimestamp"]),
        version: text(&metadata["resourceVersion"]),
    };
    Some((key, row))
}

fn cell(json: &Value) -> String {
    match json {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => json.to_string(),
    }
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Value {
        json!({
            "kind": "Table",
            "metadata": { "resourceVersion": "7" },
            "columnDefinitions": [
                { "name": "Name", "type": "string", "priority": 0, "description": "Which one." },
                { "name": "Devices", "type": "integer", "priority": 0 },
                { "name": "Groups", "type": "string", "priority": 1 },
                { "name": "Age", "type": "date", "priority": 0 },
            ],
            "rows": [{
                "cells": ["alice", 2, null, "5m"],
                "object": { "metadata": {
                    "name": "alice", "namespace": "office", "resourceVersion": "6", "creationTimestamp": "2026-01-01T00:00:00Z",
                } },
            }],
        })
    }

    #[test]
    fn a_table_has_the_columns_that_are_always_shown() {
        let table = Table::read(Kind::User, &table()).unwrap();

        let columns: Vec<_> = table.columns.iter().map(|c| (c.name.as_str(), c.place, c.is_age)).collect();
        assert_eq!(columns, [("Name", 0, false), ("Devices", 1, false), ("Age", 3, true)]);
        let (key, row) = &table.rows[0];
        assert_eq!(key.to_string(), "User/office/alice");
        assert_eq!((row.cells.join("|"), row.version.as_str()), ("alice|2||5m".to_owned(), "6"));
        assert_eq!((table.version.as_str(), Table::read(Kind::User, &json!({}))), ("7", None));
    }

    #[test]
    fn a_watch_says_what_is_and_what_is_no_more() {
        let event = |kind: &str, object: Value| {
            Event::read(Kind::User, &json!({ "type": kind, "object": object }).to_string()).unwrap()
        };
        let key = ObjectKey::new(Kind::User, "office", "alice");

        assert!(matches!(event("MODIFIED", table()), Event::Put(table) if table.rows[0].0 == key));
        assert_eq!(event("DELETED", table()), Event::Gone(vec![key]));
        assert_eq!(event("BOOKMARK", table()), Event::Nothing);
        let expired = json!({ "kind": "Status", "status": "Failure", "reason": "Expired" });
        assert!(matches!(event("ERROR", expired), Event::Over(refusal) if refusal.reason == "Expired"));
        assert_eq!(Event::read(Kind::User, "no JSON"), None);
    }
}
