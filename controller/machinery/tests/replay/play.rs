//! Plays one recorded request against our code, and writes answers in a form that two runs share: no uid, no resource
//! version, times as seconds since the sequence began.

use horizon_machinery::{
    definition::Definition,
    parameters::{delete::Delete, write::FieldValidation},
    patch::{Reading, merge_patch},
    query::Query,
    refusal::{Cause, CauseReason, Refusal},
    write::{
        Change, Effect, Part, Request,
        delete::{Deleted, Deletion, delete},
        write,
    },
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of every object.
pub(crate) const NAMESPACE: &str = "default";
/// The name of a sequence's object in our run.
pub(crate) const NAME: &str = "it";
const UID: &str = "00000000-0000-0000-0000-000000000000";

/// Stands for `apiVersion` and `kind`.
pub(crate) const HEAD: &str = "$";
/// Stands for the name in metadata.
pub(crate) const HEAD_NAME: &str = "$name";

/// One object and what happened to it.
pub(crate) struct Player<'d> {
    pub(crate) definition: &'d Definition,
    /// The name of the object.
    pub(crate) name: String,
    pub(crate) stored: Option<Value>,
    version: u64,
    /// When the sequence began.
    pub(crate) start: Timestamp,
}

impl<'d> Player<'d> {
    pub(crate) fn new(definition: &'d Definition, name: &str, start: Timestamp) -> Self {
        Self { definition, name: name.to_owned(), stored: None, version: 1000, start }
    }

    /// Plays a step; `is_invalid` says that its content was refused by the API server's validation, which is not
    /// played here.
    pub(crate) fn play(&mut self, step: &Value, now: Timestamp, is_invalid: bool) -> Value {
        let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("do") == "delete" {
            return self.delete(step, now);
        }
        let body = self.body(step);
        let change = match text("do") {
            "create" => Change::Create(&body),
            "put" => Change::Replace(&body),
            "json" => Change::JsonPatch(&body),
            "merge" => Change::MergePatch(&body),
            "apply" => Change::Apply { config: &body, force: step["force"] == json!(true) },
            other => panic!("`{other}` is no step"),
        };
        let validate = |_: &Value, _: Option<&Value>| -> Vec<Cause> {
            let cause = Cause {
                reason: CauseReason::FieldValueInvalid,
                message: "not played".to_owned(),
                field: "spec".to_owned(),
            };
            if is_invalid { vec![cause] } else { vec![] }
        };
        let uid = UID.to_owned();
        let request = Request {
            definition: self.definition,
            namespace: NAMESPACE,
            name: if text("do") == "create" { "" } else { &self.name },
            part: if text("part") == "status" { Part::Status } else { Part::Object },
            change,
            manager: text("manager"),
            field_validation: match text("validation") {
                "Ignore" => FieldValidation::Ignore,
                "Strict" => FieldValidation::Strict,
                _ => FieldValidation::Warn,
            },
            duplicates: &[],
            now,
            uid: &uid,
            name_suffix: "abcde",
            validate: &validate,
        };
        let stored = self.stored.clone();
        match write(&request, stored.as_ref()) {
            Err(refusal) => self.refused(&refusal),
            Ok(written) => {
                let is_changed = written.effect != Effect::Nothing;
                let mut object = written.object;
                if is_changed && written.effect != Effect::Delete {
                    self.version += 1;
                    object["metadata"]["resourceVersion"] = json!(self.version.to_string());
                }
                self.stored = (written.effect != Effect::Delete).then(|| object.clone());
                let code = if written.effect == Effect::Create { 201 } else { 200 };
                let is_gone = written.effect == Effect::Delete;
                self.answer(code, &object, is_changed && !is_gone, &written.warnings)
            }
        }
    }

    fn delete(&mut self, step: &Value, now: Timestamp) -> Value {
        let body = step.get("body").map(|body| self.made_of(body));
        let options = match Query::parse("").and_then(|query| Delete::parse(&query, body.as_ref())) {
            Ok(options) => options,
            Err(refusal) => return self.refused(&refusal),
        };
        let deletion = Deletion {
            definition: self.definition,
            name: &self.name,
            options: &options,
            is_garbage_collected: true,
            now,
        };
        match delete(&deletion, self.stored.as_ref()) {
            Err(refusal) => self.refused(&refusal),
            Ok(Deleted::Gone(_)) => {
                self.stored = None;
                json!({"code": 200})
            }
            Ok(Deleted::Marked(mut object)) => {
                self.version += 1;
                object["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.stored = Some(object.clone());
                self.answer(200, &object, true, &[])
            }
            Ok(Deleted::Waiting(object)) => self.answer(200, &object, false, &[]),
        }
    }

    /// Returns a step's body as a client would send it for the object that is stored here.
    pub(crate) fn body(&self, step: &Value) -> Value {
        let body = self.made_of(step.get("body").unwrap_or(&Value::Null));
        if step["do"] != json!("put") {
            return body;
        }
        let mut base = self.stored.clone().unwrap_or_else(|| {
            json!({"apiVersion": self.definition.resource.api_version(), "kind": self.definition.resource.kind, "metadata": {"name": self.name}})
        });
        if step["keep"] != json!(true)
            && let Some(metadata) = base["metadata"].as_object_mut()
        {
            metadata.remove("managedFields");
        }
        merge_patch(base, &body, Reading::Lenient).expect("a recorded patch").document
    }

    /// Replaces what stands for this run's uid, resource version and name.
    fn made_of(&self, value: &Value) -> Value {
        let of_stored = |name: &str| {
            let found = self.stored.as_ref().and_then(|stored| stored["metadata"].get(name));
            found.and_then(Value::as_str).unwrap_or("1").to_owned()
        };
        match value {
            Value::String(text) => match text.as_str() {
                "$UID" => json!(of_stored("uid")),
                "$RV" => json!(of_stored("resourceVersion")),
                text => json!(text.replace("$NAME", &self.name)),
            },
            Value::Array(items) => items.iter().map(|item| self.made_of(item)).collect(),
            Value::Object(fields) => {
                let mut fields: Map<_, _> =
                    fields.iter().map(|(key, value)| (key.clone(), self.made_of(value))).collect();
                // Most bodies say what they are, in the same words.
                if fields.remove(HEAD).is_some() {
                    fields
                        .entry("apiVersion")
                        .or_insert_with(|| json!(self.definition.resource.api_version()));
                    fields.entry("kind").or_insert_with(|| json!(self.definition.resource.kind));
                }
                if fields.remove(HEAD_NAME).is_some() {
                    fields.entry("name").or_insert_with(|| json!(self.name));
                }
                Value::Object(fields)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn answer(&self, code: u16, object: &Value, is_changed: bool, warnings: &[String]) -> Value {
        answer(code, portable_object(object, self.start), is_changed, warnings)
    }

    fn refused(&self, refusal: &Refusal) -> Value {
        let causes: Vec<Value> = (refusal.causes().iter())
            .map(|cause| json!([cause.reason.as_str(), cause.message, cause.field]))
            .collect();
        let uid = self
            .stored
            .as_ref()
            .map(|stored| stored["metadata"]["uid"].as_str().unwrap_or_default().to_owned());
        let version = self
            .stored
            .as_ref()
            .map(|s| s["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned());
        refused(refusal.code, refusal.reason.as_str(), &refusal.message, causes, uid, version, &self.name)
    }
}

/// Returns an accepted answer as it is compared.
pub(crate) fn answer(code: u16, object: Value, is_changed: bool, warnings: &[String]) -> Value {
    let mut answer = json!({"code": code, "object": object, "changed": is_changed});
    if !warnings.is_empty() {
        answer["warnings"] = json!(warnings);
    }
    answer
}

/// Returns a refusal as it is compared: causes in order, what differs between two runs replaced.
pub(crate) fn refused(
    code: u16,
    reason: &str,
    message: &str,
    mut causes: Vec<Value>,
    uid: Option<String>,
    version: Option<String>,
    name: &str,
) -> Value {
    let portable = |text: &str| {
        let mut text = shorten(text).replace(&format!("\"{name}\""), "\"$NAME\"");
        text = text.replace(&format!("/{name}"), "/$NAME").replace(&format!("({name}"), "($NAME");
        if let Some(uid) = uid.as_deref().filter(|uid| !uid.is_empty()) {
            text = text.replace(uid, "$UID");
        }
        if let Some(version) = version.as_deref().filter(|version| !version.is_empty()) {
            text = text.replace(&format!("({version})"), "($RV)");
        }
        text
    };
    let rejected = "the server rejected our request due to an error in our request";
    if message == rejected {
        // Ours name the operation and the reason, the API server's are empty.
        causes.clear();
    }
    for cause in &mut causes {
        cause[1] = json!(portable(cause[1].as_str().unwrap_or_default()));
    }
    // The API server takes owners in the order of a hash map.
    causes.sort_by_key(Value::to_string);
    json!({"code": code, "reason": reason, "message": portable(message), "causes": causes})
}

/// Leaves out the whole objects that refused patches are told with: they hold uids and times.
fn shorten(text: &str) -> String {
    let cut = |text: &str, start: &str, end: &str| -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(start) {
            let Some((_, after)) = after.split_once(end) else { break };
            out.push_str(&format!("{before}{start}…{end}"));
            rest = after;
        }
        out + rest
    };
    cut(&cut(text, "Invalid value: \"{", "}\": "), "is missing in '{", "}'")
}

/// Returns an object as it is compared.
pub(crate) fn portable_object(object: &Value, start: Timestamp) -> Value {
    let mut object = object.clone();
    let api_version = object["apiVersion"].clone();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return object };
    metadata.remove("resourceVersion");
    let metadata_uid = metadata.get("uid").and_then(Value::as_str).map(str::to_owned);
    let name = metadata.insert("name".to_owned(), json!("$NAME")).unwrap_or_default();
    // Client-side `kubectl apply` keeps a copy with the name and perhaps the uid in it.
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    if let Some(last) = metadata.get_mut("annotations").and_then(|annotations| annotations.get_mut(last)) {
        let name = format!("\"name\":{name}");
        let text = last.as_str().unwrap_or_default().replace(&name, "\"name\":\"$NAME\"");
        let uid = metadata_uid.as_deref().filter(|uid| !uid.is_empty());
        *last = json!(uid.map_or(text.clone(), |uid| text.replace(uid, "$UID")));
    }
    if metadata.contains_key("uid") {
        metadata.insert("uid".to_owned(), json!("$UID"));
    }
    for name in ["creationTimestamp", "deletionTimestamp"] {
        if let Some(time) = metadata.get(name) {
            metadata.insert(name.to_owned(), seconds(time, start));
        }
    }
    if let Some(Value::Array(entries)) = metadata.remove("managedFields") {
        let mut order = vec![];
        let mut by_owner = Map::new();
        for mut entry in entries {
            let fields = entry["fieldsV1"].take();
            let time = entry.get("time").map_or(Value::Null, |time| seconds(time, start));
            let entry = entry.as_object_mut().map(std::mem::take).unwrap_or_default();
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let owner = [text("manager"), text("operation"), text("subresource")].join("|");
            order.push(owner.clone());
            let mut kept = json!({"at": time, "fields": fields});
            if entry.get("apiVersion") != Some(&api_version) {
                kept["version"] = json!(text("apiVersion"));
            }
            by_owner.insert(owner, kept);
        }
        metadata.insert("managedFields".to_owned(), json!({"order": order, "by": by_owner}));
    }
    object
}

fn seconds(time: &Value, start: Timestamp) -> Value {
    let time: Option<Timestamp> = time.as_str().and_then(|time| time.parse().ok());
    time.map_or(Value::Null, |time| json!(time.as_second() - start.as_second()))
}

/// Returns what changed from one value to another, for a short record: `["=", new]`, `["-"]`, or an object of changes.
pub(crate) fn difference(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(ours), Value::Object(theirs)) = (old, new) else { return Some(json!(["=", new])) };
    let mut changes = Map::new();
    for (key, old) in ours {
        match theirs.get(key) {
            None => changes.insert(key.clone(), json!(["-"])),
            Some(new) => difference(old, new).and_then(|change| changes.insert(key.clone(), change)),
        };
    }
    for (key, new) in theirs.iter().filter(|(key, _)| !ours.contains_key(*key)) {
        changes.insert(key.clone(), json!(["=", new]));
    }
    Some(Value::Object(changes))
}
