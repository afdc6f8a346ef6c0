//! Reviews: what a caller may do, asked by creating an object that nobody keeps.

use axum::{body::Body, http::StatusCode, response::Response};
use horizon_machinery::{access::review, path::Target, refusal::Refusal, resource::Resource};

use super::{answer, body, call::Call, caller::Caller, decode};
use crate::Shared;

/// Says whether objects of this kind are only asked with.
pub(super) fn is_one(resource: &Resource) -> bool {
    resource.verbs == ["create"]
}

/// # Errors
/// 400, 413, 415, 422 for bodies that are none.
pub(super) async fn review(
    shared: &Shared,
    call: &Call,
    body: Body,
    caller: &Caller,
    target: &Target,
) -> Result<Response, Refusal> {
    let form = call.form()?;
    let received = body::receive(&shared.desk, &call.headers, body).await?;
    let question = decode::asked(call, &received.bytes)?.unwrap_or_default();
    let answered = review::answer(&caller.who(), target.resource, &question)?;
    Ok(answer::document(StatusCode::CREATED, form, &answered))
}
