//! `crds/*.yaml` is what the types say. `UPDATE=1 cargo test -p horizon-api --features crd --test crds` rewrites it.

use std::{fs, path::PathBuf};

use horizon_api::resource::{
    AccessPolicy, AccessTest, Admin, AlertRule, ConnectionProfile, Device, GROUP, Kind, Network, PersonalKey,
    RegistrationKey, Server, User, VERSION,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::core::CustomResourceExt;

/// Returns what is served for a kind.
fn definition(kind: Kind) -> CustomResourceDefinition {
    let mut definition = derived(kind);
    let schemas = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    schemas
        .filter_map(|schema| schema.open_api_v3_schema.as_mut())
        .for_each(|schema| forget_defaults(schema, false));
    definition
}

/// An item of a list has no default in the schema, only in the type: `kubectl apply` sends lists whole, so an item that
/// was filled in would be one that somebody changed, again and again. What tells items apart must have one all the same.
fn forget_defaults(schema: &mut JSONSchemaProps, is_in_list: bool) {
    if is_in_list {
        schema.default = None;
    }
    schema
        .properties
        .iter_mut()
        .flat_map(|map| map.values_mut())
        .for_each(|s| forget_defaults(s, is_in_list));
    let keys = schema.x_kubernetes_list_map_keys.clone().unwrap_or_default();
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
        let of_keys: Vec<_> = keys.iter().map(|key| default_of(items, key)).collect();
        forget_defaults(items, true);
        for (key, default) in keys.iter().zip(of_keys) {
            if let Some(property) = items.properties.as_mut().and_then(|all| all.get_mut(key)) {
                property.default = default;
            }
        }
    }
}

fn default_of(items: &JSONSchemaProps, key: &str) -> Option<JSON> {
    items.properties.as_ref()?.get(key)?.default.clone()
}

fn derived(kind: Kind) -> CustomResourceDefinition {
    match kind {
        Kind::Network => Network::crd(),
        Kind::Server => Server::crd(),
        Kind::RegistrationKey => RegistrationKey::crd(),
        Kind::User => User::crd(),
        Kind::PersonalKey => PersonalKey::crd(),
        Kind::Device => Device::crd(),
        Kind::AccessPolicy => AccessPolicy::crd(),
        Kind::AccessTest => AccessTest::crd(),
        Kind::ConnectionProfile => ConnectionProfile::crd(),
        Kind::Admin => Admin::crd(),
        Kind::AlertRule => AlertRule::crd(),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run with cargo")).join("../crds")
}

#[test]
fn files_are_what_the_types_say() {
    for kind in Kind::ALL {
        let path = folder().join(format!("{}.yaml", kind.plural()));
        let wanted = serde_yaml::to_string(&definition(kind)).expect("a definition is plain data");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &wanted).expect("crds/ is writable");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();

        assert!(found == wanted, "{} differs from its type; run this test with UPDATE=1", path.display());
    }
}

#[test]
fn no_file_is_left_over() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .expect("crds/ exists")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    found.sort();
    let mut wanted = files();
    wanted.push(KUSTOMIZATION.to_owned());
    wanted.sort();

    assert_eq!(found, wanted);
}

#[test]
fn kustomization_lists_every_file() {
    let text = fs::read_to_string(folder().join(KUSTOMIZATION)).expect("it is there");
    let mut wanted = files();
    wanted.sort();

    let listed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  - ")).collect();

    assert_eq!(listed, wanted);
}

/// Without an ending, so that `kubectl apply -f crds` leaves it alone.
const KUSTOMIZATION: &str = "Kustomization";

fn files() -> Vec<String> {
    Kind::ALL.map(|kind| format!("{}.yaml", kind.plural())).into()
}

#[test]
fn names_are_those_of_the_kind() {
    for kind in Kind::ALL {
        let definition = definition(kind);
        let names = definition.spec.names;

        assert_eq!(names.kind, kind.as_str());
        assert_eq!(names.plural, kind.plural());
        assert_eq!(names.short_names, Some(vec![kind.short_name().to_owned()]));
        assert_eq!(definition.spec.group, GROUP);
        assert_eq!(definition.spec.versions[0].name, VERSION);
    }
}

/// An API server refuses a definition that says `additionalProperties: false`.
#[test]
fn nothing_forbids_additional_properties() {
    for kind in Kind::ALL {
        let text = serde_yaml::to_string(&definition(kind)).expect("a definition is plain data");

        assert!(!text.contains("additionalProperties: false"), "{kind}");
    }
}

/// Kubernetes estimates the cost of rules by these bounds, and we promise that every input has a limit.
#[test]
fn every_string_list_and_map_is_bounded() {
    for kind in Kind::ALL {
        let version = serde_json::to_value(&definition(kind).spec.versions[0]).expect("JSON");
        let mut unbounded = Vec::new();
        collect_unbounded(
            &version["schema"]["openAPIV3Schema"]["properties"]["spec"],
            "spec",
            &mut unbounded,
        );

        assert!(unbounded.is_empty(), "{kind}: {unbounded:?}");
    }
}

fn collect_unbounded(schema: &serde_json::Value, path: &str, unbounded: &mut Vec<String>) {
    let missing = match schema["type"].as_str() {
        Some("string") => schema["maxLength"].is_null() && schema["enum"].is_null(),
        Some("array") => schema["maxItems"].is_null(),
        Some("object") if schema["additionalProperties"].is_object() => schema["maxProperties"].is_null(),
        Some("integer") => schema["maximum"].is_null(),
        _ => false,
    };
    if missing {
        unbounded.push(path.to_owned());
    }
    if schema["items"].is_object() {
        collect_unbounded(&schema["items"], &format!("{path}[]"), unbounded);
    }
    if schema["additionalProperties"].is_object() {
        collect_unbounded(&schema["additionalProperties"], &format!("{path}{{}}"), unbounded);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_unbounded(property, &format!("{path}.{name}"), unbounded);
    }
}

/// An API server refuses a definition without.
#[test]
fn what_tells_items_apart_is_required_or_has_a_default() {
    fn look(schema: &JSONSchemaProps, path: &str, lacking: &mut Vec<String>) {
        for (name, property) in schema.properties.iter().flatten() {
            look(property, &format!("{path}.{name}"), lacking);
        }
        let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else { return };
        for key in schema.x_kubernetes_list_map_keys.iter().flatten() {
            let is_required = items.required.as_ref().is_some_and(|required| required.contains(key));
            if !is_required && default_of(items, key).is_none() {
                lacking.push(format!("{path}[].{key}"));
            }
        }
        look(items, &format!("{path}[]"), lacking);
    }

    let mut lacking = vec![];
    for kind in Kind::ALL {
        let versions = definition(kind).spec.versions;
        let schema = versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.clone());
        look(&schema.expect("every version has a schema"), kind.as_str(), &mut lacking);
    }

    assert_eq!(lacking, [""; 0]);
}
