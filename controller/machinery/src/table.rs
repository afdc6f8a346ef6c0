//! `Table` and `PartialObjectMetadata` (`meta.k8s.io`): objects as rows for people, or without their content.

pub mod age;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    field_cause,
    negotiate::MetaVersion,
    query::Query,
    refusal::Refusal,
    resource::{Column, ColumnKind, NamePlace, Resource, Source},
};

/// What goes with each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// How a table is made.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    pub resource: &'a Resource,
    pub version: MetaVersion,
    pub include: IncludeObject,
    /// Whether the columns are described; on a watch only the first table does.
    pub has_headers: bool,
    pub now: Timestamp,
    /// What a counter says about an object, by namespace, name and the counter's name.
    pub counter: &'a dyn Fn(&str, &str, &str) -> Option<Value>,
}

impl IncludeObject {
    /// Reads `includeObject`.
    ///
    /// # Errors
    /// 400 for a word that nobody knows.
    pub fn parse(query: &Query) -> Result<Self, Refusal> {
        match query.text("includeObject") {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => {
                let cause = field_cause::invalid(
                    "includeObject",
                    other,
                    "must be 'Metadata', 'Object', 'None', or empty",
                );
                let why = field_cause::sentence(&[cause]);
                Err(Refusal::bad_request(format!("Unable to convert to Table as requested: {why}")))
            }
        }
    }
}

impl Table<'_> {
    /// Returns a table of objects. `metadata` is that of the list, or of the one object.
    pub fn of<'o>(&self, objects: impl IntoIterator<Item = &'o Value>, metadata: &Value) -> Value {
        let rows: Vec<Value> = objects.into_iter().map(|object| self.row(object)).collect();
        json!({
            "kind": "Table",
            "apiVersion": meta_version(self.version),
            "metadata": list_metadata(metadata),
            "columnDefinitions": if self.has_headers { self.headers() } else { Value::Null },
            "rows": rows,
        })
    }

    fn headers(&self) -> Value {
        let name = json!({
            "name": "Name", "type": "string", "format": "name",
            "priority": match self.resource.name_place { NamePlace::First => 0, NamePlace::LastIfWide => 1 },
            "description": "The name of the object; unique among its kind in its namespace.",
        });
        let columns = self.resource.columns.iter().map(|column| {
            json!({
                "name": column.name, "type": column.kind.as_str(), "format": "", "priority": column.priority,
                "description": column.description,
            })
        });
        self.with_name(name, columns)
    }

    /// Puts the name where the table shows it.
    fn with_name(&self, name: Value, others: impl Iterator<Item = Value>) -> Value {
        match self.resource.name_place {
            NamePlace::First => [name].into_iter().chain(others).collect(),
            NamePlace::LastIfWide => others.chain([name]).collect(),
        }
    }

    fn row(&self, object: &Value) -> Value {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().into();
        let cells =
            self.with_name(name, self.resource.columns.iter().map(|column| self.cell(column, object)));
        let object = match self.include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => partial(object, self.version),
            IncludeObject::Object => object.clone(),
        };
        json!({ "cells": cells, "object": object })
    }

    fn cell(&self, column: &Column, object: &Value) -> Value {
        match &column.source {
            Source::Paths(paths) => {
                let is_there = |found: &Vec<&Value>| found.iter().any(|value| !value.is_null());
                let found = paths.iter().map(|path| path.find(object)).find(is_there);
                found.map_or(Value::Null, |found| cell(column.kind, &found, self.now))
            }
            Source::Reference(path) => {
                let member =
                    |name: &str| path.find(object).first().and_then(|found| found.get(name)?.as_str());
                let (kind, name) = (member("kind").unwrap_or_default(), member("name").unwrap_or_default());
                format!("{}/{name}", kind.to_lowercase()).into()
            }
            Source::Size(path) => {
                let members =
                    path.find(object).first().and_then(|value| value.as_object()).map_or(0, |map| map.len());
                members.to_string().into()
            }
            Source::Counter(counter) => {
                let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
                let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
                let counted = (self.counter)(namespace, name, counter);
                counted.map_or(Value::Null, |counted| cell(column.kind, &[&counted], self.now))
            }
        }
    }
}

/// Returns what a column shows. An API server shows only the first of several values; here all of them are shown, as
/// people expect of `.spec.groups[*]`.
fn cell(kind: ColumnKind, found: &[&Value], now: Timestamp) -> Value {
    let Some(first) = found.first().copied().filter(|value| !value.is_null()) else { return Value::Null };
    match kind {
        ColumnKind::String => {
            let texts: Vec<String> = found.iter().map(|value| text(value)).collect();
            texts.join(",").into()
        }
        ColumnKind::Integer => {
            // What is not whole loses its fraction, as on an API server.
            let whole = first.as_i64().or_else(|| first.as_f64().map(|number| number as i64));
            whole.map_or(Value::Null, Value::from)
        }
        ColumnKind::Number => first.as_f64().map_or(Value::Null, Value::from),
        ColumnKind::Boolean => first.as_bool().map_or(Value::Null, Value::from),
        ColumnKind::Date => match first.as_str() {
            Some(text) => age::of(text, now).into(),
            None => Value::Null,
        },
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

impl ColumnKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }
}

/// Returns an object without its content.
pub fn partial(object: &Value, version: MetaVersion) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": meta_version(version),
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}

/// Returns the objects of a list without their content. `metadata` is that of the list.
pub fn partial_list<'o>(
    objects: impl IntoIterator<Item = &'o Value>,
    metadata: &Value,
    version: MetaVersion,
) -> Value {
    let items: Vec<Value> = objects.into_iter().map(|object| partial(object, version)).collect();
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": meta_version(version),
        "metadata": list_metadata(metadata),
        "items": items,
    })
}

/// Refuses to show a list as one object without content: 406.
pub fn refuse_partial_of_list() -> Refusal {
    let message = "you requested PartialObjectMetadata, but the requested object is a list";
    Refusal::plain(406, crate::refusal::Reason::NotAcceptable, message)
}

/// Refuses to show one object as a list without content: 406.
pub fn refuse_partial_list_of_object() -> Refusal {
    let message = "you requested PartialObjectMetadataList, but the requested object is not a list";
    Refusal::plain(406, crate::refusal::Reason::NotAcceptable, message)
}

fn meta_version(version: MetaVersion) -> String {
    format!("meta.k8s.io/{}", version.as_str())
}

/// Returns what list metadata may have, of the metadata of a list or an object; nothing that is empty.
fn list_metadata(metadata: &Value) -> Value {
    let kept = ["resourceVersion", "continue", "remainingItemCount"].into_iter().filter_map(|name| {
        let value = metadata.get(name).filter(|value| value.as_str() != Some(""))?;
        Some((name.to_owned(), value.clone()))
    });
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;

    use super::*;

    fn table<'a>(kind: Kind, counter: &'a dyn Fn(&str, &str, &str) -> Option<Value>) -> Table<'a> {
        Table {
            resource: Resource::of(kind),
            version: MetaVersion::V1,
            include: IncludeObject::None,
            has_headers: true,
            now: "2026-11-28T18:18:30Z".parse().unwrap(),
            counter,
        }
    }

    fn alice() -> Value {
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "name": "alice", "namespace": "default", "creationTimestamp": "2026-11-28T18:08:25Z" },
            "spec": { "groups": ["staff", "admins"], "disabled": true },
        })
    }

    #[test]
    fn a_row_shows_what_the_columns_ask_for() {
        let devices = |namespace: &str, name: &str, counter: &str| {
            (namespace == "default" && name == "alice" && counter == "Devices").then(|| json!(3))
        };

        let table =
            table(Kind::User, &devices).of([&alice()], &json!({ "resourceVersion": "7", "continue": "" }));

        assert_eq!(table["rows"][0]["cells"], json!(["alice", "staff,admins", 3, true, "10m"]));
        assert_eq!(table["metadata"], json!({ "resourceVersion": "7" }));
        let names: Vec<&Value> =
            table["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(names, ["Name", "Groups", "Devices", "Disabled", "Age"]);
    }

    #[test]
    fn conditions_and_wide_columns_are_found() {
        let server = json!({
            "metadata": { "name": "fra-1" },
            "spec": { "networkRefs": [{ "name": "office" }] },
            "status": { "revision": 7, "conditions": [{ "type": "Ready", "status": "False", "reason": "Pending" }] },
        });

        let table = table(Kind::Server, &|_, _, _| None).of([&server], &Value::Null);

        let cells = json!(["fra-1", "office", null, 7, "False", "Pending", null]);
        assert_eq!(table["rows"][0]["cells"], cells);
        assert_eq!(table["columnDefinitions"][1]["priority"], 1);
    }

    #[test]
    fn what_goes_with_a_row_is_asked_for() {
        let include = |text: &str| IncludeObject::parse(&Query::parse(text).unwrap());
        let row = |include| {
            Table { include, has_headers: false, ..table(Kind::User, &|_, _, _| None) }.row(&alice())
        };

        assert_eq!(include(""), Ok(IncludeObject::Metadata));
        let bad = include("includeObject=Bad").unwrap_err();
        let sentence = "Unable to convert to Table as requested: includeObject: Invalid value: \"Bad\": must be \
                        'Metadata', 'Object', 'None', or empty";
        assert_eq!((bad.code, bad.message.as_str()), (400, sentence));
        assert_eq!(row(IncludeObject::Object)["object"], alice());
        assert_eq!(row(IncludeObject::Metadata)["object"], partial(&alice(), MetaVersion::V1));
        assert_eq!(partial(&alice(), MetaVersion::V1)["metadata"]["name"], "alice");
        let list = partial_list([&alice()], &json!({ "resourceVersion": "9" }), MetaVersion::V1);
        assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    }

    #[test]
    fn an_event_says_what_it_is_about_and_when_it_happened_last() {
        let event = json!({
            "metadata": { "name": "office.1" }, "type": "Warning", "reason": "Stale", "message": "it is", "count": null,
            "involvedObject": { "kind": "Network", "name": "office" }, "lastTimestamp": null,
            "eventTime": "2026-11-28T18:18:00.000000Z", "data": {},
        });
        let of = |plural: &str| Table {
            resource: Resource::find("", "v1", plural).unwrap(),
            ..table(Kind::User, &|_, _, _| None)
        };

        let cells = json!([
            "30s",
            "Warning",
            "Stale",
            "network/office",
            null,
            null,
            "it is",
            "30s",
            null,
            "office.1"
        ]);
        assert_eq!(of("events").row(&event)["cells"], cells);
        assert_eq!(of("events").headers()[9]["priority"], 1);
        let secret = json!({ "metadata": { "name": "key" }, "type": "Opaque", "data": { "a": "", "b": "" } });
        assert_eq!(of("secrets").row(&secret)["cells"], json!(["key", "Opaque", "2", null]));
    }

    #[test]
    fn odd_values_are_no_panic() {
        for (kind, value, expected) in [
            (ColumnKind::Integer, json!(2.9), json!(2)),
            (ColumnKind::Integer, json!("x"), Value::Null),
            (ColumnKind::Boolean, json!("x"), Value::Null),
            (ColumnKind::Number, json!(1), json!(1.0)),
            (ColumnKind::String, json!({ "a": 1 }), json!("{\"a\":1}")),
            (ColumnKind::Date, json!("yesterday"), json!("<invalid>")),
            (ColumnKind::Date, json!(7), Value::Null),
        ] {
            assert_eq!(cell(kind, &[&value], Timestamp::UNIX_EPOCH), expected, "{value}");
        }
    }
}
