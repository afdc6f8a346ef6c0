//! OpenAPI v2 in protobuf: the messages of gnostic's `OpenAPIv2.proto`, as far as our document uses them.
//!
//! `kubectl` reads the document in this form only. The numbers are those of that file; the encoding is that of
//! Protocol Buffers (proto3): a field that has its default is left out.

use serde_json::{Map, Value};

/// Encodes a document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, document, "swagger");
    message.message(2, info(&document["info"]));
    message.message(8, paths(&document["paths"]));
    message.message(9, named_each(1, &document["definitions"], schema));
    for requirement in items(&document["security"]) {
        message.message(12, named_each(1, requirement, |scopes| texts(1, scopes)));
    }
    message.message(
        13,
        named_each(1, &document["securityDefinitions"], |definition| wrapped(2, api_key(definition))),
    );
    message.bytes
}

/// The bytes of a message.
#[derive(Debug, Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn field(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn message(&mut self, number: u64, message: Self) {
        self.field(number, &message.bytes);
    }

    fn string(&mut self, number: u64, text: &str) {
        if !text.is_empty() {
            self.field(number, text.as_bytes());
        }
    }

    fn text(&mut self, number: u64, object: &Value, name: &str) {
        self.string(number, object[name].as_str().unwrap_or_default());
    }

    fn boolean(&mut self, number: u64, object: &Value, name: &str) {
        if object[name] == true {
            self.varint(number << 3);
            self.varint(1);
        }
    }

    fn integer(&mut self, number: u64, object: &Value, name: &str) {
        if let Some(value) = object[name].as_u64().filter(|value| *value > 0) {
            self.varint(number << 3);
            self.varint(value);
        }
    }

    fn double(&mut self, number: u64, object: &Value, name: &str) {
        if let Some(value) = object[name].as_f64().filter(|value| *value != 0.0) {
            self.varint(number << 3 | 1);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Adds what begins with `x-`.
    fn extensions(&mut self, number: u64, object: &Value) {
        for (name, value) in members(object).filter(|(name, _)| name.starts_with("x-")) {
            self.message(number, named(name, any(value)));
        }
    }
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A name and a message: how gnostic writes the members of a map.
fn named(name: &str, value: Message) -> Message {
    let mut message = Message::default();
    message.string(1, name);
    message.message(2, value);
    message
}

fn named_each(number: u64, object: &Value, encode: impl Fn(&Value) -> Message) -> Message {
    let mut message = Message::default();
    for (name, value) in members(object) {
        message.message(number, named(name, encode(value)));
    }
    message
}

/// A message inside another that only says which one it is.
fn wrapped(number: u64, inner: Message) -> Message {
    let mut message = Message::default();
    message.message(number, inner);
    message
}

/// Any value, as YAML; JSON is YAML too.
fn any(value: &Value) -> Message {
    let mut message = Message::default();
    message.string(2, &format!("{value}\n"));
    message
}

fn texts(number: u64, list: &Value) -> Message {
    let mut message = Message::default();
    for text in items(list).filter_map(Value::as_str) {
        message.field(number, text.as_bytes());
    }
    message
}

fn info(info: &Value) -> Message {
    let mut message = Message::default();
    message.text(1, info, "title");
    message.text(2, info, "version");
    message
}

fn api_key(definition: &Value) -> Message {
    let mut message = Message::default();
    for (number, name) in [(1, "type"), (2, "name"), (3, "in"), (4, "description")] {
        message.text(number, definition, name);
    }
    message
}

fn paths(paths: &Value) -> Message {
    named_each(2, paths, |path| {
        let mut message = Message::default();
        for (number, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
            if path[method].is_object() {
                message.message(number, operation(&path[method]));
            }
        }
        for parameter in items(&path["parameters"]) {
            message.message(9, self::parameter(parameter));
        }
        message
    })
}

fn operation(operation: &Value) -> Message {
    let mut message = texts(1, &operation["tags"]);
    message.text(3, operation, "description");
    message.text(5, operation, "operationId");
    message.bytes.extend(texts(6, &operation["produces"]).bytes);
    message.bytes.extend(texts(7, &operation["consumes"]).bytes);
    for parameter in items(&operation["parameters"]) {
        message.message(8, self::parameter(parameter));
    }
    message
        .message(9, named_each(1, &operation["responses"], |response| wrapped(1, self::response(response))));
    message.bytes.extend(texts(10, &operation["schemes"]).bytes);
    message.extensions(13, operation);
    message
}

fn response(response: &Value) -> Message {
    let mut message = Message::default();
    message.text(1, response, "description");
    if response["schema"].is_object() {
        message.message(2, wrapped(1, schema(&response["schema"])));
    }
    message
}

/// A `ParametersItem` with a `Parameter`: in the body, in the query or in the path.
fn parameter(parameter: &Value) -> Message {
    let mut message = Message::default();
    let inner = match parameter["in"].as_str() {
        Some("body") => {
            message.text(1, parameter, "description");
            message.text(2, parameter, "name");
            message.text(3, parameter, "in");
            message.boolean(4, parameter, "required");
            message.message(5, schema(&parameter["schema"]));
            wrapped(1, message)
        }
        Some("path") => {
            message.boolean(1, parameter, "required");
            for (number, name) in [(2, "in"), (3, "description"), (4, "name"), (5, "type")] {
                message.text(number, parameter, name);
            }
            message.boolean(19, parameter, "uniqueItems");
            wrapped(2, wrapped(4, message))
        }
        _ => {
            message.boolean(1, parameter, "required");
            for (number, name) in [(2, "in"), (3, "description"), (4, "name"), (6, "type")] {
                message.text(number, parameter, name);
            }
            message.boolean(20, parameter, "uniqueItems");
            wrapped(2, wrapped(3, message))
        }
    };
    wrapped(1, inner)
}

fn schema(schema: &Value) -> Message {
    let mut message = Message::default();
    for (number, name) in [(1, "$ref"), (2, "format"), (3, "title"), (4, "description")] {
        message.text(number, schema, name);
    }
    if let Some(default) = schema.get("default") {
        message.message(5, any(default));
    }
    message.double(7, schema, "maximum");
    message.double(9, schema, "minimum");
    message.integer(11, schema, "maxLength");
    message.integer(12, schema, "minLength");
    message.text(13, schema, "pattern");
    for (number, name) in [(14, "maxItems"), (15, "minItems"), (17, "maxProperties"), (18, "minProperties")] {
        message.integer(number, schema, name);
    }
    message.bytes.extend(texts(19, &schema["required"]).bytes);
    for value in items(&schema["enum"]) {
        message.message(20, any(value));
    }
    if schema["additionalProperties"].is_object() {
        message.message(21, wrapped(1, self::schema(&schema["additionalProperties"])));
    }
    if let Some(kind) = schema["type"].as_str() {
        let mut kinds = Message::default();
        kinds.string(1, kind);
        message.message(22, kinds);
    }
    if schema["items"].is_object() {
        message.message(23, wrapped(1, self::schema(&schema["items"])));
    }
    if schema["properties"].is_object() {
        message.message(25, named_each(1, &schema["properties"], self::schema));
    }
    message.extensions(31, schema);
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the number and the content of each field that has a length.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut number = 0;
            for shift in (0..).step_by(7) {
                let (first, rest) = bytes.split_first().unwrap();
                *bytes = rest;
                number |= u64::from(first & 0x7f) << shift;
                if first & 0x80 == 0 {
                    break;
                }
            }
            number
        }
        let mut fields = vec![];
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let length = match key & 7 {
                0 => {
                    varint(&mut bytes);
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                other => panic!("wire type {other}"),
            };
            let (content, rest) = bytes.split_at(length);
            fields.push((key >> 3, content));
            bytes = rest;
        }
        fields
    }

    fn find<'a>(bytes: &'a [u8], path: &[u64]) -> &'a [u8] {
        path.iter().fold(bytes, |bytes, number| {
            fields(bytes)
                .into_iter()
                .find(|(found, _)| found == number)
                .unwrap_or_else(|| panic!("{number}"))
                .1
        })
    }

    #[test]
    fn a_document_has_its_parts_where_readers_look() {
        let kind = json!({ "group": "g", "version": "v", "kind": "K" });
        let patch = json!({
            "parameters": [{ "name": "dryRun", "in": "query", "type": "string" }],
            "x-kubernetes-group-version-kind": kind,
            "responses": { "200": { "description": "OK" } },
        });
        let document = json!({
            "swagger": "2.0", "paths": { "/p": { "patch": patch } },
            "definitions": { "g.v.K": { "type": "object", "properties": { "a": { "type": "string", "maxLength": 300 } } } },
        });

        let bytes = encode(&document);

        assert_eq!(find(&bytes, &[1]), b"2.0");
        assert_eq!(find(&bytes, &[8, 2, 1]), b"/p");
        assert_eq!(find(&bytes, &[8, 2, 2, 8, 8, 1, 2, 3, 4]), b"dryRun");
        assert_eq!(find(&bytes, &[8, 2, 2, 8, 13, 1]), b"x-kubernetes-group-version-kind");
        let yaml = find(&bytes, &[8, 2, 2, 8, 13, 2, 2]);
        assert_eq!(serde_yaml::from_slice::<Value>(yaml).unwrap(), kind);
        assert_eq!(find(&bytes, &[9, 1, 2, 25, 1, 1]), b"a");
        assert_eq!(find(&bytes, &[9, 1, 2, 25, 1, 2, 22, 1]), b"string");
    }

    #[test]
    fn numbers_are_varints() {
        let message = |number| {
            let mut message = Message::default();
            message.varint(number);
            message.bytes
        };

        assert_eq!([message(0), message(127), message(300)], [vec![0], vec![127], vec![0xac, 2]]);
    }
}
