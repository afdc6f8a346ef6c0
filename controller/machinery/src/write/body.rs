//! A body as JSON, with what it says twice: Go's decoder, which the API server is built on, notices, and serde does not.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::{coerce::UNKNOWN_MAX, decode::summary_of};
use crate::{definition::Definition, refusal::Refusal, stored::Named, told};

/// A body that was read.
#[derive(Clone, PartialEq)]
pub struct Body {
    pub value: Value,
    /// Paths of fields that are there twice, such as `spec.ports[0].name`, at most a hundred, each cut at 256 bytes. The last one
    /// counts.
    pub duplicates: Vec<String>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("value", &Named(&self.value)).finish_non_exhaustive()
    }
}

/// What a body is meant to be, which decides the words in which it is refused.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'d> {
    /// A whole object.
    Object(&'d Definition),
    /// A JSON patch or merge patch.
    Patch,
    /// The configuration of a server-side apply.
    Applied,
}

/// Reads a body. Nothing is read that is nested deeper than 128 levels.
///
/// # Errors
/// 400 for what is no JSON, with its place.
pub fn read(text: &[u8], purpose: Purpose<'_>) -> Result<Body, Refusal> {
    let seen = RefCell::new(Seen { path: String::new(), duplicates: vec![] });
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Node { seen: &seen }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    let value = value.map_err(|why| {
        let why = if why.is_eof() { "unexpected end of JSON input".to_owned() } else { why.to_string() };
        Refusal::bad_request(match purpose {
            Purpose::Patch => format!("error decoding patch: {why}"),
            Purpose::Applied => format!("error decoding YAML: {why}"),
            Purpose::Object(definition) => format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: \
                 {why} ({})",
                definition.resource.kind,
                summary_of(text)
            ),
        })
    })?;
    Ok(Body { value, duplicates: seen.into_inner().duplicates })
}

/// Where the reader is, and what it saw twice.
struct Seen {
    path: String,
    duplicates: Vec<String>,
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Node<'s> {
    seen: &'s RefCell<Seen>,
}

impl Node<'_> {
    /// Runs one step below, under its name or index.
    fn below<T>(self, step: fmt::Arguments<'_>, read: impl FnOnce(Self) -> T) -> T {
        let length = self.seen.borrow().path.len();
        // Writing to a String cannot fail.
        let _ = fmt::Write::write_fmt(&mut self.seen.borrow_mut().path, step);
        let value = read(self);
        self.seen.borrow_mut().path.truncate(length);
        value
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        while let Some(item) =
            self.below(format_args!("[{}]", list.len()), |node| items.next_element_seed(node))?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let dot = if self.seen.borrow().path.is_empty() { "" } else { "." };
            let value = self.below(format_args!("{dot}{name}"), |node| {
                let mut seen = node.seen.borrow_mut();
                if fields.contains_key(&name) && seen.duplicates.len() < UNKNOWN_MAX {
                    let path = told::path([&seen.path]);
                    seen.duplicates.push(path);
                }
                drop(seen);
                entries.next_value_seed(node)
            })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_twice_is_named_and_the_last_counts() {
        let text = br#"{"a": {"b": [{"c": 1}, {"c": 1, "c": 2}]}, "d.e": 1, "d.e": -2.5, "a": true}"#;

        let body = read(text, Purpose::Patch).unwrap();

        assert_eq!(body.duplicates, ["a.b[1].c", "d.e", "a"]);
        assert_eq!(body.value, json!({"a": true, "d.e": -2.5}));
    }

    #[test]
    fn what_is_no_json_is_refused_in_the_words_of_the_api_server() {
        let object = Purpose::Object(Definition::of(Kind::User));
        let message = |text: &str, purpose| read(text.as_bytes(), purpose).unwrap_err().message;

        assert_eq!(
            message(r#"{"spec":"#, Purpose::Patch),
            "error decoding patch: unexpected end of JSON input"
        );
        assert_eq!(
            message("", object),
            "the object provided is unrecognized (must be of type User): couldn't get version/kind; json parse error: \
             unexpected end of JSON input (<empty>)"
        );
        assert!(message("{} x", Purpose::Patch).contains("trailing characters"));
        assert_eq!(read(&b"[".repeat(100_000), Purpose::Patch).unwrap_err().code, 400);
    }

    #[test]
    fn a_long_name_with_much_below_it_is_read_in_the_time_that_its_length_takes() {
        let below: Vec<String> = (0..50_000).map(|n| format!(r#""k{n}":1,"k{n}":2"#)).collect();
        let text = format!(r#"{{"{}":{{{}}}}}"#, "x".repeat(1 << 20), below.join(","));

        let duplicates = read(text.as_bytes(), Purpose::Patch).unwrap().duplicates;

        assert_eq!(duplicates.len(), 100);
        assert!(duplicates.iter().all(|path| *path == format!("{}…", "x".repeat(256))));
    }
}
