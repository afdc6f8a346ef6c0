//! Files to objects: what each document declares, and every reason why one is refused.

mod header;
pub mod object;

use std::{borrow::Borrow, collections::BTreeSet, sync::Arc};

use horizon_api::{
    problem::{Problem, Severity},
    resource::{Kind, Metadata, ObjectKey, ResourceSpec},
};
use smol_str::SmolStr;

use crate::{
    cel,
    node::{Node, Place, Value},
    parse::{PROBLEMS_MAX, parse},
    rules,
    schema::Schema,
    secret,
    validate::{Complaint, Complaints, validate},
};

/// A file with its name, which is relative to the root of its source.
pub type File<'a> = (&'a str, &'a [u8]);

/// Where an object is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub file: SmolStr,
    pub place: Place,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place.line {
            // What no file declares has no line.
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// An object that is fine by itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub key: ObjectKey,
    pub metadata: Arc<Metadata>,
    pub spec: ResourceSpec,
    pub origin: Origin,
    root: Option<Node>,
}

/// An object of which is known which one it is, but not what it should be.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub key: ObjectKey,
    pub origin: Origin,
    /// The first reason.
    pub problem: Problem,
    /// What it says, where the types can hold it all the same: what was accepted once may stay accepted.
    pub readable: Option<Readable>,
}

/// A refused object that can be read, with all that stands against it.
#[derive(Clone, Debug)]
pub struct Readable {
    pub manifest: Manifest,
    pub faults: Vec<Fault>,
}

/// A reason to refuse an object, and the parts of the object that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub problem: Problem,
    pub sites: Vec<String>,
}

/// What a source says, or a file of it.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    pub manifests: Vec<Arc<Manifest>>,
    pub rejected: Vec<Rejected>,
    pub problems: Vec<Problem>,
    /// Files in which objects may be declared that could not be recognised.
    pub broken_files: BTreeSet<String>,
    pub files: usize,
}

impl Manifest {
    /// Makes the manifest of an object that stands in no file, such as a device that a login made.
    pub fn without_file(metadata: impl Into<Arc<Metadata>>, spec: ResourceSpec, locator: &str) -> Self {
        let metadata = metadata.into();
        let key = ObjectKey::new(spec.kind(), metadata.namespace.clone(), metadata.name.clone());
        let origin = Origin { file: locator.into(), place: Place::default() };
        Self { key, metadata, spec, origin, root: None }
    }

    /// Returns a problem of this object at the place of a path in it.
    pub fn problem(&self, path: &str, code: &str, message: impl Into<String>) -> Problem {
        let place = self.root.as_ref().map_or(self.origin.place, |root| root.place_of(path));
        Problem::error(self.origin.file.as_str(), code, message)
            .at(place.line, place.column)
            .about(self.key.clone(), path)
    }
}

/// Reads all files of a source. The order of the files does not matter.
pub fn parse_folder(files: &[File<'_>]) -> Parsed {
    let mut files = files.to_vec();
    files.sort_unstable();
    Parsed::merge(files.iter().map(|(file, bytes)| parse_file(file, bytes)))
}

/// Reads one file of a source. What it says depends on nothing else, so that it holds until the file changes.
pub fn parse_file(file: &str, bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed { files: 1, ..Parsed::default() };
    parsed.read_file(file, bytes);
    parsed
}

/// Reads an object that a cluster holds, with the verdict that a file with the same text gets. `locator` is where
/// people find it; there are no lines. What it says beside `spec` and what people write into `metadata` is ignored.
pub fn parse_object(key: &ObjectKey, locator: &str, object: &serde_json::Value) -> Parsed {
    let mut parsed = Parsed::default();
    let mut found = Findings { problems: vec![], left_out: 0, left_out_remarks: 0 };
    parsed.read_object(locator, object::manifest(object), &mut found);
    parsed.problems = found.finish(locator);
    // Which object it is, is known whatever it says; it holds nothing of any other one back.
    parsed.broken_files.clear();
    for problem in parsed.problems.iter_mut().filter(|problem| problem.object.is_none()) {
        problem.object = Some(key.clone());
    }
    let first = parsed.problems.iter().find(|problem| problem.is_error());
    if let (Some(first), true, true) = (first, parsed.manifests.is_empty(), parsed.rejected.is_empty()) {
        let origin = Origin { file: locator.into(), place: Place::default() };
        let rejected = Rejected { key: key.clone(), origin, problem: first.clone(), readable: None };
        parsed.rejected.push(rejected);
    }
    parsed
}

impl Parsed {
    /// Returns what all files together say, which are in the order of their names.
    pub fn merge<P: Borrow<Self>>(files: impl IntoIterator<Item = P>) -> Self {
        let mut all = Self::default();
        for file in files {
            let file = file.borrow();
            all.manifests.extend(file.manifests.iter().cloned());
            all.rejected.extend(file.rejected.iter().cloned());
            all.problems.extend(file.problems.iter().cloned());
            all.broken_files.extend(file.broken_files.iter().cloned());
            all.files += file.files;
        }
        all
    }

    fn read_file(&mut self, file: &str, bytes: &[u8]) {
        let read = parse(file, bytes);
        if read.is_broken {
            self.broken_files.insert(file.to_owned());
        }
        let mut found = Findings { problems: read.problems, left_out: read.left_out, left_out_remarks: 0 };
        for root in read.documents {
            match items_of(root) {
                Ok(items) => items.into_iter().for_each(|item| self.read_object(file, item, &mut found)),
                Err(root) => self.read_object(file, root, &mut found),
            }
        }
        self.problems.extend(found.finish(file));
        self.problems.extend(read.end);
    }

    fn read_object(&mut self, file: &str, root: Node, findings: &mut Findings) {
        let header = match header::read(&root) {
            Ok(header) => header,
            Err(header::Refusal { complaints, is_foreign }) => {
                if !is_foreign {
                    self.broken_files.insert(file.to_owned());
                }
                findings.left_out += complaints.left_out;
                findings.left_out_remarks += complaints.left_out_remarks;
                findings.extend(complaints.list.into_iter().map(|complaint| complaint.problem(file, None)));
                return;
            }
        };
        let origin = Origin { file: file.into(), place: root.place };
        let key = header.key;
        let mut complaints = header.complaints;
        let spec = read_spec(key.kind, &root, &mut complaints);
        let is_whole = complaints.left_out == 0;
        findings.left_out += complaints.left_out;
        findings.left_out_remarks += complaints.left_out_remarks;
        let mut faults: Vec<Fault> = complaints
            .list
            .into_iter()
            .map(|complaint| {
                let sites = complaint.sites.clone().unwrap_or_else(|| vec![complaint.path.clone()]);
                Fault { sites, problem: complaint.problem(file, Some(&key)) }
            })
            .collect();
        faults.sort_by(|a, b| a.problem.cmp(&b.problem));
        findings.extend(faults.iter().map(|fault| fault.problem.clone()));
        faults.retain(|fault| fault.problem.is_error());
        let manifest = spec.map(|spec| Manifest {
            key: key.clone(),
            metadata: header.metadata.into(),
            spec,
            origin: origin.clone(),
            root: Some(root),
        });
        match (faults.first(), manifest) {
            (None, Some(manifest)) => self.manifests.push(Arc::new(manifest)),
            (Some(first), manifest) => {
                let problem = first.problem.clone();
                // Whoever has more to say than is listed was not accepted before either.
                let manifest = manifest.filter(|_| is_whole && findings.left_out == 0);
                let readable = manifest.map(|manifest| Readable { manifest, faults });
                self.rejected.push(Rejected { key, origin, problem, readable });
            }
            // What says nothing that can be read and is not wrong either: nothing of its file is removed.
            (None, None) => drop(self.broken_files.insert(origin.file.into())),
        }
    }
}

/// The problems of one file: the first of them, and how many more there are.
struct Findings {
    problems: Vec<Problem>,
    left_out: usize,
    /// Warnings and advice that are not listed: they refuse nothing.
    left_out_remarks: usize,
}

impl Findings {
    /// Adds problems. Of very many the first are kept, so that no file needs more memory than its text.
    fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
        if self.problems.len() > 4 * PROBLEMS_MAX {
            self.keep_first();
        }
    }

    /// Keeps the first errors, and the first of what is none: neither hides the other.
    fn keep_first(&mut self) {
        self.problems.sort();
        self.problems.dedup();
        let (mut errors, mut remarks): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.problems).into_iter().partition(Problem::is_error);
        self.left_out += errors.len().saturating_sub(PROBLEMS_MAX);
        self.left_out_remarks += remarks.len().saturating_sub(PROBLEMS_MAX);
        errors.truncate(PROBLEMS_MAX);
        remarks.truncate(PROBLEMS_MAX);
        errors.append(&mut remarks);
        self.problems = errors;
    }

    fn finish(mut self, file: &str) -> Vec<Problem> {
        self.keep_first();
        self.problems.sort();
        let line = self.problems.last().map_or(0, |problem| problem.line) + 1;
        let not_listed = |count: usize, what: &str| {
            let message = format!("{count} more {what} in this file are not listed");
            Problem::error(file, "TooManyProblems", message).at(line, 1)
        };
        let errors = (self.left_out > 0).then(|| not_listed(self.left_out, "problems"));
        let remarks =
            (self.left_out_remarks > 0).then(|| not_listed(self.left_out_remarks, "remarks").info());
        self.problems.extend(errors.into_iter().chain(remarks));
        self.problems
    }
}

/// Returns the objects of a `kind: List`, as `kubectl get -o yaml` prints several, or the document as it was.
fn items_of(mut root: Node) -> Result<Vec<Node>, Node> {
    let is_list = root.field("kind").and_then(Node::text) == Some("List");
    let Value::Map(entries) = &mut root.value else { return Err(root) };
    match entries.iter().position(|entry| entry.key == "items").filter(|_| is_list) {
        Some(index) if matches!(entries[index].node.value, Value::List(_)) => {
            let Value::List(items) = entries.swap_remove(index).node.value else { return Err(root) };
            Ok(items)
        }
        Some(_) | None => Err(root),
    }
}

impl Complaint {
    fn problem(self, file: &str, key: Option<&ObjectKey>) -> Problem {
        Problem {
            file: file.to_owned(),
            line: self.place.line,
            column: self.place.column,
            severity: self.severity,
            object: key.cloned(),
            path: self.path,
            code: self.code.to_owned(),
            message: self.message,
            fix: self.fix,
        }
    }
}

/// Checks the spec, first its structure and, when that is fine, its rules. What the types can hold is returned even
/// if it was refused.
fn read_spec(kind: Kind, root: &Node, complaints: &mut Complaints) -> Option<ResourceSpec> {
    if let Some(sops) = secret::sops_block(root) {
        let (message, fix) =
            ("the document is still encrypted with SOPS", "decrypt it before Horizon reads it");
        complaints.push(Complaint::error(sops.place, "sops", "Secret", message, fix));
        return None;
    }
    let Some(spec) = root.field("spec") else {
        complaints.push(Complaint::error(root.place, "", "Required", "`spec` is required", "add `spec:`"));
        return None;
    };
    let structural = validate(spec, Schema::of(kind), "spec");
    let is_sound = structural.list.iter().all(|complaint| complaint.severity != Severity::Error);
    complaints.append(structural);
    let json = without_nulls(spec.to_json());
    if is_sound {
        cel::check(kind, &json).into_iter().for_each(|violation| complaints.push(violation.at(root)));
    }
    let read = match ResourceSpec::from_json(kind, json) {
        Ok(read) => read,
        Err(error) => {
            if is_sound {
                let message = error.to_string();
                complaints.push(Complaint::error(spec.place, "spec", "Invalid", message, ""));
            }
            return None;
        }
    };
    if is_sound {
        rules::check(&read).into_iter().for_each(|violation| complaints.push(violation.at(root)));
    }
    Some(read)
}

/// An explicit null is an absent field, as it is for an API server.
fn without_nulls(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        serde_json::Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other @ (serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_)) => other,
    }
}
