//! A YAML document as a tree in which everything knows its place.

/// A place in a file: both count from 1, the column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A plain scalar that some reader takes for a number, but not for the same one everywhere:
    /// `0777`, `0x1F`, `1e3`, `.nan`, `51820.0`, 2^63.
    OddNumber(String),
    Text {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Node {
    /// Returns the value under a key, if this is a map that has it.
    pub fn field(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Returns key and value.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Returns the entries of a map, and none of anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Returns the text, if this is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text { text, .. } = &self.value { Some(text) } else { None }
    }

    /// Returns the place of what a path such as `spec.rules[0].to` names, or of the nearest thing around it.
    pub fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&node.value, step.strip_suffix(']')) {
                (Value::List(items), Some(index)) => index.parse::<usize>().ok().and_then(|i| items.get(i)),
                (_, Some(_)) => None,
                (_, None) => node.field(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }

    /// Returns the same as JSON as a tree, in which nothing has a place.
    pub fn of_json(json: &serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => {
                number.as_i64().map_or_else(|| Value::OddNumber(number.to_string()), Value::Integer)
            }
            serde_json::Value::String(text) => Value::Text { text: text.clone(), is_plain: false },
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::of_json).collect()),
            serde_json::Value::Object(fields) => {
                let entry = |(key, value): (&String, &serde_json::Value)| Entry {
                    key: key.clone(),
                    place: Place::default(),
                    node: Self::of_json(value),
                };
                Value::Map(fields.iter().map(entry).collect())
            }
        };
        Self { place: Place::default(), value }
    }

    /// Returns the same without places.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::OddNumber(text) => text.parse::<f64>().map_or_else(|_| text.clone().into(), Into::into),
            Value::Text { text, .. } => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect()
            }
        }
    }
}

impl Value {
    /// Reads a scalar as YAML 1.2 does, apart from numbers that are not written plainly.
    pub fn of_scalar(text: &str, is_plain: bool) -> Self {
        if !is_plain {
            return Self::Text { text: text.to_owned(), is_plain };
        }
        let number = match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => text
                .starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
                .then(|| Self::of_number(text)),
        };
        number.flatten().unwrap_or_else(|| Self::Text { text: text.to_owned(), is_plain })
    }

    /// Says what this is, for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::OddNumber(_) => "a number",
            Self::Text { .. } => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    fn of_number(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let is_canonical = is_decimal && (digits == "0" || !digits.starts_with('0'));
        if is_canonical && let Ok(value) = text.parse() {
            return Some(Self::Integer(value));
        }
        let unsigned = text.trim_start_matches(['-', '+']);
        let is_radix = ["0x", "0o", "0b"].iter().any(|prefix| {
            unsigned
                .strip_prefix(prefix)
                .is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit()))
        });
        let is_special = [".inf", ".nan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word));
        let is_float = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') && is_float(unsigned);
        (is_decimal || is_radix || is_special || is_float).then(|| Self::OddNumber(text.to_owned()))
    }
}

fn is_float(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || b"._+-eE".contains(&byte);
    text.bytes().all(is_digit) && text.replace('_', "").parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimal_integers_are_integers() {
        for (text, value) in [("0", 0), ("7444", 7444), ("-1", -1), ("9223372036854775807", i64::MAX)] {
            assert_eq!(Value::of_scalar(text, true), Value::Integer(value));
        }
        let odd = [
            "0777",
            "0x1F",
            "0o17",
            "1e3",
            "51820.0",
            ".5",
            ".inf",
            "-.Inf",
            ".nan",
            "9223372036854775808",
            "1_000",
        ];
        for text in odd {
            assert_eq!(Value::of_scalar(text, true), Value::OddNumber(text.into()), "{text}");
        }
        for text in ["10.77.0.1", "1h", "yes", "no", "on", "e3", "-", ".", "0x", "12-14", "nan", "1970-01-01"]
        {
            assert_eq!(
                Value::of_scalar(text, true),
                Value::Text { text: text.into(), is_plain: true },
                "{text}"
            );
        }
    }
}
