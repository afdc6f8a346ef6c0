//! Whether a value fits its shape, in the words of structured-merge-diff.

use std::collections::BTreeSet;

use horizon_planner::{manifest::object::is_secret_field, schema::ListType};
use serde_json::Value;

use super::shape::{Atom, ListAtom, MapAtom, Scalar, Shape};
use crate::{gotext, managed::step::Step, told};

/// Whether lists may have two items with one key: an applied configuration may not, a stored object may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicates {
    Refused,
    Allowed,
}

/// Checks a value.
///
/// # Errors
/// One text that names every mistake with its path.
pub(crate) fn check(shape: Shape<'_>, value: &Value, duplicates: Duplicates) -> Result<(), String> {
    let mut check = Check { duplicates, path: vec![], mistakes: vec![] };
    check.value(shape, value);
    match check.mistakes.as_slice() {
        [] => Ok(()),
        [only] => Err(only.clone()),
        several => Err(format!("errors:\n  {}", several.join("\n  "))),
    }
}

/// Says whether a field may hold a secret, by its name: those of ours, and what is in a Secret.
fn is_secret_step(step: &Step) -> bool {
    match step {
        Step::Field(name) => is_secret_field(name) || ["data", "stringData"].contains(&&**name),
        Step::Key(_) | Step::Item(_) | Step::Index(_) => false,
    }
}

/// How many mistakes are told.
const MISTAKES_MAX: usize = 100;

struct Check {
    duplicates: Duplicates,
    path: Vec<Step>,
    mistakes: Vec<String>,
}

impl Check {
    fn say(&mut self, what: &str) {
        if self.mistakes.len() == MISTAKES_MAX {
            return;
        }
        let path = told::path(&self.path);
        self.mistakes.push(if path.is_empty() { what.to_owned() } else { format!("{path}: {what}") });
    }

    /// Prints a value: of what holds others only what it is, and nothing of what may be secret.
    fn printed(&self, value: &Value, is_secret: bool, print: fn(&Value) -> String) -> String {
        let is_empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty);
        match value {
            Value::Array(_) if !is_empty => "[…]".to_owned(),
            Value::Object(_) if !is_empty => "{…}".to_owned(),
            Value::Bool(_) | Value::Number(_) | Value::String(_)
                if is_secret || self.path.iter().any(is_secret_step) =>
            {
                "…".to_owned()
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => told::path([print(value)]),
        }
    }

    fn value(&mut self, shape: Shape<'_>, value: &Value) {
        match shape.atom(Some(value)) {
            Atom::Map(map) => self.map(map, value),
            Atom::List(list) => self.list(list, value),
            Atom::Scalar(scalar) => self.scalar(scalar, value),
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) {
        if value.is_null() {
            return;
        }
        let printed = || self.printed(value, false, gotext::plain);
        let mistake = match scalar {
            Scalar::Number if !value.is_number() => {
                format!("expected numeric (int or float), got {}", gotext::type_name(value))
            }
            Scalar::Text if !value.is_string() => {
                let printed = self.printed(value, false, gotext::syntax);
                format!("expected string, got &value.valueUnstructured{{Value:{printed}}}")
            }
            Scalar::Boolean if !value.is_boolean() => format!("expected boolean, got &{{{}}}", printed()),
            Scalar::Any if value.is_array() || value.is_object() => {
                format!("expected any scalar, got &{{{}}}", printed())
            }
            Scalar::Number | Scalar::Text | Scalar::Boolean | Scalar::Any => return,
        };
        self.say(&mistake);
    }

    fn map(&mut self, map: MapAtom<'_>, value: &Value) {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => return,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let printed = self.printed(value, map.has_secrets(), gotext::plain);
                return self.say(&format!("expected map, got &{{{printed}}}"));
            }
        };
        for (name, value) in fields {
            self.path.push(Step::field(name));
            match map.field(name) {
                Some(shape) => self.value(shape, value),
                None => self.say("field not declared in schema"),
            }
            self.path.pop();
        }
    }

    fn list(&mut self, list: ListAtom<'_>, value: &Value) {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                let printed = self.printed(value, false, gotext::plain);
                return self.say(&format!("expected list, got &{{{printed}}}"));
            }
        };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let step = match list.kind {
                ListType::Atomic => Step::Index(i64::try_from(index).unwrap_or(i64::MAX)),
                ListType::Set | ListType::Map => match list.step(item) {
                    Ok(step) => step,
                    // Without a step nothing below can be named.
                    Err(why) => return self.say(&format!("element {index}: {why}")),
                },
            };
            if list.kind != ListType::Atomic
                && !seen.insert(step.clone())
                && self.duplicates == Duplicates::Refused
            {
                self.say(&format!("duplicate entries for key {}", told::path([&step])));
            }
            self.path.push(step);
            self.value(list.items, item);
            self.path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::json;

    use super::*;
    use crate::definition::Definition;

    fn mistakes(spec: Value) -> String {
        let definition = Definition::of(Kind::Admin);
        check(definition.shape(), &json!({ "spec": spec }), Duplicates::Refused).unwrap_err()
    }

    #[test]
    fn mistakes_show_short_values_only() {
        assert_eq!(
            mistakes(json!({"mfaRequired": "perhaps"})),
            ".spec.mfaRequired: expected boolean, got &{perhaps}"
        );
        assert_eq!(mistakes(json!(["hunter2"])), ".spec: expected map, got &{[…]}");
        let long = mistakes(json!({"mfaRequired": "x".repeat(100_000), "x".repeat(100_000): 1}));
        assert!(long.len() < 1000, "{}", long.len());
    }

    #[test]
    fn secrets_are_not_shown() {
        for spec in [
            json!({"auth": "hunter2"}),
            json!({"auth": {"passwordHash": ["hunter2"]}}),
            json!({"auth": {"passwordHash": {"hunter2": 1}}}),
            json!({"auth": {"publicKeys": "hunter2"}}),
        ] {
            let told = mistakes(spec);
            assert!(told.contains(".spec.auth") && !told.contains("hunter2"), "{told}");
        }
    }
}
