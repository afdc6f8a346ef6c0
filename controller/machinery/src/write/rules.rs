//! What metadata may hold and what of it may change, in the API server's words (`apimachinery/pkg/api/validation`).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    definition::Definition,
    field_cause::{forbidden, invalid, invalid_value, required, too_long},
    gotext, names,
    refusal::{CAUSES_MAX, Cause, Causes},
};

/// Annotations of one object may not be larger, in bytes.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
/// From this many mistakes in owners on, a second controller is not named any more: each cause shows every owner.
const OWNER_MISTAKES_MAX: usize = 4;
const IMMUTABLE: &str = "field is immutable";
/// Keeps an object until those that it owns are without it.
pub(crate) const ORPHAN: &str = "orphan";
/// Keeps an object until those that it owns are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// Finds what is wrong with an object's `apiVersion` and `kind`. Nothing else is looked at then.
pub(crate) fn type_mistakes(object: &Value, definition: &Definition) -> Causes {
    let mut causes = Causes::default();
    for (field, wanted) in
        [("kind", &definition.resource.kind), ("apiVersion", &definition.resource.api_version())]
    {
        let found = text(object.get(field));
        if found != *wanted {
            causes.push(invalid(field, &found, &format!("must be {wanted}")));
        }
    }
    causes
}

/// Which names an object may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// DNS subdomains, which is what a kind asks for.
    Strict,
    /// Whatever fits into a path, which is what is asked of every object again.
    Path,
}

/// Finds what is wrong with metadata whatever it was before.
pub(crate) fn metadata_mistakes(
    object: &Value,
    definition: &Definition,
    naming: Naming,
    causes: &mut Causes,
) {
    let empty = Map::new();
    let metadata = object.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let generate_name = text(metadata.get("generateName"));
    if !generate_name.is_empty() {
        let stem = match generate_name.strip_suffix('-') {
            // A suffix follows, so that a dash at the end is fine.
            Some(stem) if !stem.is_empty() => format!("{}a", &stem[..stem.len() - last_bytes(stem)]),
            Some(_) | None => generate_name.clone(),
        };
        causes.extend(name_mistakes("metadata.generateName", &generate_name, &stem, naming));
    }
    let name = text(metadata.get("name"));
    if name.is_empty() {
        causes.push(required("metadata.name", "name or generateName is required"));
    } else {
        causes.extend(name_mistakes("metadata.name", &name, &name, naming));
    }
    let namespace = text(metadata.get("namespace"));
    match (definition.resource.is_namespaced, namespace.as_str()) {
        (true, "") => causes.push(required("metadata.namespace", "")),
        (true, namespace) => {
            let wrong = names::label(namespace);
            causes.extend(wrong.iter().map(|why| invalid("metadata.namespace", namespace, why)));
        }
        (false, "") => {}
        (false, _) => causes.push(forbidden("metadata.namespace", "not allowed on this type")),
    }
    label_mistakes(metadata, causes);
    owner_mistakes(metadata, causes);
    finalizer_mistakes(metadata, causes);
}

fn last_bytes(text: &str) -> usize {
    text.chars().next_back().map_or(0, char::len_utf8)
}

fn name_mistakes(field: &str, name: &str, checked: &str, naming: Naming) -> Vec<Cause> {
    let wrong = match naming {
        Naming::Strict => names::subdomain(checked),
        Naming::Path => path_mistakes(checked),
    };
    wrong.iter().map(|why| invalid(field, name, why)).collect()
}

fn path_mistakes(name: &str) -> Vec<String> {
    if let "." | ".." = name {
        return vec![format!("may not be '{name}'")];
    }
    let found = ["/", "%"].iter().filter(|sign| name.contains(**sign));
    found.map(|sign| format!("may not contain '{sign}'")).collect()
}

fn label_mistakes(metadata: &Map<String, Value>, causes: &mut Causes) {
    for (key, value) in entries(metadata, "labels") {
        if causes.is_full() {
            return;
        }
        let value = text(Some(value));
        causes.extend(names::qualified(key).iter().map(|why| invalid("metadata.labels", key, why)));
        let wrong = names::label_value(&value);
        causes.extend(wrong.iter().map(|why| invalid("metadata.labels", &value, why)));
    }
    let mut bytes = 0;
    for (key, value) in entries(metadata, "annotations") {
        if causes.is_full() {
            return;
        }
        let wrong = names::qualified(&key.to_lowercase());
        causes.extend(wrong.iter().map(|why| invalid("metadata.annotations", key, why)));
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        causes.push(too_long("metadata.annotations", ANNOTATIONS_BYTES_MAX));
    }
}

fn owner_mistakes(metadata: &Map<String, Value>, causes: &mut Causes) {
    let owners =
        metadata.get("ownerReferences").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let before = causes.len();
    let mut controller = None;
    for owner in owners {
        if causes.is_full() {
            return;
        }
        let field = |name: &str| format!("metadata.ownerReferences.{name}");
        let api_version = text(owner.get("apiVersion"));
        if api_version.rsplit('/').next().unwrap_or_default().is_empty() {
            causes.push(invalid(field("apiVersion"), &api_version, "version must not be empty"));
        }
        for name in ["kind", "name", "uid"] {
            if text(owner.get(name)).is_empty() {
                causes.push(invalid(field(name), "", "must not be empty"));
            }
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{}/{}", text(owner.get("kind")), text(owner.get("name")));
            match &controller {
                None => controller = Some(this),
                Some(first) if causes.len() - before < OWNER_MISTAKES_MAX => {
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    causes.push(invalid_value("metadata.ownerReferences", &owners.into(), &why));
                }
                Some(_) => {}
            }
        }
    }
}

fn finalizer_mistakes(metadata: &Map<String, Value>, causes: &mut Causes) {
    let field = "metadata.finalizers";
    let finalizers = finalizers(metadata);
    causes.extend(
        (finalizers.iter())
            .flat_map(|name| names::qualified(name).into_iter().map(|why| invalid(field, name, &why))),
    );
    let has = |wanted: &str| finalizers.iter().any(|name| name == wanted);
    if has(ORPHAN) && has(FOREGROUND) {
        let why = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        causes.push(invalid_value(field, &finalizers.into(), &why));
    }
}

/// Finds what of metadata may not change as it did.
pub(crate) fn change_mistakes(new: &Value, old: &Value, causes: &mut Causes) {
    let empty = Map::new();
    let of = |object: &'_ Value| object.get("metadata").and_then(Value::as_object).cloned();
    let (new, old) = (of(new).unwrap_or_else(|| empty.clone()), of(old).unwrap_or(empty));
    if old.contains_key("deletionTimestamp") {
        let added = added(finalizers(&old), finalizers(&new));
        if !added.is_empty() {
            let names = added.iter().map(|name| gotext::quoted(name)).collect::<Vec<_>>().join(", ");
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{names}}}"
            );
            causes.push(forbidden("metadata.finalizers", &why));
        }
    }
    if text(new.get("resourceVersion")).is_empty() {
        causes.push(invalid("metadata.resourceVersion", "", "must be specified for an update"));
    }
    for name in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        if new.get(name) != old.get(name) {
            let value = new.get(name).cloned().unwrap_or_else(|| absent(name));
            causes.push(invalid_value(format!("metadata.{name}"), &value, IMMUTABLE));
        }
    }
    label_mistakes(&new, causes);
    owner_mistakes(&new, causes);
}

/// Returns how an absent field is printed: text is empty, a time or number is null.
fn absent(name: &str) -> Value {
    match name {
        "name" | "namespace" | "uid" => "".into(),
        _ => Value::Null,
    }
}

/// Returns what is unwise about finalizers that are new, as many warnings as an answer has causes.
pub(crate) fn finalizer_warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let of = |object: &Value| {
        object.get("metadata").and_then(Value::as_object).map(finalizers).unwrap_or_default()
    };
    let added = added(old.map(of).unwrap_or_default(), of(new));
    let mut warnings = vec![];
    for name in added {
        if warnings.len() >= CAUSES_MAX {
            break;
        }
        let about = format!("metadata.finalizers: {}", gotext::quoted(&name));
        warnings.extend(names::qualified(&name).iter().map(|why| format!("{about}: {why}")));
        let is_standard = [ORPHAN, FOREGROUND, "kubernetes"].contains(&name.as_str());
        if !name.contains('/') && !is_standard {
            let path = if name.contains('.') { " including a path (/)" } else { "" };
            warnings.push(format!(
                "{about}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other \
                 finalizer writers"
            ));
        }
    }
    warnings.truncate(CAUSES_MAX);
    warnings
}

/// Returns the names that are new, in order and each once.
fn added(before: Vec<String>, after: Vec<String>) -> BTreeSet<String> {
    let before: BTreeSet<String> = before.into_iter().collect();
    after.into_iter().filter(|name| !before.contains(name)).collect()
}

/// Returns the finalizers in metadata.
pub(crate) fn finalizers(metadata: &Map<String, Value>) -> Vec<String> {
    let list = metadata.get("finalizers").and_then(Value::as_array);
    list.into_iter().flatten().map(|name| text(Some(name))).collect()
}

fn entries<'m>(metadata: &'m Map<String, Value>, name: &str) -> Vec<(&'m String, &'m Value)> {
    let mut entries: Vec<_> = metadata.get(name).and_then(Value::as_object).into_iter().flatten().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

/// Returns a text; empty for everything else.
pub(crate) fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}
