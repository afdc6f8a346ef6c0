//! A kind of object as writes need it: its names, and the schema of the whole object, metadata included.

use std::{collections::BTreeMap, sync::LazyLock};

use horizon_api::resource::Kind;
use horizon_planner::schema::{Schema, custom_resource_definition};
use serde_json::{Value, json};

use crate::{apply::shape::Shape, refusal::About};

/// A kind of object.
#[derive(Debug)]
pub struct Definition {
    /// The API group, such as `horizon.dev`.
    pub group: String,
    /// Such as `v1alpha1`.
    pub version: String,
    /// Such as `Network`.
    pub kind: String,
    /// The name in paths, such as `networks`.
    pub plural: String,
    pub is_namespaced: bool,
    /// Whether `status` is written through a path of its own, and through no other.
    pub has_status: bool,
    schema: Schema,
}

/// A definition that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BadDefinition {
    #[error("lacks {0}")]
    Lacks(&'static str),
    #[error("has a schema with something that nobody would check: {0}")]
    Schema(#[from] serde_json::Error),
}

impl Definition {
    /// Returns the definition of a kind of ours.
    pub fn of(kind: Kind) -> &'static Self {
        &DEFINITIONS[&kind]
    }

    /// Reads a `CustomResourceDefinition` with one version.
    ///
    /// # Errors
    /// A name or the schema is missing, or the schema has words that nobody here checks.
    pub fn from_crd(crd: &Value) -> Result<Self, BadDefinition> {
        let text = |path: &'static str| {
            crd.pointer(path).and_then(Value::as_str).map(str::to_owned).ok_or(BadDefinition::Lacks(path))
        };
        let path = "/spec/versions/0/schema/openAPIV3Schema";
        let mut schema = crd.pointer(path).cloned().ok_or(BadDefinition::Lacks(path))?;
        let root = schema.as_object_mut().ok_or(BadDefinition::Lacks(path))?;
        // For people, and only at the root.
        root.remove("title");
        let properties = root.entry("properties").or_insert_with(|| json!({}));
        let properties = properties.as_object_mut().ok_or(BadDefinition::Lacks("properties"))?;
        properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
        properties.insert("kind".to_owned(), json!({"type": "string"}));
        properties.insert("metadata".to_owned(), metadata_schema());
        Ok(Self {
            group: text("/spec/group")?,
            version: text("/spec/versions/0/name")?,
            kind: text("/spec/names/kind")?,
            plural: text("/spec/names/plural")?,
            is_namespaced: text("/spec/scope")? == "Namespaced",
            has_status: crd.pointer("/spec/versions/0/subresources/status").is_some(),
            schema: serde_json::from_value(schema)?,
        })
    }

    /// Returns the schema of the whole object.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns the group and version as objects state them, such as `horizon.dev/v1alpha1`.
    pub fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// Returns how refusals name an object by its resource.
    pub fn resource<'a>(&'a self, name: &'a str) -> About<'a> {
        About { group: &self.group, kind: &self.plural, name }
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape::Of(&self.schema)
    }
}

/// Returns `GROUP/VERSION`, or the version alone in the group without a name.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

static DEFINITIONS: LazyLock<BTreeMap<Kind, Definition>> = LazyLock::new(|| {
    let define = |kind: Kind| {
        let definition = Definition::from_crd(&custom_resource_definition(kind));
        (kind, definition.expect("embedded definitions are complete; a test reads them all"))
    };
    Kind::ALL.into_iter().map(define).collect()
});

/// What the API server knows about metadata by itself (`metav1.ObjectMeta` in its OpenAPI document).
fn metadata_schema() -> Value {
    let text = json!({"type": "string"});
    let time = json!({"type": "string", "format": "date-time"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string", "default": ""}});
    let owner = json!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "apiVersion": {"type": "string", "default": ""},
            "kind": {"type": "string", "default": ""},
            "name": {"type": "string", "default": ""},
            "uid": {"type": "string", "default": ""},
            "controller": {"type": "boolean"},
            "blockOwnerDeletion": {"type": "boolean"},
        },
    });
    let managed = json!({
        "type": "object",
        "properties": {
            "manager": text, "operation": text, "apiVersion": text, "time": time,
            "fieldsType": text, "fieldsV1": {"type": "object"}, "subresource": text,
        },
    });
    json!({
        "type": "object",
        "properties": {
            "name": text, "generateName": text, "namespace": text, "selfLink": text, "uid": text,
            "resourceVersion": text,
            "generation": {"type": "integer"},
            "creationTimestamp": time, "deletionTimestamp": time,
            "deletionGracePeriodSeconds": {"type": "integer"},
            "labels": texts, "annotations": texts,
            "ownerReferences": {
                "type": "array", "items": owner,
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            },
            "finalizers": {
                "type": "array", "items": {"type": "string", "default": ""}, "x-kubernetes-list-type": "set",
            },
            "managedFields": {"type": "array", "items": managed, "x-kubernetes-list-type": "atomic"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_defined() {
        for kind in Kind::ALL {
            let definition = Definition::of(kind);
            assert_eq!(
                (definition.kind.as_str(), definition.plural.as_str()),
                (kind.as_str(), kind.plural())
            );
            assert!(definition.is_namespaced && definition.has_status, "{kind}");
            assert_eq!(definition.api_version(), horizon_api::resource::API_VERSION);
        }
    }
}
