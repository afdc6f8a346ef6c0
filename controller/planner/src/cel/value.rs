//! From JSON to what CEL computes with.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use kube_cel::cel::{
    Value,
    objects::{Key, Map},
};
use serde_json::Value as Json;

use crate::schema::Schema;

/// Returns the fields of an object that a rule reads, or all of a value if the rule does not go by fields.
pub(super) fn read_by(fields: Option<&BTreeSet<&str>>, json: &Json, schema: &Schema) -> Value {
    let (Some(fields), Json::Object(written)) = (fields, json) else { return of_json(json, Some(schema)) };
    let map = fields.iter().filter_map(|name| {
        let schema = schema.properties.get(*name);
        let default = schema.and_then(|schema| schema.default.as_ref());
        let value = written.get(*name).filter(|value| !value.is_null()).or(default)?;
        Some((key(name), of_json(value, schema)))
    });
    Value::Map(Map { map: Arc::new(map.collect()) })
}

/// Returns a value as an API server shows it to rules: with the defaults of its schema, and without nulls.
///
/// Moments stay text; a test keeps rules from computing with them. Names of fields need no escapes; a test knows.
fn of_json(json: &Json, schema: Option<&Schema>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => {
            let schema = schema.and_then(|schema| schema.items.as_deref());
            Value::List(Arc::new(items.iter().map(|item| of_json(item, schema)).collect()))
        }
        Json::Object(fields) => {
            let written = fields.iter().filter(|(_, value)| !value.is_null());
            let mut map: HashMap<Key, Value> = written
                .map(|(name, value)| {
                    let schema = schema.and_then(|schema| {
                        schema.properties.get(name).or(schema.additional_properties.as_deref())
                    });
                    (key(name), of_json(value, schema))
                })
                .collect();
            for (name, schema) in schema.into_iter().flat_map(|schema| &schema.properties) {
                if let Some(default) = &schema.default {
                    map.entry(key(name)).or_insert_with(|| of_json(default, Some(schema)));
                }
            }
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

fn key(name: &str) -> Key {
    Key::String(Arc::new(name.to_owned()))
}
