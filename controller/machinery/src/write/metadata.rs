//! `metadata` as the API server reads it: each field has its type, what is empty is left out, what nobody knows is
//! dropped.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::coerce::UNKNOWN_MAX;
use crate::{
    gotext::{self, quoted},
    managed::time_text,
    told,
};

/// Metadata as it is kept, and the paths of what nobody knows in it.
pub(crate) struct Metadata {
    pub fields: Map<String, Value>,
    pub unknown: Vec<String>,
}

/// What a field of metadata holds.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Whole,
    /// A whole number that may be zero.
    MaybeWhole,
    Flag,
    Time,
    Texts,
    TextList,
    Owners,
    Managers,
    Any,
}

const FIELDS: [(&str, Type); 15] = [
    ("name", Type::Text),
    ("generateName", Type::Text),
    ("namespace", Type::Text),
    ("selfLink", Type::Text),
    ("uid", Type::Text),
    ("resourceVersion", Type::Text),
    ("generation", Type::Whole),
    ("creationTimestamp", Type::Time),
    ("deletionTimestamp", Type::Time),
    ("deletionGracePeriodSeconds", Type::MaybeWhole),
    ("labels", Type::Texts),
    ("annotations", Type::Texts),
    ("ownerReferences", Type::Owners),
    ("finalizers", Type::TextList),
    ("managedFields", Type::Managers),
];
const OWNER_FIELDS: [(&str, Type); 6] = [
    ("apiVersion", Type::Text),
    ("kind", Type::Text),
    ("name", Type::Text),
    ("uid", Type::Text),
    ("controller", Type::Flag),
    ("blockOwnerDeletion", Type::Flag),
];
/// These are written even when they are empty.
const OWNER_TEXTS: [&str; 4] = ["apiVersion", "kind", "name", "uid"];
const MANAGER_FIELDS: [(&str, Type); 7] = [
    ("manager", Type::Text),
    ("operation", Type::Text),
    ("apiVersion", Type::Text),
    ("time", Type::Time),
    ("fieldsType", Type::Text),
    ("fieldsV1", Type::Any),
    ("subresource", Type::Text),
];

/// Reads metadata.
///
/// # Errors
/// A field has the wrong type; the sentence is that of Go's JSON decoder.
pub(crate) fn read(metadata: &Value) -> Result<Metadata, String> {
    let fields = match metadata {
        Value::Object(fields) => fields,
        Value::Null => return Ok(Metadata { fields: Map::new(), unknown: vec![] }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let found = gotext::kind(metadata);
            return Err(format!("json: cannot unmarshal {found} into Go value of type v1.ObjectMeta"));
        }
    };
    let mut reader = Reader { unknown: vec![] };
    let fields = reader.fields(fields, &FIELDS, "ObjectMeta.", "metadata")?;
    Ok(Metadata { fields, unknown: reader.unknown })
}

struct Reader {
    unknown: Vec<String>,
}

impl Reader {
    fn fields(
        &mut self,
        fields: &Map<String, Value>,
        known: &[(&str, Type)],
        go_path: &str,
        path: &str,
    ) -> Result<Map<String, Value>, String> {
        let mut kept = Map::new();
        for (name, value) in fields {
            let Some((_, kind)) = known.iter().find(|(known, _)| known == name) else {
                if self.unknown.len() < UNKNOWN_MAX {
                    self.unknown.push(told::path([path, ".", name]));
                }
                continue;
            };
            if let Some(value) =
                self.value(value, *kind, &format!("{go_path}{name}"), &format!("{path}.{name}"))?
            {
                kept.insert(name.clone(), value);
            }
        }
        Ok(kept)
    }

    /// Returns a value as it is kept, `None` if it is empty.
    fn value(
        &mut self,
        value: &Value,
        kind: Type,
        go_path: &str,
        path: &str,
    ) -> Result<Option<Value>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let kept = match kind {
            Type::Any => value.clone(),
            Type::Text => json!(text(value, go_path)?),
            Type::Whole | Type::MaybeWhole => json!(whole(value, go_path)?),
            Type::Flag => json!(value.as_bool().ok_or_else(|| wrong(value, go_path, "bool"))?),
            Type::Time => json!(time_text(time(value)?)),
            Type::Texts => {
                let fields = value.as_object().ok_or_else(|| wrong(value, go_path, "map[string]string"))?;
                let mut texts = Map::new();
                for (key, value) in fields {
                    texts.insert(key.clone(), json!(text(value, go_path)?));
                }
                Value::Object(texts)
            }
            Type::TextList => {
                let items = value.as_array().ok_or_else(|| wrong(value, go_path, "[]string"))?;
                let texts: Result<Vec<_>, _> = items.iter().map(|item| text(item, go_path)).collect();
                json!(texts?)
            }
            Type::Owners => self.owners(value, go_path, path)?,
            Type::Managers => {
                let items =
                    value.as_array().ok_or_else(|| wrong(value, go_path, "[]v1.ManagedFieldsEntry"))?;
                self.items(items, &MANAGER_FIELDS, "v1.ManagedFieldsEntry", go_path, path)?
            }
        };
        let is_empty = match (&kept, kind) {
            (Value::String(text), _) => text.is_empty(),
            (Value::Array(items), _) => items.is_empty(),
            (Value::Object(fields), Type::Texts) => fields.is_empty(),
            (Value::Number(number), Type::Whole) => number.as_i64() == Some(0),
            _ => false,
        };
        Ok((!is_empty).then_some(kept))
    }

    fn owners(&mut self, value: &Value, go_path: &str, path: &str) -> Result<Value, String> {
        let items = value.as_array().ok_or_else(|| wrong(value, go_path, "[]v1.OwnerReference"))?;
        let mut owners = self.items(items, &OWNER_FIELDS, "v1.OwnerReference", go_path, path)?;
        for owner in owners.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            for name in OWNER_TEXTS {
                owner.entry(name).or_insert_with(|| json!(""));
            }
        }
        Ok(owners)
    }

    fn items(
        &mut self,
        items: &[Value],
        known: &[(&str, Type)],
        go_type: &str,
        go_path: &str,
        path: &str,
    ) -> Result<Value, String> {
        let mut kept = vec![];
        for (index, item) in items.iter().enumerate() {
            let empty = Map::new();
            let fields = match item {
                Value::Object(fields) => fields,
                Value::Null => &empty,
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    return Err(wrong(item, go_path, go_type));
                }
            };
            let fields = self.fields(fields, known, &format!("{go_path}."), &format!("{path}[{index}]"))?;
            kept.push(Value::Object(fields));
        }
        Ok(Value::Array(kept))
    }
}

fn text(value: &Value, go_path: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong(value, go_path, "string"))
        }
    }
}

fn whole(value: &Value, go_path: &str) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| match value {
        Value::Number(number) => {
            format!("json: cannot unmarshal number {number} into Go struct field {go_path} of type int64")
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            wrong(value, go_path, "int64")
        }
    })
}

fn time(value: &Value) -> Result<Timestamp, String> {
    let Some(text) = value.as_str() else {
        return Err(format!("json: cannot unmarshal {} into Go value of type string", gotext::kind(value)));
    };
    text.parse().map_err(|_| {
        format!("parsing time {} as \"2006-01-02T15:04:05Z07:00\": write an RFC 3339 time", quoted(text))
    })
}

fn wrong(value: &Value, go_path: &str, go_type: &str) -> String {
    format!("json: cannot unmarshal {} into Go struct field {go_path} of type {go_type}", gotext::kind(value))
}
