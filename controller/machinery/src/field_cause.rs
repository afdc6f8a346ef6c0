//! What is wrong with one field, in the words of an API server (`apimachinery/pkg/util/validation/field`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    gotext::{json, quoted},
    refusal::{Cause, CauseReason},
    told,
};

/// Says that a text may not be there: `Invalid value: "x": why`.
pub fn invalid(field: impl Into<String>, value: &str, why: &str) -> Cause {
    cause(
        CauseReason::FieldValueInvalid,
        field,
        format!("Invalid value: {}: {why}", quoted(&told::path([value]))),
    )
}

/// Says that a value may not be there: a text in quotes, everything else as JSON.
pub fn invalid_value(field: impl Into<String>, value: &Value, why: &str) -> Cause {
    let printed = match value {
        Value::String(text) => quoted(&told::path([text])),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            told::path([json(value)])
        }
    };
    cause(CauseReason::FieldValueInvalid, field, format!("Invalid value: {printed}: {why}"))
}

/// Says that a value, given as it is printed, is none of those that are known.
pub fn not_supported(field: impl Into<String>, printed: &str, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|value| quoted(value)).collect();
    let printed = told::path([printed]);
    let message = format!("Unsupported value: {printed}: supported values: {}", known.join(", "));
    cause(CauseReason::FieldValueNotSupported, field, message)
}

/// Says that a field may not be set here.
pub fn forbidden(field: impl Into<String>, why: &str) -> Cause {
    cause(CauseReason::FieldValueForbidden, field, format!("Forbidden: {why}"))
}

/// Says that a field must be set here; `why` may be empty.
pub fn required(field: impl Into<String>, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
    cause(CauseReason::FieldValueRequired, field, message)
}

/// Says that a text has more bytes than it may have.
pub fn too_long(field: impl Into<String>, bytes_max: usize) -> Cause {
    let message = format!("Too long: may not be more than {bytes_max} bytes");
    cause(CauseReason::FieldValueTooLong, field, message)
}

fn cause(reason: CauseReason, field: impl Into<String>, message: String) -> Cause {
    Cause { reason, message, field: field.into() }
}

/// Joins what is wrong into one sentence: one alone, several in brackets, each once.
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
        [] => "<nil>".to_owned(),
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut() {
        let long = Value::from("x".repeat(100_000));

        for cause in [
            invalid("a", &"é".repeat(100_000), "no"),
            invalid_value("a", &long, "no"),
            invalid_value("a", &vec![long.clone(); 3].into(), "no"),
            not_supported("a", &json(&long), &["y"]),
        ] {
            assert!(cause.message.len() < 400 && cause.message.contains("…"), "{}", cause.message.len());
        }
    }

    #[test]
    fn a_sentence_says_everything_once() {
        let causes = [forbidden("a", "no"), forbidden("a", "no"), required("b", "must be set")];

        assert_eq!(sentence(&causes[..1]), "a: Forbidden: no");
        assert_eq!(sentence(&causes), "[a: Forbidden: no, b: Required value: must be set]");
    }
}
