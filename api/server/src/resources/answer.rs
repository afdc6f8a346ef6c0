//! Answers: documents, objects, refusals.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use horizon_machinery::{list::Refused, negotiate::Form, warning};
use serde_json::Value;

/// Returns an answer with what every answer has: nobody but the caller may keep it, and nobody guesses its type.
pub(super) fn bytes(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Returns a document in the form that was agreed on.
pub(super) fn document(code: StatusCode, form: Form, document: &Value) -> Response {
    let mut written = form.encoding.write(document, form.is_pretty);
    // People read it on a terminal.
    if !written.ends_with(b"\n") {
        written.push(b'\n');
    }
    bytes(code, form.encoding.content_type(), Bytes::from(written))
}

/// Returns a `Status`, with the headers that programs look at.
pub(super) fn refused(form: Form, refused: &Refused) -> Response {
    let refusal = &refused.refusal;
    let code = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = document(code, form, &refused.body());
    let headers = response.headers_mut();
    if code == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let seconds = refusal.details.as_ref().and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = seconds {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds what people should know about an accepted write.
pub(super) fn with_warnings(mut response: Response, warnings: &[String]) -> Response {
    for warning in warning::headers(warnings.iter().map(String::as_str)) {
        if let Ok(value) = HeaderValue::try_from(warning) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// Adds a header whose value is ours.
pub(super) fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
