//! OpenAPI: what `kubectl explain` prints, and what clients check manifests against.
//!
//! Version 3 is one document a group version, version 2 one document for everything, also in protobuf. Both are made
//! from the schemas of `crds/*.yaml` and from the types of Kubernetes that these refer to.

pub(crate) mod definition;
pub(crate) mod known;
mod operation;
mod protobuf;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{discovery::etag, resource::Resource};

/// Which version of OpenAPI is written; the two name the same things differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

/// A document as it is sent, with its `ETag`.
#[derive(Debug)]
pub struct Document {
    pub bytes: Bytes,
    pub etag: String,
}

impl Document {
    fn new(bytes: Vec<u8>) -> Self {
        Self { etag: etag(&bytes), bytes: Bytes::from(bytes) }
    }
}

static V3: LazyLock<BTreeMap<String, Document>> = LazyLock::new(|| {
    let document = |path: &String| (path.clone(), Document::new(v3(path).to_string().into_bytes()));
    group_paths().iter().map(document).collect()
});

static V3_ROOT: LazyLock<Document> = LazyLock::new(|| {
    let path = |(path, document): (&String, &Document)| {
        let hash = document.etag.trim_matches('"');
        (path.clone(), json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}") }))
    };
    let paths: Map<String, Value> = V3.iter().map(path).collect();
    Document::new(json!({ "paths": paths }).to_string().into_bytes())
});

static V2: LazyLock<(Document, Document)> = LazyLock::new(|| {
    let document = v2();
    (Document::new(document.to_string().into_bytes()), Document::new(protobuf::encode(&document)))
});

/// Returns `/openapi/v3`: which documents there are.
pub fn v3_root() -> &'static Document {
    &V3_ROOT
}

/// Returns `/openapi/v3/PATH`, such as `apis/horizon.dev/v1alpha1`.
pub fn v3_document(path: &str) -> Option<&'static Document> {
    V3.get(path)
}

/// Returns `/openapi/v2` as JSON.
pub fn v2_json() -> &'static Document {
    &V2.0
}

/// Returns `/openapi/v2` as protobuf, in the messages of gnostic's `OpenAPIv2.proto`.
pub fn v2_protobuf() -> &'static Document {
    &V2.1
}

impl Dialect {
    /// Returns a reference that can stand beside a description.
    fn reference(self, name: &str) -> Value {
        match self {
            Self::V2 => self.plain_reference(name),
            // Beside `$ref` nothing counts in version 3 (OpenAPI 3.0.3, Reference Object).
            Self::V3 => json!({ "allOf": [self.plain_reference(name)] }),
        }
    }

    fn plain_reference(self, name: &str) -> Value {
        json!({ "$ref": format!("{}{name}", self.prefix()) })
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }
}

/// Returns where a group version is served, without the first slash.
fn base_path(resource: &Resource) -> String {
    let root = if resource.group.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", resource.api_version())
}

fn group_paths() -> BTreeSet<String> {
    Resource::all().iter().map(|resource| base_path(resource)).collect()
}

fn v3(path: &str) -> Value {
    let resources: Vec<&Resource> =
        Resource::all().iter().filter(|resource| base_path(resource) == path).copied().collect();
    let (paths, schemas) = paths_and_definitions(&resources, Dialect::V3);
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Horizon", "version": "v1.34.0" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn v2() -> Value {
    let (paths, definitions) = paths_and_definitions(Resource::all(), Dialect::V2);
    json!({
        "swagger": "2.0",
        "info": { "title": "Horizon", "version": "v1.34.0" },
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": {
                "type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer TOKEN",
            },
        },
        "security": [{ "BearerToken": [] }],
    })
}

/// Returns the paths of some resources, and every definition that they and their kinds refer to.
fn paths_and_definitions(resources: &[&Resource], dialect: Dialect) -> (Value, Value) {
    let mut paths = Map::new();
    let mut definitions = BTreeMap::new();
    for resource in resources {
        paths.extend(operation::paths(resource, dialect));
        definitions.extend(definition::of_resource(resource, dialect));
    }
    let paths = Value::Object(paths);
    let mut wanted = references(&paths);
    wanted.extend(definitions.values().flat_map(references));
    while let Some(name) = wanted.pop_first() {
        if definitions.contains_key(&name) {
            continue;
        }
        if let Some(known) = known::TYPES.get(&name) {
            let definition = definition::with_kinds(&name, known.definition(&name, dialect));
            wanted.extend(references(&definition));
            definitions.insert(name, definition);
        }
    }
    (paths, Value::Object(definitions.into_iter().collect()))
}

/// Returns the names of the definitions that a document refers to.
fn references(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = vec![document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    found.extend(reference.rsplit('/').next().map(str::to_owned));
                }
                rest.extend(members.values());
            }
            Value::Array(items) => rest.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_names_documents_that_are_there() {
        let root: Value = serde_json::from_slice(&v3_root().bytes).unwrap();

        let paths = root["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 6);
        for (path, entry) in paths {
            let document = v3_document(path).unwrap();
            let hash = document.etag.trim_matches('"');
            let address = format!("/openapi/v3/{path}?hash={hash}");
            assert_eq!(entry["serverRelativeURL"], address.as_str());
        }
        assert!(v3_document("apis/apps/v1").is_none());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let documents = V3.values().chain([v2_json()]);
        for document in documents {
            let document: Value = serde_json::from_slice(&document.bytes).unwrap();
            let schemas = document.pointer("/components/schemas").unwrap_or(&document["definitions"]);
            for name in references(&document) {
                assert!(schemas.get(&name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn every_known_type_is_used() {
        let document: Value = serde_json::from_slice(&v2_json().bytes).unwrap();
        let unused: Vec<&String> =
            known::TYPES.keys().filter(|name| document["definitions"].get(name.as_str()).is_none()).collect();

        assert_eq!(unused, Vec::<&String>::new());
    }
}
