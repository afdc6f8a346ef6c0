//! An object as it is served: its text, written once and packed, and what it is selected by.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use crate::{packed::Packed, selector::Selectable};

/// One state of one object. Never changes; a write makes another.
#[derive(PartialEq, Eq)]
pub struct Stored {
    key: Box<str>,
    /// How much of the key is the namespace.
    namespace_bytes: usize,
    version: u64,
    labels: Pairs,
    /// The selectable fields beside name and namespace, which the key holds.
    fields: Pairs,
    json: Packed,
}

/// Texts by their names, in the order of the names. There is no spare room in it, so that what it takes can be counted.
#[derive(PartialEq, Eq)]
struct Pairs(Box<[(Box<str>, Box<str>)]>);

impl Stored {
    /// Takes an object with its metadata complete. `selectable` are the fields that its kind can be selected by, such
    /// as `spec.userRef.name`. `version` is its resource version, also as text in its metadata.
    pub fn new(object: &Value, version: u64, selectable: &[String]) -> Arc<Self> {
        let text = |path: &str| text_at(object, path);
        let (namespace, name) = (text("metadata.namespace"), text("metadata.name"));
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let labels =
            labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        let fields: Vec<_> = selectable.iter().map(|path| (path.as_str(), text(path))).collect();
        Arc::new(Self {
            key: key(&namespace, &name).into(),
            namespace_bytes: namespace.len(),
            version,
            labels: Pairs::new(labels),
            fields: Pairs::new(fields.iter().map(|(path, text)| (*path, text.as_str()))),
            json: Packed::new(object.to_string().as_bytes()),
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

    /// Returns the object as JSON, unpacked anew at each call: about a microsecond for a kilobyte.
    pub fn json(&self) -> Bytes {
        self.json.unpack().into()
    }

    /// Returns how many bytes its JSON has.
    pub fn json_bytes(&self) -> usize {
        self.json.len()
    }

    /// Returns the object as JSON under another resource version: how it is shown when it is gone from view.
    pub fn json_at(&self, version: u64) -> Bytes {
        let json = self.json();
        // These bytes were written by `new`; if they were ever unreadable, the old version would still be true.
        let Ok(mut object) = serde_json::from_slice::<Value>(&json) else { return json };
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object.to_string().into()
    }

    /// Returns how many bytes it takes in memory, its share of the allocator's included.
    pub fn bytes(&self) -> usize {
        let own = allocated(size_of::<Self>() + ARC_BYTES) + allocated(self.key.len());
        own + allocated(self.json.bytes()) + self.labels.bytes() + self.fields.bytes()
    }

    fn namespace(&self) -> &str {
        &self.key[..self.namespace_bytes]
    }

    fn name(&self) -> &str {
        let name = &self.key[self.namespace_bytes..];
        if self.namespace_bytes == 0 { name } else { &name[1..] }
    }
}

impl Pairs {
    /// Of several pairs with one name the last counts.
    fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs: BTreeMap<&str, &str> = pairs.collect();
        Self(pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&self.0[found].1)
    }

    fn bytes(&self) -> usize {
        let texts = self.0.iter().map(|(name, text)| allocated(name.len()) + allocated(text.len()));
        allocated(size_of_val(&*self.0)) + texts.sum::<usize>()
    }
}

/// What an `Arc` counts its owners with.
const ARC_BYTES: usize = 2 * size_of::<usize>();

/// Returns what a piece of memory takes with the allocator's own: glibc and its like keep eight bytes with each and
/// hand out multiples of sixteen, at least 32.
fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

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
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key)
    }

    fn field(&self, path: &str) -> &str {
        match path {
            "metadata.name" => self.name(),
            "metadata.namespace" => self.namespace(),
            path => self.fields.get(path).unwrap_or_default(),
        }
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
    fn its_key_holds_its_name_and_namespace() {
        let object = |namespace: &str| {
            let metadata = json!({ "name": "lab", "namespace": namespace });
            Stored::new(&json!({ "metadata": metadata }), 1, &["metadata.name".to_owned()])
        };
        let texts = |object: &Stored| {
            ["metadata.name", "metadata.namespace", "spec.x"].map(|path| object.field(path).to_owned())
        };

        assert_eq!((object("default").key(), object("").key()), ("default/lab", "lab"));
        assert_eq!(texts(&object("default")), ["lab", "default", ""]);
        assert_eq!(texts(&object("")), ["lab", "", ""]);
        let nothing = Stored::new(&json!({}), 1, &[]);
        assert_eq!((nothing.key(), texts(&nothing)), ("", [const { String::new() }; 3]));
    }

    #[test]
    fn every_piece_of_its_memory_counts() {
        let with = |labels: usize| {
            let labels: serde_json::Map<_, _> =
                (0..labels).map(|number| (format!("label-{number:04}"), "value".into())).collect();
            Stored::new(&json!({ "metadata": { "name": "a", "labels": labels } }), 1, &[])
        };
        let (none, many) = (with(0), with(1000));

        // A label takes two pointers with lengths, and two texts of 32 bytes each with what the allocator adds.
        let labels = 1000 * (2 * size_of::<Box<str>>() + 2 * 32);
        let json = many.json.bytes() - none.json.bytes();
        let counted = many.bytes() - none.bytes();
        assert!(counted.abs_diff(labels + json) < 64, "{counted} of {labels} and {json}");
        assert!(none.bytes() > size_of::<Stored>() + none.json.bytes());
        assert_eq!((many.json_bytes(), many.json().len() > 10 * json), (many.json().len(), false));
    }

    #[test]
    fn it_is_shown_under_another_version_when_it_is_gone() {
        let shown: Value = serde_json::from_slice(&device().json_at(9)).unwrap();

        assert_eq!(shown["metadata"]["resourceVersion"], "9");
        assert_eq!(shown["spec"]["slots"], 3);
    }
}
