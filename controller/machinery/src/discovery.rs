//! Discovery: what is served, as clients ask before they ask for anything else (`/version`, `/api`, `/apis` and below).

use serde_json::{Value, json};

use crate::{negotiate::AggregatedVersion, resource::Resource};

/// The release of Kubernetes whose behaviour is served; clients compare it with their own.
const KUBERNETES: (&str, &str, &str) = ("1", "34", "v1.34.0");

/// What program answers.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The program's version, such as `0.1.0`.
    pub version: &'a str,
    /// The commit that it was built from; empty if it is not known.
    pub commit: &'a str,
    /// The system, such as `linux/amd64`.
    pub platform: &'a str,
}

/// What an object's `status` path can do.
const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];

/// Returns `/version`.
pub fn version(build: &Build<'_>) -> Value {
    let (major, minor, release) = KUBERNETES;
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("{release}+horizon-{}", build.version),
        "gitCommit": build.commit,
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": build.platform,
    })
}

/// Returns `/api`. `address` is what the client reached, such as `127.0.0.1:7443`.
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }],
    })
}

/// Returns `/apis`.
pub fn groups() -> Value {
    let groups: Vec<Value> = group_names().into_iter().filter_map(group_body).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// Returns `/apis/GROUP`, if the group is served.
pub fn group(name: &str) -> Option<Value> {
    let mut group = group_body(name)?;
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

/// Returns `/api/v1` (with an empty group) or `/apis/GROUP/VERSION`, if it is served.
pub fn resources(group: &str, version: &str) -> Option<Value> {
    let served = resources_of(group, version);
    let first = served.first()?;
    let entries: Vec<Value> = served.iter().flat_map(|resource| entries(resource)).collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": entries,
    }))
}

/// Returns everything below `/apis`, or below `/api`, in one document.
pub fn aggregated(is_core: bool, version: AggregatedVersion) -> Value {
    let names = if is_core { vec![""] } else { group_names() };
    let items: Vec<Value> = names.into_iter().map(aggregated_group).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{}", version.as_str()),
        "metadata": {},
        "items": items,
    })
}

/// Returns what `ETag` and `If-None-Match` say about a document.
pub fn etag(body: &[u8]) -> String {
    format!("\"{}\"", blake3::hash(body).to_hex().to_ascii_uppercase())
}

/// Says whether a client has the document already (RFC 9110 §13.1.2).
pub fn is_known(if_none_match: &str, etag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

/// Returns the groups in the order in which clients look for a kind: ours first.
fn group_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = vec![];
    for resource in Resource::all().iter().filter(|resource| !resource.group.is_empty()) {
        if !names.contains(&resource.group.as_str()) {
            names.push(&resource.group);
        }
    }
    names
}

fn group_body(name: &str) -> Option<Value> {
    let resource = Resource::all().iter().find(|resource| resource.group == name && !name.is_empty())?;
    let version = json!({ "groupVersion": resource.api_version(), "version": resource.version });
    Some(json!({ "name": name, "versions": [version], "preferredVersion": version }))
}

fn resources_of(group: &str, version: &str) -> Vec<&'static Resource> {
    let is_wanted = |resource: &&&Resource| resource.group == group && resource.version == version;
    let mut served: Vec<&Resource> = Resource::all().iter().filter(is_wanted).copied().collect();
    served.sort_by(|a, b| a.plural.cmp(&b.plural));
    served
}

fn entries(resource: &Resource) -> Vec<Value> {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    add_names(&mut entry, resource);
    let status = json!({
        "name": format!("{}/status", resource.plural),
        "singularName": "",
        "namespaced": resource.is_namespaced,
        "kind": resource.kind,
        "verbs": STATUS_VERBS,
    });
    if resource.has_status { vec![entry, status] } else { vec![entry] }
}

fn add_names(entry: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
}

fn aggregated_group(name: &'static str) -> Value {
    let version = Resource::all().iter().find(|resource| resource.group == name).map_or("", |r| &r.version);
    let resources: Vec<Value> = resources_of(name, version).into_iter().map(aggregated_resource).collect();
    json!({
        "metadata": if name.is_empty() { json!({}) } else { json!({ "name": name }) },
        "versions": [{ "version": version, "resources": resources, "freshness": "Current" }],
    })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = json!({ "group": resource.group, "version": resource.version, "kind": resource.kind });
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.is_namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    add_names(&mut entry, resource);
    if resource.has_status {
        entry["subresources"] =
            json!([{ "subresource": "status", "responseKind": kind, "verbs": STATUS_VERBS }]);
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_group_comes_first() {
        let groups = groups();

        assert_eq!(groups["groups"][0]["name"], "horizon.dev");
        assert_eq!(groups["groups"].as_array().unwrap().len(), 5);
        assert_eq!(group("horizon.dev").unwrap()["kind"], "APIGroup");
        assert_eq!((group(""), group("apps"), resources("apps", "v1")), (None, None, None));
    }

    #[test]
    fn the_release_is_one_that_kubectl_can_compare() {
        let build = Build { version: "0.1.0", commit: "", platform: "linux/amd64" };

        assert_eq!(version(&build)["gitVersion"], "v1.34.0+horizon-0.1.0");
        assert_eq!(core_versions("127.0.0.1:7443")["versions"], json!(["v1"]));
    }

    #[test]
    fn a_document_that_a_client_has_is_known() {
        let tag = etag(b"document");

        assert!(is_known(&format!("\"other\", {tag}"), &tag));
        assert!(is_known(&format!("W/{tag}"), &tag));
        assert!(!is_known("\"other\"", &tag));
        assert_ne!(tag, etag(b"another"));
    }
}
