//! A body as YAML (`application/yaml`, `application/apply-patch+yaml`), in the dialect of manifests: one document, no
//! anchors, no tags. JSON is YAML too, and is read by the quicker reader.

use horizon_api::problem::Problem;
use horizon_planner::parse::single::{Duplicate, parse_single};

use super::{
    body::{self, Body, Purpose},
    coerce::UNKNOWN_MAX,
    decode::summary_of,
};
use crate::{gotext::quoted, refusal::Refusal, told};

/// Reads a body. What is said twice is named by its path, in an applied configuration by its line, as
/// [`super::Request::duplicates`] wants it.
///
/// # Errors
/// 400 for what is no YAML, for more than one document, and for what the dialect does not allow, with the line.
pub fn read(text: &[u8], purpose: Purpose<'_>) -> Result<Body, Refusal> {
    let is_json = text.trim_ascii_start().starts_with(b"{");
    let json = is_json.then(|| body::read(text, purpose).ok()).flatten();
    let wants_lines = matches!(purpose, Purpose::Applied);
    if let Some(json) = json.as_ref().filter(|json| !wants_lines || json.duplicates.is_empty()) {
        return Ok(json.clone());
    }
    match (parse_single(text), json) {
        (Ok(single), _) => {
            let duplicates = single.duplicates.iter().take(UNKNOWN_MAX);
            let duplicates =
                duplicates.map(|twice| if wants_lines { line(twice) } else { path(&twice.path) });
            Ok(Body { value: single.json, duplicates: duplicates.collect() })
        }
        // JSON may hold what the dialect does not allow; then nobody knows the lines.
        (Err(_), Some(json)) => {
            let duplicates =
                json.duplicates.iter().map(|path| format!("key {} already set in map", quoted(path)));
            Ok(Body { duplicates: duplicates.collect(), value: json.value })
        }
        (Err(problem), None) => Err(refuse(&problem, text, purpose)),
    }
}

fn line(twice: &Duplicate) -> String {
    format!("line {}: key {} already set in map", twice.line, quoted(&path(&twice.key)))
}

fn path(text: &str) -> String {
    told::path([text])
}

fn refuse(problem: &Problem, text: &[u8], purpose: Purpose<'_>) -> Refusal {
    let why = format!("error converting YAML to JSON: yaml: line {}: {}", problem.line, problem.sentence());
    Refusal::bad_request(match purpose {
        Purpose::Applied => format!("error decoding YAML: {why}"),
        Purpose::Patch => format!("error decoding patch: {why}"),
        Purpose::Object(definition) => {
            let kind = &definition.resource.kind;
            format!(
                "the object provided is unrecognized (must be of type {kind}): {why} ({})",
                summary_of(text)
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::json;

    use super::*;
    use crate::definition::Definition;

    fn user() -> Purpose<'static> {
        Purpose::Object(Definition::of(Kind::User))
    }

    #[test]
    fn an_applied_configuration_names_lines() {
        for (text, expected) in [
            ("spec:\n  mtu: 1\n  mtu: 2\n", vec!["line 3: key \"mtu\" already set in map"]),
            ("{\"spec\": {\"mtu\": 1,\n\"mtu\": 2}}", vec!["line 2: key \"mtu\" already set in map"]),
            ("{\"spec\": {\"mtu\": 2}}", vec![]),
        ] {
            let body = read(text.as_bytes(), Purpose::Applied).unwrap();
            assert_eq!(
                (body.duplicates, body.value),
                (expected.iter().map(|s| (*s).to_owned()).collect(), json!({"spec": {"mtu": 2}}))
            );
        }
    }

    #[test]
    fn an_object_names_paths() {
        let body = read(b"spec:\n  groups:\n    - a\n  groups: [b]\n", user()).unwrap();

        assert_eq!(body.duplicates, ["spec.groups"]);
        assert_eq!(body.value, json!({"spec": {"groups": ["b"]}}));
    }

    #[test]
    fn json_with_what_manifests_may_not_hold_is_read() {
        let text = r#"{"metadata": {"annotations": {"a": "\u0007"}}, "a": 1, "a": 2}"#;

        let body = read(text.as_bytes(), Purpose::Applied).unwrap();

        assert_eq!(body.duplicates, ["key \"a\" already set in map"]);
        assert_eq!(body.value["metadata"]["annotations"]["a"], "\u{7}");
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_line() {
        let message = |text: &str, purpose| {
            let refusal = read(text.as_bytes(), purpose).unwrap_err();
            assert_eq!(refusal.code, 400);
            refusal.message
        };

        assert_eq!(
            message("a: 1\nb: *c\n", Purpose::Applied),
            "error decoding YAML: error converting YAML to JSON: yaml: line 2: anchors and aliases (`&a`, `*a`) are not \
             allowed; write the value out"
        );
        let two = message("a: 1\n---\nb: 1\n", user());
        assert!(two.starts_with(
            "the object provided is unrecognized (must be of type User): error converting YAML"
        ));
        assert!(two.contains("line 3: a second document begins here; send one"), "{two}");
        assert!(message("{\"a\":", Purpose::Applied).contains("yaml: line "));
        assert!(message(&"[".repeat(100_000), user()).contains("nesting deeper"));
        assert!(message("", user()).ends_with("(<empty>)"));
    }
}
