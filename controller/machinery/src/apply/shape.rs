//! What a value may be, as structured merge sees it: what is merged field by field and what is one piece.

use horizon_planner::{
    manifest::object::is_secret_field,
    schema::{ListType, Schema, Type},
};
use serde_json::Value;

use crate::{
    gotext,
    managed::{fields::FieldSet, step::Step, value::StepValue},
};

/// Where in a schema one is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'s> {
    /// A schema says.
    Of(&'s Schema),
    /// No schema says: maps are merged field by field, everything else is one piece.
    Free,
    /// No schema says, inside of a list of anything: one piece.
    Whole,
}

/// What a value is merged as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Atom<'s> {
    Map(MapAtom<'s>),
    List(ListAtom<'s>),
    Scalar(Scalar),
}

/// How a map is merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapAtom<'s> {
    schema: Option<&'s Schema>,
    /// What a key without a field of its own holds; `None` where there may be none.
    rest: Option<Shape<'s>>,
    /// Whether it is one piece.
    pub is_atomic: bool,
}

/// How a list is merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListAtom<'s> {
    pub kind: ListType,
    pub keys: &'s [String],
    pub items: Shape<'s>,
}

/// What a scalar must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Number,
    Text,
    Boolean,
    Any,
}

impl<'s> Shape<'s> {
    /// Returns what a value is merged as; without a schema the value itself decides.
    pub(crate) fn atom(self, value: Option<&Value>) -> Atom<'s> {
        let (schema, rest) = match self {
            Self::Of(schema) => return Atom::of(schema),
            Self::Free => (None, Self::Free),
            Self::Whole => (None, Self::Whole),
        };
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => Atom::Scalar(Scalar::Any),
            Some(Value::Array(_)) => {
                Atom::List(ListAtom { kind: ListType::Atomic, keys: &[], items: Self::Whole })
            }
            Some(Value::Object(_) | Value::Null) | None => {
                Atom::Map(MapAtom { schema, rest: Some(rest), is_atomic: matches!(self, Self::Whole) })
            }
        }
    }

    /// Returns the shape behind a step and whether a schema names that field.
    pub(crate) fn step(self, step: &Step) -> (Option<Self>, bool) {
        match (self.atom(None), step) {
            (Atom::Map(map), Step::Field(name)) => (map.field(name), map.has_field(name)),
            (Atom::List(list), Step::Key(_)) => (Some(list.items), false),
            (Atom::Map(_) | Atom::List(_) | Atom::Scalar(_), _) => (None, false),
        }
    }

    /// Returns a set with the named fields above each member made members too.
    pub(crate) fn with_named(self, set: &FieldSet) -> FieldSet {
        set.with_named(Some(self), &|shape: Self, step: &Step| shape.step(step))
    }
}

impl<'s> Atom<'s> {
    fn of(schema: &'s Schema) -> Self {
        match schema.kind {
            Type::Object => {
                let rest = match &schema.additional_properties {
                    Some(rest) => Some(Shape::Of(rest)),
                    None if schema.properties.is_empty() => Some(Shape::Free),
                    None => None,
                };
                Self::Map(MapAtom { schema: Some(schema), rest, is_atomic: schema.map_type == "atomic" })
            }
            Type::Array => {
                let items = schema.items.as_ref().map_or(Shape::Whole, |items| Shape::Of(items));
                Self::List(ListAtom { kind: schema.list, keys: &schema.list_keys, items })
            }
            Type::String => match schema.format.as_deref() {
                // Other formats, such as date-time, are written as numbers by some clients.
                None | Some("" | "byte") => Self::Scalar(Scalar::Text),
                Some(_) => Self::Scalar(Scalar::Any),
            },
            Type::Integer => Self::Scalar(Scalar::Number),
            Type::Boolean => Self::Scalar(Scalar::Boolean),
        }
    }

    /// Says whether both are maps, lists, or scalars.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl<'s> MapAtom<'s> {
    /// Returns the shape of a field; `None` if there may be no such field.
    pub(crate) fn field(&self, name: &str) -> Option<Shape<'s>> {
        let named = self.schema.and_then(|schema| schema.properties.get(name));
        named.map(Shape::Of).or(self.rest)
    }

    /// Says whether the schema names a field, unlike the keys of a map.
    pub(crate) fn has_field(&self, name: &str) -> bool {
        self.schema.is_some_and(|schema| schema.properties.contains_key(name))
    }

    /// Says whether a field of it may hold a secret, by its name.
    pub(crate) fn has_secrets(&self) -> bool {
        self.schema.is_some_and(|schema| schema.properties.keys().any(|name| is_secret_field(name)))
    }
}

impl ListAtom<'_> {
    /// Returns the step to an item, or why it has none.
    pub(crate) fn step(&self, item: &Value) -> Result<Step, String> {
        match self.kind {
            ListType::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            ListType::Set => set_step(item),
            ListType::Map => self.key_step(item),
        }
    }

    fn key_step(&self, item: &Value) -> Result<Step, String> {
        let Value::Object(fields) = item else {
            let what = if item.is_null() { "a null element" } else { "non-map elements" };
            return Err(format!("associative list with keys may not have {what}"));
        };
        let default = |name: &String| match self.items {
            Shape::Of(items) => items.properties.get(name).and_then(|field| field.default.clone()),
            Shape::Free | Shape::Whole => None,
        };
        let key = |name: &String| {
            let value = fields.get(name).cloned().or_else(|| default(name))?;
            Some((name.clone(), StepValue::from(value)))
        };
        let mut keys: Vec<(String, StepValue)> = self.keys.iter().filter_map(key).collect();
        if keys.is_empty() {
            let names = self.keys.iter().map(|key| gotext::quoted(key)).collect::<Vec<_>>().join(" ");
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{names}] (and doesn't have default \
                 values for any key fields)"
            ));
        }
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Step::Key(keys))
    }
}

fn set_step(item: &Value) -> Result<Step, String> {
    let what = match item {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Ok(Step::Item(StepValue::from(item.clone())));
        }
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
    };
    Err(what.to_owned())
}
