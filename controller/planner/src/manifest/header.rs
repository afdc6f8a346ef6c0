//! What a document says before its spec: whose it is, which kind, which name.

use horizon_api::{
    name::Name,
    problem::{Severity, printable},
    resource::{API_VERSION, DEFAULT_NAMESPACE, GROUP, Kind, Metadata, ObjectKey, Texts},
};

use crate::{
    node::{Node, Place, Value},
    validate::{Complaint, Complaints, nearest, validate_metadata},
};

/// Which object a document is about. Complaints may still refuse it.
#[derive(Debug)]
pub(super) struct Header {
    pub key: ObjectKey,
    pub metadata: Metadata,
    pub complaints: Complaints,
}

/// A document of which nobody knows which object it is about.
#[derive(Debug)]
pub(super) struct Refusal {
    pub complaints: Complaints,
    /// It belongs to another program, and is no mistake.
    pub is_foreign: bool,
}

const TOP_LEVEL: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

pub(super) fn read(root: &Node) -> Result<Header, Refusal> {
    let Value::Map(_) = root.value else {
        let message = format!("a manifest must be a mapping, not {}", root.value.describe());
        let fix = "begin with `apiVersion: horizon.dev/v1alpha1` and `kind:`";
        return Err(Refusal::of(Complaint::error(root.place, "", "Type", message, fix)));
    };
    let kind = read_kind(root)?;
    let mut complaints = Complaints::default();
    check_top_level(root, &mut complaints);
    let Some(node) = root.field("metadata") else {
        let fix = "add `metadata: {name: …}`";
        return Err(Refusal::of(Complaint::error(root.place, "", "Required", "`metadata` is required", fix)));
    };
    complaints.append(validate_metadata(node));
    let text = |field: &str| node.field(field).and_then(Node::text);
    let name = text("name").filter(|name| name.parse::<Name>().is_ok());
    let namespace = match node.field("namespace") {
        Some(namespace) => namespace.text().filter(|text| text.parse::<Name>().is_ok()),
        None => Some(DEFAULT_NAMESPACE),
    };
    let (Some(name), Some(namespace)) = (name, namespace) else {
        return Err(Refusal { complaints, is_foreign: false });
    };
    let metadata = Metadata {
        name: name.into(),
        namespace: namespace.into(),
        labels: texts(node.field("labels")),
        annotations: texts(node.field("annotations")),
    };
    Ok(Header { key: ObjectKey::new(kind, namespace, name), metadata, complaints })
}

/// Reads `apiVersion` and `kind` together, because one tells what was meant by the other.
fn read_kind(root: &Node) -> Result<Kind, Refusal> {
    let field = |name: &str| root.field(name).and_then(Node::text);
    let kind_text = field("kind");
    let kind = kind_text.and_then(|text| text.parse::<Kind>().ok());
    let required = |name: &str, fix: String| {
        let message = format!("`{name}` is required and must be a string");
        Refusal::of(Complaint::error(root.place_of(name), name, "Required", message, fix))
    };
    let Some(version) = field("apiVersion") else {
        return Err(required("apiVersion", format!("add `apiVersion: {API_VERSION}`")));
    };
    if version != API_VERSION {
        return Err(wrong_version(root, version, kind.is_some()));
    }
    let known = || Kind::ALL.iter().map(|kind| kind.as_str());
    let list = || known().collect::<Vec<_>>().join(", ");
    let Some(text) = kind_text else {
        return Err(required("kind", format!("kinds of {GROUP} are {}", list())));
    };
    kind.ok_or_else(|| {
        let fix = nearest(text, known())
            .map_or_else(|| format!("kinds are {}", list()), |nearest| format!("did you mean `{nearest}`?"));
        let message = format!("`{}` is not a kind of {GROUP}", printable(text));
        Refusal::of(Complaint::error(root.place_of("kind"), "kind", "UnknownKind", message, fix))
    })
}

fn wrong_version(root: &Node, version: &str, is_our_kind: bool) -> Refusal {
    let group = version.split('/').next().unwrap_or_default();
    let is_near = strsim::damerau_levenshtein(group, GROUP) <= 3;
    let place = root.place_of("apiVersion");
    let version = printable(version);
    if is_near || (is_our_kind && !version.contains('.')) {
        let message = format!("`{version}` is not served");
        let fix = format!("write `apiVersion: {API_VERSION}`");
        return Refusal::of(Complaint::error(place, "apiVersion", "UnknownVersion", message, fix));
    }
    let message = format!("`{version}` is not Horizon's, so the document is left alone");
    let complaint = Complaint::error(place, "apiVersion", "Foreign", message, "");
    let info = Complaint { severity: Severity::Info, ..complaint };
    Refusal { is_foreign: true, ..Refusal::of(info) }
}

fn check_top_level(root: &Node, complaints: &mut Complaints) {
    for entry in root.entries() {
        let name = entry.key.as_str();
        if TOP_LEVEL.contains(&name) || name == "sops" {
            continue;
        }
        let complaint = if name == "status" {
            let message = "`status` may not be set in a manifest";
            Complaint::error(entry.place, name, "Forbidden", message, "remove it")
        } else {
            let fix = nearest(name, TOP_LEVEL.into_iter()).map(|near| format!("did you mean `{near}`?"));
            let message = format!("unknown field `{}`", printable(name));
            Complaint::error(entry.place, &printable(name), "UnknownField", message, fix.unwrap_or_default())
        };
        complaints.push(complaint);
    }
}

fn texts(map: Option<&Node>) -> Texts {
    let entries = map.map(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|e| Some((e.key.as_str(), e.node.text()?))).collect()
}

impl Refusal {
    fn of(complaint: Complaint) -> Self {
        let mut complaints = Complaints::default();
        complaints.push(complaint);
        Self { complaints, is_foreign: false }
    }
}

impl Complaint {
    pub(crate) fn error(
        place: Place,
        path: &str,
        code: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (path, message, fix) = (path.to_owned(), message.into(), fix.into());
        Self { place, path, sites: None, severity: Severity::Error, code, message, fix }
    }
}
