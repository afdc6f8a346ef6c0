//! The types that Kubernetes defines and that our kinds refer to, from `known.txt`: one line a type, one line a
//! member (`number name[!] type[;list][;patch] text`, with the number in protobuf, `!` for required, `$Name` for another type).

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value, json};

use super::Dialect;

/// A type, before it is written in a dialect.
#[derive(Debug)]
pub(crate) struct KnownType {
    text: &'static str,
    /// Whether it is changed as a whole.
    is_atomic: bool,
    /// What it is if it is no object, such as `string:date-time`.
    scalar: Option<&'static str>,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
pub(crate) struct Member {
    /// The number in protobuf, if the type is written in it.
    pub(crate) number: Option<u64>,
    pub(crate) name: &'static str,
    is_required: bool,
    /// The type, as it is written.
    pub(crate) notation: &'static str,
    /// What is known beside the type: how a list's items are told apart, how it is patched, which values there are.
    marks: Vec<&'static str>,
    text: &'static str,
}

/// Where the types of all groups look for what they do not define themselves.
pub(crate) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Every known type by its full name.
pub(crate) static TYPES: LazyLock<BTreeMap<String, KnownType>> =
    LazyLock::new(|| read(include_str!("known.txt")));

/// Stands behind the name of a type that is changed as a whole.
const ATOMIC: &str = ";atomic";

fn read(text: &'static str) -> BTreeMap<String, KnownType> {
    let mut types: BTreeMap<String, KnownType> = BTreeMap::new();
    let (mut package, mut current) = ("", String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("@ ") {
            package = name;
        } else if let Some(member) = line.strip_prefix("  ") {
            if let Some(known) = types.get_mut(&current) {
                known.members.push(Member::read(member));
            }
        } else {
            let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (scalar, text) = match rest.strip_prefix("= ").and_then(|rest| rest.split_once(' ')) {
                Some((scalar, text)) => (Some(scalar), text),
                None => (None, rest),
            };
            let is_atomic = name.ends_with(ATOMIC);
            current = format!("{package}.{}", name.trim_end_matches(ATOMIC));
            types.insert(current.clone(), KnownType { text, is_atomic, scalar, members: vec![] });
        }
    }
    types
}

impl Member {
    fn read(line: &'static str) -> Self {
        let mut words = line.splitn(4, ' ');
        let number = words.next().and_then(|number| number.parse().ok());
        let name = words.next().unwrap_or_default();
        let mut marks = words.next().unwrap_or_default().split(';');
        let notation = marks.next().unwrap_or_default();
        let text = words.next().unwrap_or_default();
        let (name, is_required) = (name.trim_end_matches('!'), name.ends_with('!'));
        Self { number, name, is_required, notation, marks: marks.collect(), text }
    }
}

impl KnownType {
    /// Returns the definition. `name` is the full name of the type.
    pub(super) fn definition(&self, name: &str, dialect: Dialect) -> Value {
        let package = name.rsplit_once('.').map_or("", |(package, _)| package);
        let mut definition = match self.scalar {
            Some(scalar) => scalar_schema(scalar),
            None => json!({ "type": "object" }),
        };
        definition["description"] = self.text.into();
        if self.is_atomic {
            definition["x-kubernetes-map-type"] = "atomic".into();
        }
        let properties: Map<String, Value> = self
            .members
            .iter()
            .map(|member| (member.name.to_owned(), member.schema(package, dialect)))
            .collect();
        if !properties.is_empty() {
            definition["properties"] = properties.into();
        }
        let required: Vec<&str> =
            self.members.iter().filter(|member| member.is_required).map(|member| member.name).collect();
        if !required.is_empty() {
            definition["required"] = json!(required);
        }
        definition
    }
}

impl Member {
    fn schema(&self, package: &str, dialect: Dialect) -> Value {
        let mut schema = schema(self.notation, package, dialect);
        schema["description"] = self.text.into();
        for mark in &self.marks {
            match mark.split_once('=') {
                Some(("map", key)) => {
                    schema["x-kubernetes-list-type"] = "map".into();
                    schema["x-kubernetes-list-map-keys"] = json!([key]);
                }
                Some(("enum", values)) => schema["enum"] = values.split(',').collect(),
                Some((_, key)) => {
                    schema["x-kubernetes-patch-strategy"] = "merge".into();
                    schema["x-kubernetes-patch-merge-key"] = key.into();
                }
                None if *mark == "merge" => schema["x-kubernetes-patch-strategy"] = "merge".into(),
                None => schema["x-kubernetes-list-type"] = (*mark).into(),
            }
        }
        schema
    }
}

/// Returns the schema of a notation: `string`, `integer:int64`, `$Name`, `[items]`, `{values}`.
fn schema(notation: &str, package: &str, dialect: Dialect) -> Value {
    if let Some(items) = notation.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return json!({ "type": "array", "items": schema(items, package, dialect) });
    }
    if let Some(values) = notation.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return json!({ "type": "object", "additionalProperties": schema(values, package, dialect) });
    }
    match notation.strip_prefix('$') {
        Some(name) => dialect.reference(&full_name(name, package)),
        None => scalar_schema(notation),
    }
}

fn scalar_schema(notation: &str) -> Value {
    match notation.split_once(':') {
        Some((kind, format)) => json!({ "type": kind, "format": format }),
        // What is read as any object keeps what is in it.
        None if notation == "object" => {
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
        }
        None => json!({ "type": notation }),
    }
}

/// Returns the schema of a type with everything that it refers to, and nothing that is for clients alone.
pub(crate) fn inlined(name: &str) -> Value {
    TYPES.get(name).map_or(Value::Null, |known| inline(known.definition(name, Dialect::V2)))
}

fn inline(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else { return schema };
    if let Some(Value::String(path)) = fields.get("$ref") {
        return inlined(path.rsplit('/').next().unwrap_or_default());
    }
    fields.retain(|name, _| name != "description" && !name.starts_with("x-kubernetes-patch"));
    for name in ["items", "additionalProperties"] {
        if let Some(below) = fields.get_mut(name) {
            *below = inline(below.take());
        }
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    // Metadata is the same for every kind, and its own owners' fields are no schema.
    for (_, below) in properties.filter(|(name, _)| *name != "metadata") {
        *below = inline(below.take());
    }
    fields.into()
}

/// Returns the full name of a type that another type of a package refers to.
pub(crate) fn full_name(name: &str, package: &str) -> String {
    let near = format!("{package}.{name}");
    if name.contains('.') {
        name.to_owned()
    } else if TYPES.contains_key(&near) {
        near
    } else {
        format!("{META}.{name}")
    }
}
