//! The `Status` object: what an API server answers when there is no object to answer with.
//!
//! Programs look at `code`, `reason` and `details`, people at `message`; clients print the message as it stands, so
//! the words here are those of `apimachinery/pkg/api/errors` and of the API server's handlers.

use serde_json::{Map, Value, json};

use crate::{
    gotext::quoted,
    refusal::{CAUSES_MAX, Cause, Details, Reason, Refusal},
};

/// The largest body that is read, in bytes: the limit of an API server.
pub const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Returns the body that says why a request was refused.
pub fn failure(refusal: &Refusal) -> Value {
    let mut status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": refusal.message,
        "code": refusal.code,
    });
    // A failure without a word has none.
    if !refusal.reason.as_str().is_empty() {
        status["reason"] = refusal.reason.as_str().into();
    }
    if let Some(details) = &refusal.details {
        status["details"] = self::details(details);
    }
    status
}

/// Returns the body that says why a page of a list was refused, with the token that goes on without consistency.
pub fn failure_with_continue(refusal: &Refusal, token: &str) -> Value {
    let mut status = failure(refusal);
    status["metadata"] = json!({ "continue": token });
    status
}

/// Returns the body that says that an object is gone: what a deletion answers with.
pub fn success(about: &Details) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details(about),
    })
}

fn details(details: &Details) -> Value {
    let mut json = Map::new();
    let texts =
        [("name", &details.name), ("group", &details.group), ("kind", &details.kind), ("uid", &details.uid)];
    for (key, text) in texts {
        insert_text(&mut json, key, text);
    }
    if !details.causes.is_empty() {
        json.insert("causes".to_owned(), details.causes.iter().take(CAUSES_MAX).map(cause).collect());
    }
    if let Some(seconds) = details.retry_after_seconds {
        json.insert("retryAfterSeconds".to_owned(), seconds.into());
    }
    Value::Object(json)
}

fn cause(cause: &Cause) -> Value {
    let mut json = Map::new();
    insert_text(&mut json, "reason", cause.reason.as_str());
    insert_text(&mut json, "message", &cause.message);
    insert_text(&mut json, "field", &cause.field);
    Value::Object(json)
}

fn insert_text(json: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        json.insert(key.to_owned(), text.into());
    }
}

/// Refuses a request without valid credentials: 401. Says nothing about why, as an API server does.
pub fn unauthorized() -> Refusal {
    Refusal::plain(401, Reason::Unauthorized, "Unauthorized")
}

/// What somebody wanted to do, as the refusal of it names it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who: the name that authentication found.
    pub user: &'a str,
    /// The verb of the resource API, such as `list`; for plain paths the HTTP method in lower case.
    pub verb: &'a str,
    /// The API group; empty for core.
    pub group: &'a str,
    /// The resource, with its subresource behind a slash, such as `users/status`.
    pub resource: &'a str,
    /// The namespace; empty where there is none.
    pub namespace: &'a str,
    /// The object's name; empty where there is none.
    pub name: &'a str,
}

/// Refuses what the caller may not do with a resource: 403. `why` may be empty.
pub fn forbidden(attempt: &Attempt<'_>, why: &str) -> Refusal {
    let Attempt { user, verb, group, resource, namespace, name } = attempt;
    let plural = resource.split('/').next().unwrap_or_default();
    let place = match *namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {}", quoted(namespace)),
    };
    let cannot = markup_free(&format!(
        "User {} cannot {verb} resource {} in API group {} {place}",
        quoted(user),
        quoted(resource),
        quoted(group)
    ));
    let what = match *group {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    };
    let named = if name.is_empty() { what } else { format!("{what} {}", quoted(name)) };
    let details = Details {
        group: (*group).to_owned(),
        kind: plural.to_owned(),
        name: (*name).to_owned(),
        ..Details::default()
    };
    refusal(403, Reason::Forbidden, format!("{named} is forbidden: {}", because(cannot, why)), details)
}

/// Refuses a path that is no resource: 403. `why` may be empty.
pub fn forbidden_path(user: &str, verb: &str, path: &str, why: &str) -> Refusal {
    let cannot = markup_free(&format!("User {} cannot {verb} path {}", quoted(user), quoted(path)));
    refusal(403, Reason::Forbidden, format!("forbidden: {}", because(cannot, why)), Details::default())
}

/// Messages reach browsers too: what could be markup is spelled out.
fn markup_free(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn because(sentence: String, why: &str) -> String {
    if why.is_empty() { sentence } else { format!("{sentence}: {why}") }
}

/// Refuses a path that leads nowhere: 404. Clients read it as "the server has no such resource".
pub fn no_such_path() -> Refusal {
    let message = "the server could not find the requested resource";
    refusal(404, Reason::NotFound, message.to_owned(), Details::default())
}

/// Refuses a verb that a resource does not have: 405. `group` may be empty, `verb` is such as `create`.
pub fn method_not_allowed(group: &str, resource: &str, verb: &str) -> Refusal {
    let what = match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    };
    let details = Details { group: group.to_owned(), kind: resource.to_owned(), ..Details::default() };
    let message = format!("{verb} is not supported on resources of kind {}", quoted(&what));
    refusal(405, Reason::MethodNotAllowed, message, details)
}

/// Refuses to write an answer in a form that nobody here can write: 406, naming those that are written.
pub fn not_acceptable(written: &[&str]) -> Refusal {
    let list = written.join(", ");
    let message = format!("only the following media types are accepted: {list}");
    Refusal::plain(406, Reason::NotAcceptable, message)
}

/// Refuses a body above the limit (in bytes): 413.
pub fn body_too_large(bytes_max: usize) -> Refusal {
    Refusal::too_large(format!("Request entity too large: limit is {bytes_max}"))
}

/// Refuses to serve a state that is forgotten: 410. Informers list anew when they read `Expired`.
pub fn expired(message: impl Into<String>) -> Refusal {
    Refusal::plain(410, Reason::Expired, message)
}

/// Refuses one request too many: 429, with the seconds after which to try again.
pub fn too_many_requests(seconds: u32) -> Refusal {
    let details = Details { retry_after_seconds: Some(seconds), ..Details::default() };
    let message = "Too many requests, please try again later.".to_owned();
    refusal(429, Reason::TooManyRequests, message, details)
}

fn refusal(code: u16, reason: Reason, message: String, details: Details) -> Refusal {
    Refusal { code, reason, message, details: Some(Box::new(details)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{About, CauseReason};

    const ALICE: About<'_> = About { group: "horizon.dev", kind: "users", name: "alice" };

    #[test]
    fn a_missing_object_is_answered_as_kubectl_expects_it() {
        assert_eq!(
            failure(&Refusal::not_found(ALICE)),
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "users.horizon.dev \"alice\" not found", "reason": "NotFound",
                "details": { "name": "alice", "group": "horizon.dev", "kind": "users" }, "code": 404,
            })
        );
    }

    #[test]
    fn a_failure_without_a_word_has_none() {
        let status = failure(&Refusal::plain(500, Reason::Unknown, "it failed"));

        assert_eq!((status.get("reason"), &status["code"]), (None, &json!(500)));
    }

    #[test]
    fn causes_name_their_fields() {
        let cause = Cause {
            reason: CauseReason::FieldValueRequired,
            message: "Required value".to_owned(),
            field: "spec".to_owned(),
        };

        let status = failure(&Refusal::invalid(About { kind: "User", ..ALICE }, vec![cause]));

        assert_eq!(
            status["details"]["causes"],
            json!([{ "reason": "FieldValueRequired", "message": "Required value", "field": "spec" }])
        );
    }

    #[test]
    fn an_answer_has_a_hundred_causes_at_most() {
        let cause = Cause {
            reason: CauseReason::FieldManagerConflict,
            message: "conflict".to_owned(),
            field: ".spec".to_owned(),
        };

        let status = failure(&Refusal::owned_by_others("conflicts", vec![cause; 1000]));

        assert_eq!(status["details"]["causes"].as_array().map(Vec::len), Some(100));
    }

    #[test]
    fn a_refusal_of_rights_names_who_what_and_where() {
        let attempt = Attempt {
            user: "bob",
            verb: "get",
            group: "horizon.dev",
            resource: "users/status",
            namespace: "default",
            name: "alice",
        };

        let whole = "users.horizon.dev \"alice\" is forbidden: User \"bob\" cannot get resource \"users/status\" in \
                     API group \"horizon.dev\" in the namespace \"default\": not your realm";
        assert_eq!(forbidden(&attempt, "not your realm").message, whole);
        let list =
            Attempt { verb: "list", group: "", resource: "secrets", namespace: "", name: "", ..attempt };
        let sentence = "secrets is forbidden: User \"bob\" cannot list resource \"secrets\" in API group \"\" at \
                        the cluster scope";
        assert_eq!(forbidden(&list, "").message, sentence);
        let path = forbidden_path("bob", "get", "/metrics/<x>", "");
        assert_eq!(path.message, "forbidden: User \"bob\" cannot get path \"/metrics/&lt;x&gt;\"");
        // As Go quotes, not as Rust does.
        let odd = forbidden_path("b\u{1}", "get", "/\u{7f}\u{a0}", "");
        assert_eq!(odd.message, r#"forbidden: User "b\x01" cannot get path "/\x7f\u00a0""#);
    }

    #[test]
    fn what_retries_look_at_is_there() {
        let status = failure(&too_many_requests(3));

        assert_eq!((&status["code"], &status["details"]["retryAfterSeconds"]), (&json!(429), &json!(3)));
        let expired = failure_with_continue(&expired("too old"), "token");
        assert_eq!(
            (&expired["reason"], &expired["metadata"]["continue"]),
            (&json!("Expired"), &json!("token"))
        );
    }
}
