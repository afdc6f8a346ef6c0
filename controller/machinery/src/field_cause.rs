//! What is wrong with one field, in the words of an API server (`apimachinery/pkg/util/validation/field`).

use std::{collections::BTreeSet, fmt::Write};

use crate::refusal::{Cause, CauseReason};

/// Says that a text may not be there: `Invalid value: "x": why`.
pub fn invalid(field: impl Into<String>, value: &str, why: &str) -> Cause {
    cause(CauseReason::FieldValueInvalid, field, format!("Invalid value: {}: {why}", quoted(value)))
}

/// Says that a value, given as JSON, is none of those that are known.
pub fn not_supported(field: impl Into<String>, json: &str, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|value| quoted(value)).collect();
    let message = format!("Unsupported value: {json}: supported values: {}", known.join(", "));
    cause(CauseReason::FieldValueNotSupported, field, message)
}

/// Says that a field may not be set here.
pub fn forbidden(field: impl Into<String>, why: &str) -> Cause {
    cause(CauseReason::FieldValueForbidden, field, format!("Forbidden: {why}"))
}

/// Says that a field must be set here.
pub fn required(field: impl Into<String>, why: &str) -> Cause {
    cause(CauseReason::FieldValueRequired, field, format!("Required value: {why}"))
}

/// Says that a text has more bytes than it may have.
pub fn too_long(field: impl Into<String>, bytes_max: usize) -> Cause {
    let message = format!("Too long: may not be more than {bytes_max} bytes");
    cause(CauseReason::FieldValueTooLong, field, message)
}

fn cause(reason: CauseReason, field: impl Into<String>, message: String) -> Cause {
    Cause { reason, message, field: field.into() }
}

/// Joins what is wrong into one sentence: one alone, several in brackets.
pub fn sentence(causes: &[Cause]) -> String {
    let mut lines: Vec<String> = vec![];
    let mut told = BTreeSet::new();
    for cause in causes {
        let line = format!("{}: {}", cause.field, cause.message);
        if told.insert(line.clone()) {
            lines.push(line);
        }
    }
    match lines.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Puts a text in quotes as Go's `%q` does, which all messages of an API server use.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => escape(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => escape(&mut out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn escape(out: &mut String, escaped: std::fmt::Arguments<'_>) {
    out.write_fmt(escaped).expect("writing into a text does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_go() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("say \"x\" \\ y", r#""say \"x\" \\ y""#),
            ("a\nb\tc", r#""a\nb\tc""#),
            ("\u{0}\u{1b}", r#""\x00\x1b""#),
            ("é\u{85}", r#""é\u0085""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn a_sentence_says_everything_once() {
        let causes = [forbidden("a", "no"), forbidden("a", "no"), required("b", "must be set")];

        assert_eq!(sentence(&causes[..1]), "a: Forbidden: no");
        assert_eq!(sentence(&causes), "[a: Forbidden: no, b: Required value: must be set]");
    }
}
