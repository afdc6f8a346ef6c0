//! Documents about the server: version, discovery, OpenAPI.

use std::env::consts;

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use horizon_machinery::{
    discovery::{self, Build, etag, is_known},
    list::Refused,
    negotiate::{Discovery, Encoding, OpenApi},
    openapi,
    path::Document,
    refusal::Refusal,
    status,
};
use serde_json::Value;

use super::{answer, call::Call};
use crate::Shared;

const TEXT: &str = "text/plain; charset=utf-8";

/// # Errors
/// 404 for what is not served, 406 for a form that is not written.
pub(super) fn tell(shared: &Shared, call: &Call, document: &Document) -> Result<Response, Refused> {
    Ok(match document {
        Document::Version => plain(call, Some(version(shared)))?,
        // These answer as long as anything does; what `/readyz` looks at is served beside these paths.
        Document::Health | Document::Live | Document::Ready => {
            answer::bytes(StatusCode::OK, TEXT, Body::from("ok"))
        }
        Document::CoreVersions => discover(call, true)?,
        Document::Groups => discover(call, false)?,
        Document::Group(name) => plain(call, discovery::group(name))?,
        Document::Resources { group, version } => plain(call, discovery::resources(group, version))?,
        Document::OpenApiV2 => {
            let form = OpenApi::negotiate(&call.accept())?;
            let document = match form {
                OpenApi::Json => openapi::v2_json(),
                OpenApi::Protobuf => openapi::v2_protobuf(),
            };
            tagged(call, form.content_type(), &document.etag, &document.bytes)
        }
        Document::OpenApiV3 => openapi_v3(call, openapi::v3_root())?,
        Document::OpenApiV3Of(path) => {
            openapi_v3(call, openapi::v3_document(path).ok_or_else(status::no_such_path)?)?
        }
    })
}

fn version(shared: &Shared) -> Value {
    let platform = format!("{}/{}", consts::OS, architecture());
    let version = shared.state.view.borrow().controller_version.clone();
    discovery::version(&Build { version: &version, commit: "", platform: &platform })
}

/// Returns the processor as Go calls it.
fn architecture() -> &'static str {
    match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn plain(call: &Call, document: Option<Value>) -> Result<Response, Refusal> {
    let form = call.form()?;
    Ok(answer::document(StatusCode::OK, form, &document.ok_or_else(status::no_such_path)?))
}

/// Answers `/api` and `/apis`.
fn discover(call: &Call, is_core: bool) -> Result<Response, Refusal> {
    match Discovery::negotiate(&call.accept())? {
        Discovery::Plain(_) if is_core => {
            plain(call, Some(discovery::core_versions(&call.header(header::HOST))))
        }
        Discovery::Plain(_) => plain(call, Some(discovery::groups())),
        form @ Discovery::Aggregated(version) => {
            let body = Encoding::Json.write(&discovery::aggregated(is_core, version), false);
            Ok(tagged(call, form.content_type(), &etag(&body), &Bytes::from(body)))
        }
    }
}

fn openapi_v3(call: &Call, document: &openapi::Document) -> Result<Response, Refusal> {
    let form = call.form()?;
    let json = Encoding::Json.content_type();
    if form.encoding != Encoding::Json {
        return Err(status::not_acceptable(&[json]));
    }
    let response = tagged(call, json, &document.etag, &document.bytes);
    // Whoever names the hash gets these bytes or none, for ever.
    let is_named =
        !call.query.text("hash").is_empty() && document.etag.trim_matches('"') == call.query.text("hash");
    Ok(if is_named {
        answer::with_header(response, header::CACHE_CONTROL, "private, max-age=31536000, immutable")
    } else {
        response
    })
}

/// Answers with a document, or with the word that the client has it (RFC 9110 §13.1.2).
fn tagged(call: &Call, content_type: &'static str, etag: &str, bytes: &Bytes) -> Response {
    let response = if is_known(&call.header(header::IF_NONE_MATCH), etag) {
        answer::bytes(StatusCode::NOT_MODIFIED, content_type, Body::empty())
    } else {
        answer::bytes(StatusCode::OK, content_type, bytes.clone())
    };
    let response = answer::with_header(response, header::ETAG, etag);
    answer::with_header(response, header::VARY, "Accept")
}
