//! What is wrong with an object's content, as causes: the planner's verdict in the form of an API server's.

use horizon_api::{
    problem::Problem,
    resource::{GROUP, Kind},
};
use horizon_planner::manifest::object::{check, is_secret_field};
use serde_json::Value;

use crate::{
    definition::{Definition, built_in},
    gotext::{json, quoted},
    names,
    refusal::{CAUSES_MAX, Cause, CauseReason},
    told,
};

/// Returns what is wrong with an object, given the object that it replaces: schema, rules, rules about changes. What
/// [`crate::write`] says about metadata is left to it. For `write::Request::validate`.
pub fn causes(definition: &Definition, object: &Value, before: Option<&Value>) -> Vec<Cause> {
    if definition.built_in().is_some() {
        return built_in::causes(definition, object, before);
    }
    let Some(kind) = kind_of(definition) else { return vec![] };
    let problems = check(kind, object, before);
    let errors = problems.iter().filter(|problem| problem.is_error() && !is_told(problem, object));
    errors.take(CAUSES_MAX).map(|problem| cause(problem, object)).collect()
}

/// Returns what an accepted object says that is hardly meant or has no effect yet: for the answer's warnings.
pub fn warnings(definition: &Definition, object: &Value, before: Option<&Value>) -> Vec<String> {
    let Some(kind) = kind_of(definition) else { return vec![] };
    let problems = check(kind, object, before);
    let remarks = problems.iter().filter(|problem| !problem.is_error() && problem.code != "Ignored");
    let text = |problem: &Problem| format!("{}: {}", told::path([&problem.path]), problem.sentence());
    remarks.take(CAUSES_MAX).map(text).collect()
}

fn kind_of(definition: &Definition) -> Option<Kind> {
    let resource = &definition.resource;
    resource.kind.parse().ok().filter(|_| resource.group == GROUP)
}

/// Says whether the API server's words about metadata are told already.
fn is_told(problem: &Problem, object: &Value) -> bool {
    let Some(field) = problem.path.strip_prefix("metadata") else { return false };
    // Ours are shorter names, and some keys are ours alone.
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let is_too_strange = field == ".name" && names::subdomain(name).is_empty();
    problem.code != "Reserved" && !is_too_strange
}

fn cause(problem: &Problem, object: &Value) -> Cause {
    let field = told::path([&problem.path]);
    let sentence = problem.sentence();
    if let Some(missing) = missing_field(problem) {
        let dot = if field.is_empty() { "" } else { "." };
        let message = format!("Required value: {sentence}");
        return Cause {
            reason: CauseReason::FieldValueRequired,
            message,
            field: format!("{field}{dot}{missing}"),
        };
    }
    let value = value_at(object, &problem.path);
    let printed = printed(problem, value);
    let (reason, message) = match problem.code.as_str() {
        "Required" => (CauseReason::FieldValueRequired, format!("Required value: {sentence}")),
        "Forbidden" => (CauseReason::FieldValueForbidden, format!("Forbidden: {sentence}")),
        "Duplicate" => (CauseReason::FieldValueDuplicate, format!("Duplicate value: {printed}: {sentence}")),
        "Enum" => (CauseReason::FieldValueNotSupported, format!("Unsupported value: {printed}: {sentence}")),
        "Type" => (CauseReason::FieldValueTypeInvalid, format!("Invalid value: {printed}: {sentence}")),
        "TooLong" if value.is_some_and(Value::is_string) => {
            (CauseReason::FieldValueTooLong, format!("Too long: {sentence}"))
        }
        "TooLong" => (CauseReason::FieldValueTooMany, format!("Too many: {sentence}")),
        _ => (CauseReason::FieldValueInvalid, format!("Invalid value: {printed}: {sentence}")),
    };
    Cause { reason, message, field }
}

/// Returns the name of a field that is missing; the planner points at what lacks it, an API server at the field.
fn missing_field(problem: &Problem) -> Option<&str> {
    let name = problem.message.strip_prefix('`')?.strip_suffix("` is required")?;
    (problem.code == "Required" && !name.contains('`')).then_some(name)
}

/// Returns a value as a cause shows it: cut where it is long, by the name of its type where it is many, and not at all
/// where it may be secret.
fn printed(problem: &Problem, value: Option<&Value>) -> String {
    let path = problem.path.split('[').next().unwrap_or_default();
    let field = path.rsplit('.').next().unwrap_or_default();
    match value {
        Some(Value::String(_)) if problem.code == "Secret" || is_secret_field(field) => "\"…\"".to_owned(),
        Some(Value::String(text)) => quoted(&told::path([text])),
        Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => json(value),
        Some(Value::Array(_)) => "\"array\"".to_owned(),
        Some(Value::Object(_)) | None => "\"object\"".to_owned(),
    }
}

/// Returns what stands at a path such as `spec.rules[0].to` or `metadata.labels.example.org/team`: where several keys of
/// an object begin it, the longest counts.
fn value_at<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    let (mut value, mut rest) = (object, path);
    while !rest.is_empty() {
        (value, rest) = match value {
            Value::Object(fields) => {
                let here = rest.strip_prefix('.').unwrap_or(rest);
                let begins = fields.iter().filter_map(|(key, value)| {
                    let rest = here.strip_prefix(key.as_str())?;
                    (rest.is_empty() || rest.starts_with(['.', '['])).then_some((value, rest))
                });
                begins.min_by_key(|(_, rest)| rest.len())?
            }
            Value::Array(items) => {
                let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
                (items.get(index.parse::<usize>().ok()?)?, rest)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: Kind, spec: Value) -> Value {
        json!({"apiVersion": "horizon.dev/v1alpha1", "kind": kind.as_str(),
            "metadata": {"name": "a", "namespace": "default"}, "spec": spec})
    }

    fn told(kind: Kind, object: &Value, before: Option<&Value>) -> Vec<String> {
        let causes = causes(Definition::of(kind), object, before).into_iter();
        causes.map(|cause| format!("{} {}: {}", cause.reason.as_str(), cause.field, cause.message)).collect()
    }

    #[track_caller]
    fn check_spec(kind: Kind, spec: Value, expected: &[&str]) {
        assert_eq!(told(kind, &object(kind, spec), None), expected);
    }

    #[test]
    fn every_kind_is_validated() {
        for kind in Kind::ALL {
            assert!(!told(kind, &object(kind, json!([])), None).is_empty(), "{kind}");
            let without_spec = json!({"metadata": {"name": "a"}});
            let missing = "FieldValueRequired spec: Required value: `spec` is required; add `spec:`";
            assert_eq!(told(kind, &without_spec, None), [missing], "{kind}");
        }
    }

    #[test]
    fn causes_have_the_planners_words_and_an_api_servers_form() {
        let pools = json!([{"cidr": "10.77.0.0/16"}]);
        check_spec(Kind::Network, json!({"addressPools": pools}), &[]);
        check_spec(
            Kind::Network,
            json!({"addressPools": pools, "mtu": 100, "pq": "Perhaps", "offlineGrace": [7]}),
            &[
                "FieldValueInvalid spec.mtu: Invalid value: 100: must be an integer from 576 to 9000",
                "FieldValueTypeInvalid spec.offlineGrace: Invalid value: \"array\": must be a string, not a list",
                "FieldValueNotSupported spec.pq: Unsupported value: \"Perhaps\": must be one of `Preferred`, `Required`",
            ],
        );
        check_spec(
            Kind::Network,
            json!({"addressPools": [{}, {"cidr": "10.77.0.1/24"}]}),
            &[
                "FieldValueRequired spec.addressPools[0].cidr: Required value: `cidr` is required; add `cidr:`",
                "FieldValueInvalid spec.addressPools[1].cidr: Invalid value: \"10.77.0.1/24\": has bits set behind its \
                 length of 24; write 10.77.0.0/24",
            ],
        );
        check_spec(
            Kind::User,
            json!({"groups": ["a", "a"], "displayName": "x".repeat(10_000)}),
            &[
                "FieldValueTooLong spec.displayName: Too long: must have at most 128 characters, not 10000; shorten it",
                "FieldValueDuplicate spec.groups[1]: Duplicate value: \"a\": has the same value as `spec.groups[0]`; \
                 remove one of them",
            ],
        );
        check_spec(
            Kind::User,
            json!({"groups": vec!["a"; 1000]}),
            &[
                "FieldValueTooMany spec.groups: Too many: must have at most 64 entries, not 1000; split the object",
            ],
        );
    }

    #[test]
    fn values_under_keys_with_dots_and_slashes_are_shown() {
        let mut user = object(Kind::User, json!({}));
        user["metadata"]["annotations"] = json!({"horizon.dev/owner": "x", "horizon": {"dev/owner": 1}});

        let told = told(Kind::User, &user, None).join("\n");

        let start = "FieldValueInvalid metadata.annotations.horizon.dev/owner: Invalid value: \"x\": ";
        assert!(told.contains(start), "{told}");
        let lists = json!({"a": {"b.c[0]": [[1, 2]], "b": {"c": 3}}});
        for (path, expected) in [
            ("", Some(&lists)),
            ("a.b.c", Some(&json!(3))),
            ("a.b.c[0][0][1]", Some(&json!(2))),
            ("a.b.c[0][1]", None),
            ("a.b.c.d", None),
            ("a.b.x", None),
        ] {
            assert_eq!(value_at(&lists, path), expected, "{path}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let user = object(Kind::User, json!({"email": "é".repeat(100)}));

        let cause = causes(Definition::of(Kind::User), &user, None).remove(0);

        assert!(cause.message.len() < 400, "{}", cause.message);
    }

    #[test]
    fn secrets_are_not_shown() {
        let spec = json!({"role": "Owner", "auth": {"passwordHash": "hunter2", "publicKeys": ["hunter3"]}});

        let told = told(Kind::Admin, &object(Kind::Admin, spec), None).join("\n");

        assert!(
            told.contains("spec.auth.passwordHash") && told.contains("spec.auth.publicKeys[0]"),
            "{told}"
        );
        assert!(!told.contains("hunter"), "{told}");
    }

    #[test]
    fn metadata_is_told_once() {
        let pools = json!({"addressPools": [{"cidr": "10.77.0.0/16"}]});
        let mut object = object(Kind::Network, pools);
        object["metadata"]["name"] = "A_B".into();
        object["metadata"]["labels"] = json!({"-": "_"});
        assert_eq!(told(Kind::Network, &object, None), Vec::<String>::new());

        object["metadata"]["name"] = "a.b".into();
        object["metadata"]["labels"] = json!({"horizon.dev/a": "b"});
        let told = told(Kind::Network, &object, None);
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn what_has_no_effect_yet_is_a_warning() {
        let network = object(Kind::Network, json!({"addressPools": [{"cidr": "10.77.0.0/16"}], "lan": {}}));

        let told = warnings(Definition::of(Kind::Network), &network, None);

        assert_eq!(
            told,
            ["spec.lan: no LAN is emulated yet; it takes effect with the version that enforces it"]
        );
    }
}
