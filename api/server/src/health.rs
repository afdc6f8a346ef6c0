//! `/healthz`, `/readyz` and `/metrics`: open on both faces, because what watches a controller has no session.
//! They name no person, device or network; `/metrics` names servers and the folders of manifests.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use horizon_api::http::Readiness;
use horizon_planner::compile::API_SOURCE;

use crate::{
    Command, Shared,
    command::{Wish, ask},
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Whether a committed revision is served and the store's owner answers.
pub(crate) async fn readiness(shared: &Shared) -> Readiness {
    let mut reasons = Vec::new();
    let view = Arc::clone(&shared.state.view.borrow());
    // Where nothing is declared, there is nothing to commit before somebody declares something.
    let mut sources = view.sources.iter().filter(|source| source.path != API_SOURCE);
    let may_declare = sources.any(|source| !source.complete || source.files > 0);
    if view.revision == 0 && may_declare {
        reasons.push("No revision is committed yet.".to_owned());
    }
    match ask(&shared.state.commands, Wish::Store, |reply| Command::CheckReady { reply }).await {
        Ok(more) => reasons.extend(more),
        Err(_) => reasons.push("The controller's store did not answer.".to_owned()),
    }
    Readiness { ready: reasons.is_empty(), reasons }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let readiness = readiness(&shared).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = (shared.state.metrics)();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
