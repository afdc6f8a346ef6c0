//! What comes with Kubernetes and is written here: namespaces, secrets, events. Their schemas are those of OpenAPI;
//! what the API server does to them beyond schemas is here (`registry/core/{namespace,secret,event}`).

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use horizon_planner::schema::{Schema, Type};
use serde_json::{Map, Value, json};

use super::Definition;
use crate::{
    field_cause::{forbidden, invalid, invalid_value, not_supported, required, too_long},
    gotext, names,
    openapi::{definition, known},
    refusal::{Cause, CauseReason, Causes},
    resource::Resource,
};

/// A kind that is written here though it is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    Namespace,
    Secret,
    /// Of either group.
    Event,
}

/// What the values of a secret may come to in all, in bytes.
const SECRET_BYTES_MAX: usize = 1024 * 1024;
/// The label that a namespace is selected by.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let written = Resource::all().iter().filter(|resource| kind_of(resource).is_some());
    let define = |resource: &&'static Resource| {
        let mut copy = Resource::built_in(&resource.group, &resource.kind)?;
        copy.schema = known::inlined(&definition::name(resource));
        if kind_of(resource) == Some(BuiltIn::Secret) {
            copy.schema["properties"]["type"]["default"] = "Opaque".into();
        }
        Some(
            Definition::new(copy)
                .expect("the types of known.txt have what a schema has; a test reads them all"),
        )
    };
    written.filter_map(define).collect()
});

/// Returns which of them a kind is.
pub(super) fn kind_of(resource: &Resource) -> Option<BuiltIn> {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => Some(BuiltIn::Namespace),
        ("", "Secret") => Some(BuiltIn::Secret),
        ("" | "events.k8s.io", "Event") => Some(BuiltIn::Event),
        _ => None,
    }
}

/// Does what decoding one does beyond its schema.
///
/// # Errors
/// Why it cannot be decoded: `data` that is no base64.
pub(crate) fn decode(built_in: BuiltIn, object: &mut Value) -> Result<(), String> {
    match built_in {
        BuiltIn::Namespace => name_label(object),
        BuiltIn::Secret => return seal(object),
        BuiltIn::Event => {}
    }
    Ok(())
}

fn name_label(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let (Some(labels), false) = (labels.as_object_mut(), name.is_empty()) {
        labels.insert(NAME_LABEL.to_owned(), name.into());
    }
}

/// Puts what is written in plain text where it belongs, and checks what is written in base64.
fn seal(object: &mut Value) -> Result<(), String> {
    let Some(fields) = object.as_object_mut() else { return Ok(()) };
    if let Some(Value::Object(texts)) = fields.remove("stringData").filter(|texts| !texts.is_null()) {
        let data = fields.entry("data").or_insert_with(|| json!({}));
        if data.is_null() {
            *data = json!({});
        }
        if let Some(data) = data.as_object_mut() {
            let encoded =
                |text: Value| text.as_str().map_or(text.clone(), |text| BASE64_STANDARD.encode(text).into());
            data.extend(texts.into_iter().map(|(name, text)| (name, encoded(text))));
        }
    }
    let data = fields.get("data").and_then(Value::as_object).into_iter().flatten();
    for text in data.filter_map(|(_, value)| value.as_str()) {
        BASE64_STANDARD.decode(text).map_err(|why| match why {
            base64::DecodeError::InvalidByte(offset, _) => {
                format!("illegal base64 data at input byte {offset}")
            }
            base64::DecodeError::InvalidLength(_)
            | base64::DecodeError::InvalidLastSymbol(..)
            | base64::DecodeError::InvalidPadding => {
                format!("illegal base64 data at input byte {}", text.len().saturating_sub(1))
            }
        })?;
    }
    Ok(())
}

/// Gives a new one what only the server gives.
pub(crate) fn prepare(built_in: BuiltIn, object: &mut Value) {
    match built_in {
        BuiltIn::Namespace => {
            name_label(object);
            object["spec"] = json!({ "finalizers": ["kubernetes"] });
            object["status"] = json!({ "phase": "Active" });
        }
        BuiltIn::Secret | BuiltIn::Event => {}
    }
}

/// Keeps what an update does not write.
pub(crate) fn keep(built_in: BuiltIn, object: &mut Value, stored: &Value) {
    match built_in {
        // Who must agree before a namespace goes is not for those who write it.
        BuiltIn::Namespace => {
            if let (Some(fields), Some(spec)) = (object.as_object_mut(), stored.get("spec")) {
                fields.insert("spec".to_owned(), spec.clone());
            }
        }
        BuiltIn::Secret | BuiltIn::Event => {}
    }
}

/// Says what is wrong with one, given the one that it replaces.
pub(crate) fn causes(definition: &Definition, object: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut causes = Causes::default();
    check(object, definition.schema(), "", &mut causes);
    if causes.is_empty() {
        match kind_of(&definition.resource) {
            Some(BuiltIn::Namespace) => {
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let wrong = names::label(name);
                causes.extend(wrong.iter().map(|why| invalid("metadata.name", name, why)));
            }
            Some(BuiltIn::Secret) => secret_causes(object, before, &mut causes),
            Some(BuiltIn::Event) => event_causes(object, &mut causes),
            None => {}
        }
    }
    causes.into_vec()
}

/// Checks types, what is required, and choices. Values of secrets are not shown.
fn check(value: &Value, schema: &Schema, path: &str, causes: &mut Causes) {
    if causes.is_full() || path == "metadata" || value.is_null() {
        return;
    }
    let field = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let wanted = match (schema.kind, value) {
        (Type::Object, Value::Object(fields)) => {
            for (name, value) in fields {
                match (schema.properties.get(name), &schema.additional_properties) {
                    (Some(schema), _) => check(value, schema, &field(name), causes),
                    (None, Some(schema)) => {
                        check(value, schema, &format!("{path}[{}]", crate::told::path([name])), causes);
                    }
                    (None, None) => {}
                }
            }
            let is_missing =
                |name: &&String| *name != "metadata" && fields.get(*name).is_none_or(Value::is_null);
            causes.extend(schema.required.iter().filter(is_missing).map(|name| required(field(name), "")));
            return;
        }
        (Type::Array, Value::Array(items)) => {
            let Some(schema) = &schema.items else { return };
            for (index, item) in items.iter().enumerate() {
                check(item, schema, &format!("{path}[{index}]"), causes);
            }
            return;
        }
        (Type::String, Value::String(text)) => {
            let known: Vec<&str> = schema.values.iter().map(String::as_str).collect();
            if !known.is_empty() && !known.contains(&text.as_str()) {
                causes.push(not_supported(path, &gotext::quoted(text), &known));
            }
            return;
        }
        (Type::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => return,
        (Type::Boolean, Value::Bool(_)) => return,
        (Type::Object, _) => "an object",
        (Type::Array, _) => "a list",
        (Type::String, _) => "a text",
        (Type::Integer, _) => "a whole number",
        (Type::Boolean, _) => "true or false",
    };
    let message = format!("Invalid value: {}: must be {wanted}", gotext::quoted(gotext::kind(value)));
    causes.push(Cause { reason: CauseReason::FieldValueTypeInvalid, message, field: path.to_owned() });
}

fn secret_causes(object: &Value, before: Option<&Value>, causes: &mut Causes) {
    let empty = Map::new();
    let data = |object: &'_ Value| object.get("data").and_then(Value::as_object).cloned();
    let new = data(object).unwrap_or_else(|| empty.clone());
    if let Some(before) = before {
        if object.get("type") != before.get("type") {
            let found = object.get("type").unwrap_or(&Value::Null);
            causes.push(invalid_value("type", found, "field is immutable"));
        }
        if before.get("immutable") == Some(&Value::Bool(true)) {
            const WHY: &str = "field is immutable when `immutable` is set";
            if object.get("immutable") != Some(&Value::Bool(true)) {
                causes.push(forbidden("immutable", WHY));
            }
            if new != data(before).unwrap_or(empty) {
                causes.push(forbidden("data", WHY));
            }
        }
    }
    let mut bytes = 0;
    for (name, value) in &new {
        if causes.is_full() {
            return;
        }
        let field = || format!("data[{}]", crate::told::path([name]));
        causes.extend(names::config_key(name).iter().map(|why| invalid(field(), name, why)));
        bytes += value.as_str().map_or(0, |text| text.len() / 4 * 3);
    }
    if bytes > SECRET_BYTES_MAX {
        causes.push(too_long("data", SECRET_BYTES_MAX));
    }
}

fn event_causes(object: &Value, causes: &mut Causes) {
    let about = if object.get("involvedObject").is_some() { "involvedObject" } else { "regarding" };
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let found = text(&format!("/{about}/namespace"));
    // What is in no namespace has its events in the first one.
    if found != text("/metadata/namespace") && !found.is_empty() {
        let why = "does not match event.namespace";
        causes.push(invalid(format!("{about}.namespace"), found, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(group: &str, plural: &str) -> &'static Definition {
        Definition::of_resource(Resource::find(group, "v1", plural).unwrap()).unwrap()
    }

    fn secret(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque", "data": data})
    }

    fn told(plural: &str, object: &Value, before: Option<&Value>) -> Vec<String> {
        let causes = causes(definition("", plural), object, before).into_iter();
        causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn each_is_defined() {
        for (group, plural, field) in [
            ("", "namespaces", "spec"),
            ("", "secrets", "stringData"),
            ("", "events", "involvedObject"),
            ("events.k8s.io", "events", "regarding"),
        ] {
            let definition = definition(group, plural);
            assert!(definition.schema().properties.contains_key(field), "{plural}");
            assert!(definition.schema().properties["metadata"].properties.contains_key("labels"), "{plural}");
        }
        let reviews = Resource::find("authentication.k8s.io", "v1", "selfsubjectreviews").unwrap();
        assert!(Definition::of_resource(reviews).is_none());
    }

    #[test]
    fn plain_text_goes_into_the_data() {
        let mut object = secret(json!({"a": "b2xk", "b": "eA=="}));
        object["stringData"] = json!({"a": "new"});

        decode(BuiltIn::Secret, &mut object).unwrap();

        assert_eq!(object["data"], json!({"a": "bmV3", "b": "eA=="}));
        assert_eq!(object.get("stringData"), None);
        for (bad, offset) in [("a b=", 1), ("abc", 2), ("====", 0)] {
            let why = decode(BuiltIn::Secret, &mut secret(json!({"a": bad}))).unwrap_err();
            assert_eq!(why, format!("illegal base64 data at input byte {offset}"), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_checked_and_not_shown() {
        let bad = secret(json!({"a/b": "aHVudGVyMg==", "..": "eA=="}));
        let causes = told("secrets", &bad, None);
        assert_eq!(causes.len(), 2, "{causes:?}");
        assert!(!causes.join("").contains("aHVudGVyMg"));
        let wrong = told("secrets", &secret(json!({"a": 7123})), None);
        assert_eq!(wrong, ["data[a]: Invalid value: \"number\": must be a text"]);
        let large = secret(json!({"a": "A".repeat(1_500_000)}));
        assert_eq!(told("secrets", &large, None), ["data: Too long: may not be more than 1048576 bytes"]);
    }

    #[test]
    fn what_is_immutable_stays() {
        let mut old = secret(json!({"a": "eA=="}));
        old["immutable"] = true.into();
        let mut new = secret(json!({"a": "eQ=="}));
        new["type"] = "kubernetes.io/tls".into();

        assert_eq!(
            told("secrets", &new, Some(&old)),
            [
                "type: Invalid value: \"kubernetes.io/tls\": field is immutable",
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ]
        );
        assert_eq!(told("secrets", &old.clone(), Some(&old)), Vec::<String>::new());
    }

    #[test]
    fn namespaces_are_labels_and_begin_active() {
        let mut object = json!({"metadata": {"name": "office"}});
        decode(BuiltIn::Namespace, &mut object).unwrap();
        prepare(BuiltIn::Namespace, &mut object);

        assert_eq!(object["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "office"}));
        assert_eq!(
            (&object["status"]["phase"], &object["spec"]["finalizers"][0]),
            (&json!("Active"), &json!("kubernetes"))
        );
        assert_eq!(told("namespaces", &object, None), Vec::<String>::new());
        object["metadata"]["name"] = "a.b".into();
        assert_eq!(
            told("namespaces", &object, None),
            ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
        );
    }

    #[test]
    fn an_event_is_where_its_object_is() {
        let event = |namespace: &str| json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": namespace}});

        assert_eq!(told("events", &event("a"), None), Vec::<String>::new());
        assert_eq!(
            told("events", &event("b"), None),
            ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"]
        );
        assert_eq!(told("events", &json!({}), None), ["involvedObject: Required value"]);
    }
}
