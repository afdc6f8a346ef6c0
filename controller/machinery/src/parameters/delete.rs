//! `delete` and `deletecollection`: what goes with a deletion (`metav1.DeleteOptions`), from the body if there is one,
//! else from the query.

use serde_json::Value;

use super::{check, dry_run_cause};
use crate::{
    field_cause,
    gotext::quoted,
    query::Query,
    refusal::{Cause, Refusal},
};

/// What goes with a deletion, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// Whether everything happens except that anything changes.
    pub is_dry_run: bool,
    /// How many seconds the object may take to end.
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resource version that the object must have.
    pub resource_version: Option<String>,
}

/// What happens to the objects that a deleted one owns (`propagationPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without an owner.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

/// What was asked for, before it is checked.
#[derive(Default)]
struct Asked {
    dry_run: Vec<String>,
    grace_period_seconds: Option<i64>,
    orphans: Option<bool>,
    propagation: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Delete {
    /// Reads a deletion. `body` is the decoded body, if the request has one.
    ///
    /// # Errors
    /// 400 for what cannot be read (an API server blames itself here, with 500), 422 for what makes no sense.
    pub fn parse(query: &Query, body: Option<&Value>) -> Result<Self, Refusal> {
        let asked = match body {
            Some(body) => Asked::of_body(body)?,
            None => Asked::of_query(query)?,
        };
        let mut causes = vec![];
        let propagation = propagation(&asked, &mut causes);
        causes.extend(dry_run_cause(&asked.dry_run));
        check("DeleteOptions", causes)?;
        let Asked { dry_run, grace_period_seconds, orphans, uid, resource_version, .. } = asked;
        // What `orphanDependents` meant before there was `propagationPolicy`.
        let from_orphans = match orphans {
            Some(true) => Some(Propagation::Orphan),
            Some(false) => Some(Propagation::Background),
            None => None,
        };
        Ok(Self {
            is_dry_run: !dry_run.is_empty(),
            grace_period_seconds,
            propagation: propagation.or(from_orphans),
            uid,
            resource_version,
        })
    }
}

fn propagation(asked: &Asked, causes: &mut Vec<Cause>) -> Option<Propagation> {
    const FIELD: &str = "propagationPolicy";
    let text = asked.propagation.as_deref()?;
    if asked.orphans.is_some() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        causes.push(field_cause::invalid(FIELD, text, why));
    }
    match text {
        "Orphan" => Some(Propagation::Orphan),
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        other => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            causes.push(field_cause::not_supported(FIELD, &quoted(other), &known));
            None
        }
    }
}

impl Asked {
    fn of_query(query: &Query) -> Result<Self, Refusal> {
        Ok(Self {
            dry_run: query.all("dryRun").to_vec(),
            grace_period_seconds: query.number("gracePeriodSeconds")?,
            orphans: query.switch("orphanDependents"),
            propagation: query.first("propagationPolicy").map(str::to_owned),
            uid: None,
            resource_version: None,
        })
    }

    fn of_body(body: &Value) -> Result<Self, Refusal> {
        if !body.is_object() {
            return Err(unreadable("the body", "an object of kind DeleteOptions"));
        }
        if !matches!(body["kind"].as_str(), None | Some("" | "DeleteOptions")) {
            return Err(unreadable("kind", "DeleteOptions"));
        }
        let preconditions = &body["preconditions"];
        // Forgetting one would delete what the client did not mean.
        if !preconditions.is_object() && !preconditions.is_null() {
            return Err(unreadable("preconditions", "an object with uid and resourceVersion"));
        }
        Ok(Self {
            dry_run: texts(&body["dryRun"])?,
            grace_period_seconds: member(body, "gracePeriodSeconds", "a whole number", Value::as_i64)?,
            orphans: member(body, "orphanDependents", "true or false", Value::as_bool)?,
            propagation: text(body, "propagationPolicy")?,
            uid: text(preconditions, "uid")?,
            resource_version: text(preconditions, "resourceVersion")?,
        })
    }
}

fn text(object: &Value, name: &str) -> Result<Option<String>, Refusal> {
    member(object, name, "a text", |value| value.as_str().map(str::to_owned))
}

/// Returns a member that may be left out, or null.
fn member<T>(
    object: &Value,
    name: &str,
    what: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let value = &object[name];
    if value.is_null() {
        return Ok(None);
    }
    read(value).map(Some).ok_or_else(|| unreadable(name, what))
}

fn texts(list: &Value) -> Result<Vec<String>, Refusal> {
    let refused = || unreadable("dryRun", "a list of texts");
    match list {
        Value::Null => Ok(vec![]),
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(refused)).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Err(refused()),
    }
}

fn unreadable(name: &str, what: &str) -> Refusal {
    Refusal::bad_request(format!("DeleteOptions cannot be read: {name} must be {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_body(body: Value) -> Result<Delete, Refusal> {
        Delete::parse(&Query::parse("dryRun=nonsense").unwrap(), Some(&body))
    }

    fn of_query(query: &str) -> Result<Delete, Refusal> {
        Delete::parse(&Query::parse(query).unwrap(), None)
    }

    #[test]
    fn a_body_says_it_and_the_query_does_not_count() {
        let body = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"], "gracePeriodSeconds": 0,
            "propagationPolicy": "Foreground", "preconditions": { "uid": "u", "resourceVersion": "7" }, "unknown": 1,
        });

        let expected = Delete {
            is_dry_run: true,
            grace_period_seconds: Some(0),
            propagation: Some(Propagation::Foreground),
            uid: Some("u".to_owned()),
            resource_version: Some("7".to_owned()),
        };
        assert_eq!(of_body(body), Ok(expected));
        assert_eq!(of_body(json!({})), Ok(Delete::default()));
    }

    #[test]
    fn without_a_body_the_query_says_it() {
        let delete = of_query("dryRun=All&gracePeriodSeconds=5&orphanDependents=true").unwrap();

        assert_eq!((delete.is_dry_run, delete.grace_period_seconds), (true, Some(5)));
        assert_eq!(delete.propagation, Some(Propagation::Orphan));
        assert_eq!(of_query("orphanDependents=false").unwrap().propagation, Some(Propagation::Background));
    }

    #[test]
    fn what_makes_no_sense_has_the_words_of_an_api_server() {
        let refused = |body| {
            let refusal = of_body(body).unwrap_err();
            (refusal.code, refusal.message)
        };
        let head = "DeleteOptions.meta.k8s.io \"\" is invalid: ";

        let unknown = "propagationPolicy: Unsupported value: \"x\": supported values: \"Foreground\", \"Background\", \
                       \"Orphan\", \"nil\"";
        assert_eq!(refused(json!({ "propagationPolicy": "x" })), (422, format!("{head}{unknown}")));
        let both = "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be \
                    both set";
        let asked = json!({ "propagationPolicy": "Orphan", "orphanDependents": true });
        assert_eq!(refused(asked), (422, format!("{head}{both}")));
        let dry_run = "dryRun: Unsupported value: [\"x\"]: supported values: \"All\"";
        assert_eq!(refused(json!({ "dryRun": ["x"] })), (422, format!("{head}{dry_run}")));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (body, part) in [
            (json!([]), "the body"),
            (json!({ "kind": "Foo" }), "kind"),
            (json!({ "gracePeriodSeconds": "x" }), "gracePeriodSeconds"),
            (json!({ "dryRun": "All" }), "dryRun"),
            (json!({ "dryRun": [1] }), "dryRun"),
            (json!({ "preconditions": { "uid": 1 } }), "uid"),
            (json!({ "preconditions": "u" }), "preconditions"),
        ] {
            let refusal = of_body(body).unwrap_err();
            assert_eq!(refusal.code, 400);
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
        assert_eq!(of_query("gracePeriodSeconds=x").unwrap_err().code, 400);
    }
}
