//! Who owns which field: `metadata.managedFields` (KEP-555, Server-Side Apply).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::gotext;
use fields::FieldSet;

pub mod fields;
pub mod step;
pub mod value;

/// The owners of an object's fields, by what tells them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedFields(BTreeMap<Identifier, Owner>);

/// What tells owners apart, as JSON: name, operation and subresource, and for updates the version. The API server
/// sorts owners by this text, so it is kept as text.
pub type Identifier = String;

/// One owner and its fields (`metav1.ManagedFieldsEntry`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub who: Who,
    /// When the owner last changed something; `None` if it never did.
    pub time: Option<Timestamp>,
    pub fields: FieldSet,
}

/// An owner's name and the way in which it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The name of the manager.
    pub manager: String,
    pub operation: Operation,
    /// Such as `horizon.dev/v1alpha1`.
    pub api_version: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
}

/// The way in which an owner writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply: what it no longer states goes.
    Apply,
    /// Everything else.
    Update,
}

/// Owners that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManagedFields {
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    #[error("apiVersion must not be empty")]
    ApiVersion,
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    #[error("invalid fieldsType {found} in managed fields entry {0}", found = gotext::quoted(.1))]
    FieldsType(usize, String),
    #[error("time of managed fields entry {0} is no RFC 3339 time")]
    Time(usize),
    #[error(transparent)]
    Fields(#[from] step::BadStep),
}

/// More updaters than these are merged, oldest first, so that an object does not grow without bound.
const UPDATERS_MAX: usize = 10;
/// Where merged updaters go.
const ANCIENT: &str = "ancient-changes";

impl ManagedFields {
    /// Reads `metadata.managedFields`; nothing there is nobody.
    ///
    /// # Errors
    /// An entry lacks something or has fields that cannot be read.
    pub fn decode(entries: Option<&Value>) -> Result<Self, BadManagedFields> {
        let entries = entries.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        let mut owners = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let owner = Owner::decode(index, entry)?;
            owners.insert(owner.who.identifier(), owner);
        }
        Ok(Self(owners))
    }

    /// Writes `metadata.managedFields`: appliers before updaters, then by time and name; `None` for nobody.
    pub fn encode(&self) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        let mut owners: Vec<&Owner> = self.0.values().collect();
        owners.sort_by_cached_key(|owner| {
            let who = &owner.who;
            (
                who.operation,
                owner.seconds(),
                who.manager.clone(),
                who.api_version.clone(),
                who.subresource.clone(),
            )
        });
        Some(owners.into_iter().map(Owner::encode).collect())
    }

    /// Says whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the owners in the order of their identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (&Identifier, &Owner)> {
        self.0.iter()
    }

    /// Returns an owner by what tells it apart.
    pub fn get(&self, identifier: &str) -> Option<&Owner> {
        self.0.get(identifier)
    }

    pub(crate) fn owners_mut(&mut self) -> &mut BTreeMap<Identifier, Owner> {
        &mut self.0
    }

    /// Forgets whoever owns nothing.
    pub(crate) fn drop_empty(&mut self) {
        self.0.retain(|_, owner| !owner.fields.is_empty());
    }

    /// Merges the oldest updaters until no more than ten are left.
    pub(crate) fn cap_updaters(&mut self) {
        let mut updaters: Vec<(i64, Identifier)> = (self.0.iter())
            .filter(|(_, owner)| owner.who.operation == Operation::Update)
            .map(|(identifier, owner)| (owner.seconds(), identifier.clone()))
            .collect();
        let mut left = updaters.len();
        if left <= UPDATERS_MAX {
            return;
        }
        updaters.sort();
        let mut first_of_version: BTreeMap<String, Identifier> = BTreeMap::new();
        for (_, identifier) in updaters {
            if left <= UPDATERS_MAX {
                return;
            }
            let Some(owner) = self.0.get(&identifier).cloned() else { continue };
            let version = owner.who.api_version.clone();
            let Some(first) = first_of_version.get(&version) else {
                first_of_version.insert(version, identifier);
                continue;
            };
            let bucket = Who::updater(ANCIENT, &version, "");
            let key = bucket.identifier();
            // Merged owners may be younger than somebody who is merged here; they stay.
            if identifier == key {
                continue;
            }
            if !self.0.contains_key(&key)
                && let Some(first) = self.0.remove(first)
            {
                self.0.insert(key.clone(), Owner { who: bucket, ..first });
            }
            if let Some(ancient) = self.0.get_mut(&key) {
                ancient.fields = std::mem::take(&mut ancient.fields).union(&owner.fields);
                ancient.time = owner.time;
            }
            self.0.remove(&identifier);
            left -= 1;
        }
    }
}

impl Owner {
    fn decode(index: usize, entry: &Value) -> Result<Self, BadManagedFields> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err(BadManagedFields::Operation),
        };
        if text("apiVersion").is_empty() {
            return Err(BadManagedFields::ApiVersion);
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(BadManagedFields::NoFieldsType(index)),
            other => return Err(BadManagedFields::FieldsType(index, other.to_owned())),
        }
        let who = Who {
            manager: text("manager").to_owned(),
            operation,
            api_version: text("apiVersion").to_owned(),
            subresource: text("subresource").to_owned(),
        };
        let time = match text("time") {
            "" => None,
            time => Some(time.parse().map_err(|_| BadManagedFields::Time(index))?),
        };
        let fields = entry.get("fieldsV1").map(FieldSet::decode).transpose()?.unwrap_or_default();
        Ok(Self { who, time, fields })
    }

    fn encode(&self) -> Value {
        let mut entry = Map::new();
        let operation = match self.who.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        for (name, text) in [
            ("manager", self.who.manager.as_str()),
            ("operation", operation),
            ("apiVersion", self.who.api_version.as_str()),
            ("subresource", self.who.subresource.as_str()),
            ("fieldsType", "FieldsV1"),
        ] {
            if !text.is_empty() {
                entry.insert(name.to_owned(), json!(text));
            }
        }
        if let Some(time) = self.time {
            entry.insert("time".to_owned(), json!(time_text(time)));
        }
        entry.insert("fieldsV1".to_owned(), self.fields.encode());
        Value::Object(entry)
    }

    fn seconds(&self) -> i64 {
        self.time.map_or(0, Timestamp::as_second)
    }
}

impl Who {
    /// Returns an owner by update.
    pub fn updater(manager: &str, api_version: &str, subresource: &str) -> Self {
        let operation = Operation::Update;
        let (manager, api_version) = (manager.to_owned(), api_version.to_owned());
        Self { manager, operation, api_version, subresource: subresource.to_owned() }
    }

    /// Returns an owner by server-side apply.
    pub fn applier(manager: &str, api_version: &str, subresource: &str) -> Self {
        Self { operation: Operation::Apply, ..Self::updater(manager, api_version, subresource) }
    }

    /// Returns what tells this owner apart: an applier is the same in every version.
    pub fn identifier(&self) -> Identifier {
        let mut text = String::from("{");
        let mut push = |name: &str, value: &str| {
            if !value.is_empty() {
                if text.len() > 1 {
                    text.push(',');
                }
                gotext::push_json_text(&mut text, name);
                text.push(':');
                gotext::push_json_text(&mut text, value);
            }
        };
        push("manager", &self.manager);
        match self.operation {
            Operation::Apply => push("operation", "Apply"),
            Operation::Update => {
                push("operation", "Update");
                push("apiVersion", &self.api_version);
            }
        }
        push("subresource", &self.subresource);
        text.push('}');
        text
    }

    /// Returns how a conflict names this owner.
    pub(crate) fn in_conflict(&self) -> String {
        let mut text = gotext::quoted(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(" with subresource ");
            text.push_str(&gotext::quoted(&self.subresource));
        }
        match self.operation {
            Operation::Apply => text,
            Operation::Update => format!("{text} using {}", self.api_version),
        }
    }
}

/// Returns a time as `metav1.Time` writes it: RFC 3339 in UTC, whole seconds.
pub(crate) fn time_text(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests;
