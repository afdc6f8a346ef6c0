//! Who may do what: what a role may, as a decision and as the refusal of an API server.
//!
//! An Owner may do everything in its namespaces, an Admin everything but change admins, an Auditor reads everything but
//! secrets. Nobody writes a status, and nobody changes the definitions. Documents about the server are for everybody
//! who is known.

pub mod review;

use horizon_api::resource::{AdminRole, GROUP, Kind};

use crate::{
    path::{Target, Verb},
    refusal::{About, Refusal},
    resource::Resource,
    status::{self, Attempt},
    write::Part,
};

/// Who asks: an Admin that is enabled. A token that may do less is shown as the lesser role, or in one namespace.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The name as refusals show it.
    pub user: &'s str,
    pub role: AdminRole,
    pub realm: Realm<'s>,
    /// Where the Admins are that govern all namespaces (`--system-namespace`). It is never deleted.
    pub system_namespace: &'s str,
}

/// The namespaces that somebody governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm<'s> {
    /// All of them: Admins of the system namespace.
    All,
    /// One.
    Namespace(&'s str),
}

/// What somebody wants to do (`authorization.k8s.io/v1` `ResourceAttributes`). Texts may name what nobody serves; a
/// `*` as verb, group or resource is all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question<'q> {
    pub verb: &'q str,
    /// Empty for core.
    pub group: &'q str,
    /// The plural.
    pub resource: &'q str,
    pub subresource: &'q str,
    /// Empty for all of them, and for what is in none.
    pub namespace: &'q str,
    pub name: &'q str,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    /// Why not, as half a sentence.
    Denied(&'static str),
}

/// Decides about a request.
///
/// # Errors
/// 403 in the words of an API server, and why.
pub fn check(subject: &Subject<'_>, target: &Target) -> Result<(), Refusal> {
    let question = Question::of(target);
    let Question { verb, group, resource, subresource, namespace, name } = question;
    if let Decision::Denied(why) = decide(subject, &question) {
        let resource = match subresource {
            "" => resource.to_owned(),
            subresource => format!("{resource}/{subresource}"),
        };
        let attempt = Attempt { user: subject.user, verb, group, resource: &resource, namespace, name };
        return Err(status::forbidden(&attempt, why));
    }
    let is_namespace = group.is_empty() && resource == NAMESPACES;
    if is_namespace && target.verb == Verb::Delete && name == subject.system_namespace {
        let about = About { group, kind: resource, name };
        return Err(Refusal::forbidden(about, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Decides about a question.
pub fn decide(subject: &Subject<'_>, question: &Question<'_>) -> Decision {
    let mut is_known = false;
    for resource in Resource::all().iter().filter(|resource| question.is_about(resource)) {
        for verb in verbs_of(resource, question.subresource) {
            if question.verb != ANY && question.verb != *verb {
                continue;
            }
            is_known = true;
            if let denied @ Decision::Denied(_) = decide_one(subject, question, resource, verb) {
                return denied;
            }
        }
    }
    if is_known { Decision::Allowed } else { Decision::Denied("nothing here is asked so") }
}

const ANY: &str = "*";
const NAMESPACES: &str = "namespaces";
const SECRETS: &str = "secrets";

fn verbs_of(resource: &Resource, subresource: &str) -> &'static [&'static str] {
    match subresource {
        "" => resource.verbs,
        "status" if resource.has_status => &["get", "patch", "update"],
        // What all parts of an object have in common is its reading.
        ANY => &["get"],
        _ => &[],
    }
}

fn decide_one(subject: &Subject<'_>, question: &Question<'_>, resource: &Resource, verb: &str) -> Decision {
    let is_read = ["get", "list", "watch"].contains(&verb);
    let is_ours = |kind: Kind| resource.group == GROUP && resource.plural == kind.plural();
    let is_core = |plural: &str| resource.group.is_empty() && resource.plural == plural;
    if resource.verbs == ["create"] || (is_read && !resource.is_namespaced && !is_core(NAMESPACES)) {
        // Everybody may ask what they may, and which kinds there are.
        return Decision::Allowed;
    }
    if !is_read && question.subresource == "status" {
        return Decision::Denied("only the controller writes a status");
    }
    if let Some(why) = out_of_realm(subject.realm, question, is_core(NAMESPACES), verb) {
        return Decision::Denied(why);
    }
    match subject.role {
        AdminRole::Auditor if is_core(SECRETS) => Decision::Denied("an Auditor sees no secrets"),
        AdminRole::Auditor if !is_read => Decision::Denied("an Auditor changes nothing"),
        AdminRole::Admin if !is_read && is_ours(Kind::Admin) => {
            Decision::Denied("only an Owner changes admins")
        }
        AdminRole::Owner | AdminRole::Admin | AdminRole::Auditor => Decision::Allowed,
    }
}

/// Says why a place is not governed, if it is not. A namespace itself is read by whoever governs it.
fn out_of_realm(
    realm: Realm<'_>,
    question: &Question<'_>,
    is_namespace: bool,
    verb: &str,
) -> Option<&'static str> {
    let Realm::Namespace(own) = realm else { return None };
    match (is_namespace, verb) {
        (true, "get") if question.name == own => None,
        (true, _) => Some("only admins of the system namespace govern namespaces"),
        (false, _) if question.namespace == own => None,
        (false, _) => Some("admins govern their own namespace"),
    }
}

impl<'q> Question<'q> {
    /// Returns what a request asks.
    pub fn of(target: &'q Target) -> Self {
        let Target { verb, resource, namespace, name, part } = target;
        Self {
            verb: verb.as_str(),
            group: &resource.group,
            resource: &resource.plural,
            subresource: match part {
                Part::Object => "",
                Part::Status => "status",
            },
            // A namespace is in itself, for an API server.
            namespace: if resource.plural == NAMESPACES { name } else { namespace },
            name,
        }
    }

    fn is_about(&self, resource: &Resource) -> bool {
        (self.group == ANY || self.group == resource.group)
            && (self.resource == ANY || self.resource == resource.plural)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        path::{self, Asked},
        query::Query,
    };

    const OWNER: Subject<'_> =
        Subject { user: "olga", role: AdminRole::Owner, realm: Realm::All, system_namespace: "default" };
    const ADMIN: Subject<'_> = Subject { user: "adam", role: AdminRole::Admin, ..OWNER };
    const AUDITOR: Subject<'_> = Subject { user: "audrey", role: AdminRole::Auditor, ..OWNER };
    const OURS: &str = "/apis/horizon.dev/v1alpha1/namespaces/office";

    fn of_office(subject: Subject<'static>) -> Subject<'static> {
        Subject { realm: Realm::Namespace("office"), ..subject }
    }

    fn ask(subject: &Subject<'_>, method: &str, path: &str) -> Result<(), Refusal> {
        match path::parse(method, path, &Query::default()).unwrap() {
            Asked::Objects(target) => check(subject, &target),
            Asked::Document(document) => panic!("{document:?}"),
        }
    }

    #[track_caller]
    fn may(subject: &Subject<'_>, method: &str, path: &str, expected: bool) {
        assert_eq!(ask(subject, method, path).is_ok(), expected, "{} {method} {path}", subject.user);
    }

    #[test]
    fn roles_differ_in_admins_and_secrets() {
        for (method, path, [owner, admin, auditor]) in [
            ("GET", format!("{OURS}/users"), [true, true, true]),
            ("POST", format!("{OURS}/users"), [true, true, false]),
            ("GET", format!("{OURS}/admins/a"), [true, true, true]),
            ("DELETE", format!("{OURS}/admins/a"), [true, false, false]),
            ("DELETE", format!("{OURS}/admins"), [true, false, false]),
            ("GET", "/api/v1/namespaces/office/secrets".to_owned(), [true, true, false]),
            ("GET", "/api/v1/namespaces/office/secrets/a".to_owned(), [true, true, false]),
            ("GET", "/api/v1/namespaces/office/events".to_owned(), [true, true, true]),
            ("GET", "/api/v1/secrets".to_owned(), [true, true, false]),
            ("GET", "/api/v1/namespaces".to_owned(), [true, true, true]),
            ("POST", "/api/v1/namespaces".to_owned(), [true, true, false]),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(), [true; 3]),
            ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(), [true; 3]),
            ("GET", format!("{OURS}/users/a/status"), [true; 3]),
            ("PATCH", format!("{OURS}/users/a/status"), [false; 3]),
            ("PUT", "/api/v1/namespaces/office/status".to_owned(), [false; 3]),
        ] {
            may(&OWNER, method, &path, owner);
            may(&ADMIN, method, &path, admin);
            may(&AUDITOR, method, &path, auditor);
        }
    }

    #[test]
    fn an_admin_of_a_namespace_governs_that_one() {
        for subject in [OWNER, ADMIN].map(of_office) {
            for (method, path, expected) in [
                ("PATCH", "/apis/horizon.dev/v1alpha1/namespaces/office/users/a", true),
                ("PATCH", "/apis/horizon.dev/v1alpha1/namespaces/other/users/a", false),
                ("GET", "/apis/horizon.dev/v1alpha1/users", false),
                ("GET", "/api/v1/namespaces/office/secrets", true),
                ("GET", "/api/v1/namespaces/other/secrets", false),
                ("GET", "/api/v1/namespaces/office", true),
                ("GET", "/api/v1/namespaces/other", false),
                ("GET", "/api/v1/namespaces", false),
                ("DELETE", "/api/v1/namespaces/office", false),
                ("POST", "/api/v1/namespaces", false),
                ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", true),
            ] {
                may(&subject, method, path, expected);
            }
        }
    }

    #[test]
    fn a_refusal_has_the_words_of_an_api_server_and_why() {
        let refused = |subject: &Subject<'_>, method, path: &str| {
            let refusal = ask(subject, method, path).unwrap_err();
            (refusal.code, refusal.message)
        };

        assert_eq!(
            refused(&of_office(OWNER), "GET", "/apis/horizon.dev/v1alpha1/namespaces/default/users"),
            (
                403,
                "users.horizon.dev is forbidden: User \"olga\" cannot list resource \"users\" in API group \
                 \"horizon.dev\" in the namespace \"default\": admins govern their own namespace"
                    .to_owned()
            )
        );
        assert_eq!(
            refused(&ADMIN, "PATCH", &format!("{OURS}/users/alice/status")).1,
            "users.horizon.dev \"alice\" is forbidden: User \"adam\" cannot patch resource \"users/status\" in API group \
             \"horizon.dev\" in the namespace \"office\": only the controller writes a status"
        );
        assert_eq!(
            refused(&AUDITOR, "GET", "/api/v1/secrets").1,
            "secrets is forbidden: User \"audrey\" cannot list resource \"secrets\" in API group \"\" at the cluster \
             scope: an Auditor sees no secrets"
        );
        assert_eq!(
            refused(&OWNER, "DELETE", "/api/v1/namespaces/default").1,
            "namespaces \"default\" is forbidden: this namespace may not be deleted"
        );
    }

    #[test]
    fn all_of_something_is_allowed_when_each_is() {
        let all = Question { verb: "*", group: "*", resource: "*", ..Question::default() };
        let readable = Question { verb: "list", group: "horizon.dev", resource: "*", ..Question::default() };
        let pods = Question { verb: "get", resource: "pods", ..Question::default() };

        assert_eq!(decide(&OWNER, &all), Decision::Allowed);
        assert_ne!(decide(&ADMIN, &all), Decision::Allowed);
        assert_eq!(decide(&AUDITOR, &readable), Decision::Allowed);
        assert_ne!(decide(&of_office(OWNER), &readable), Decision::Allowed);
        assert_ne!(decide(&OWNER, &pods), Decision::Allowed);
        assert_ne!(decide(&OWNER, &Question { verb: "eat", resource: "secrets", ..pods }), Decision::Allowed);
    }
}
