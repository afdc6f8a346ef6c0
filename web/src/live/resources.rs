//! The calls of the resource API, and those about one object or text.

use std::time::Duration;

use gloo_net::http::{Request, RequestBuilder, Response};
use horizon_api::{
    http::{CSRF_HEADER, CheckAnswer},
    resource::{API_VERSION, GROUP, Kind, ObjectKey},
};
use leptos::prelude::*;
use serde_json::{Value, json};

use super::{CallError, accept};
use crate::model::{
    happened::{self, Happened},
    object::Shown,
};

/// How soon what is written is looked at: not at every key.
pub(crate) const DEBOUNCE: Duration = Duration::from_millis(300);
/// Who owns the fields that are written here.
pub(crate) const MANAGER: &str = "horizon-console";

const YAML: &str = "application/yaml";

/// Whose page this is.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub csrf: StoredValue<String>,
}

/// What came of an apply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Applied {
    pub is_new: bool,
    pub warnings: Vec<String>,
}

/// What came of a deletion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deleted {
    Gone,
    /// It goes when what it did is undone.
    Marked,
}

impl Caller {
    /// Returns the verdict on a text.
    pub(crate) async fn check(self, text: String) -> Result<CheckAnswer, CallError> {
        let call = self.change(Request::post("/v1/check")).header("content-type", YAML);
        json(accept(send(call, text).await).await?).await
    }

    /// Says whether this person may change objects of a kind.
    pub(crate) async fn may_change(self, kind: Kind, namespace: &str) -> Result<bool, CallError> {
        let question = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": "*", "group": GROUP, "resource": kind.plural(), "namespace": namespace,
            } },
        });
        let call = self.change(Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"));
        let call = call.header("content-type", "application/json");
        let answer: Value = json(accept(send(call, question.to_string()).await).await?).await?;
        Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
    }

    /// Applies a document; `takes_over` takes the fields of others.
    pub(crate) async fn apply(
        self,
        key: &ObjectKey,
        text: String,
        takes_over: bool,
    ) -> Result<Applied, CallError> {
        let path = path_of(key);
        let path = format!("{path}?fieldManager={MANAGER}&fieldValidation=Strict&force={takes_over}");
        let call = self.change(Request::patch(&path)).header("content-type", "application/apply-patch+yaml");
        let response = accept(send(call, text).await).await?;
        let warnings = response.headers().get("warning").map(|header| warnings(&header)).unwrap_or_default();
        Ok(Applied { is_new: response.status() == 201, warnings })
    }

    pub(crate) async fn delete(self, key: &ObjectKey) -> Result<Deleted, CallError> {
        let call = self.change(Request::delete(&path_of(key)));
        let answer: Value = json(accept(call.send().await).await?).await?;
        Ok(if answer["kind"] == "Status" { Deleted::Gone } else { Deleted::Marked })
    }

    fn change(self, call: RequestBuilder) -> RequestBuilder {
        call.header(CSRF_HEADER, &self.csrf.get_value())
    }
}

pub(crate) async fn object(key: &ObjectKey) -> Result<Shown, CallError> {
    let ObjectKey { kind, namespace, name } = key;
    let path = format!("/v1/object?kind={kind}&namespace={namespace}&name={name}");
    let answer = json(accept(Request::get(&path).send().await).await?).await?;
    Shown::read(&answer).ok_or(CallError::Unreachable)
}

/// Returns an object with all that the controller adds.
pub(crate) async fn yaml(key: &ObjectKey) -> Result<String, CallError> {
    let sent = Request::get(&path_of(key)).header("accept", YAML).send().await;
    accept(sent).await?.text().await.map_err(|_| CallError::Unreachable)
}

pub(crate) async fn events(key: &ObjectKey) -> Result<Vec<Happened>, CallError> {
    let ObjectKey { kind, namespace, name } = key;
    let selector = format!("involvedObject.kind%3D{kind},involvedObject.name%3D{name}");
    let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector={selector}");
    let list: Value = json(accept(Request::get(&path).send().await).await?).await?;
    Ok(happened::read(&list))
}

pub(crate) async fn namespaces() -> Result<Vec<String>, CallError> {
    let list: Value = json(accept(Request::get("/api/v1/namespaces").send().await).await?).await?;
    let items = list["items"].as_array().into_iter().flatten();
    Ok(items.filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect())
}

/// Returns the path of a kind's objects, of one namespace or of all.
pub(super) fn path_of_kind(kind: Kind, namespace: Option<&str>) -> String {
    let place = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
    format!("/apis/{API_VERSION}/{place}{}", kind.plural())
}

fn path_of(key: &ObjectKey) -> String {
    format!("{}/{}", path_of_kind(key.kind, Some(&key.namespace)), key.name)
}

async fn send(call: RequestBuilder, body: String) -> Result<Response, gloo_net::Error> {
    call.body(body)?.send().await
}

async fn json<T: serde::de::DeserializeOwned>(response: Response) -> Result<T, CallError> {
    response.json().await.map_err(|_| CallError::Unreachable)
}

/// Returns the texts of a header such as `299 - "one", 299 - "two"` (RFC 7234 §5.5).
fn warnings(header: &str) -> Vec<String> {
    let quoted = header.split("299 - \"").skip(1);
    let texts = quoted.map(|text| text.trim_end_matches([',', ' ']).trim_end_matches('"'));
    texts.map(|text| text.replace("\\\"", "\"").replace("\\\\", "\\")).collect()
}
