//! The face towards the network: the page, its session, the view and its changes.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
    routing::{any, get},
};
use horizon_api::http::View;
use horizon_web_dist::with_page;

use crate::{
    AppState, Shared, check, failure::Failure, health, input::BODY_BYTES_MAX, live, object, resources,
    session, session::SignedIn,
};

/// Returns the router for HTTPS. Everything but health, metrics, sign-in and the page's files needs a session; the
/// resource API takes a token too.
pub fn console_router(state: AppState) -> Router {
    let calls = Router::new()
        .route("/v1/view", get(view))
        .route("/v1/events", get(live::events))
        .merge(session::routes())
        .merge(check::routes())
        .merge(object::routes())
        .merge(health::routes());
    with_page(finish(calls).merge(resources::routes())).with_state(Shared::new(state))
}

/// Adds what both faces need: limits, JSON for what does not exist, and headers that forbid caching.
pub(crate) fn finish(calls: Router<Arc<Shared>>) -> Router<Arc<Shared>> {
    calls
        .route("/v1/{*rest}", any(async || Failure::NoSuchCall))
        .method_not_allowed_fallback(async || Failure::WrongMethod)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(without_cache))
}

async fn without_cache(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn view(State(shared): State<Arc<Shared>>, _caller: SignedIn) -> Json<View> {
    let view = Arc::clone(&shared.state.view.borrow());
    Json((*view).clone())
}
