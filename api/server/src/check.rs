//! The verdict on a text, for an editor: the same that `horizon-controller check` gives.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use horizon_api::http::CheckAnswer;
use horizon_planner::check::check_text;

use crate::{
    Shared,
    failure::Failure,
    input::{TEXT_BYTES_MAX, Text},
    session::SignedIn,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/check", post(check).layer(DefaultBodyLimit::max(TEXT_BYTES_MAX)))
}

/// A large text takes long enough to be in the way of what waits for the network, so a thread of its own reads it.
async fn check(
    State(shared): State<Arc<Shared>>,
    _caller: SignedIn,
    Text(text): Text,
) -> Result<Json<CheckAnswer>, Failure> {
    let slot = Arc::clone(&shared.checks).try_acquire_owned().map_err(|_| Failure::Busy)?;
    let checked = tokio::task::spawn_blocking(move || {
        let answer = check_text(&text);
        drop(slot);
        answer
    });
    checked.await.map(Json).map_err(|error| {
        tracing::error!(%error, "check a text");
        Failure::NoAnswer
    })
}
