//! What a request asks for, by its method and path, as an API server's `RequestInfo` says it
//! (`apiserver/pkg/endpoints/request`), and the refusal of what nobody serves.
//!
//! Our kinds answer as custom resources do, the others as those that come with Kubernetes.

use horizon_api::resource::GROUP;

use crate::{
    openapi, percent,
    query::{self, Query},
    refusal::{About, Reason, Refusal},
    resource::Resource,
    status,
    write::Part,
};

/// What a request asks for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A document about the server.
    Document(Document),
    /// Something to do with objects.
    Objects(Target),
}

/// A document about the server, which is only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// `/version`.
    Version,
    /// `/healthz`: whether the server is well, by its oldest name.
    Health,
    /// `/livez`: whether the server runs.
    Live,
    /// `/readyz`: whether the server answers.
    Ready,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` (with an empty group) or `/apis/GROUP/VERSION`.
    Resources { group: String, version: String },
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiV3,
    /// `/openapi/v3/PATH`: a path for [`openapi::v3_document`], such as `apis/horizon.dev/v1alpha1`.
    OpenApiV3Of(String),
}

/// Which objects, and what to do with them.
#[derive(Clone, Debug)]
pub struct Target {
    pub verb: Verb,
    pub resource: &'static Resource,
    /// The namespace; empty for all of them, and for what is in none.
    pub namespace: String,
    /// The object's name; empty for a collection, and for a create.
    pub name: String,
    pub part: Part,
}

/// What is done with objects, as access rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// Reads what a request asks for. `path` is as it stands in the request line, before the `?`.
///
/// # Errors
/// 400 for what cannot be decoded and for a missing name, 404 for what is not served, 405 for a method that it does
/// not have.
pub fn parse(method: &str, path: &str, query: &Query) -> Result<Asked, Refusal> {
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let Some(document) = document(&segments)? {
        return match method {
            "GET" | "HEAD" => Ok(Asked::Document(document)),
            _ => Err(wrong_method()),
        };
    }
    let target = match segments.as_slice() {
        ["api", version, rest @ ..] => target(method, ["", version], rest, query),
        ["apis", group, version, rest @ ..] if !group.is_empty() => {
            target(method, [group, version], rest, query)
        }
        _ => Err(status::no_such_path()),
    };
    target.map(Asked::Objects)
}

impl Verb {
    /// Returns the word as it stands in discovery and in refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Says whether it changes anything.
    pub fn is_write(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::DeleteCollection => true,
        }
    }

    fn of(method: &str, has_name: bool, query: &Query) -> Option<Self> {
        Some(match method {
            "GET" | "HEAD" if has_name => Self::Get,
            "GET" | "HEAD" if query.switch("watch").unwrap_or_default() => Self::Watch,
            "GET" | "HEAD" => Self::List,
            "POST" => Self::Create,
            "PUT" => Self::Update,
            "PATCH" => Self::Patch,
            "DELETE" if has_name => Self::Delete,
            "DELETE" => Self::DeleteCollection,
            _ => return None,
        })
    }
}

/// Splits a path, and decodes each part once.
fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    let path = path.strip_prefix('/').ok_or_else(status::no_such_path)?;
    path.strip_suffix('/').unwrap_or(path).split('/').map(segment).collect()
}

fn segment(text: &str) -> Result<String, Refusal> {
    let decoded = percent::decode(text).ok_or_else(|| query::undecodable(text))?;
    match decoded.as_str() {
        "" | "." | ".." => Err(status::no_such_path()),
        name if name.contains('/') => {
            Err(Refusal::bad_request("a part of a path may not contain an escaped slash (%2F)"))
        }
        _ => Ok(decoded),
    }
}

/// Finds a document; `None` is a path that may lead to objects.
fn document(segments: &[&str]) -> Result<Option<Document>, Refusal> {
    let is_served = |group: &str, version: Option<&str>| {
        let mut all = Resource::all().iter();
        all.any(|served| served.group == group && version.is_none_or(|version| served.version == version))
    };
    let document = match segments {
        ["version"] => Document::Version,
        ["healthz"] => Document::Health,
        ["livez"] => Document::Live,
        ["readyz"] => Document::Ready,
        ["api"] => Document::CoreVersions,
        ["apis"] => Document::Groups,
        ["apis", group] if is_served(group, None) => Document::Group((*group).to_owned()),
        ["api", version] if is_served("", Some(version)) => resources("", version),
        ["apis", group, version] if is_served(group, Some(version)) => resources(group, version),
        ["openapi", "v2"] => Document::OpenApiV2,
        ["openapi", "v3"] => Document::OpenApiV3,
        ["openapi", "v3", path @ ..] => {
            let path = path.join("/");
            openapi::v3_document(&path).ok_or_else(status::no_such_path)?;
            Document::OpenApiV3Of(path)
        }
        _ => return Ok(None),
    };
    Ok(Some(document))
}

fn resources(group: &str, version: &str) -> Document {
    Document::Resources { group: group.to_owned(), version: version.to_owned() }
}

/// Refuses a method that a document does not have: 405, in the words that every client knows.
fn wrong_method() -> Refusal {
    let message = "the server does not allow this method on the requested resource";
    Refusal::plain(405, Reason::MethodNotAllowed, message)
}

/// Reads what stands behind the version.
fn target(
    method: &str,
    [group, version]: [&str; 2],
    rest: &[&str],
    query: &Query,
) -> Result<Target, Refusal> {
    /// What a namespace itself has below it; everything else below it is a resource in it.
    const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];
    let (namespace, rest) = match rest {
        ["namespaces", namespace, plural, more @ ..] if !OF_NAMESPACES.contains(plural) => {
            (*namespace, [&[*plural], more].concat())
        }
        _ => ("", rest.to_vec()),
    };
    let (plural, name, subresource) = match rest.as_slice() {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        _ => return Err(status::no_such_path()),
    };
    let resource = Resource::find(group, version, plural).ok_or_else(status::no_such_path)?;
    let refused = |verb: &str| status::method_not_allowed(group, plural, verb);
    let verb = Verb::of(method, !name.is_empty(), query);
    let verb = verb.ok_or_else(|| refused(&method.to_lowercase()))?;
    check_place(resource, verb, namespace, name)?;
    let part = match subresource {
        "" => Part::Object,
        "status" if resource.has_status => Part::Status,
        _ => {
            let about = About { group, kind: plural, name };
            return Err(Refusal::not_found(about));
        }
    };
    let is_known = match part {
        Part::Object => resource.verbs.contains(&verb.as_str()),
        Part::Status => matches!(verb, Verb::Get | Verb::Update | Verb::Patch),
    };
    if !is_known {
        return Err(refused(verb.as_str()));
    }
    // The body names what is made.
    let name = if verb == Verb::Create { "" } else { name };
    Ok(Target { verb, resource, namespace: namespace.to_owned(), name: name.to_owned(), part })
}

/// Checks that an object, or a collection, is where the path says.
fn check_place(resource: &Resource, verb: Verb, namespace: &str, name: &str) -> Result<(), Refusal> {
    let is_custom = resource.group == GROUP;
    let is_elsewhere = !resource.is_namespaced && !namespace.is_empty();
    // What is in namespaces can be read in all of them at once, and nothing else.
    let is_everywhere =
        resource.is_namespaced && namespace.is_empty() && !matches!(verb, Verb::List | Verb::Watch);
    if is_elsewhere || (is_everywhere && (is_custom || !name.is_empty())) {
        return Err(status::no_such_path());
    }
    let is_nameless = matches!(verb, Verb::Update | Verb::Patch) && name.is_empty();
    let is_misnamed = verb == Verb::Create && !name.is_empty();
    if is_custom && is_nameless {
        return Err(Refusal::bad_request("name must be provided"));
    }
    if !is_custom && (is_everywhere || is_nameless || is_misnamed) {
        return Err(status::method_not_allowed(&resource.group, &resource.plural, verb.as_str()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "/apis/horizon.dev/v1alpha1";
    const NOWHERE: &str = "the server could not find the requested resource";

    fn asked(method: &str, path: &str) -> Result<Asked, Refusal> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        parse(method, path, &Query::parse(query).unwrap())
    }

    #[track_caller]
    fn check_document(path: &str, expected: &Document) {
        match asked("GET", path) {
            Ok(Asked::Document(document)) => assert_eq!(document, *expected),
            other => panic!("{path}: {other:?}"),
        }
        assert_eq!(asked("POST", path).unwrap_err().code, 405, "{path}");
    }

    /// `expected` is verb, group, plural, namespace, name.
    #[track_caller]
    fn check(method: &str, path: &str, expected: [&str; 5], part: Part) {
        match asked(method, path) {
            Ok(Asked::Objects(Target { verb, resource, namespace, name, part: found })) => {
                let read = [verb.as_str(), &resource.group, &resource.plural, &namespace, &name];
                assert_eq!((read, found), (expected, part), "{method} {path}");
            }
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    #[track_caller]
    fn refused(method: &str, path: &str) -> (u16, String) {
        let refusal = asked(method, path).unwrap_err();
        (refusal.code, refusal.message)
    }

    #[test]
    fn documents_are_found() {
        let of = |group: &str, version: &str| resources(group, version);
        for (path, expected) in [
            ("/version", Document::Version),
            ("/healthz", Document::Health),
            ("/livez", Document::Live),
            ("/readyz/", Document::Ready),
            ("/api", Document::CoreVersions),
            ("/apis", Document::Groups),
            ("/apis/horizon.dev", Document::Group("horizon.dev".to_owned())),
            ("/api/v1", of("", "v1")),
            ("/apis/horizon.dev/v1alpha1", of("horizon.dev", "v1alpha1")),
            ("/apis/events.k8s.io/v1", of("events.k8s.io", "v1")),
            ("/openapi/v2", Document::OpenApiV2),
            ("/openapi/v3", Document::OpenApiV3),
            ("/openapi/v3/api/v1", Document::OpenApiV3Of("api/v1".to_owned())),
            (
                "/openapi/v3/apis/horizon.dev/v1alpha1",
                Document::OpenApiV3Of("apis/horizon.dev/v1alpha1".to_owned()),
            ),
        ] {
            check_document(path, &expected);
        }
    }

    #[test]
    fn a_method_and_a_path_say_what_to_do() {
        let users = format!("{OURS}/namespaces/default/users");
        let alice = format!("{users}/alice");
        for (method, path, verb, name) in [
            ("GET", users.clone(), "list", ""),
            ("GET", format!("{users}?watch=true"), "watch", ""),
            ("GET", format!("{users}?watch=0"), "list", ""),
            ("POST", users.clone(), "create", ""),
            ("DELETE", users, "deletecollection", ""),
            ("GET", alice.clone(), "get", "alice"),
            ("HEAD", format!("{alice}/"), "get", "alice"),
            ("GET", format!("{alice}?watch=true"), "get", "alice"),
            ("PUT", alice.clone(), "update", "alice"),
            ("PATCH", alice.clone(), "patch", "alice"),
            ("DELETE", alice.clone(), "delete", "alice"),
            ("POST", alice, "create", ""),
        ] {
            check(method, &path, [verb, "horizon.dev", "users", "default", name], Part::Object);
        }
        let status = format!("{OURS}/namespaces/default/users/alice/status");
        check("PATCH", &status, ["patch", "horizon.dev", "users", "default", "alice"], Part::Status);
        check("GET", &format!("{OURS}/users"), ["list", "horizon.dev", "users", "", ""], Part::Object);
    }

    #[test]
    fn a_namespace_is_an_object_and_a_place() {
        check("GET", "/api/v1/namespaces", ["list", "", "namespaces", "", ""], Part::Object);
        check("GET", "/api/v1/namespaces/a", ["get", "", "namespaces", "", "a"], Part::Object);
        check("PUT", "/api/v1/namespaces/a/status", ["update", "", "namespaces", "", "a"], Part::Status);
        check("GET", "/api/v1/namespaces/a/secrets", ["list", "", "secrets", "a", ""], Part::Object);
        check(
            "GET",
            "/api/v1/namespaces/a/secrets/status",
            ["get", "", "secrets", "a", "status"],
            Part::Object,
        );
    }

    #[test]
    fn a_part_of_a_path_is_decoded_once() {
        let users = format!("{OURS}/namespaces/default/users");
        let decoded = ["get", "horizon.dev", "users", "default", "a%2Fb"];
        check("GET", &format!("{users}/a%252Fb"), decoded, Part::Object);

        for (name, code) in [("a%2Fb", 400), ("a%", 400), ("a%ff", 400), ("%2e%2e", 404), ("a//b", 404)] {
            assert_eq!(refused("GET", &format!("{users}/{name}")).0, code, "{name}");
        }
    }

    #[test]
    fn what_nobody_serves_is_not_found() {
        let status = |name: &str| format!("{OURS}/namespaces/default/{name}");
        for path in [
            "",
            "/",
            "//api",
            "/metrics",
            "/apis/apps",
            "/apis/horizon.dev/v1",
            "/apis/horizon.dev/v1/users",
            "/apis//v1/namespaces",
            "/api/v1/pods",
            "/api/v1/namespaces/a/namespaces/b",
            "/api/v1/secrets/a",
            "/openapi/v3/apis/apps/v1",
            &status("wonders"),
            &status("users/alice/status/more"),
            &format!("{OURS}/users/alice"),
            "/apis/authorization.k8s.io/v1/namespaces/a/selfsubjectaccessreviews",
        ] {
            assert_eq!(refused("GET", path), (404, NOWHERE.to_owned()), "{path}");
        }
        assert_eq!(refused("POST", &format!("{OURS}/users")), (404, NOWHERE.to_owned()));
        let scale = refused("GET", &status("users/alice/scale"));
        assert_eq!(scale, (404, "users.horizon.dev \"alice\" not found".to_owned()));
    }

    #[test]
    fn a_wrong_method_is_refused_in_the_words_of_an_api_server() {
        let ours = |rest: &str| format!("{OURS}/namespaces/default/users{rest}");
        for (method, path, verb, what) in [
            ("TRACE", ours(""), "trace", "users.horizon.dev"),
            ("DELETE", ours("/alice/status"), "delete", "users.horizon.dev"),
            ("DELETE", "/api/v1/namespaces".to_owned(), "deletecollection", "namespaces"),
            ("PUT", "/api/v1/namespaces".to_owned(), "update", "namespaces"),
            ("POST", "/api/v1/namespaces/a".to_owned(), "create", "namespaces"),
            ("POST", "/api/v1/secrets".to_owned(), "create", "secrets"),
            (
                "GET",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
                "list",
                "selfsubjectaccessreviews.authorization.k8s.io",
            ),
            (
                "POST",
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
                "create",
                "customresourcedefinitions.apiextensions.k8s.io",
            ),
        ] {
            let message = format!("{verb} is not supported on resources of kind \"{what}\"");
            assert_eq!(refused(method, &path), (405, message), "{method} {path}");
        }
        // As recorded in tests/golden.
        assert_eq!(refused("PUT", &ours("")), (400, "name must be provided".to_owned()));
    }
}
