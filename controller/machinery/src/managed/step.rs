//! One step of a field's path, and how `fieldsV1` writes it (KEP-555): `f:name`, `k:{…}`, `v:…`, `i:0`.

use std::{cmp::Ordering, fmt};

use serde_json::{Number, Value};

use crate::gotext;

/// One step from a value to something in it.
#[derive(Clone, Debug)]
pub enum Step {
    /// A field of an object, or a key of a map.
    Field(String),
    /// The item of a list whose key fields have these values, sorted by name.
    Key(Vec<(String, Value)>),
    /// The item of a set that is this value.
    Item(Value),
    /// The item at a place; the API server writes none, but reads them.
    Index(i64),
}

/// A step that nobody can read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a step of a field path; write f:, k:, v: or i: and what belongs behind it")]
pub struct BadStep(pub String);

impl Step {
    /// Returns the step to a field.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// Reads a step; `None` for a kind of step from the future, which is skipped with all that is below.
    ///
    /// # Errors
    /// The text has no kind, or what is behind it cannot be read.
    pub fn decode(text: &str) -> Result<Option<Self>, BadStep> {
        let bad = || BadStep(text.chars().take(64).collect());
        let bytes = text.as_bytes();
        if bytes.get(1) != Some(&b':') {
            return Err(bad());
        }
        let rest = &text[2..];
        let step = match bytes[0] {
            b'f' => Self::Field(rest.to_owned()),
            b'v' => Self::Item(serde_json::from_str(rest).map_err(|_| bad())?),
            b'k' => {
                let Ok(Value::Object(fields)) = serde_json::from_str(rest) else { return Err(bad()) };
                let mut fields: Vec<_> = fields.into_iter().collect();
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Key(fields)
            }
            b'i' => Self::Index(rest.parse().map_err(|_| bad())?),
            _ => return Ok(None),
        };
        Ok(Some(step))
    }

    /// Writes the step.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Item(value) => format!("v:{}", gotext::json(value)),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(fields) => {
                let fields = fields.iter().map(|(name, value)| {
                    let mut text = String::new();
                    gotext::push_json_text(&mut text, name);
                    format!("{text}:{}", gotext::json(value))
                });
                format!("k:{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Item(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| format!("{name}={}", printed(value))).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Item(value) => write!(f, "[={}]", printed(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Returns a path as messages name it, such as `.spec.ports[name="http"].port`.
pub fn path_text(path: &[Step]) -> String {
    path.iter().map(Step::to_string).collect()
}

fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => gotext::quoted(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key}={}", printed(value))).collect()
        }
    }
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => compare_fields(a.iter(), b.iter()),
            (Self::Item(a), Self::Item(b)) => compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            (Self::Field(_) | Self::Key(_) | Self::Item(_) | Self::Index(_), _) => {
                self.rank().cmp(&other.rank())
            }
        }
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Step {}

fn compare_fields<'v>(
    mut a: impl Iterator<Item = &'v (String, Value)>,
    mut b: impl Iterator<Item = &'v (String, Value)>,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((a_name, a)), Some((b_name, b))) => {
                let order = a_name.cmp(b_name).then_with(|| compare(a, b));
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// Puts values in order: numbers, texts, booleans, lists, maps, null.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let differing = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            differing.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |map: &serde_json::Map<String, Value>| {
                let mut fields: Vec<_> =
                    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                fields
            };
            compare_fields(sorted(a).iter(), sorted(b).iter())
        }
        _ => kind_rank(a).cmp(&kind_rank(b)),
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a.cmp(&b);
    }
    let as_float = |number: &Number| number.as_f64().unwrap_or_default();
    as_float(a).total_cmp(&as_float(b))
}

fn kind_rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_step_survives_encoding() {
        let key = Step::Key(vec![("name".to_owned(), json!("http")), ("port".to_owned(), json!(80))]);
        for (step, text) in [
            (Step::field("spec"), "f:spec"),
            (key, r#"k:{"name":"http","port":80}"#),
            (Step::Item(json!("a<b")), r#"v:"a\u003cb""#),
            (Step::Item(json!(4)), "v:4"),
            (Step::Index(7), "i:7"),
        ] {
            assert_eq!(step.encode(), text);
            assert_eq!(Step::decode(text), Ok(Some(step)));
        }
    }

    #[test]
    fn keys_are_read_in_any_order() {
        let decoded = Step::decode(r#"k:{"port":80,"name":"http"}"#).unwrap();
        assert_eq!(decoded, Step::decode(r#"k:{"name":"http","port":80}"#).unwrap());
    }

    #[test]
    fn nonsense_is_told_from_the_future() {
        assert_eq!(Step::decode("z:later"), Ok(None));
        for text in ["", "f", "spec", "k:[1]", "k:{", "v:", "i:x"] {
            assert_eq!(Step::decode(text), Err(BadStep(text.to_owned())));
        }
    }

    #[test]
    fn messages_name_fields_as_the_api_server_does() {
        let path = [
            Step::field("spec"),
            Step::field("ports"),
            Step::Key(vec![("name".to_owned(), json!("http")), ("port".to_owned(), json!(80))]),
            Step::Item(json!("x")),
            Step::Index(2),
        ];
        assert_eq!(path_text(&path), r#".spec.ports[name="http",port=80][="x"][2]"#);
    }
}
