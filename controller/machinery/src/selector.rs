//! Which objects a request is about: label selectors, field selectors, and both together with the namespace.

pub mod field;
pub mod label;

mod lexer;

/// What an object is selected by.
pub trait Selectable {
    /// Returns a label's value.
    fn label(&self, key: &str) -> Option<&str>;
    /// Returns a selectable field's value, empty where the object does not have it.
    fn field(&self, path: &str) -> &str;
}

/// A label selector and a field selector; an object must satisfy both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub labels: label::Selector,
    pub fields: field::Selector,
}

impl Selection {
    /// Says whether an object is selected.
    pub fn selects(&self, object: &impl Selectable) -> bool {
        self.labels.selects(|key| object.label(key)) && self.fields.selects(|path| object.field(path))
    }

    /// Says whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }
}
