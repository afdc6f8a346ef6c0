//! What the API server does to every object that comes in or is stored: drops what the schema does not know and nulls
//! that may not be, and fills in defaults.

use std::fmt::Write;

use horizon_planner::schema::Schema;
use serde_json::{Map, Number, Value};

use crate::told;

/// Names at the root that are not the schema's.
const OURS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// How many unknown fields are told, as in the API server.
pub(crate) const UNKNOWN_MAX: usize = 100;

/// Drops fields of an object that the schema does not know. Returns their paths, such as `spec.ports[0].bogus`.
pub(crate) fn prune(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = vec![];
    let Value::Object(fields) = object else { return unknown };
    let mut path = String::new();
    fields.retain(|name, value| {
        if OURS.contains(&name.as_str()) {
            return true;
        }
        prune_field(name, value, schema, &mut path, &mut unknown)
    });
    unknown.sort();
    unknown
}

fn prune_field(
    name: &str,
    value: &mut Value,
    schema: &Schema,
    path: &mut String,
    unknown: &mut Vec<String>,
) -> bool {
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    path.push_str(name);
    let field = schema.properties.get(name).or(schema.additional_properties.as_deref());
    match field {
        Some(field) => prune_value(value, field, path, unknown),
        None if unknown.len() < UNKNOWN_MAX => unknown.push(told::path([&path])),
        None => {}
    }
    path.truncate(length);
    field.is_some()
}

fn prune_value(value: &mut Value, schema: &Schema, path: &mut String, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| prune_field(name, value, schema, path, unknown));
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            for (index, item) in items.iter_mut().enumerate() {
                let length = path.len();
                // Writing to a String cannot fail.
                let _ = write!(path, "[{index}]");
                prune_value(item, schema, path, unknown);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops nulls that may not be and have no default.
pub(crate) fn drop_nulls(object: &mut Value, schema: &Schema) {
    each_field(object, |fields| {
        drop_null_fields(fields, schema);
    });
}

fn drop_null_fields(fields: &mut Map<String, Value>, schema: &Schema) {
    fields.retain(|name, value| {
        let Some(schema) = child(schema, name) else { return true };
        if value.is_null() && !schema.nullable && schema.default.is_none() {
            return false;
        }
        drop_nulls_in(value, schema);
        true
    });
}

fn drop_nulls_in(value: &mut Value, schema: &Schema) {
    match (value, &schema.items) {
        (Value::Object(fields), _) => drop_null_fields(fields, schema),
        (Value::Array(items), Some(schema)) => items.iter_mut().for_each(|item| drop_nulls_in(item, schema)),
        _ => {}
    }
}

/// Fills in defaults where something is missing, or null where null may not be.
pub(crate) fn fill_defaults(object: &mut Value, schema: &Schema) {
    each_field(object, |fields| default_fields(fields, schema));
}

fn default_fields(fields: &mut Map<String, Value>, schema: &Schema) {
    for (name, field) in &schema.properties {
        let Some(default) = &field.default else { continue };
        let is_missing = fields.get(name).is_none_or(|value| value.is_null() && !field.nullable);
        if is_missing && !default.is_null() {
            fields.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in fields {
        let Some(field) = child(schema, name) else { continue };
        if value.is_null() && !field.nullable && !schema.properties.contains_key(name) {
            *value = field.default.clone().unwrap_or(Value::Null);
        }
        default_value(value, field);
    }
}

fn default_value(value: &mut Value, schema: &Schema) {
    match (value, &schema.items) {
        (Value::Object(fields), _) => default_fields(fields, schema),
        (Value::Array(items), Some(schema)) => {
            for item in items {
                if item.is_null() && !schema.nullable {
                    *item = schema.default.clone().unwrap_or(Value::Null);
                }
                default_value(item, schema);
            }
        }
        _ => {}
    }
}

/// Runs over the fields of an object that are the schema's.
fn each_field(object: &mut Value, run: impl FnOnce(&mut Map<String, Value>)) {
    let Value::Object(fields) = object else { return };
    let ours: Vec<_> = OURS.iter().filter_map(|name| fields.remove_entry(*name)).collect();
    run(fields);
    fields.extend(ours);
}

fn child<'s>(schema: &'s Schema, name: &str) -> Option<&'s Schema> {
    schema.properties.get(name).or(schema.additional_properties.as_deref())
}

/// Writes numbers as Go reads them back: whole ones as integers, those beyond 64 bits as fractions.
pub(crate) fn normalize_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(normal) = normal_number(number) {
                *number = normal;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize_numbers),
        Value::Object(fields) => fields.values_mut().for_each(normalize_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn normal_number(number: &Number) -> Option<Number> {
    if number.is_i64() {
        return None;
    }
    let float = number.as_f64()?;
    // Exactly the floats that are integers of 64 bits; 2^63 itself is none.
    #[expect(clippy::cast_possible_truncation, reason = "the bounds say that it fits")]
    if float.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}
