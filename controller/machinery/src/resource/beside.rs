//! The kinds of Kubernetes that `kubectl` expects beside ours: namespaces, events, secrets, reviews, definitions.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Column, ColumnKind, NamePlace, Resource, Source};
use crate::json_path::JsonPath;

/// Everything that is served beside our own kinds.
pub(super) static RESOURCES: LazyLock<Vec<Resource>> =
    LazyLock::new(|| TABLE.iter().map(Row::resource).collect());

/// Returns one of them anew.
pub(super) fn resource(group: &str, kind: &str) -> Option<Resource> {
    TABLE.iter().find(|row| row.group == group && row.kind == kind).map(Row::resource)
}

struct Row {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    is_namespaced: bool,
    verbs: &'static [&'static str],
    has_status: bool,
    columns: &'static [Cell],
    selectable: &'static [&'static str],
}

/// Name, what it is, priority, where it comes from, description.
type Cell = (&'static str, ColumnKind, u32, From, &'static str);

enum From {
    Path(&'static str),
    /// The first of these that is there.
    First(&'static [&'static str]),
    Size(&'static str),
    Reference(&'static str),
}

/// What can be done with what is kept, in the order of an API server.
const KEPT: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const KEPT_ALONE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
/// Questions are asked by creating them.
const ASKED: &[&str] = &["create"];
/// Definitions come with the program.
const READ: &[&str] = &["get", "list", "watch"];

const AGE: Cell =
    ("Age", ColumnKind::Date, 0, From::Path(".metadata.creationTimestamp"), "How long ago it was created.");

const EVENT: &[Cell] = &[
    (
        "Last Seen",
        ColumnKind::Date,
        0,
        From::First(&[".series.lastObservedTime", ".lastTimestamp", ".eventTime"]),
        "How long ago it happened last.",
    ),
    ("Type", ColumnKind::String, 0, From::Path(".type"), "Normal or Warning."),
    ("Reason", ColumnKind::String, 0, From::Path(".reason"), "What happened, in one word."),
    ("Object", ColumnKind::String, 0, From::Reference(".involvedObject"), "What it happened to."),
    (
        "Subobject",
        ColumnKind::String,
        1,
        From::Path(".involvedObject.fieldPath"),
        "The part of it that is meant.",
    ),
    (
        "Source",
        ColumnKind::String,
        1,
        From::First(&[".source.component", ".reportingComponent"]),
        "Who says so.",
    ),
    ("Message", ColumnKind::String, 0, From::Path(".message"), "What happened, in one sentence."),
    (
        "First Seen",
        ColumnKind::Date,
        1,
        From::First(&[".firstTimestamp", ".eventTime"]),
        "How long ago it happened first.",
    ),
    ("Count", ColumnKind::Integer, 1, From::First(&[".series.count", ".count"]), "How often it happened."),
];

/// The same in the words of `events.k8s.io/v1`.
const NEW_EVENT: &[Cell] = &[
    (
        "Last Seen",
        ColumnKind::Date,
        0,
        From::First(&[".series.lastObservedTime", ".deprecatedLastTimestamp", ".eventTime"]),
        "How long ago it happened last.",
    ),
    ("Type", ColumnKind::String, 0, From::Path(".type"), "Normal or Warning."),
    ("Reason", ColumnKind::String, 0, From::Path(".reason"), "What happened, in one word."),
    ("Object", ColumnKind::String, 0, From::Reference(".regarding"), "What it happened to."),
    ("Subobject", ColumnKind::String, 1, From::Path(".regarding.fieldPath"), "The part of it that is meant."),
    (
        "Source",
        ColumnKind::String,
        1,
        From::First(&[".reportingController", ".deprecatedSource.component"]),
        "Who says so.",
    ),
    ("Message", ColumnKind::String, 0, From::Path(".note"), "What happened, in one sentence."),
    (
        "First Seen",
        ColumnKind::Date,
        1,
        From::First(&[".deprecatedFirstTimestamp", ".eventTime"]),
        "How long ago it happened first.",
    ),
    (
        "Count",
        ColumnKind::Integer,
        1,
        From::First(&[".series.count", ".deprecatedCount"]),
        "How often it happened.",
    ),
];

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

const NEW_EVENT_FIELDS: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

const EMPTY: Row = Row {
    group: "",
    kind: "",
    plural: "",
    short_names: &[],
    is_namespaced: false,
    verbs: KEPT,
    has_status: false,
    columns: &[AGE],
    selectable: &[],
};

const TABLE: &[Row] = &[
    Row {
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        is_namespaced: true,
        columns: EVENT,
        selectable: EVENT_FIELDS,
        ..EMPTY
    },
    Row {
        kind: "Namespace",
        plural: "namespaces",
        short_names: &["ns"],
        verbs: KEPT_ALONE,
        has_status: true,
        columns: &[
            (
                "Status",
                ColumnKind::String,
                0,
                From::Path(".status.phase"),
                "Whether it is in use or on its way out.",
            ),
            AGE,
        ],
        selectable: &["status.phase"],
        ..EMPTY
    },
    Row {
        kind: "Secret",
        plural: "secrets",
        is_namespaced: true,
        columns: &[
            ("Type", ColumnKind::String, 0, From::Path(".type"), "What kind of secret it is."),
            ("Data", ColumnKind::String, 0, From::Size(".data"), "How many secrets are in it."),
            AGE,
        ],
        selectable: &["type"],
        ..EMPTY
    },
    Row {
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        short_names: &["crd", "crds"],
        verbs: READ,
        columns: &[(
            "Created At",
            ColumnKind::String,
            0,
            From::Path(".metadata.creationTimestamp"),
            "When it was created.",
        )],
        ..EMPTY
    },
    Row {
        group: "authentication.k8s.io",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        verbs: ASKED,
        ..EMPTY
    },
    Row {
        group: "authorization.k8s.io",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        verbs: ASKED,
        ..EMPTY
    },
    Row {
        group: "authorization.k8s.io",
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        verbs: ASKED,
        ..EMPTY
    },
    Row {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        is_namespaced: true,
        columns: NEW_EVENT,
        selectable: NEW_EVENT_FIELDS,
        ..EMPTY
    },
];

impl Row {
    fn resource(&self) -> Resource {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Resource {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: texts(self.short_names),
            categories: match self.group {
                "apiextensions.k8s.io" => vec!["api-extensions".to_owned()],
                _ => vec![],
            },
            is_namespaced: self.is_namespaced,
            verbs: self.verbs,
            has_status: self.has_status,
            name_place: if self.kind == "Event" { NamePlace::LastIfWide } else { NamePlace::First },
            columns: self.columns.iter().map(column).collect(),
            selectable: texts(self.selectable),
            schema: Value::Null,
        }
    }
}

fn column((name, kind, priority, from, description): &Cell) -> Column {
    let path = |text: &str| {
        JsonPath::parse(text).expect("the paths of TABLE are plain names; a test reads them all")
    };
    let source = match from {
        From::Path(text) => Source::Paths(vec![path(text)]),
        From::First(texts) => Source::Paths(texts.iter().map(|text| path(text)).collect()),
        From::Reference(text) => Source::Reference(path(text)),
        From::Size(text) => Source::Size(path(text)),
    };
    let (name, description) = ((*name).to_owned(), (*description).to_owned());
    Column { name, kind: *kind, description, priority: *priority, source }
}
