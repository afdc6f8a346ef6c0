//! An object as it is served: its bytes, written once and shared by every list and watch, and what it is selected by.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use crate::selector::Selectable;

/// One state of one object. Never changes; a write makes another.
#[derive(PartialEq, Eq)]
pub struct Stored {
    key: String,
    version: u64,
    labels: BTreeMap<String, String>,
    fields: BTreeMap<String, String>,
    json: Bytes,
}

impl Stored {
    /// Takes an object with its metadata complete. `selectable` are the fields that its kind can be selected by, such
    /// as `spec.userRef.name`. `version` is its resource version, also as text in its metadata.
    pub fn new(object: &Value, version: u64, selectable: &[String]) -> Arc<Self> {
        let text = |path: &str| text_at(object, path);
        let (namespace, name) = (text("metadata.namespace"), text("metadata.name"));
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let pairs = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let mut fields: BTreeMap<String, String> =
            selectable.iter().map(|path| (path.clone(), text(path))).collect();
        let key = key(&namespace, &name);
        fields.insert("metadata.name".to_owned(), name);
        fields.insert("metadata.namespace".to_owned(), namespace);
        Arc::new(Self {
            key,
            version,
            labels: pairs.collect(),
            fields,
            json: Bytes::from(object.to_string()),
        })
    }

    /// Returns where it stands among the objects of its kind.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns its resource version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the object as JSON.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// Returns the object as JSON under another resource version: how it is shown when it is gone from view.
    pub fn json_at(&self, version: u64) -> Bytes {
        // These bytes were written by `new`; if they were ever unreadable, the old version would still be true.
        let Ok(mut object) = serde_json::from_slice::<Value>(&self.json) else { return self.json.clone() };
        object["metadata"]["resourceVersion"] = version.to_string().into();
        Bytes::from(object.to_string())
    }

    /// Returns about how many bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        let texts = |map: &BTreeMap<String, String>| -> usize {
            map.iter().map(|(key, value)| key.len() + value.len() + TEXT_OVERHEAD).sum()
        };
        self.json.len() + self.key.len() + texts(&self.labels) + texts(&self.fields) + TEXT_OVERHEAD
    }
}

/// What a pair of texts takes beside its characters, in bytes: two `String`s and their share of a tree's node.
const TEXT_OVERHEAD: usize = 64;

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Stored");
        fields.field("key", &self.key).field("version", &self.version).finish_non_exhaustive()
    }
}

/// Shows which object something is, and in which version, but nothing that is in it: that may be secret.
pub(crate) struct Named<'o>(pub(crate) &'o Value);

impl fmt::Debug for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path: &str| self.0.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let key = key(text("/metadata/namespace"), text("/metadata/name"));
        write!(f, "{key}@{}", text("/metadata/resourceVersion"))
    }
}

impl Selectable for Stored {
    fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    fn field(&self, path: &str) -> &str {
        self.fields.get(path).map_or("", String::as_str)
    }
}

/// Returns where an object stands: by namespace and name, in the order of an API server's lists.
pub fn key(namespace: &str, name: &str) -> String {
    match namespace {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}

/// Returns a scalar as a field selector compares it; empty for anything else.
fn text_at(object: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(object, |value, name| value.get(name));
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::selector::{Selection, field, label};

    fn device() -> Arc<Stored> {
        let object = json!({
            "metadata": { "name": "laptop", "namespace": "default", "labels": { "os": "linux" }, "resourceVersion": "7" },
            "spec": { "userRef": { "name": "alice" }, "slots": 3 },
        });
        Stored::new(&object, 7, &["spec.userRef.name".to_owned(), "spec.slots".to_owned()])
    }

    #[test]
    fn it_is_selected_by_labels_and_fields() {
        let selects = |labels: &str, fields: &str| {
            let labels = label::Selector::parse(labels).unwrap();
            Selection { labels, fields: field::Selector::parse(fields).unwrap() }.selects(&*device())
        };

        assert!(selects("os=linux", "spec.userRef.name=alice,metadata.namespace=default,spec.slots=3"));
        assert!(!selects("os=linux", "spec.userRef.name=bob"));
        assert!(!selects("!os", ""));
    }

    #[test]
    fn it_is_shown_under_another_version_when_it_is_gone() {
        let shown: Value = serde_json::from_slice(&device().json_at(9)).unwrap();

        assert_eq!(shown["metadata"]["resourceVersion"], "9");
        assert_eq!(shown["spec"]["slots"], 3);
    }
}
