//! The definitions of kinds and of lists of them.

use serde_json::{Map, Value, json};

use super::{
    Dialect,
    known::{META, TYPES},
};
use crate::resource::Resource;

/// Returns the full name of a kind.
pub(crate) fn name(resource: &Resource) -> String {
    let package = match resource.group.as_str() {
        "" => "io.k8s.api.core".to_owned(),
        "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned(),
        group => match group.strip_suffix(".k8s.io") {
            Some(group) => format!("io.k8s.api.{group}"),
            None => group.rsplit('.').collect::<Vec<_>>().join("."),
        },
    };
    format!("{package}.{}.{}", resource.version, resource.kind)
}

/// Returns the full name of a type of `meta.k8s.io`.
pub(super) fn meta(name: &str) -> String {
    format!("{META}.{name}")
}

/// Returns the definitions of a kind and, if it can be listed, of its lists.
pub(super) fn of_resource(resource: &Resource, dialect: Dialect) -> Vec<(String, Value)> {
    let name = name(resource);
    let mut definition = match TYPES.get(&name) {
        Some(known) => known.definition(&name, dialect),
        None => of_schema(&resource.schema, dialect),
    };
    definition[KINDS] = json!([kind(resource, "")]);
    if !resource.selectable.is_empty() && !resource.schema.is_null() {
        let fields = resource.selectable.iter().map(|path| json!({ "fieldPath": path }));
        definition["x-kubernetes-selectable-fields"] = fields.collect();
    }
    let mut definitions = vec![(name.clone(), definition)];
    if resource.verbs.contains(&"list") {
        definitions.push((format!("{name}List"), list(resource, &name, dialect)));
    }
    definitions
}

const KINDS: &str = "x-kubernetes-group-version-kind";
const API_VERSION: &str = "The group and version of this text.";
const KIND: &str = "The kind of this text.";

fn kind(resource: &Resource, suffix: &str) -> Value {
    let kind = format!("{}{suffix}", resource.kind);
    json!({ "group": resource.group, "version": resource.version, "kind": kind })
}

/// Adds the kinds that a type of `meta.k8s.io` stands for, to those that clients look up by kind.
pub(super) fn with_kinds(name: &str, mut definition: Value) -> Value {
    let kinds: Vec<Value> = match name.strip_prefix(META) {
        Some(".Status") => vec![json!({ "group": "", "version": "v1", "kind": "Status" })],
        Some(".DeleteOptions") => {
            let mut groups: Vec<(&str, &str)> =
                Resource::all().iter().map(|r| (r.group.as_str(), r.version.as_str())).collect();
            groups.sort_unstable();
            groups.dedup();
            let kind =
                |(group, version)| json!({ "group": group, "version": version, "kind": "DeleteOptions" });
            groups.into_iter().map(kind).collect()
        }
        _ => return definition,
    };
    definition[KINDS] = kinds.into();
    definition
}

fn list(resource: &Resource, name: &str, dialect: Dialect) -> Value {
    json!({
        "description": format!("{0}List is a list of {0}.", resource.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": { "description": API_VERSION, "type": "string" },
            "items": {
                "description": format!("The {}.", resource.plural),
                "type": "array",
                "items": dialect.plain_reference(name),
            },
            "kind": { "description": KIND, "type": "string" },
            "metadata": described(dialect.reference(&meta("ListMeta")), "What every list has."),
        },
        KINDS: [kind(resource, "List")],
    })
}

fn described(mut schema: Value, text: &str) -> Value {
    schema["description"] = text.into();
    schema
}

/// Returns the definition of a custom resource: its schema, with what every object has.
fn of_schema(schema: &Value, dialect: Dialect) -> Value {
    let mut definition = schema.clone();
    translate(&mut definition, dialect);
    let metadata = dialect.reference(&meta("ObjectMeta"));
    definition["properties"]["apiVersion"] = json!({ "description": API_VERSION, "type": "string" });
    definition["properties"]["kind"] = json!({ "description": KIND, "type": "string" });
    definition["properties"]["metadata"] = described(metadata, "What every object has.");
    definition
}

/// Writes a schema in a dialect. Schemas come with the program: their depth is known.
fn translate(schema: &mut Value, dialect: Dialect) {
    let Some(members) = schema.as_object_mut() else { return };
    for bound in ["maximum", "minimum"] {
        let whole = members.get(bound).and_then(Value::as_f64).filter(|number| number.fract() == 0.0);
        if let Some(whole) = whole {
            // Bounds of whole numbers are written as such; they are far below where a float is not exact.
            members.insert(bound.to_owned(), (whole as i64).into());
        }
    }
    if dialect == Dialect::V2 {
        members.remove("default");
        // Version 2 knows no null: what may be null is not described further, or clients would refuse null.
        if members.remove("nullable") == Some(Value::Bool(true)) {
            for member in ["type", "properties", "items"] {
                members.remove(member);
            }
        }
        require_only_what_is_never_null(members);
    }
    for member in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(member) {
            translate(inner, dialect);
        }
    }
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| translate(property, dialect));
    }
}

fn require_only_what_is_never_null(schema: &mut Map<String, Value>) {
    let properties = schema.get("properties").cloned().unwrap_or_default();
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else { return };
    required.retain(|name| name.as_str().is_none_or(|name| properties[name]["nullable"] != true));
}
