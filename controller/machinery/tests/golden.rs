//! What a real API server (Kubernetes 1.34) answered, and what we answer to the same requests about the same objects.
//!
//! `golden/*.json` are its answers, shortened: without managed fields, and only about what is served here too.
//! `golden/record.py` makes them from a running server.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its recording cannot go on")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use horizon_machinery::{
    collection::{Collection, Limits},
    discovery,
    list::{Page, Refused, Scope},
    negotiate::{AggregatedVersion, Encoding, Form, MetaVersion, View},
    openapi,
    parameters::{
        read::Read,
        write::{Verb, Write},
    },
    query::Query,
    refusal::{About, Refusal},
    resource::Resource,
    status::{self, Attempt},
    stored::Stored,
    table::{self, IncludeObject, Table},
    watch::{Lines, Poll, Subject, Watcher},
};
use serde::Deserialize;
use serde_json::{Value, json};

const LIMITS: Limits = Limits { changes_max: 100, bytes_max: 1 << 20 };
const COLLECTION: &str = "/apis/horizon.dev/v1alpha1/namespaces/default/users";
const USERS: &str = "users.horizon.dev";
const NOW: &str = "2026-11-28T20:00:00Z";

#[derive(Deserialize)]
struct Golden {
    answers: Vec<Answer>,
    objects: Vec<Value>,
    version: String,
    watches: BTreeMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    method: String,
    path: String,
    accept: String,
    code: u16,
    content_type: String,
    body: Value,
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn users() -> &'static Resource {
    Resource::find("horizon.dev", "v1alpha1", "users").unwrap()
}

fn stored(object: &Value) -> Arc<Stored> {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    Stored::new(object, version, &users().selectable)
}

fn collection(golden: &Golden) -> Collection {
    let version = golden.version.parse().unwrap();
    Collection::new(golden.objects.iter().map(stored), version, version, LIMITS)
}

/// A request's answer: code, content type, body.
type Ours = (u16, &'static str, Value);

fn refused(refusal: &Refusal, accept: &str) -> Ours {
    let form = Form::of_refusal(accept, false);
    let body = status::failure(refusal);
    let body = match form.encoding {
        Encoding::Json => body,
        Encoding::Yaml => String::from_utf8(form.encoding.write(&body, false)).unwrap().into(),
    };
    (refusal.code, form.encoding.content_type(), body)
}

/// Answers as the shell around this crate does.
fn answer(collection: &Collection, request: &Answer) -> Ours {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let answered =
        Query::parse(query).map_err(Refused::from).and_then(|query| match path.strip_prefix(COLLECTION) {
            Some("") if request.method == "POST" => {
                Write::parse(&query, Verb::Create, "recorder/1")?;
                panic!("{} was created", request.path);
            }
            Some("") if request.method == "GET" => list(collection, request, &query),
            Some("/alice") if request.method == "POST" => {
                Err(Refusal::already_exists(About { group: "horizon.dev", kind: "users", name: "alice" })
                    .into())
            }
            Some(name) => get(collection, request, name.trim_start_matches('/'), &query),
            None => Err(status::no_such_path().into()),
        });
    match answered {
        Ok(body) => (200, "application/json", body),
        Err(Refused { refusal, .. }) => refused(&refusal, &request.accept),
    }
}

fn list(collection: &Collection, request: &Answer, query: &Query) -> Result<Value, Refused> {
    let scope = Scope { resource: USERS, namespace: "default" };
    let list = match Read::parse(query, |path| users().knows_field(path))? {
        Read::List(list) => list,
        Read::Watch(_) => {
            Form::of_watch(&request.accept)?;
            panic!("{} was watched", request.path);
        }
    };
    let form = Form::of_resource(&request.accept, false)?;
    let page = Page::read(collection, scope, &list)?;
    let document: Value = serde_json::from_slice(&page.json("horizon.dev/v1alpha1", "User")).unwrap();
    let items = document["items"].as_array().unwrap();
    match form.view {
        View::Whole => Ok(document),
        View::Table(version) => Ok(table(query, version)?.of(items, &page.metadata())),
        View::MetadataList(version) => Ok(table::partial_list(items, &page.metadata(), version)),
        View::Metadata(_) => Err(table::refuse_partial_of_list().into()),
    }
}

fn get(collection: &Collection, request: &Answer, name: &str, query: &Query) -> Result<Value, Refused> {
    let form = Form::of_resource(&request.accept, false)?;
    let Some(object) = collection.get(&format!("default/{name}")) else {
        return Err(Refusal::not_found(About { group: "horizon.dev", kind: "users", name }).into());
    };
    let object: Value = serde_json::from_slice(&object.json()).unwrap();
    match form.view {
        View::Whole => Ok(object),
        View::Table(version) => Ok(table(query, version)?.of([&object], &object["metadata"])),
        View::Metadata(version) => Ok(table::partial(&object, version)),
        View::MetadataList(_) => Err(table::refuse_partial_list_of_object().into()),
    }
}

fn table(query: &Query, version: MetaVersion) -> Result<Table<'static>, Refusal> {
    Ok(Table {
        resource: users(),
        version,
        include: IncludeObject::parse(query)?,
        has_headers: true,
        now: NOW.parse().unwrap(),
        counter: &|_, _, _| Some(3.into()),
    })
}

/// Takes out what may differ: tokens, whose form is ours; how far the recorded server was; descriptions, which are in our words; ages, which pass; what
/// our tables show beyond an API server's (a counter, and every value of a list where it shows the first).
fn comparable(mut body: Value) -> Value {
    if let Some(token) = body.pointer_mut("/metadata/continue").filter(|token| token.as_str() != Some("")) {
        *token = "TOKEN".into();
    }
    if body["reason"] == "Timeout" {
        let message = body["message"].as_str().unwrap().split(", current").next().unwrap().to_owned();
        body["message"] = message.into();
    }
    if body["kind"] == "Table" {
        if let Some(columns) = body["columnDefinitions"].as_array_mut() {
            columns.retain(|column| column["name"] != "Devices");
            columns.iter_mut().for_each(|column| column["description"] = Value::Null);
        }
        for row in body["rows"].as_array_mut().unwrap() {
            let cells = row["cells"].as_array_mut().unwrap();
            if cells.len() == 5 {
                cells.remove(2);
            }
            let first = cells[1].as_str().map(|text| text.split(',').next().unwrap().to_owned());
            cells[1] = first.into();
            if cells[3].is_string() {
                cells[3] = "AGE".into();
            }
        }
    }
    body
}

/// Where we answer otherwise, and why.
///
/// Not recorded: a watch after a version from the future. An API server keeps it open and silent until that version
/// comes; here its first event is 410 `Expired`, upon which every client lists anew.
fn differs(request: &Answer) -> Option<&'static str> {
    let has = |part: &str| request.path.contains(part);
    if request.code == 500 {
        return Some("an API server blames itself for a resource version that the client made up");
    }
    if has("continue=") && !has("resourceVersion") && !has("watch") {
        return Some("the token is an API server's, which is not bound to its list");
    }
    if request.accept == "application/vnd.x" || request.accept.contains("v=v9") {
        return Some("an API server offers protobuf, and names it even where it would refuse it");
    }
    if has("watch=1") && request.accept == "application/yaml" {
        return Some("an API server offers to stream protobuf");
    }
    if request.body["message"].as_str().is_some_and(|message| message.contains("UnstructuredList")) {
        return Some("the message of an API server names a Go type");
    }
    None
}

#[test]
fn reads_are_answered_as_a_real_api_server_answers_them() {
    let golden: Golden = read("answers.json");
    let mut users = collection(&golden);
    let is_read =
        |request: &&Answer| request.path.starts_with(COLLECTION) && !matches!(request.code, 401 | 403);
    let (mut same, mut different) = (0, 0);

    for request in golden.answers.iter().filter(is_read).filter(|request| request.method != "PUT") {
        // Others wrote to the recorded server while it answered.
        let version = request.body["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
        users.advance(version.unwrap_or_default());
        let (code, content_type, body) = answer(&users, request);
        if let Some(why) = differs(request) {
            let is_same = (code, comparable(body)) == (request.code, comparable(request.body.clone()));
            assert!(!is_same, "{}: no longer differs, although {why}", request.path);
            different += 1;
            continue;
        }
        let what = format!("{} {}", request.path, request.accept);
        assert_same(&comparable(body), &comparable(request.body.clone()), &what);
        assert_eq!((code, content_type), (request.code, request.content_type.as_str()), "{}", request.path);
        same += 1;
    }

    assert!(same > 70, "only {same} answers were compared");
    assert!(different < 10, "{different} answers differ");
}

#[test]
fn refusals_of_rights_have_the_words_of_a_real_api_server() {
    let golden: Golden = read("answers.json");
    let find = |path: &str, code: u16| {
        let found = golden.answers.iter().find(|answer| answer.path == path && answer.code == code);
        found.map(|answer| answer.body.clone()).unwrap()
    };
    let list = Attempt {
        user: "bob",
        verb: "list",
        group: "horizon.dev",
        resource: "users",
        namespace: "default",
        name: "",
    };
    let (name, resource) = ("alice", "users/status");

    assert_eq!(status::failure(&status::unauthorized()), find(COLLECTION, 401));
    assert_eq!(status::failure(&status::forbidden(&list, "")), find(COLLECTION, 403));
    let everywhere = Attempt { namespace: "", ..list };
    assert_eq!(
        status::failure(&status::forbidden(&everywhere, "")),
        find("/apis/horizon.dev/v1alpha1/users", 403)
    );
    let one = Attempt { verb: "get", name: "nobody", ..list };
    assert_eq!(status::failure(&status::forbidden(&one, "")), find(&format!("{COLLECTION}/nobody"), 403));
    let status_of = Attempt { verb: "get", name, resource, ..list };
    assert_eq!(
        status::failure(&status::forbidden(&status_of, "")),
        find(&format!("{COLLECTION}/alice/status"), 403)
    );
    assert_eq!(status::failure(&status::forbidden_path("bob", "get", "/metrics", "")), find("/metrics", 403));
}

#[test]
fn watches_tell_what_a_real_api_server_tells() {
    let golden: Golden = read("answers.json");
    let changes = &golden.watches[&format!("resourceVersion={}", golden.version)];
    let version_of = |event: &Value| -> u64 {
        event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    let mut users = collection(&golden);
    users.advance(version_of(&changes[0]) - 1);
    let asked = golden.watches.keys().filter(|asked| !cannot_begin(asked));
    let mut watches: Vec<(&String, Told)> = asked.map(|asked| (asked, Told::start(&users, asked))).collect();

    for event in changes {
        watches.iter_mut().for_each(|(_, told)| told.listen(&users, 2));
        match event["type"].as_str().unwrap() {
            "DELETED" => {
                let name = event["object"]["metadata"]["name"].as_str().unwrap();
                users.remove(&format!("default/{name}"), version_of(event)).unwrap();
            }
            _ => users.put(stored(&event["object"])).unwrap(),
        }
    }
    watches.iter_mut().for_each(|(_, told)| told.listen(&users, 3));
    watches.iter_mut().for_each(|(_, told)| told.listen(&users, 4));

    assert!(watches.len() > 10);
    for (asked, listener) in watches {
        let comparable =
            |event: Value| (event["type"].clone(), told(comparable(event["object"].clone()), &event));
        let expected: Vec<_> = golden.watches[asked].iter().cloned().map(comparable).collect();
        let ours: Vec<_> = listener.events.into_iter().map(comparable).collect();
        assert_eq!(ours, expected, "{asked}");
    }
}

/// How far a bookmark says that everything is told depends on what others wrote to the recorded server.
fn told(mut object: Value, event: &Value) -> Value {
    if event["type"] == "BOOKMARK" {
        for path in ["/metadata/resourceVersion", "/rows/0/object/metadata/resourceVersion"] {
            if let Some(version) = object.pointer_mut(path) {
                *version = "VERSION".into();
            }
        }
    }
    object
}

fn cannot_begin(asked: &str) -> bool {
    asked == "resourceVersion=1" || asked.contains("resourceVersion=99999999")
}

#[test]
fn watches_that_cannot_begin_say_what_a_real_api_server_says() {
    let golden: Golden = read("answers.json");
    let users = collection(&golden);

    for (asked, expected) in &golden.watches {
        if !cannot_begin(asked) {
            continue;
        }
        let mut told = Told::start(&users, asked);
        told.listen(&users, 1);
        let [ours] = told.events.as_slice() else { panic!("{asked}: {:?}", told.events) };
        let words = |event: &Value| {
            let message = event["object"]["message"].as_str().unwrap();
            assert!(message.contains(|c: char| c.is_ascii_digit()), "{message} names a version");
            message.replace(|c: char| c.is_ascii_digit(), "")
        };
        assert_eq!(words(ours), words(&expected[0]), "{asked}");
        for part in ["/type", "/object/code", "/object/reason", "/object/details"] {
            assert_eq!(ours.pointer(part), expected[0].pointer(part), "{asked} {part}");
        }
    }
}

/// A watch and what it told, in the form that it was asked for.
struct Told {
    watcher: Watcher,
    lines: Lines,
    events: Vec<Value>,
}

impl Told {
    fn start(users: &Collection, asked: &str) -> Self {
        let (query, accept) = asked.split_once(' ').unwrap_or((asked, ""));
        let query = Query::parse(&format!("watch=1&timeoutSeconds=6&{query}")).unwrap();
        let Read::Watch(watch) = Read::parse(&query, |path| self::users().knows_field(path)).unwrap() else {
            panic!("{asked} is a list")
        };
        let lines = Lines::new(self::users(), Form::of_watch(accept).unwrap(), &query).unwrap();
        Self { watcher: Watcher::start(users, subject(), &watch), lines, events: vec![] }
    }

    fn listen(&mut self, users: &Collection, second: u64) {
        while let Poll::Events(events) = self.watcher.poll(users, Duration::from_secs(second)) {
            for event in events {
                let line = self.lines.write(&event, NOW.parse().unwrap(), &|_, _, _| Some(3.into()));
                self.events.push(serde_json::from_slice(&line.concat()).unwrap());
            }
        }
    }
}

fn subject() -> Subject<'static> {
    Subject {
        scope: Scope { resource: USERS, namespace: "default" },
        api_version: "horizon.dev/v1alpha1",
        kind: "User",
        now: Duration::ZERO,
        timeout: Duration::from_secs(1800),
    }
}

#[derive(Deserialize)]
struct Discovery {
    group: Value,
    resources: Vec<Value>,
    aggregated: Vec<Value>,
}

#[test]
fn discovery_is_that_of_a_real_api_server() {
    let golden: Discovery = read("discovery.json");
    let without_hash = |mut entry: Value| {
        entry.as_object_mut().unwrap().remove("storageVersionHash");
        entry
    };

    assert_eq!(discovery::group("horizon.dev"), Some(golden.group));
    let ours = discovery::resources("horizon.dev", "v1alpha1").unwrap();
    let expected: Vec<Value> = golden.resources.into_iter().map(without_hash).collect();
    assert_eq!(by_name(ours["resources"].as_array().unwrap()), by_name(&expected));

    let everything = [
        discovery::aggregated(true, AggregatedVersion::V2),
        discovery::aggregated(false, AggregatedVersion::V2),
    ];
    let mut ours: BTreeMap<String, Value> = BTreeMap::new();
    for item in everything.iter().flat_map(|list| list["items"].as_array().unwrap()) {
        ours.insert(item["metadata"]["name"].as_str().unwrap_or_default().to_owned(), item.clone());
    }
    assert_eq!(ours.len(), golden.aggregated.len());
    for expected in golden.aggregated {
        let name = expected["metadata"]["name"].as_str().unwrap_or_default();
        assert_eq!(discovered(ours[name].clone()), discovered(expected.clone()), "{name}");
    }
}

fn by_name(entries: &[Value]) -> BTreeMap<&str, &Value> {
    entries.iter().map(|entry| (entry["name"].as_str().unwrap(), entry)).collect()
}

/// Takes out what differs on purpose: definitions are read-only here, namespaces are not finalised on a path of their
/// own, and the kinds of answers are named in full, where an API server leaves out what is that of the list.
fn discovered(mut group: Value) -> Value {
    for resource in group["versions"][0]["resources"].as_array_mut().unwrap() {
        if resource["resource"] == "customresourcedefinitions" {
            resource.as_object_mut().unwrap().remove("subresources");
            resource["verbs"] = Value::Null;
        }
        resource["responseKind"] = resource["responseKind"]["kind"].clone();
        if let Some(parts) = resource.get_mut("subresources").and_then(Value::as_array_mut) {
            parts.retain(|part| part["subresource"] != "finalize");
            parts.iter_mut().for_each(|part| part["responseKind"] = part["responseKind"]["kind"].clone());
        }
    }
    group
}

#[derive(Deserialize)]
struct OpenApi {
    v3: BTreeMap<String, Value>,
    v2: BTreeMap<String, Value>,
    v3paths: BTreeMap<String, Value>,
    v2paths: BTreeMap<String, Value>,
    meta: BTreeMap<String, BTreeMap<String, Value>>,
    beside: BTreeMap<String, Value>,
}

fn document(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn schemas_are_those_of_a_real_api_server() {
    let golden: OpenApi = read("openapi.json");
    let v3 = document(&openapi::v3_document("apis/horizon.dev/v1alpha1").unwrap().bytes);
    let v2 = document(&openapi::v2_json().bytes);

    for (name, expected) in golden.v3 {
        assert_same(&shape(&v3["components"]["schemas"][&name]), &shape(&expected), &name);
    }
    for (name, expected) in golden.v2 {
        assert_same(&shape(&v2["definitions"][&name]), &shape(&expected), &name);
    }
    for (name, members) in golden.meta {
        let ours = &v3["components"]["schemas"][&name];
        for (member, expected) in members {
            assert_same(&shape(&ours["properties"][&member]), &shape(&expected), &format!("{name}/{member}"));
        }
    }
}

#[test]
fn types_beside_ours_are_those_of_a_real_api_server() {
    let golden: OpenApi = read("openapi.json");
    let groups =
        ["api/v1", "apis/authorization.k8s.io/v1", "apis/authentication.k8s.io/v1", "apis/events.k8s.io/v1"];
    let ours = groups.map(|group| document(&openapi::v3_document(group).unwrap().bytes));

    for (name, expected) in golden.beside {
        let found: Vec<&Value> =
            ours.iter().filter_map(|document| document["components"]["schemas"].get(&name)).collect();
        assert!(!found.is_empty(), "{name}");
        for found in found {
            assert_same(&shape(found), &shape(&expected), &name);
        }
    }
}

#[test]
fn operations_are_those_of_a_real_api_server() {
    let golden: OpenApi = read("openapi.json");
    let v3 = document(&openapi::v3_document("apis/horizon.dev/v1alpha1").unwrap().bytes);
    let v2 = document(&openapi::v2_json().bytes);

    for (expected, ours) in [(golden.v3paths, &v3["paths"]), (golden.v2paths, &v2["paths"])] {
        assert!(expected.len() > 3);
        for (path, expected) in expected {
            assert_same(&operations(&ours[&path]), &operations(&expected), &path);
        }
    }
}

/// Takes out descriptions, which are in our words, and rules, which the recorded server was not given.
fn shape(schema: &Value) -> Value {
    const LEFT_OUT: [&str; 3] = ["description", "x-kubernetes-validations", "x-kubernetes-unions"];
    match schema {
        Value::Object(members) => {
            let is_text = |value: &Value| value.is_string();
            let kept = members
                .iter()
                .filter(|(name, value)| {
                    !(LEFT_OUT.contains(&name.as_str()) && (is_text(value) || value.is_array()))
                })
                // Defaults of Go's zero values, which nothing reads.
                .filter(|(name, value)| !(*name == "default" && is_zero(value)))
                .map(|(name, value)| (name.clone(), shape(value)));
            let mut kept: serde_json::Map<String, Value> = kept.collect();
            // A reference alone is the same as all of one reference.
            if let (1, Some([only])) =
                (kept.len(), kept.get("allOf").and_then(Value::as_array).map(Vec::as_slice))
            {
                return only.clone();
            }
            if let Some(required) = kept.get_mut("required").and_then(Value::as_array_mut) {
                required.sort_by_key(Value::to_string);
            }
            // Groups of Kubernetes that are not served here have these options too.
            if kept.contains_key("x-kubernetes-group-version-kind")
                && schema["properties"].get("dryRun").is_some()
            {
                kept.remove("x-kubernetes-group-version-kind");
            }
            kept.into()
        }
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Number(number) => number.as_f64().into(),
        Value::Null | Value::Bool(_) | Value::String(_) => schema.clone(),
    }
}

fn is_zero(value: &Value) -> bool {
    [json!({}), json!(""), json!(false), json!(0)].contains(value)
}

/// Asserts that two documents are equal, and says where they are not.
fn assert_same(ours: &Value, expected: &Value, what: &str) {
    if let Some(difference) = difference(ours, expected, what) {
        panic!("{difference}");
    }
}

fn difference(ours: &Value, expected: &Value, path: &str) -> Option<String> {
    match (ours, expected) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names
                .into_iter()
                .find_map(|name| difference(&ours[name], &expected[name], &format!("{path}/{name}")))
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            pairs.find_map(|(index, (left, right))| difference(left, right, &format!("{path}/{index}")))
        }
        _ if ours == expected => None,
        _ => Some(format!("{path}: ours is {ours}, theirs is {expected}")),
    }
}

/// Leaves of parameters their names, and of answers nothing: the recording is shortened in the same way.
fn operations(path: &Value) -> Value {
    let names = |parameters: &Value| -> Value {
        let mut names: Vec<String> = parameters
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| parameter["name"].as_str().or(parameter.as_str()).unwrap().to_owned())
            .collect();
        names.sort();
        json!(names)
    };
    let mut path = shape(path);
    for (method, operation) in path.as_object_mut().unwrap() {
        if method == "parameters" {
            *operation = names(operation);
            continue;
        }
        operation["parameters"] = names(&operation["parameters"]);
        operation.as_object_mut().unwrap().remove("responses");
    }
    path
}

#[test]
fn people_and_programs_get_the_same_answer() {
    let golden: Golden = read("answers.json");
    let page = answer(&collection(&golden), &golden.answers[0]).2;

    let pretty = Encoding::Json.write(&page, true);
    let yaml = Encoding::Yaml.write(&page, false);

    assert_eq!(serde_json::from_slice::<Value>(&pretty).unwrap(), page);
    assert_eq!(serde_yaml::from_slice::<Value>(&yaml).unwrap(), page);
}
