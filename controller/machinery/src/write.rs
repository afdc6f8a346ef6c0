//! The decision of one write about one object: what is to be stored, or why not.
//!
//! Follows a request through the API server (`apiserver/pkg/endpoints/handlers`, `registry/generic/registry`) for a
//! custom resource: decode, own, reset what the path may not touch, validate, compare with what is stored.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    apply::{self, NotApplied, Writer, conflict},
    definition::{Definition, built_in},
    managed::{ManagedFields, Who, fields::FieldSet},
    parameters::write::FieldValidation,
    patch::{self, Reading},
    refusal::{Cause, Reason, Refusal},
    stored::Named,
};

pub mod body;
mod change;
mod coerce;
mod decode;
pub mod delete;
mod metadata;
mod rules;
pub mod size;
pub mod yaml;

/// One write.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    pub definition: &'r Definition,
    /// The namespace in the path; empty for what is in none.
    pub namespace: &'r str,
    /// The name in the path; empty for a create.
    pub name: &'r str,
    pub part: Part,
    pub change: Change<'r>,
    /// Who writes: the query's `fieldManager`, or the program's name in `User-Agent`.
    pub manager: &'r str,
    pub field_validation: FieldValidation,
    /// What the body says twice: paths such as `spec.mtu`; for an applied configuration, which is YAML, lines such as
    /// `line 3: key "mtu" already set in map`. [`body::read`] and [`yaml::read`] find them.
    pub duplicates: &'r [String],
    pub now: Timestamp,
    /// The uid of an object that is made by this write.
    pub uid: &'r str,
    /// Five letters or digits for `metadata.generateName`.
    pub name_suffix: &'r str,
    /// Says what is wrong with an object's content, given what it replaces: its schema and rules. The metadata is
    /// looked at here.
    pub validate: &'r dyn Fn(&Value, Option<&Value>) -> Vec<Cause>,
}

/// Which part of an object a path writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Object,
    /// The status, and nothing else.
    Status,
}

/// What is written.
#[derive(Clone, Copy)]
pub enum Change<'r> {
    Create(&'r Value),
    Replace(&'r Value),
    JsonPatch(&'r Value),
    MergePatch(&'r Value),
    /// Server-side apply; `force` takes fields from others.
    Apply {
        config: &'r Value,
        force: bool,
    },
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(object) => f.debug_tuple("Create").field(&Named(object)).finish(),
            Self::Replace(object) => f.debug_tuple("Replace").field(&Named(object)).finish(),
            Self::JsonPatch(_) => f.write_str("JsonPatch"),
            Self::MergePatch(_) => f.write_str("MergePatch"),
            Self::Apply { config, force } => {
                f.debug_struct("Apply").field("config", &Named(config)).field("force", force).finish()
            }
        }
    }
}

/// What a write comes to.
#[derive(Clone, PartialEq)]
pub struct Written {
    /// The object as it is to be stored, with the old `resourceVersion` or none: the store gives the next.
    pub object: Value,
    pub effect: Effect,
    /// For the answer's `Warning` headers.
    pub warnings: Vec<String>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Written");
        fields.field("object", &Named(&self.object)).field("effect", &self.effect).finish_non_exhaustive()
    }
}

/// What is to be done in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Create,
    Update,
    /// Nothing: the object is as it was, and keeps its resource version.
    Nothing,
    /// The object goes: its last finalizer was removed while it was being deleted.
    Delete,
}

/// Decides a write, given the object that is stored, if any.
///
/// # Errors
/// Whatever the API server would refuse, with its code and words.
pub fn write(request: &Request<'_>, stored: Option<&Value>) -> Result<Written, Refusal> {
    match (request.change, stored) {
        (Change::Create(body), _) => change::create(request, body, stored),
        (Change::Replace(body), stored) => replace(request, body, stored),
        (Change::JsonPatch(patch), Some(stored)) => {
            patched(request, stored, patch::json_patch(stored.clone(), patch, request.reading())?)
        }
        (Change::MergePatch(patch), Some(stored)) => {
            patched(request, stored, patch::merge_patch(stored.clone(), patch, request.reading())?)
        }
        (Change::JsonPatch(_) | Change::MergePatch(_), None) => Err(request.not_found()),
        (Change::Apply { config, force }, stored) => apply(request, config, force, stored),
    }
}

impl Request<'_> {
    fn reading(&self) -> Reading {
        match self.field_validation {
            FieldValidation::Ignore => Reading::Lenient,
            FieldValidation::Warn | FieldValidation::Strict => Reading::Strict,
        }
    }

    fn not_found(&self) -> Refusal {
        Refusal::not_found(self.definition.about(self.name))
    }

    fn writer(&self, who: Who) -> Writer<'_> {
        let ignored = match self.part {
            Part::Object if self.definition.resource.has_status => apply::top_field("status"),
            Part::Object => FieldSet::default(),
            Part::Status => apply::top_field("spec"),
        };
        Writer { shape: self.definition.shape(), who, ignored, now: self.now }
    }

    fn subresource(&self) -> &'static str {
        match self.part {
            Part::Object => "",
            Part::Status => "status",
        }
    }

    /// Returns the name of whoever writes.
    fn manager(&self) -> &str {
        if self.manager.is_empty() { "unknown" } else { self.manager }
    }
}

fn replace(request: &Request<'_>, body: &Value, stored: Option<&Value>) -> Result<Written, Refusal> {
    let mut warnings = vec![];
    let mut object = change::decode_body(request, body, &mut warnings)?;
    change::check_place(request, &mut object)?;
    let stored = stored.ok_or_else(|| request.not_found())?;
    change::check_uid(request, &object, stored)?;
    change::drop_double_owners(&mut object, &mut warnings, "");
    own(request, stored, &mut object);
    change::update(request, object, stored, warnings)
}

fn patched(request: &Request<'_>, stored: &Value, patched: patch::Patched) -> Result<Written, Refusal> {
    let mut warnings = vec![];
    let mut object = change::decode_patched(request, patched, &mut warnings)?;
    own(request, stored, &mut object);
    change::check_place(request, &mut object)?;
    change::drop_double_owners(&mut object, &mut warnings, change::AFTER_ADMISSION);
    change::update(request, object, stored, warnings)
}

/// Records who owns what after an update.
fn own(request: &Request<'_>, live: &Value, object: &mut Value) {
    let managed = owners_before(request, live, object);
    set_managed(object, None);
    let who =
        Who::updater(request.manager(), &request.definition.resource.api_version(), request.subresource());
    let managed = apply::update(&request.writer(who), live, object, managed);
    set_managed(object, managed.as_ref());
}

/// Returns the owners that an update starts from. A client may write owners; one empty entry forgets them all.
fn owners_before(request: &Request<'_>, live: &Value, object: &Value) -> ManagedFields {
    let of_live = || ManagedFields::decode(live.pointer("/metadata/managedFields")).unwrap_or_default();
    if request.part == Part::Status {
        return of_live();
    }
    let written = object.pointer("/metadata/managedFields");
    if let Some([only]) = written.and_then(Value::as_array).map(Vec::as_slice)
        && only.as_object().is_some_and(serde_json::Map::is_empty)
    {
        return ManagedFields::default();
    }
    match ManagedFields::decode(written) {
        Ok(managed) if !managed.is_empty() => managed,
        Ok(_) | Err(_) => of_live(),
    }
}

fn set_managed(object: &mut Value, managed: Option<&ManagedFields>) {
    let Some(metadata) = decode::metadata_mut(object) else { return };
    metadata.remove("managedFields");
    if let Some(entries) = managed.and_then(ManagedFields::encode) {
        metadata.insert("managedFields".to_owned(), entries);
    }
}

fn apply(
    request: &Request<'_>,
    config: &Value,
    force: bool,
    stored: Option<&Value>,
) -> Result<Written, Refusal> {
    let definition = request.definition;
    if stored.is_none() && request.part == Part::Status {
        return Err(request.not_found());
    }
    let config = change::checked_config(request, config)?;
    let absent = serde_json::json!({"apiVersion": definition.resource.api_version(), "kind": definition.resource.kind});
    let live = stored.unwrap_or(&absent);
    let managed = ManagedFields::decode(live.pointer("/metadata/managedFields"))
        .map_err(|why| internal(format!("failed to decode managed fields: {why}")))?;
    let who = Who::applier(request.manager(), &definition.resource.api_version(), request.subresource());
    let applied = apply::apply(&request.writer(who), live, &config, managed, force);
    let applied = applied.map_err(|why| match why {
        NotApplied::Conflicts(conflicts) => conflict::refuse(&conflicts),
        NotApplied::Unfit(why) => {
            internal(format!("failed to create typed patch object ({}): {why}", named(&config)))
        }
        NotApplied::LiveUnfit(why) => {
            internal(format!("failed to create typed live object ({}): {why}", named(live)))
        }
    })?;
    let mut object = applied.object;
    coerce::fill_defaults(&mut object, definition.schema());
    if let Some(kind) = definition.built_in() {
        built_in::decode(kind, &mut object).map_err(Refusal::bad_request)?;
    }
    set_managed(&mut object, Some(&applied.managed));
    let mut warnings = change::duplicates_in_config(request)?;
    if stored.is_none() {
        change::check_no_uid(request, &object)?;
    }
    change::check_place(request, &mut object)?;
    change::drop_double_owners(&mut object, &mut warnings, change::AFTER_ADMISSION);
    match stored {
        Some(stored) => change::update(request, object, stored, warnings),
        None => change::finish_create(request, object, warnings),
    }
}

/// Returns an object as failures of apply name it.
fn named(object: &Value) -> String {
    let text = |path: &str| rules::text(object.pointer(path));
    let api_version = text("/apiVersion");
    let (namespace, name, kind) = (text("/metadata/namespace"), text("/metadata/name"), text("/kind"));
    format!("{namespace}/{name}; {api_version}, Kind={kind}")
}

/// Refuses with a sentence that the API server has no word for.
fn internal(message: String) -> Refusal {
    Refusal::plain(500, Reason::Unknown, message)
}

#[cfg(test)]
mod tests;
