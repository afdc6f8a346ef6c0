//! The schemas of `crds/*.yaml`, read once: the same that an API server enforces.

use std::{collections::BTreeMap, sync::LazyLock};

use horizon_api::resource::Kind;
use regex::Regex;
use serde::Deserialize;

use crate::parse::parse;

/// A schema. Words that nobody would check are refused, so that nobody believes that they are checked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schema {
    #[serde(rename = "type")]
    pub kind: Type,
    #[serde(default)]
    pub properties: BTreeMap<String, Self>,
    /// For maps whose keys are data, such as labels.
    pub additional_properties: Option<Box<Self>>,
    #[serde(default)]
    pub required: Vec<String>,
    pub items: Option<Box<Self>>,
    #[serde(rename = "enum", default, deserialize_with = "without_null")]
    pub values: Vec<String>,
    pub pattern: Option<Pattern>,
    pub format: Option<String>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub min_items: Option<usize>,
    pub max_items: Option<usize>,
    pub min_properties: Option<usize>,
    pub max_properties: Option<usize>,
    #[serde(rename = "x-kubernetes-list-type", default)]
    pub list: ListType,
    #[serde(rename = "x-kubernetes-list-map-keys", default)]
    pub list_keys: Vec<String>,
    pub default: Option<serde_json::Value>,
    #[serde(default)]
    pub nullable: bool,
    #[serde(rename = "x-kubernetes-validations", default)]
    pub rules: Vec<RuleText>,
    /// For people; nothing to check.
    #[serde(default)]
    pub description: String,
    /// Whether two writers may own different fields; nothing to check in one text.
    #[serde(rename = "x-kubernetes-map-type", default)]
    pub map_type: String,
}

/// A rule of CEL, as it is written in a schema.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleText {
    pub rule: String,
    /// `problem; fix`.
    pub message: Option<String>,
    /// CEL that gives a better message.
    pub message_expression: Option<String>,
    #[serde(default)]
    pub reason: Reason,
    /// What it complains about, such as `.mtu`, as seen from where it stands.
    pub field_path: Option<String>,
}

/// What an API server answers with when a rule is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Reason {
    #[default]
    FieldValueInvalid,
    FieldValueForbidden,
    FieldValueRequired,
    FieldValueDuplicate,
}

/// An optional choice may be null too, and its schema says so among the values.
fn without_null<'de, D: serde::Deserializer<'de>>(values: D) -> Result<Vec<String>, D::Error> {
    Ok(Vec::<Option<String>>::deserialize(values)?.into_iter().flatten().collect())
}

/// The types that our schemas use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    Object,
    Array,
    String,
    Integer,
    Boolean,
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

/// A regular expression, compiled once.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;
    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

impl Pattern {
    /// Returns the expression as it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Says whether a text has this form.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl Schema {
    /// Returns the schema of a kind's `spec`.
    pub fn of(kind: Kind) -> &'static Self {
        &SPECS[&kind]
    }

    /// Returns the schema of `metadata` in a manifest.
    pub fn of_metadata() -> &'static Self {
        &METADATA
    }

    fn from_json(json: serde_json::Value) -> Self {
        serde_json::from_value(json)
            .expect("embedded schemas use only what Schema has; a test reads them all")
    }
}

static SPECS: LazyLock<BTreeMap<Kind, Schema>> =
    LazyLock::new(|| Kind::ALL.into_iter().map(|kind| (kind, Schema::from_json(definition(kind)))).collect());

static METADATA: LazyLock<Schema> = LazyLock::new(|| Schema::from_json(read(METADATA_TEXT)));

/// Returns the `CustomResourceDefinition` of a kind, as it is applied to a cluster.
pub fn custom_resource_definition(kind: Kind) -> serde_json::Value {
    read(definition_text(kind))
}

/// Returns the schema of a kind's spec as its definition says it.
pub(crate) fn definition(kind: Kind) -> serde_json::Value {
    let mut definition = custom_resource_definition(kind);
    let spec = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    spec.expect("every definition has a spec").take()
}

fn read(text: &str) -> serde_json::Value {
    let parsed = parse("embedded", text.as_bytes());
    parsed.documents.first().expect("embedded schemas are YAML; a test reads them all").to_json()
}

fn definition_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => include_str!("../../../crds/networks.yaml"),
        Kind::Server => include_str!("../../../crds/servers.yaml"),
        Kind::RegistrationKey => include_str!("../../../crds/registrationkeys.yaml"),
        Kind::User => include_str!("../../../crds/users.yaml"),
        Kind::PersonalKey => include_str!("../../../crds/personalkeys.yaml"),
        Kind::Device => include_str!("../../../crds/devices.yaml"),
        Kind::AccessPolicy => include_str!("../../../crds/accesspolicies.yaml"),
        Kind::AccessTest => include_str!("../../../crds/accesstests.yaml"),
        Kind::ConnectionProfile => include_str!("../../../crds/connectionprofiles.yaml"),
        Kind::Admin => include_str!("../../../crds/admins.yaml"),
        Kind::AlertRule => include_str!("../../../crds/alertrules.yaml"),
    }
}

/// What the API server knows about metadata by itself.
const METADATA_TEXT: &str = r#"
type: object
required: [name]
properties:
  name: {type: string, minLength: 1, maxLength: 63, pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
  namespace: {type: string, minLength: 1, maxLength: 63, pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
  labels:
    type: object
    nullable: true
    additionalProperties: {type: string, maxLength: 63, pattern: "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"}
  annotations:
    type: object
    nullable: true
    additionalProperties: {type: string, maxLength: 262144}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_schema_is_read() {
        for kind in Kind::ALL {
            assert_eq!(Schema::of(kind).kind, Type::Object, "{kind}");
            assert!(!Schema::of(kind).properties.is_empty(), "{kind}");
        }
        assert_eq!(Schema::of_metadata().required, ["name"]);
    }

    #[test]
    fn bounds_and_list_types_arrive() {
        let endpoints = &Schema::of(Kind::Server).properties["endpoints"];
        let port = &endpoints.items.as_ref().expect("a list").properties["port"];

        assert_eq!((endpoints.list, endpoints.max_items), (ListType::Map, Some(8)));
        assert_eq!((port.minimum, port.maximum), (Some(1.0), Some(65535.0)));
        assert_eq!(port.default, Some(7444.into()));
    }
}
