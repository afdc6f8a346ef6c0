//! One object for a page that shows it: whose it is, how it stands, and the text that declares it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    routing::get,
};
use horizon_api::{
    http::{ApiError, ObjectReport, ObjectRequest, ObjectView, OwnerKind},
    resource::{Kind, ObjectKey},
};
use horizon_machinery::{
    access,
    negotiate::Encoding,
    path::{Target, Verb},
    resource::Resource,
    shown,
    stored::key as stored_key,
    write::Part,
};
use horizon_planner::compile::{API_SOURCE, RESOURCE_API};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Command, Refusal, Shared,
    command::{Wish, ask},
    failure::Failure,
    session::SignedIn,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/object", get(object))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    kind: Kind,
    namespace: String,
    name: String,
}

async fn object(
    State(shared): State<Arc<Shared>>,
    caller: SignedIn,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<ObjectView>, Failure> {
    let Query(question) = question.map_err(|rejection| Failure::Malformed(rejection.body_text()))?;
    check_access(&shared, &caller, &question)?;
    let Question { kind, namespace, name } = question;
    let key = ObjectKey::new(kind, namespace, name);
    let request = ObjectRequest { object: key.clone() };
    let asked = ask(&shared.state.commands, Wish::Answer, |reply| Command::Object { request, reply }).await;
    let shown = on_shelf(&shared, &key);
    let unheard = shown.as_ref().and_then(|object| unheard(&key, object));
    let report = match (asked, unheard) {
        (Err(Failure::Refused(Refusal::Missing(_))), Some(unheard)) => unheard,
        (asked, _) => asked?,
    };
    let manifest = shown.as_ref().and_then(manifest).ok_or_else(|| not_shown(&key))?;
    Ok(Json(ObjectView { report, manifest }))
}

/// Whose an object is tells names of files, so only who may read the object learns it.
fn check_access(shared: &Shared, caller: &SignedIn, question: &Question) -> Result<(), Failure> {
    let Question { kind, namespace, name } = question;
    let target = Target {
        verb: Verb::Get,
        resource: Resource::of(*kind),
        namespace: namespace.clone(),
        name: name.clone(),
        part: Part::Object,
    };
    let subject = caller.admin.subject(&caller.session.subject, &shared.state.keeper.system_namespace);
    access::check(&subject, &target)
        .map_err(|refusal| Failure::Refused(Refusal::Denied(ApiError::new("Forbidden", refusal.message, ""))))
}

fn on_shelf(shared: &Shared, key: &ObjectKey) -> Option<Value> {
    let shelf = shared.state.keeper.shelf(Resource::of(key.kind))?;
    let stored = shelf.get(&stored_key(&key.namespace, &key.name))?;
    serde_json::from_slice(&stored.json()).ok()
}

fn manifest(object: &Value) -> Option<String> {
    String::from_utf8(Encoding::Yaml.write(&shown::written(object), false)).ok()
}

/// What a client has just written, the reconciler hears of a moment later. Others own no fields.
fn unheard(key: &ObjectKey, object: &Value) -> Option<ObjectReport> {
    object.pointer("/metadata/managedFields")?;
    Some(ObjectReport {
        object: key.clone(),
        source: API_SOURCE.to_owned(),
        owner: OwnerKind::Client,
        place: RESOURCE_API.to_owned(),
        generation: object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0),
        conditions: vec![],
        gateways: vec![],
        server: None,
        key: None,
    })
}

/// The reconciler was faster than what shows its word.
fn not_shown(key: &ObjectKey) -> Failure {
    let message = format!("{key} is not shown yet");
    Failure::Refused(Refusal::Missing(ApiError::new("NotFound", message, "try again in a moment")))
}
