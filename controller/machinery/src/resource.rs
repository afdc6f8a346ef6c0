//! What is served: kinds with their names, verbs and columns. Ours come from `crds/*.yaml`, those that `kubectl`
//! expects beside them from a table.

mod beside;

use std::sync::LazyLock;

use horizon_api::resource::Kind;
use horizon_planner::schema::custom_resource_definition;
use serde::Deserialize;
use serde_json::Value;

use crate::{definition::Definition, json_path::JsonPath};

/// A kind that is served.
#[derive(Debug)]
pub struct Resource {
    /// The API group; empty for core.
    pub group: String,
    pub version: String,
    pub kind: String,
    /// The name in paths, such as `users`.
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    /// Words that stand for several kinds, such as `horizon`.
    pub categories: Vec<String>,
    pub is_namespaced: bool,
    pub verbs: &'static [&'static str],
    /// Whether `status` is written on its own path.
    pub has_status: bool,
    /// Where a table shows the name.
    pub name_place: NamePlace,
    /// What a table shows beside the name.
    pub columns: Vec<Column>,
    /// The fields that can be selected by, beside name and namespace, such as `spec.userRef.name`.
    pub selectable: Vec<String>,
    /// The schema of the objects.
    pub schema: Value,
}

/// Where a table shows the name of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamePlace {
    First,
    /// Behind everything else, and only when more is asked for (`-o wide`): names of events tell nobody anything.
    LastIfWide,
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
    pub description: String,
    /// 0 is always shown, anything above only when it is asked for (`-o wide`).
    pub priority: u32,
    pub source: Source,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    String,
    Integer,
    Number,
    Boolean,
    /// A moment, shown as its age.
    Date,
}

/// Where a cell comes from.
#[derive(Debug)]
pub enum Source {
    /// From the object: the first of these that leads to something.
    Paths(Vec<JsonPath>),
    /// The object that another one is about, as `kind/name`.
    Reference(JsonPath),
    /// From something that changes without the object, which the caller knows by this name.
    Counter(&'static str),
    /// How many members an object's map has.
    Size(JsonPath),
}

/// Every verb that a custom resource has, in the order of an API server.
const VERBS: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// A column that is fed by a counter.
struct Counted {
    kind: Kind,
    name: &'static str,
    /// The column that it stands behind.
    behind: &'static str,
    cells: ColumnKind,
    /// Above 0, only a wide table shows it.
    priority: u32,
    description: &'static str,
}

impl Counted {
    const fn number(kind: Kind, name: &'static str, behind: &'static str, description: &'static str) -> Self {
        Self { kind, name, behind, cells: ColumnKind::Integer, priority: 0, description }
    }

    const fn last_used(kind: Kind) -> Self {
        let description = "How long ago it was used last.";
        Self { kind, name: "Last-Used", behind: "Uses", cells: ColumnKind::Date, priority: 1, description }
    }

    const fn last_from(kind: Kind) -> Self {
        let description = "From where it was used last, and by what.";
        Self { kind, name: "From", behind: "Last-Used", cells: ColumnKind::String, priority: 1, description }
    }
}

const COUNTERS: [Counted; 8] = [
    Counted::number(Kind::Network, "Allocated", "Pools", "How many addresses are in use."),
    Counted::number(Kind::RegistrationKey, "Uses", "Role", "How often it was used."),
    Counted::last_used(Kind::RegistrationKey),
    Counted::last_from(Kind::RegistrationKey),
    Counted::number(Kind::PersonalKey, "Uses", "User", "How often it was used."),
    Counted::last_used(Kind::PersonalKey),
    Counted::last_from(Kind::PersonalKey),
    Counted::number(Kind::User, "Devices", "Groups", "How many devices sign in as this person."),
];

static ALL: LazyLock<Vec<&'static Resource>> =
    LazyLock::new(|| Kind::ALL.into_iter().map(Resource::of).chain(beside::RESOURCES.iter()).collect());

impl Resource {
    /// Returns everything that is served.
    pub fn all() -> &'static [&'static Self] {
        &ALL
    }

    /// Returns a kind of ours.
    pub fn of(kind: Kind) -> &'static Self {
        &Definition::of(kind).resource
    }

    /// Finds what a path names.
    pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        let found = |resource: &&&Self| {
            resource.group == group && resource.version == version && resource.plural == plural
        };
        ALL.iter().find(found).copied()
    }

    /// Returns what stands behind `apiVersion:`.
    pub fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// Returns how messages call it, such as `users.horizon.dev`.
    pub fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// Says whether objects can be selected by a field.
    pub fn knows_field(&self, path: &str) -> bool {
        path == "metadata.name"
            || (self.is_namespaced && path == "metadata.namespace")
            || self.selectable.iter().any(|selectable| selectable == path)
    }

    /// Returns another copy of a kind that is served beside ours.
    pub(crate) fn built_in(group: &str, kind: &str) -> Option<Self> {
        beside::resource(group, kind)
    }

    /// Reads a kind of ours, whose tables show more than its definition says.
    pub(crate) fn read(kind: Kind) -> Self {
        let mut resource = Self::from_crd(custom_resource_definition(kind))
            .expect("embedded definitions have what is asked for; a test reads them all");
        let columns = &mut resource.columns;
        for counted in COUNTERS.iter().filter(|counted| counted.kind == kind) {
            let Counted { name, behind, cells: kind, priority, .. } = *counted;
            let place = columns.iter().position(|column| column.name == behind).map_or(0, |place| place + 1);
            let source = Source::Counter(name);
            let (name, description) = (name.to_owned(), counted.description.to_owned());
            columns.insert(place, Column { name, kind, description, priority, source });
        }
        resource
    }

    /// Reads a `CustomResourceDefinition`.
    pub(crate) fn from_crd(crd: Value) -> serde_json::Result<Self> {
        let Crd { spec: Spec { group, names, scope, versions: [version] } } = serde_json::from_value(crd)?;
        let selectable = version
            .selectable
            .iter()
            .map(|field| field.json_path.trim_start_matches('.').to_owned())
            .collect();
        Ok(Self {
            group,
            version: version.name,
            singular: names.singular.unwrap_or_else(|| names.kind.to_lowercase()),
            kind: names.kind,
            plural: names.plural,
            short_names: names.short_names,
            categories: names.categories,
            is_namespaced: scope == "Namespaced",
            verbs: VERBS,
            has_status: version.subresources.get("status").is_some(),
            name_place: NamePlace::First,
            columns: version.columns.into_iter().map(Column::from).collect(),
            selectable,
            schema: version.schema.open_api,
        })
    }
}

/// Returns `GROUP/VERSION`, or the version alone in the group without a name.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

impl From<PrinterColumn> for Column {
    fn from(column: PrinterColumn) -> Self {
        let PrinterColumn { name, json_path, kind, description, priority } = column;
        let description = description.unwrap_or_else(|| {
            format!("Custom resource definition column (in JSONPath format): {}", json_path.as_str())
        });
        Self { name, kind, description, priority, source: Source::Paths(vec![json_path]) }
    }
}

#[derive(Deserialize)]
struct Crd {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    group: String,
    names: Names,
    scope: String,
    versions: [Version; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Names {
    kind: String,
    plural: String,
    singular: Option<String>,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    #[serde(rename = "additionalPrinterColumns", default)]
    columns: Vec<PrinterColumn>,
    #[serde(rename = "selectableFields", default)]
    selectable: Vec<SelectableField>,
    schema: Schema,
    #[serde(default)]
    subresources: Value,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(rename = "openAPIV3Schema")]
    open_api: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrinterColumn {
    name: String,
    json_path: JsonPath,
    #[serde(rename = "type")]
    kind: ColumnKind,
    description: Option<String>,
    #[serde(default)]
    priority: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelectableField {
    json_path: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        for kind in Kind::ALL {
            let resource = Resource::of(kind);
            assert_eq!((resource.plural.as_str(), resource.has_status), (kind.plural(), true));
            assert_eq!(resource.columns.last().map(|column| column.name.as_str()), Some("Age"));
            assert_eq!(
                Resource::find("horizon.dev", "v1alpha1", kind.plural()).map(|r| &r.kind),
                Some(&resource.kind)
            );
        }
        assert!(Resource::of(Kind::Device).knows_field("spec.userRef.name"));
        assert!(!Resource::of(Kind::User).knows_field("spec.userRef.name"));
    }

    #[test]
    fn counters_stand_behind_their_columns() {
        for Counted { kind, name, behind, .. } in COUNTERS {
            let names: Vec<&str> =
                Resource::of(kind).columns.iter().map(|column| column.name.as_str()).collect();
            let place = names.iter().position(|found| *found == name).unwrap();
            assert_eq!(names[place - 1], behind, "{kind}");
        }
    }

    #[test]
    fn what_kubectl_expects_beside_our_kinds_is_there() {
        let namespaces = Resource::find("", "v1", "namespaces").unwrap();

        assert_eq!((namespaces.api_version().as_str(), namespaces.is_namespaced), ("v1", false));
        assert!(!namespaces.knows_field("metadata.namespace"));
        assert!(Resource::find("events.k8s.io", "v1", "events").is_some());
    }
}
