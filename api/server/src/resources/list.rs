//! `list`: a page of objects.

use axum::response::Response;
use horizon_machinery::{
    list::{Page, Refused, Scope},
    negotiate::View,
    parameters::read::{Read, State},
    path::Target,
    refusal::{Reason, Refusal},
    table,
};

use super::{call::Call, pieces, shelf, show::Show};
use crate::Shared;

/// More objects than this, where they are written at once, are written beside the tasks that answer others.
const QUICK_OBJECTS: usize = 256;

/// # Errors
/// 400, 406, 410, 429, 504 as an API server says them.
pub(super) async fn list(shared: &Shared, call: &Call, target: &Target) -> Result<Response, Refused> {
    let resource = target.resource;
    let show = Show::agree(shared, call, resource)?;
    if matches!(show.form.view, View::Metadata(_)) {
        return Err(table::refuse_partial_of_list().into());
    }
    let Read::List(list) = Read::parse(&call.query, |field| resource.knows_field(field))? else {
        return Err(Refusal::bad_request("a watch is asked for, and a list").into());
    };
    let mut shelf = shelf::of(&shared.state.keeper, resource)?;
    let minimum = match list.state {
        State::NotOlderThan(version) => version,
        State::Latest | State::Exact(_) => 0,
    };
    let collection = shelf::not_older(&mut shelf, minimum).await?;
    let namespace = target.namespace.clone();
    let is_quick = show.comes_in_pieces()
        || collection.len() <= QUICK_OBJECTS
        || list.limit.is_some_and(|limit| limit <= QUICK_OBJECTS);
    let lane = shared.desk.pieced_lists.clone();
    let write = move || {
        let scope = Scope { resource: &resource.qualified(), namespace: &namespace };
        Ok(show.page(Page::read(&collection, scope, &list)?, || lane.enter())?)
    };
    if is_quick { write() } else { beside(shared, write).await }
}

/// Writes what is long and takes memory beside the tasks that answer others.
async fn beside(
    shared: &Shared,
    write: impl FnOnce() -> Result<Response, Refused> + Send + 'static,
) -> Result<Response, Refused> {
    let place = shared.desk.long_lists.enter()?;
    let done = tokio::task::spawn_blocking(write).await;
    let (parts, body) = done.unwrap_or_else(|error| Err(broken(&error).into()))?.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| broken(&error))?;
    Ok(Response::from_parts(parts, place.send(pieces::cut(whole))))
}

fn broken(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "write a list");
    Refusal::plain(500, Reason::InternalError, "Internal error occurred: the list broke")
}
