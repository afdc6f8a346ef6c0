//! What names an object among all others.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{DEFAULT_NAMESPACE, Kind};

/// Kind, namespace and name. Text form: `Kind/name`, or `Kind/namespace/name` outside the default namespace.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey {
    pub kind: Kind,
    pub namespace: SmolStr,
    pub name: SmolStr,
}

/// Text that is not an object's key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` must be KIND/NAME, such as `Server/fra-1`")]
pub struct KeyParseError(String);

impl ObjectKey {
    /// Returns the key of an object.
    pub fn new(kind: Kind, namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Returns the key of another object of the same namespace.
    #[must_use]
    pub fn sibling(&self, kind: Kind, name: impl Into<SmolStr>) -> Self {
        Self::new(kind, self.namespace.clone(), name)
    }
}

/// By kind, then by namespace, then by name. Nearly all keys that are compared are of one namespace, and whether it is the
/// same is quicker to tell than which comes first.
impl Ord for ObjectKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_namespace = || {
            let is_same = self.namespace == other.namespace;
            if is_same { Ordering::Equal } else { self.namespace.cmp(&other.namespace) }
        };
        self.kind.cmp(&other.kind).then_with(by_namespace).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for ObjectKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Accepts plural and short names too, because people type it.
impl FromStr for ObjectKey {
    type Err = KeyParseError;
    fn from_str(text: &str) -> Result<Self, KeyParseError> {
        let error = || KeyParseError(text.to_owned());
        let (kind, rest) = text.split_once('/').ok_or_else(error)?;
        let kind = Kind::find(kind).ok_or_else(error)?;
        let (namespace, name) = rest.split_once('/').unwrap_or((DEFAULT_NAMESPACE, rest));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err(error());
        }
        Ok(Self::new(kind, namespace, name))
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = KeyParseError;
    fn try_from(text: String) -> Result<Self, KeyParseError> {
        text.parse()
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == DEFAULT_NAMESPACE {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text() {
        for text in ["Server/fra-1", "Device/lab/alice-laptop"] {
            assert_eq!(text.parse::<ObjectKey>().expect("a key").to_string(), text);
        }
        assert_eq!("hsrv/fra-1".parse(), "Server/fra-1".parse::<ObjectKey>());
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "Server", "Server/", "Sever/a", "Server/a/b/c", "Server//a"] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
    }
}
