//! What can be done at which path. Clients look here for the parameters that a server knows (`dryRun`,
//! `fieldValidation`) and for the kind behind a path.

use serde_json::{Map, Value, json};

use super::{Dialect, base_path, definition};
use crate::{patch, resource::Resource};

/// A parameter: name, type, what it means.
type Parameter = (&'static str, &'static str, &'static str);

const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean", "Tell from time to time how far a watch is."),
    ("continue", "string", "The token of the page before."),
    ("fieldSelector", "string", "Only objects whose fields are so, such as metadata.name=alice."),
    ("labelSelector", "string", "Only objects whose labels are so, such as team in (a,b),!old."),
    ("limit", "integer", "How many objects a page may have."),
    ("resourceVersion", "string", "The state to answer from, or to watch from."),
    ("resourceVersionMatch", "string", "How the state must match: NotOlderThan or Exact."),
    ("sendInitialEvents", "boolean", "Begin a watch with the objects that there are."),
    ("timeoutSeconds", "integer", "After how many seconds to end."),
    ("watch", "boolean", "Tell changes as they happen."),
];
const GET: &[Parameter] =
    &[("resourceVersion", "string", "The state to answer from: this one or a newer one.")];
const WRITE: &[Parameter] = &[
    ("dryRun", "string", "All: everything happens except that anything changes."),
    ("fieldManager", "string", "Who owns the fields that are written."),
    ("fieldValidation", "string", "What happens to unknown and double fields: Ignore, Warn or Strict."),
];
const PATCH: &[Parameter] =
    &[WRITE[0], WRITE[1], WRITE[2], ("force", "boolean", "Take fields over from others; only for apply.")];
const DELETE: &[Parameter] = &[
    WRITE[0],
    ("gracePeriodSeconds", "integer", "How many seconds the object may take to end."),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Whether an object that cannot be read is deleted all the same.",
    ),
    ("orphanDependents", "boolean", "Whether what belongs to the object stays."),
    (
        "propagationPolicy",
        "string",
        "What happens to what belongs to the object: Orphan, Background or Foreground.",
    ),
];
const PRETTY: Parameter = ("pretty", "string", "Whether people read it.");

const FORMS: [&str; 2] = ["application/json", "application/yaml"];

/// One operation.
struct Operation<'a> {
    resource: &'a Resource,
    dialect: Dialect,
    /// The HTTP method, in lower case.
    method: &'static str,
    /// What Kubernetes calls it.
    action: &'static str,
    /// The first word of its name.
    word: &'static str,
    sentence: String,
    parameters: &'a [Parameter],
    /// The definition of the body, and whether there must be one.
    body: Option<(String, bool)>,
    /// The definition of the answer.
    answer: String,
    codes: &'a [(&'static str, &'static str)],
}

const OK: (&str, &str) = ("200", "OK");
const CREATED: (&str, &str) = ("201", "Created");
const ACCEPTED: (&str, &str) = ("202", "Accepted");

/// Returns the paths of a resource.
pub(super) fn paths(resource: &Resource, dialect: Dialect) -> Map<String, Value> {
    let base = format!("/{}", base_path(resource));
    let collection = match resource.is_namespaced {
        true => format!("{base}/namespaces/{{namespace}}/{}", resource.plural),
        false => format!("{base}/{}", resource.plural),
    };
    let scope = if resource.is_namespaced { "Namespaced" } else { "" };
    let can = |verb: &str| resource.verbs.contains(&verb);
    let mut paths = Map::new();
    let of_collection: Vec<Operation<'_>> = [
        can("list").then(|| list(resource, dialect)),
        can("create").then(|| create(resource, dialect)),
        can("deletecollection").then(|| delete_collection(resource, dialect)),
    ]
    .into_iter()
    .flatten()
    .collect();
    paths.insert(collection.clone(), item(&of_collection, scope, "", &[]));
    let of_object: Vec<Operation<'_>> = [
        can("get").then(|| get(resource, dialect, "")),
        can("update").then(|| replace(resource, dialect, "")),
        can("delete").then(|| delete(resource, dialect)),
        can("patch").then(|| patch(resource, dialect, "")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !of_object.is_empty() {
        paths.insert(format!("{collection}/{{name}}"), item(&of_object, scope, "", &["name"]));
    }
    if resource.has_status {
        let of_status = [get, replace, patch].map(|operation| operation(resource, dialect, "status of "));
        paths.insert(format!("{collection}/{{name}}/status"), item(&of_status, scope, "Status", &["name"]));
    }
    if resource.is_namespaced && can("list") {
        let mut everywhere = list(resource, dialect);
        everywhere.parameters = &[];
        let mut path = item(&[everywhere], "", "ForAllNamespaces", &[]);
        let shared = [PRETTY].iter().chain(LIST).map(|parameter| query(*parameter, dialect));
        path["parameters"] = shared.collect();
        paths.insert(format!("{base}/{}", resource.plural), path);
    }
    paths
}

/// Returns a path: its operations, and the parameters that they share.
fn item(operations: &[Operation<'_>], scope: &str, suffix: &str, names: &[&str]) -> Value {
    let mut item = Map::new();
    let mut shared = vec![];
    for operation in operations {
        let dialect = operation.dialect;
        if shared.is_empty() {
            let text = format!("The {}'s name.", operation.resource.singular);
            shared.extend(names.iter().map(|name| in_path(name, &text, dialect)));
            if scope == "Namespaced" {
                shared.push(in_path("namespace", "The namespace.", dialect));
            }
            shared.push(query(PRETTY, dialect));
        }
        item.insert(operation.method.to_owned(), operation.body(scope, suffix));
    }
    item.insert("parameters".to_owned(), shared.into());
    Value::Object(item)
}

fn list(resource: &Resource, dialect: Dialect) -> Operation<'_> {
    Operation {
        resource,
        dialect,
        method: "get",
        action: "list",
        word: "list",
        sentence: format!("list objects of kind {}", resource.kind),
        parameters: LIST,
        body: None,
        answer: format!("{}List", definition::name(resource)),
        codes: &[OK],
    }
}

fn create(resource: &Resource, dialect: Dialect) -> Operation<'_> {
    Operation {
        resource,
        dialect,
        method: "post",
        action: "post",
        word: "create",
        sentence: format!("create an object of kind {}", resource.kind),
        parameters: WRITE,
        body: Some((definition::name(resource), true)),
        answer: definition::name(resource),
        codes: &[OK, CREATED, ACCEPTED],
    }
}

fn delete_collection(resource: &Resource, dialect: Dialect) -> Operation<'_> {
    Operation {
        method: "delete",
        action: "deletecollection",
        word: "delete",
        sentence: format!("delete objects of kind {}", resource.kind),
        answer: definition::meta("Status"),
        ..list(resource, dialect)
    }
}

fn get<'a>(resource: &'a Resource, dialect: Dialect, part: &str) -> Operation<'a> {
    Operation {
        resource,
        dialect,
        method: "get",
        action: "get",
        word: "read",
        sentence: format!("read {part}an object of kind {}", resource.kind),
        parameters: GET,
        body: None,
        answer: definition::name(resource),
        codes: &[OK],
    }
}

fn replace<'a>(resource: &'a Resource, dialect: Dialect, part: &str) -> Operation<'a> {
    Operation {
        method: "put",
        action: "put",
        word: "replace",
        sentence: format!("replace {part}an object of kind {}", resource.kind),
        parameters: WRITE,
        body: Some((definition::name(resource), true)),
        codes: &[OK, CREATED],
        ..get(resource, dialect, part)
    }
}

fn patch<'a>(resource: &'a Resource, dialect: Dialect, part: &str) -> Operation<'a> {
    Operation {
        method: "patch",
        action: "patch",
        word: "patch",
        sentence: format!("change {part}an object of kind {} in part", resource.kind),
        parameters: PATCH,
        body: Some((definition::meta("Patch"), true)),
        codes: &[OK],
        ..get(resource, dialect, part)
    }
}

fn delete(resource: &Resource, dialect: Dialect) -> Operation<'_> {
    Operation {
        method: "delete",
        action: "delete",
        word: "delete",
        sentence: format!("delete an object of kind {}", resource.kind),
        parameters: DELETE,
        body: Some((definition::meta("DeleteOptions"), false)),
        answer: definition::meta("Status"),
        codes: &[OK, ACCEPTED],
        ..get(resource, dialect, "")
    }
}

impl Operation<'_> {
    fn body(&self, scope: &str, suffix: &str) -> Value {
        let Resource { group, version, kind, .. } = self.resource;
        let family = family(group);
        let what = if self.action == "deletecollection" { "Collection" } else { "" };
        let mut operation = json!({
            "tags": [format!("{}_{version}", lower_first(&family))],
            "description": self.sentence,
            "operationId": format!("{}{family}{}{what}{scope}{kind}{suffix}", self.word, upper_first(version)),
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind },
            "responses": self.responses(),
        });
        let mut parameters: Vec<Value> =
            self.parameters.iter().map(|parameter| query(*parameter, self.dialect)).collect();
        let forms = if self.action == "patch" { &patch::MEDIA_TYPES[..] } else { &FORMS[..] };
        match (self.dialect, &self.body) {
            (Dialect::V2, body) => {
                operation["consumes"] = json!(forms);
                operation["produces"] = json!(FORMS);
                operation["schemes"] = json!(["https"]);
                if let Some((name, is_required)) = body {
                    let schema = self.dialect.plain_reference(name);
                    let mut body = json!({ "name": "body", "in": "body", "schema": schema });
                    if *is_required {
                        body["required"] = true.into();
                    }
                    parameters.insert(0, body);
                }
            }
            (Dialect::V3, Some((name, is_required))) => {
                operation["requestBody"] = json!({ "content": self.content(forms, name) });
                if *is_required {
                    operation["requestBody"]["required"] = true.into();
                }
            }
            (Dialect::V3, None) => {}
        }
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        operation
    }

    fn responses(&self) -> Value {
        let mut responses = Map::new();
        for (code, text) in self.codes {
            let response = match self.dialect {
                Dialect::V2 => {
                    json!({ "description": text, "schema": self.dialect.plain_reference(&self.answer) })
                }
                Dialect::V3 => json!({ "description": text, "content": self.content(&FORMS, &self.answer) }),
            };
            responses.insert((*code).to_owned(), response);
        }
        responses.insert("401".to_owned(), json!({ "description": "Unauthorized" }));
        Value::Object(responses)
    }

    fn content(&self, forms: &[&str], name: &str) -> Value {
        let schema = self.dialect.plain_reference(name);
        forms
            .iter()
            .map(|form| ((*form).to_owned(), json!({ "schema": schema })))
            .collect::<Map<_, _>>()
            .into()
    }
}

fn query((name, kind, text): Parameter, dialect: Dialect) -> Value {
    match dialect {
        Dialect::V2 => {
            json!({ "name": name, "in": "query", "description": text, "type": kind, "uniqueItems": true })
        }
        Dialect::V3 => {
            let schema = json!({ "type": kind, "uniqueItems": true });
            json!({ "name": name, "in": "query", "description": text, "schema": schema })
        }
    }
}

fn in_path(name: &str, text: &str, dialect: Dialect) -> Value {
    let mut parameter = query((" ", "string", ""), dialect);
    parameter["name"] = name.into();
    parameter["in"] = "path".into();
    parameter["description"] = text.into();
    parameter["required"] = true.into();
    parameter
}

/// Returns how operations of a group are named: `HorizonDev`, `Core`, `Events`.
fn family(group: &str) -> String {
    match group {
        "" => "Core".to_owned(),
        group => group.trim_end_matches(".k8s.io").split('.').map(upper_first).collect(),
    }
}

fn upper_first(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    format!("{}{rest}", first.to_ascii_uppercase())
}

fn lower_first(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    format!("{}{rest}", first.to_ascii_lowercase())
}
