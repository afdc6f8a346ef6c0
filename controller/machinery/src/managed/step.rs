//! One step of a field's path, and how `fieldsV1` writes it (KEP-555): `f:name`, `k:{…}`, `v:…`, `i:0`.

use std::{cmp::Ordering, fmt};

use serde_json::Value;

use super::value::{StepValue, in_order, push_members};

/// One step from a value to something in it.
#[derive(Clone, Debug)]
pub enum Step {
    /// A field of an object, or a key of a map.
    Field(String),
    /// The item of a list whose key fields have these values, sorted by name.
    Key(Vec<(String, StepValue)>),
    /// The item of a set that is this value.
    Item(StepValue),
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
            b'v' => Self::Item(serde_json::from_str::<Value>(rest).map_err(|_| bad())?.into()),
            b'k' => {
                let Ok(Value::Object(fields)) = serde_json::from_str(rest) else { return Err(bad()) };
                Self::Key(in_order(fields))
            }
            b'i' => Self::Index(rest.parse().map_err(|_| bad())?),
            _ => return Ok(None),
        };
        Ok(Some(step))
    }

    /// Writes the step.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Field(name) => return format!("f:{name}"),
            Self::Index(index) => return format!("i:{index}"),
            Self::Item(value) => {
                text.push_str("v:");
                value.push_json(&mut text);
            }
            Self::Key(fields) => {
                text.push_str("k:");
                push_members(&mut text, fields);
            }
        }
        text
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
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Item(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Returns a path as messages name it, such as `.spec.ports[name="http"].port`.
pub fn path_text(path: &[Step]) -> String {
    path.iter().map(Step::to_string).collect()
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => a.cmp(b),
            (Self::Item(a), Self::Item(b)) => a.cmp(b),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_step_survives_encoding() {
        let key =
            Step::Key(vec![("name".to_owned(), json!("http").into()), ("port".to_owned(), json!(80).into())]);
        for (step, text) in [
            (Step::field("spec"), "f:spec"),
            (key, r#"k:{"name":"http","port":80}"#),
            (Step::Item(json!("a<b").into()), r#"v:"a\u003cb""#),
            (Step::Item(json!(4).into()), "v:4"),
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
    fn values_of_any_kind_have_one_order_however_they_are_written() {
        let in_order =
            ["1", "2.5", r#""a""#, "false", "[1]", "[1,1]", "[2]", "{}", r#"{"a":{"x":1,"y":2},"b":1}"#]
                .into_iter()
                .chain([r#"{"a":{"x":1,"y":3}}"#, r#"{"b":0}"#, "null"])
                .map(|text| Step::decode(&format!("v:{text}")).unwrap().unwrap());
        let in_order: Vec<_> = in_order.collect();
        assert!(in_order.is_sorted_by(|a, b| a < b), "{in_order:?}");

        let turned = Step::decode(r#"v:{"b":1,"a":{"y":2,"x":1}}"#).unwrap().unwrap();
        assert_eq!(turned, in_order[8]);
        assert_eq!(turned.encode(), r#"v:{"a":{"x":1,"y":2},"b":1}"#);
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
            Step::Key(vec![("name".to_owned(), json!("http").into()), ("port".to_owned(), json!(80).into())]),
            Step::Item(json!("x").into()),
            Step::Index(2),
        ];
        assert_eq!(path_text(&path), r#".spec.ports[name="http",port=80][="x"][2]"#);
    }
}
