//! How Go prints values, because the API server's sentences and its encoding of field paths contain it.

use std::fmt::Write;

use serde_json::Value;

/// Returns a text in quotes, as Go's `%q` writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x80 => push_hex(&mut out, 'x', u32::from(c), 2),
            c if u32::from(c) < 0x1_0000 => push_hex(&mut out, 'u', u32::from(c), 4),
            c => push_hex(&mut out, 'U', u32::from(c), 8),
        }
    }
    out.push('"');
    out
}

/// Says whether Go's `unicode.IsPrint` holds: letters, marks, numbers, punctuation, symbols and the plain space.
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // Behind a letter, only what cannot be printed is escaped; at the start of a text marks would be too.
    let behind_a_letter: String = ['a', c].into_iter().collect();
    behind_a_letter.escape_debug().count() == 2
}

fn push_hex(out: &mut String, letter: char, code: u32, digits: usize) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\{letter}{code:0digits$x}");
}

/// Returns JSON as Go's `encoding/json` writes it: keys in order, `<`, `>` and `&` escaped.
pub(crate) fn json(value: &Value) -> String {
    let mut out = String::new();
    push_json(&mut out, value);
    out
}

fn push_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => push_json_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_json(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_json_text(out, key);
                out.push(':');
                push_json(out, value);
            }
            out.push('}');
        }
    }
}

/// Appends a text as a JSON string.
pub(crate) fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => push_hex(out, 'u', u32::from(c), 4),
            c if u32::from(c) < 0x20 => push_hex(out, 'u', u32::from(c), 4),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Returns a value as Go's `%v` prints it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut sorted: Vec<_> =
                fields.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            sorted.sort();
            format!("map[{}]", sorted.join(" "))
        }
    }
}

/// Returns a value as Go's `%#v` prints it.
pub(crate) fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> =
                fields.iter().map(|(key, value)| format!("{}:{}", quoted(key), syntax(value))).collect();
            sorted.sort();
            format!("map[string]interface {{}}{{{}}}", sorted.join(", "))
        }
    }
}

/// Returns what Go's JSON decoder calls a value.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns the name of the Go type that holds a value, as `%T` prints it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_are_those_of_go() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("say \"x\" \\ y", r#""say \"x\" \\ y""#),
            ("a\nb\tc", r#""a\nb\tc""#),
            ("\u{0}\u{1b}", r#""\x00\x1b""#),
            ("é\u{85}", r#""é\u0085""#),
            ("é\u{301}\u{a0}", "\"é\u{301}\\u00a0\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn json_has_sorted_keys_and_no_markup() {
        assert_eq!(
            json(&json!({"b": "<&>", "a": [1, null, true]})),
            r#"{"a":[1,null,true],"b":"\u003c\u0026\u003e"}"#
        );
    }

    #[test]
    fn values_are_printed_as_go_does() {
        let value = json!({"b": [1, "x"], "a": null});
        assert_eq!(plain(&value), "map[a:<nil> b:[1 x]]");
        assert_eq!(
            syntax(&value),
            r#"map[string]interface {}{"a":interface {}(nil), "b":[]interface {}{1, "x"}}"#
        );
    }
}
