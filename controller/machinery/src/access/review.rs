//! Reviews: questions that are created, and answered at once (`authorization.k8s.io/v1`, `authentication.k8s.io/v1`).
//! `kubectl auth can-i` and `kubectl auth whoami` ask them.

use horizon_api::resource::AdminRole;
use serde_json::{Map, Value, json};

use super::{Decision, Question, Realm, Subject, decide, verbs_of};
use crate::{
    field_cause, gotext,
    path::{self, Asked},
    query::Query,
    refusal::{About, Refusal},
    resource::Resource,
};

/// What everybody who is known may read.
const DOCUMENTS: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/openapi",
    "/openapi/*",
    "/readyz",
    "/version",
    "/version/",
];

/// Answers a review, which is the body of a create on its resource. The answer is sent with 201.
///
/// # Errors
/// 400 for what cannot be read, 422 for what makes no sense; 404 if the resource is no review.
pub fn answer(subject: &Subject<'_>, resource: &Resource, body: &Value) -> Result<Value, Refusal> {
    let mut review = read(resource, body)?;
    let status = match resource.kind.as_str() {
        "SelfSubjectAccessReview" => access(subject, &review["spec"])?,
        "SelfSubjectRulesReview" => rules(subject, &review["spec"])?,
        "SelfSubjectReview" => json!({ "userInfo": user(subject) }),
        _ => return Err(crate::status::no_such_path()),
    };
    review["status"] = status;
    Ok(review)
}

/// Checks that a body is what the path says; what it does not say it is.
fn read(resource: &Resource, body: &Value) -> Result<Value, Refusal> {
    let Value::Object(fields) = body else {
        let message = format!("a {} must be an object, not {}", resource.kind, gotext::kind(body));
        return Err(Refusal::bad_request(message));
    };
    let mut review: Map<String, Value> = Map::new();
    for (name, expected) in [("apiVersion", resource.api_version()), ("kind", resource.kind.clone())] {
        let found = fields.get(name).unwrap_or(&Value::Null);
        let is_left_out = found.is_null() || found == "";
        if !is_left_out && *found != expected {
            let message = format!("{name} is {}, and the path asks for {expected}", cut(found));
            return Err(Refusal::bad_request(message));
        }
        review.insert(name.to_owned(), expected.into());
    }
    review.insert("metadata".to_owned(), json!({}));
    if let Some(spec) = fields.get("spec").filter(|spec| !spec.is_null()) {
        if !spec.is_object() {
            let message =
                format!("spec of a {} must be an object, not {}", resource.kind, gotext::kind(spec));
            return Err(Refusal::bad_request(message));
        }
        review.insert("spec".to_owned(), spec.clone());
    }
    Ok(Value::Object(review))
}

fn cut(value: &Value) -> String {
    crate::told::path([gotext::json(value)])
}

fn access(subject: &Subject<'_>, spec: &Value) -> Result<Value, Refusal> {
    const OBJECTS: &str = "resourceAttributes";
    const PATHS: &str = "nonResourceAttributes";
    let part = |name: &str| spec.get(name).filter(|part| !part.is_null());
    let invalid = |cause| {
        let kind = "SelfSubjectAccessReview";
        Refusal::invalid(About { group: "authorization.k8s.io", kind, name: "" }, vec![cause])
    };
    let decision = match (part(OBJECTS), part(PATHS)) {
        (Some(objects), None) => {
            let text = |name: &str| text(objects, OBJECTS, name);
            decide(
                subject,
                &Question {
                    verb: text("verb")?,
                    group: text("group")?,
                    resource: text("resource")?,
                    subresource: text("subresource")?,
                    namespace: text("namespace")?,
                    name: text("name")?,
                },
            )
        }
        (None, Some(paths)) => decide_path(text(paths, PATHS, "verb")?, text(paths, PATHS, "path")?),
        (Some(_), Some(paths)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            return Err(invalid(field_cause::invalid_value(format!("spec.{PATHS}"), paths, why)));
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(invalid(field_cause::invalid(format!("spec.{OBJECTS}"), "null", why)));
        }
    };
    Ok(match decision {
        Decision::Allowed => json!({ "allowed": true }),
        Decision::Denied(why) => json!({ "allowed": false, "reason": why }),
    })
}

/// Returns a text that may be left out.
fn text<'v>(attributes: &'v Value, of: &str, name: &str) -> Result<&'v str, Refusal> {
    match attributes.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            let message = format!("spec.{of}.{name} must be a text, not {}", gotext::kind(other));
            Err(Refusal::bad_request(message))
        }
    }
}

/// Decides about a path that is no object: the documents about the server are read by everybody.
fn decide_path(verb: &str, path: &str) -> Decision {
    let is_document = matches!(path::parse("GET", path, &Query::default()), Ok(Asked::Document(_)));
    match verb {
        "get" | "head" if is_document => Decision::Allowed,
        _ => Decision::Denied("only documents about the server are read so"),
    }
}

fn rules(subject: &Subject<'_>, spec: &Value) -> Result<Value, Refusal> {
    let namespace =
        text(spec, "", "namespace").map_err(|_| Refusal::bad_request("spec.namespace must be a text"))?;
    if namespace.is_empty() {
        return Err(Refusal::bad_request("no namespace on request"));
    }
    let mut rules = vec![];
    for resource in Resource::all() {
        for (subresource, suffix) in [("", ""), ("status", "/status")] {
            let question = Question {
                group: &resource.group,
                resource: &resource.plural,
                subresource,
                namespace,
                // A namespace is asked about by its own name.
                name: if resource.plural == super::NAMESPACES { namespace } else { "" },
                ..Question::default()
            };
            let is_allowed =
                |verb: &&&str| decide(subject, &Question { verb, ..question }) == Decision::Allowed;
            let verbs: Vec<&str> =
                verbs_of(resource, subresource).iter().filter(is_allowed).copied().collect();
            if !verbs.is_empty() {
                let resources = [format!("{}{suffix}", resource.plural)];
                rules.push(json!({ "verbs": verbs, "apiGroups": [resource.group], "resources": resources }));
            }
        }
    }
    let documents = json!([{ "verbs": ["get"], "nonResourceURLs": DOCUMENTS }]);
    Ok(json!({ "resourceRules": rules, "nonResourceRules": documents, "incomplete": false }))
}

/// Returns who somebody is (`authentication.k8s.io/v1` `UserInfo`).
fn user(subject: &Subject<'_>) -> Value {
    let role = match subject.role {
        AdminRole::Owner => "Owner",
        AdminRole::Admin => "Admin",
        AdminRole::Auditor => "Auditor",
    };
    let namespace = match subject.realm {
        Realm::All => "*",
        Realm::Namespace(namespace) => namespace,
    };
    json!({
        "username": subject.user,
        "groups": ["system:authenticated"],
        "extra": { "horizon.dev/role": [role], "horizon.dev/namespace": [namespace] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: Subject<'_> = Subject {
        user: "adam",
        role: AdminRole::Admin,
        realm: Realm::Namespace("office"),
        system_namespace: "default",
    };

    fn review(subject: &Subject<'_>, plural: &str, spec: Value) -> Result<Value, Refusal> {
        let group =
            if plural == "selfsubjectreviews" { "authentication.k8s.io" } else { "authorization.k8s.io" };
        answer(subject, Resource::find(group, "v1", plural).unwrap(), &json!({ "spec": spec }))
    }

    fn can(spec: Value) -> Value {
        review(&ADMIN, "selfsubjectaccessreviews", spec).unwrap()["status"].clone()
    }

    #[test]
    fn a_question_about_objects_is_answered() {
        let about = |resource: &str, verb: &str, namespace: &str| {
            can(json!({ "resourceAttributes":
                { "verb": verb, "group": "horizon.dev", "resource": resource, "namespace": namespace } }))
        };

        assert_eq!(about("users", "delete", "office"), json!({ "allowed": true }));
        let denied = json!({ "allowed": false, "reason": "admins govern their own namespace" });
        assert_eq!(about("users", "delete", "other"), denied);
        let denied = json!({ "allowed": false, "reason": "only an Owner changes admins" });
        assert_eq!(about("admins", "update", "office"), denied);
        let status = json!({ "resourceAttributes": { "verb": "update", "group": "horizon.dev", "resource": "users",
            "subresource": "status", "namespace": "office" } });
        assert_eq!(can(status)["allowed"], false);
    }

    #[test]
    fn documents_are_for_everybody() {
        let path = |verb: &str, path: &str| {
            can(json!({ "nonResourceAttributes": { "verb": verb, "path": path } }))["allowed"].clone()
        };

        assert_eq!(path("get", "/version"), true);
        assert_eq!(path("get", "/apis/horizon.dev/v1alpha1"), true);
        assert_eq!(path("post", "/version"), false);
        assert_eq!(path("get", "/metrics"), false);
        assert_eq!(path("get", "/api/v1/secrets"), false);
    }

    #[test]
    fn the_answer_repeats_the_question() {
        let spec =
            json!({ "resourceAttributes": { "verb": "get", "resource": "secrets", "namespace": "office" } });

        let review = review(&ADMIN, "selfsubjectaccessreviews", spec.clone()).unwrap();

        assert_eq!(
            review,
            json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
                "spec": spec, "status": { "allowed": true } })
        );
    }

    #[test]
    fn questions_that_make_no_sense_are_refused_in_the_words_of_an_api_server() {
        let refused = |plural: &str, spec| {
            let refusal = review(&ADMIN, plural, spec).unwrap_err();
            (refusal.code, refusal.message)
        };
        let head = "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: ";

        let neither = "spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or \
                       resourceAttributes must be specified";
        assert_eq!(refused("selfsubjectaccessreviews", json!({})), (422, format!("{head}{neither}")));
        let both = json!({ "resourceAttributes": {}, "nonResourceAttributes": {} });
        assert_eq!(refused("selfsubjectaccessreviews", both).0, 422);
        assert_eq!(
            refused("selfsubjectrulesreviews", json!({})),
            (400, "no namespace on request".to_owned())
        );
        for spec in [json!([]), json!({ "resourceAttributes": { "verb": 7 } })] {
            assert_eq!(refused("selfsubjectaccessreviews", spec).0, 400);
        }
        let resource = Resource::find("authentication.k8s.io", "v1", "selfsubjectreviews").unwrap();
        for body in [json!([]), json!({ "kind": "Pod" }), json!({ "apiVersion": 7 })] {
            assert_eq!(answer(&ADMIN, resource, &body).unwrap_err().code, 400);
        }
    }

    #[test]
    fn rules_list_what_is_allowed_in_a_namespace() {
        let rules = |role, namespace: &str| {
            let subject = Subject { role, ..ADMIN };
            let spec = json!({ "namespace": namespace });
            review(&subject, "selfsubjectrulesreviews", spec).unwrap()["status"].clone()
        };
        let verbs = |rules: &Value, resource: &str| {
            let all = rules["resourceRules"].as_array().unwrap();
            let found = all.iter().find(|rule| rule["resources"][0] == resource);
            found.map(|rule| rule["verbs"].clone())
        };

        let admin = rules(AdminRole::Admin, "office");
        assert_eq!(verbs(&admin, "admins"), Some(json!(["get", "list", "watch"])));
        assert_eq!(verbs(&admin, "users").unwrap().as_array().unwrap().len(), 8);
        assert_eq!(verbs(&admin, "users/status"), Some(json!(["get"])));
        assert_eq!(verbs(&admin, "namespaces"), Some(json!(["get"])));
        let auditor = rules(AdminRole::Auditor, "office");
        assert_eq!((verbs(&auditor, "secrets"), auditor["incomplete"].clone()), (None, json!(false)));
        assert_eq!(verbs(&rules(AdminRole::Owner, "other"), "users"), None);
    }

    #[test]
    fn whoever_asks_is_told_who_they_are() {
        let review = review(&ADMIN, "selfsubjectreviews", Value::Null).unwrap();

        let user = json!({ "username": "adam", "groups": ["system:authenticated"],
            "extra": { "horizon.dev/role": ["Admin"], "horizon.dev/namespace": ["office"] } });
        assert_eq!(review["status"]["userInfo"], user);
        assert_eq!(review.get("spec"), None);
    }
}
