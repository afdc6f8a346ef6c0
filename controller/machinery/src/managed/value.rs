//! A value inside of a step. Members of maps are put in order once, when it is made: sets of fields compare their
//! steps often, and whoever writes an object writes these values.

use std::{cmp::Ordering, fmt};

use serde_json::{Map, Number, Value};

use crate::gotext;

/// What tells the items of a list apart; numbers, texts, booleans, lists, maps and null stand in this order.
#[derive(Clone, Debug)]
pub enum StepValue {
    Number(Number),
    Text(String),
    Bool(bool),
    List(Vec<Self>),
    /// Members in the order of their names.
    Map(Vec<(String, Self)>),
    Null,
}

/// Returns the members of a map in the order of their names, whatever order the map has.
pub(super) fn in_order(members: Map<String, Value>) -> Vec<(String, StepValue)> {
    let mut members: Vec<_> =
        members.into_iter().map(|(name, value)| (name, StepValue::from(value))).collect();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    members
}

impl StepValue {
    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(_) => 1,
            Self::Bool(_) => 2,
            Self::List(_) => 3,
            Self::Map(_) => 4,
            Self::Null => 5,
        }
    }

    /// Writes the value as JSON, as Go does.
    pub(super) fn push_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Text(text) => gotext::push_json_text(out, text),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.push_json(out);
                }
                out.push(']');
            }
            Self::Map(members) => push_members(out, members),
        }
    }
}

/// Writes members as a JSON object, as Go does.
pub(super) fn push_members(out: &mut String, members: &[(String, StepValue)]) {
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        gotext::push_json_text(out, name);
        out.push(':');
        value.push_json(out);
    }
    out.push('}');
}

impl From<Value> for StepValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => Self::Map(in_order(members)),
        }
    }
}

impl fmt::Display for StepValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&gotext::quoted(text)),
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Map(members) => members.iter().try_for_each(|(name, value)| write!(f, "{name}={value}")),
        }
    }
}

impl Ord for StepValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a.cmp(b),
            (
                Self::Number(_) | Self::Text(_) | Self::Bool(_) | Self::List(_) | Self::Map(_) | Self::Null,
                _,
            ) => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for StepValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for StepValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for StepValue {}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a.cmp(&b);
    }
    let as_float = |number: &Number| number.as_f64().unwrap_or_default();
    as_float(a).total_cmp(&as_float(b))
}
