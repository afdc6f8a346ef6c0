//! From a body to what it says: JSON, YAML, or the protobuf of Kubernetes.

use axum::http::header;
use horizon_machinery::{
    definition::Definition,
    protobuf,
    refusal::Refusal,
    write::{
        body::{self, Body, Purpose},
        yaml,
    },
};
use serde_json::Value;

use super::call::Call;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// Reads a whole object.
///
/// # Errors
/// 400 for what cannot be read, 415 for what nobody reads.
pub(super) fn object(call: &Call, bytes: &[u8], definition: &Definition) -> Result<Body, Refusal> {
    match media_type(call).as_str() {
        "" | JSON => body::read(bytes, Purpose::Object(definition)),
        YAML => yaml::read(bytes, Purpose::Object(definition)),
        protobuf::MEDIA_TYPE => Ok(Body { value: protobuf::decode(bytes)?, duplicates: vec![] }),
        _ => Err(unread()),
    }
}

/// Reads a question or options: what is no object that anybody keeps. There is nothing if there are no bytes.
///
/// # Errors
/// As [`object`].
pub(super) fn asked(call: &Call, bytes: &[u8]) -> Result<Option<Value>, Refusal> {
    let text = |error: String| Refusal::bad_request(format!("the body cannot be read: {error}"));
    match media_type(call).as_str() {
        _ if bytes.is_empty() => Ok(None),
        "" | JSON => serde_json::from_slice(bytes).map(Some).map_err(|error| text(error.to_string())),
        YAML => yaml::read(bytes, Purpose::Applied).map(|body| Some(body.value)),
        protobuf::MEDIA_TYPE => protobuf::decode(bytes).map(Some),
        _ => Err(unread()),
    }
}

fn media_type(call: &Call) -> String {
    let text = call.header(header::CONTENT_TYPE);
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn unread() -> Refusal {
    Refusal::unsupported_media_type(&[JSON, YAML, protobuf::MEDIA_TYPE])
}
