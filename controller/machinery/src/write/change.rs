//! The steps that writes have in common.

use serde_json::{Map, Value, json};

use super::{
    Change, Effect, Part, Request, Written,
    decode::{Undecodable, complaints, decode, metadata_mut, normalize, summary},
    internal, own, rules, size,
};
use crate::{
    definition::built_in,
    field_cause, generate_name, gotext,
    managed::time_text,
    parameters::write::FieldValidation,
    patch::Patched,
    refusal::{About, Causes, Reason, Refusal},
};

/// What the API server says when somebody else was faster.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
/// Where the API server looks for double owners once more.
pub(super) const AFTER_ADMISSION: &str = " after mutating admission happens";
/// A generated name is this many characters and a suffix.
const GENERATED_STEM_MAX: usize = 58;

/// Makes an object.
pub(super) fn create(
    request: &Request<'_>,
    body: &Value,
    stored: Option<&Value>,
) -> Result<Written, Refusal> {
    let mut warnings = vec![];
    let mut object = decode_body(request, body, &mut warnings)?;
    if let Some(metadata) = metadata_mut(&mut object) {
        for name in
            ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
        {
            metadata.remove(name);
        }
    }
    check_namespace(request, &mut object)?;
    drop_double_owners(&mut object, &mut warnings, "");
    let kind = |name: &str| object.get(name).cloned().unwrap_or_default();
    let nothing = json!({"apiVersion": kind("apiVersion"), "kind": kind("kind")});
    own(request, &nothing, &mut object);
    let is_versioned = object.pointer("/metadata/resourceVersion").is_some();
    let written = finish_create(request, object, warnings)?;
    if is_versioned {
        return Err(internal("resourceVersion should not be set on objects to be created".to_owned()));
    }
    match stored {
        None => Ok(written),
        Some(stored) => {
            let name = rules::text(written.object.pointer("/metadata/name"));
            let refusal = exists(request, &name, &written.object);
            if stored.pointer("/metadata/deletionTimestamp").is_none() {
                return Err(refusal);
            }
            let message = format!("object is being deleted: {}", refusal.message);
            Err(Refusal { message, ..refusal })
        }
    }
}

fn exists(request: &Request<'_>, name: &str, object: &Value) -> Refusal {
    let about = request.definition.about(name);
    if object.pointer("/metadata/generateName").is_none() {
        return Refusal::already_exists(about);
    }
    generate_name::taken(about)
}

/// Gives a new object what only the server gives, and checks it.
pub(super) fn finish_create(
    request: &Request<'_>,
    mut object: Value,
    mut warnings: Vec<String>,
) -> Result<Written, Refusal> {
    let definition = request.definition;
    if let Some(metadata) = metadata_mut(&mut object) {
        let stem = rules::text(metadata.get("generateName"));
        if rules::text(metadata.get("name")).is_empty() && !stem.is_empty() {
            let stem: String = stem.chars().take(GENERATED_STEM_MAX).collect();
            metadata.insert("name".to_owned(), json!(format!("{stem}{}", request.name_suffix)));
        }
        metadata.insert("creationTimestamp".to_owned(), json!(time_text(request.now)));
        metadata.insert("uid".to_owned(), json!(request.uid));
        if definition.built_in().is_none() {
            metadata.insert("generation".to_owned(), json!(1));
        }
        metadata.remove("resourceVersion");
        metadata.remove("selfLink");
    }
    if definition.resource.has_status
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if let Some(kind) = definition.built_in() {
        built_in::prepare(kind, &mut object);
    }
    let mut causes = rules::type_mistakes(&object, definition);
    if causes.is_empty() {
        rules::metadata_mistakes(&object, definition, rules::Naming::Strict, &mut causes);
        causes.extend((request.validate)(&object, None));
    }
    if causes.is_empty() {
        rules::metadata_mistakes(&object, definition, rules::Naming::Path, &mut causes);
    }
    if !causes.is_empty() {
        return Err(invalid(&object, causes));
    }
    warnings.extend(rules::finalizer_warnings(&object, None));
    normalize(&mut object, definition).map_err(internal)?;
    size::check(&object)?;
    Ok(Written { object, effect: Effect::Create, warnings })
}

/// Reads the body of a create or replace.
pub(super) fn decode_body(
    request: &Request<'_>,
    body: &Value,
    warnings: &mut Vec<String>,
) -> Result<Value, Refusal> {
    let definition = request.definition;
    let wanted = &definition.resource.kind;
    let (group, version) = rules::text(body.get("apiVersion")).split_once('/').map_or_else(
        || (String::new(), rules::text(body.get("apiVersion"))),
        |(group, version)| (group.to_owned(), version.to_owned()),
    );
    let kind = rules::text(body.get("kind"));
    let unhandled = |why: &str| {
        let version = gotext::quoted(&version);
        Refusal::bad_request(format!("{kind} in version {version} cannot be handled as a {wanted}: {why}"))
    };
    let decoded = decode(body, definition).map_err(|why| match why {
        Undecodable::Unfit(why) => unhandled(&why),
        Undecodable::Unrecognized(why) => Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {wanted}): {why} ({})",
            summary(body)
        )),
    })?;
    let complaints = complaints(request, &decoded.unknown);
    match request.field_validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => warnings.extend(complaints),
        FieldValidation::Strict if complaints.is_empty() => {}
        FieldValidation::Strict => {
            return Err(unhandled(&format!("strict decoding error: {}", complaints.join(", "))));
        }
    }
    if (group.as_str(), version.as_str())
        != (definition.resource.group.as_str(), definition.resource.version.as_str())
    {
        let (found, expected) = (rules::text(body.get("apiVersion")), definition.resource.api_version());
        return Err(Refusal::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({expected})"
        )));
    }
    Ok(decoded.object)
}

/// Reads a patched document.
pub(super) fn decode_patched(
    request: &Request<'_>,
    patched: Patched,
    warnings: &mut Vec<String>,
) -> Result<Value, Refusal> {
    let refuse = |why: &str| {
        let text = summary(&patched.document);
        let about = About { group: "", kind: "", name: "" };
        Refusal::invalid(about, vec![field_cause::invalid("patch", text, why)])
    };
    let decoded = decode(&patched.document, request.definition).map_err(|why| refuse(why.message()))?;
    let mut complaints = complaints(request, &decoded.unknown);
    let twice = request.duplicates.len();
    complaints.splice(twice..twice, patched.unknown.iter().cloned());
    match request.field_validation {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => warnings.extend(complaints),
        FieldValidation::Strict if complaints.is_empty() => {}
        FieldValidation::Strict => {
            return Err(refuse(&format!("strict decoding error: {}", complaints.join(", "))));
        }
    }
    Ok(decoded.object)
}

/// Checks what an applied configuration says that it is.
pub(super) fn checked_config(request: &Request<'_>, config: &Value) -> Result<Value, Refusal> {
    let definition = request.definition;
    let Value::Object(fields) = config else {
        let found = gotext::kind(config);
        return Err(Refusal::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go \
             value of type map[string]interface {{}}"
        )));
    };
    let (api_version, kind) = (rules::text(fields.get("apiVersion")), rules::text(fields.get("kind")));
    if (&api_version, &kind) != (&definition.resource.api_version(), &definition.resource.kind) {
        // Without a group, Go prints the group and version apart.
        let printed = if api_version.contains('/') { api_version } else { format!("/{api_version}") };
        return Err(Refusal::bad_request(format!("invalid object type: {printed}, Kind={kind}")));
    }
    if config.pointer("/metadata/managedFields").is_some_and(|managed| !managed.is_null()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let mut config = config.clone();
    super::coerce::normalize_numbers(&mut config);
    Ok(config)
}

/// Complains about what an applied configuration says twice; its reader knows YAML, and names lines.
pub(super) fn duplicates_in_config(request: &Request<'_>) -> Result<Vec<String>, Refusal> {
    match request.field_validation {
        FieldValidation::Ignore => Ok(vec![]),
        FieldValidation::Warn => Ok(request.duplicates.to_vec()),
        FieldValidation::Strict if request.duplicates.is_empty() => Ok(vec![]),
        FieldValidation::Strict => {
            let lines = request.duplicates.join("\n  ");
            let yaml = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:";
            Err(Refusal::bad_request(format!("{yaml}\n  {lines}")))
        }
    }
}

/// Refuses a uid where no object is.
pub(super) fn check_no_uid(request: &Request<'_>, object: &Value) -> Result<(), Refusal> {
    let uid = rules::text(object.pointer("/metadata/uid"));
    if uid.is_empty() {
        return Ok(());
    }
    let why =
        format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
    Err(Refusal::conflict(request.definition.about(request.name), why))
}

/// Checks that an object belongs where the path says.
pub(super) fn check_place(request: &Request<'_>, object: &mut Value) -> Result<(), Refusal> {
    check_namespace(request, object)?;
    let (name, wanted) = (rules::text(object.pointer("/metadata/name")), request.name);
    if name.is_empty() {
        if let (Change::Apply { .. }, Some(metadata)) = (request.change, metadata_mut(object)) {
            metadata.insert("name".to_owned(), json!(wanted));
            return Ok(());
        }
        return Err(Refusal::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != wanted {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    Ok(())
}

fn check_namespace(request: &Request<'_>, object: &mut Value) -> Result<(), Refusal> {
    let wanted = request.namespace;
    let Some(metadata) = metadata_mut(object) else { return Ok(()) };
    let found = rules::text(metadata.get("namespace"));
    if wanted.is_empty() {
        metadata.remove("namespace");
    } else if found.is_empty() {
        metadata.insert("namespace".to_owned(), json!(wanted));
    } else if found != wanted {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Refuses to replace another object of the same name.
pub(super) fn check_uid(request: &Request<'_>, object: &Value, stored: &Value) -> Result<(), Refusal> {
    let of = |object: &Value| rules::text(object.pointer("/metadata/uid"));
    let (wanted, found) = (of(object), of(stored));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let (definition, name) = (request.definition, request.name);
    let place = [&definition.resource.group, &definition.resource.plural, request.namespace, name].join("/");
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{place}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    );
    Err(Refusal::conflict(definition.about(name), why))
}

/// Drops owner references that are there twice.
pub(super) fn drop_double_owners(object: &mut Value, warnings: &mut Vec<String>, when: &str) {
    let owners = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
    let Some(owners) = owners else { return };
    let mut seen = std::collections::BTreeSet::new();
    let mut double = vec![];
    owners.retain(|owner| {
        let is_new = seen.insert(gotext::json(owner));
        if !is_new {
            double.push(rules::text(owner.get("uid")));
        }
        is_new
    });
    if !double.is_empty() {
        warnings.push(format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, \
             and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            double.join(", ")
        ));
    }
}

/// Puts a changed object in the place of the stored one.
pub(super) fn update(
    request: &Request<'_>,
    mut object: Value,
    stored: &Value,
    mut warnings: Vec<String>,
) -> Result<Written, Refusal> {
    check_version(request, &object, stored)?;
    match request.part {
        Part::Object => keep_what_is_not_written(request, &mut object, stored),
        Part::Status => object = with_status_of(&object, stored),
    }
    keep_system_fields(&mut object, stored);
    let causes = mistakes(request, &object, stored);
    if !causes.is_empty() {
        return Err(invalid(&object, causes));
    }
    warnings.extend(rules::finalizer_warnings(&object, Some(stored)));
    keep_times_if_nothing_else(&mut object, stored);
    let metadata =
        |object: &Value| object.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let is_deleting = metadata(stored).contains_key("deletionTimestamp");
    if is_deleting && rules::finalizers(&metadata(&object)).is_empty() {
        return Ok(Written { object, effect: Effect::Delete, warnings });
    }
    normalize(&mut object, request.definition).map_err(internal)?;
    if object == *stored {
        return Ok(Written { object, effect: Effect::Nothing, warnings });
    }
    size::check(&object)?;
    Ok(Written { object, effect: Effect::Update, warnings })
}

fn check_version(request: &Request<'_>, object: &Value, stored: &Value) -> Result<(), Refusal> {
    let about = request.definition.about(request.name);
    let text = rules::text(object.pointer("/metadata/resourceVersion"));
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !text.is_empty() && !is_number {
        let text = gotext::quoted(&text);
        return Err(internal(format!("strconv.ParseUint: parsing {text}: invalid syntax")));
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() {
        let cause = field_cause::invalid_value(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        return Err(Refusal::invalid(about, vec![cause]));
    }
    let found = rules::text(stored.pointer("/metadata/resourceVersion"));
    if digits != found.trim_start_matches('0') {
        return Err(Refusal::conflict(about, MODIFIED));
    }
    Ok(())
}

/// Keeps the status, and counts a change of anything else but metadata.
fn keep_what_is_not_written(request: &Request<'_>, object: &mut Value, stored: &Value) {
    let generation = stored.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    if let Some(fields) = object.as_object_mut()
        && request.definition.resource.has_status
    {
        match stored.get("status") {
            Some(status) => fields.insert("status".to_owned(), status.clone()),
            None => fields.remove("status"),
        };
    }
    if let Some(kind) = request.definition.built_in() {
        return built_in::keep(kind, object, stored);
    }
    let content = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        fields
    };
    let is_changed = content(object) != content(stored);
    if let Some(metadata) = metadata_mut(object) {
        metadata.insert("generation".to_owned(), json!(if is_changed { generation + 1 } else { generation }));
    }
}

/// Returns the stored object with the status and the owners of the written one.
fn with_status_of(object: &Value, stored: &Value) -> Value {
    let mut kept = stored.clone();
    if let Some(metadata) = metadata_mut(&mut kept) {
        match object.pointer("/metadata/managedFields") {
            Some(managed) => metadata.insert("managedFields".to_owned(), managed.clone()),
            None => metadata.remove("managedFields"),
        };
    }
    if let Some(fields) = kept.as_object_mut() {
        match object.get("status") {
            Some(status) => fields.insert("status".to_owned(), status.clone()),
            None => fields.remove("status"),
        };
    }
    kept
}

/// Restores what no update changes; a uid that was given is checked later.
fn keep_system_fields(object: &mut Value, stored: &Value) {
    let stored = stored.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(metadata) = metadata_mut(object) else { return };
    let mut keep = |name: &str, is_kept: fn(&Map<String, Value>, &str) -> bool| {
        if let Some(value) = stored.get(name)
            && is_kept(metadata, name)
        {
            metadata.insert(name.to_owned(), value.clone());
        }
    };
    let if_absent = |metadata: &Map<String, Value>, name: &str| !metadata.contains_key(name);
    keep("uid", if_absent);
    keep("creationTimestamp", |_, _| true);
    keep("deletionTimestamp", |_, _| true);
    keep("deletionGracePeriodSeconds", if_absent);
    // Nobody has written links for years, but clients still send them.
    metadata.remove("selfLink");
}

fn mistakes(request: &Request<'_>, object: &Value, stored: &Value) -> Causes {
    let mut causes = Causes::default();
    rules::metadata_mistakes(object, request.definition, rules::Naming::Path, &mut causes);
    rules::change_mistakes(object, stored, &mut causes);
    let types = rules::type_mistakes(object, request.definition);
    if !types.is_empty() {
        causes.extend(types.into_vec());
        return causes;
    }
    // The API server asks twice, and so answers every cause twice.
    rules::change_mistakes(object, stored, &mut causes);
    causes.extend((request.validate)(object, Some(stored)));
    causes
}

/// Keeps the times of owners if they are all that differs, so that a write that changes nothing changes nothing.
fn keep_times_if_nothing_else(object: &mut Value, stored: &Value) {
    let old = stored.pointer("/metadata/managedFields").and_then(Value::as_array);
    let new = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let (Some(old), Some(new)) = (old, new) else { return };
    let timeless = |entry: &Value| {
        let mut fields = entry.as_object().cloned().unwrap_or_default();
        fields.remove("time");
        fields
    };
    if old.len() != new.len() || old.iter().zip(new).any(|(old, new)| timeless(old) != timeless(new)) {
        return;
    }
    let rest = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = metadata_mut(&mut object) {
            metadata.remove("managedFields");
        }
        object
    };
    if rest(object) == rest(stored) {
        let old = Value::Array(old.clone());
        if let Some(metadata) = metadata_mut(object) {
            metadata.insert("managedFields".to_owned(), old);
        }
    }
}

/// Refuses an object for what is in it, under the kind that it says it is.
pub(super) fn invalid(object: &Value, causes: Causes) -> Refusal {
    let api_version = rules::text(object.get("apiVersion"));
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let (kind, name) = (rules::text(object.get("kind")), rules::text(object.pointer("/metadata/name")));
    let refusal = Refusal::invalid(About { group, kind: &kind, name: &name }, causes.into_vec());
    debug_assert_eq!(refusal.reason, Reason::Invalid);
    refusal
}
