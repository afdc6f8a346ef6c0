//! A kind of object as it is written: what is served of it, and the schema of the whole object, metadata included.

pub(crate) mod built_in;
pub mod crd;

use std::{collections::BTreeMap, sync::LazyLock};

use horizon_api::resource::Kind;
use horizon_planner::schema::Schema;
use serde_json::{Value, json};

use self::built_in::BuiltIn;
use crate::{apply::shape::Shape, refusal::About, resource::Resource};

/// A kind of object whose objects are written here.
#[derive(Debug)]
pub struct Definition {
    /// Its names, and how it is shown.
    pub resource: Resource,
    schema: Schema,
    built_in: Option<BuiltIn>,
}

/// A `CustomResourceDefinition` that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BadDefinition {
    #[error("the definition cannot be read; it needs a group, names, a scope and one version with a schema")]
    Unreadable(#[source] serde_json::Error),
    #[error("the definition has a schema with something that nobody would check")]
    Schema(#[source] serde_json::Error),
}

impl Definition {
    /// Returns the definition of a kind of ours.
    pub fn of(kind: Kind) -> &'static Self {
        &DEFINITIONS[&kind]
    }

    /// Finds the definition of what is served; `None` for what is not kept, such as reviews.
    pub fn of_resource(resource: &Resource) -> Option<&'static Self> {
        let is_it = |definition: &&Self| {
            let found = &definition.resource;
            found.group == resource.group
                && found.version == resource.version
                && found.plural == resource.plural
        };
        DEFINITIONS.values().chain(built_in::DEFINITIONS.iter()).find(is_it)
    }

    /// Reads a `CustomResourceDefinition` (`apiextensions.k8s.io/v1`) with one version.
    ///
    /// # Errors
    /// Something is missing, or the schema has words that nobody here checks.
    pub fn from_crd(crd: Value) -> Result<Self, BadDefinition> {
        Self::new(Resource::from_crd(crd).map_err(BadDefinition::Unreadable)?)
    }

    /// Returns the schema of the whole object.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns how refusals name an object by its resource.
    pub fn about<'a>(&'a self, name: &'a str) -> About<'a> {
        About { group: &self.resource.group, kind: &self.resource.plural, name }
    }

    /// Returns which of the kinds of Kubernetes it is; nothing for a custom resource.
    pub(crate) fn built_in(&self) -> Option<BuiltIn> {
        self.built_in
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape::Of(&self.schema)
    }

    fn new(resource: Resource) -> Result<Self, BadDefinition> {
        let mut whole = resource.schema.clone();
        // What is no object here is refused below.
        if let Some(root) = whole.as_object_mut() {
            // For people, and only at the root.
            root.remove("title");
            let properties = root.entry("properties").or_insert_with(|| json!({}));
            if let Some(properties) = properties.as_object_mut() {
                properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
                properties.insert("kind".to_owned(), json!({"type": "string"}));
                properties.insert("metadata".to_owned(), metadata_schema());
            }
        }
        let schema = serde_json::from_value(whole).map_err(BadDefinition::Schema)?;
        let built_in = built_in::kind_of(&resource);
        Ok(Self { resource, schema, built_in })
    }
}

static DEFINITIONS: LazyLock<BTreeMap<Kind, Definition>> = LazyLock::new(|| {
    let define = |kind: Kind| {
        let definition = Definition::new(Resource::read(kind));
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
            let resource = &definition.resource;
            assert_eq!((resource.kind.as_str(), resource.plural.as_str()), (kind.as_str(), kind.plural()));
            assert!(resource.is_namespaced && resource.has_status, "{kind}");
            assert_eq!(resource.api_version(), horizon_api::resource::API_VERSION);
            let found = Resource::find(&resource.group, &resource.version, kind.plural()).unwrap();
            assert!(std::ptr::eq(Definition::of_resource(found).unwrap(), definition), "{kind}");
        }
    }

    #[test]
    fn what_nobody_could_serve_is_refused() {
        let crd = |schema: Value| {
            json!({"spec": {"group": "x.dev", "scope": "Cluster", "names": {"kind": "A", "plural": "as"},
                "versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}})
        };

        let definition = Definition::from_crd(crd(json!({"type": "object"}))).unwrap();
        assert_eq!((definition.resource.singular.as_str(), definition.resource.is_namespaced), ("a", false));
        for (bad, is_schema) in [
            (json!({}), false),
            (crd(json!("object")), true),
            (crd(json!({"type": "object", "properties": 7})), true),
            (crd(json!({"type": "object", "nobody knows": 7})), true),
        ] {
            let why = Definition::from_crd(bad).unwrap_err();
            assert_eq!(matches!(why, BadDefinition::Schema(_)), is_schema, "{why}");
        }
    }
}
