//! Which part of the console an address is of.

use std::fmt;

use horizon_api::resource::{DEFAULT_NAMESPACE, Kind, ObjectKey};

/// A part of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Overview,
    /// The objects of a kind, of one namespace or of all.
    Table {
        kind: Kind,
        namespace: Option<String>,
    },
    Object(ObjectKey),
    /// An editor for what there is not yet.
    New {
        kind: Kind,
        namespace: String,
    },
}

const RESOURCES: &str = "resources";
/// No object has this name.
const NEW: &str = "+";

impl Route {
    /// Returns where somebody begins who wants to see resources.
    pub fn resources() -> Self {
        Self::Table { kind: Kind::Network, namespace: None }
    }

    /// Reads the path of an address; whatever else it says is the overview.
    pub fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let kind = |plural: &str| Kind::ALL.into_iter().find(|kind| kind.plural() == plural);
        let found = match parts.as_slice() {
            [RESOURCES] => Some(Self::resources()),
            [RESOURCES, plural] => kind(plural).map(|kind| Self::Table { kind, namespace: None }),
            [RESOURCES, plural, namespace] => {
                kind(plural).map(|kind| Self::Table { kind, namespace: Some((*namespace).to_owned()) })
            }
            [RESOURCES, plural, namespace, NEW] => {
                kind(plural).map(|kind| Self::New { kind, namespace: (*namespace).to_owned() })
            }
            [RESOURCES, plural, namespace, name] => {
                kind(plural).map(|kind| Self::Object(ObjectKey::new(kind, *namespace, *name)))
            }
            _ => None,
        };
        found.unwrap_or(Self::Overview)
    }

    /// Returns the kind that is looked at.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Overview => None,
            Self::Table { kind, .. } | Self::New { kind, .. } => Some(*kind),
            Self::Object(key) => Some(key.kind),
        }
    }

    /// Returns the namespace that is looked at; `None` is all of them.
    pub fn namespace(&self) -> Option<String> {
        match self {
            Self::Overview => None,
            Self::Table { namespace, .. } => namespace.clone(),
            Self::New { namespace, .. } => Some(namespace.clone()),
            Self::Object(key) => Some(key.namespace.to_string()),
        }
    }

    /// Returns the editor for another object of what is looked at.
    pub fn new_object(&self) -> Self {
        let kind = self.kind().unwrap_or(Kind::Network);
        let namespace = self.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        Self::New { kind, namespace }
    }
}

/// The path of its address.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => f.write_str("/"),
            Self::Table { kind, namespace: None } => write!(f, "/{RESOURCES}/{}", kind.plural()),
            Self::Table { kind, namespace: Some(namespace) } => {
                write!(f, "/{RESOURCES}/{}/{namespace}", kind.plural())
            }
            Self::Object(ObjectKey { kind, namespace, name }) => {
                write!(f, "/{RESOURCES}/{}/{namespace}/{name}", kind.plural())
            }
            Self::New { kind, namespace } => write!(f, "/{RESOURCES}/{}/{namespace}/{NEW}", kind.plural()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back() {
        for path in [
            "/",
            "/resources/users",
            "/resources/users/office",
            "/resources/users/office/alice",
            "/resources/users/office/+",
        ] {
            assert_eq!(Route::parse(path).to_string(), path);
        }
        assert_eq!(Route::parse("/resources/"), Route::resources());
    }

    #[test]
    fn what_is_no_part_is_the_overview() {
        for path in ["", "/servers", "/resources/cats", "/resources/users/a/b/c"] {
            assert_eq!(Route::parse(path), Route::Overview, "{path}");
        }
    }

    #[test]
    fn another_object_is_made_where_one_looks() {
        let new = |path: &str| Route::parse(path).new_object().to_string();

        assert_eq!(new("/resources/users/office/alice"), "/resources/users/office/+");
        assert_eq!(new("/resources/users"), "/resources/users/default/+");
    }
}
