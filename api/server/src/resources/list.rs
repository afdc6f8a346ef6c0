//! `list`: a page of objects.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use horizon_machinery::{
    list::{Page, Refused, Scope},
    negotiate::View,
    parameters::read::{Read, State},
    path::Target,
    refusal::{Reason, Refusal},
    status, table,
};

use tokio_stream::StreamExt;

use super::{call::Call, shelf, show::Show};
use crate::Shared;

/// More objects than this, where they are written at once, are written beside the tasks that answer others.
const QUICK_OBJECTS: usize = 256;
/// After how many seconds one long list too many may be asked for again.
const RETRY_AFTER_S: u32 = 2;

/// # Errors
/// 400, 406, 410, 504 as an API server says them.
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
    let write = move || {
        let scope = Scope { resource: &resource.qualified(), namespace: &namespace };
        Ok(show.page(Page::read(&collection, scope, &list)?)?)
    };
    if is_quick { write() } else { beside(shared, write).await }
}

/// Writes what is long and takes memory beside the tasks that answer others.
async fn beside(
    shared: &Shared,
    write: impl FnOnce() -> Result<Response, Refused> + Send + 'static,
) -> Result<Response, Refused> {
    let permit = Arc::clone(&shared.desk.long_lists).try_acquire_owned();
    let permit = permit.map_err(|_| status::too_many_requests(RETRY_AFTER_S))?;
    let done = tokio::task::spawn_blocking(write).await;
    let response = done.unwrap_or_else(|error| {
        tracing::error!(%error, "write a list");
        let refusal = Refusal::plain(500, Reason::InternalError, "Internal error occurred: the list broke");
        Err(refusal.into())
    })?;
    // The list counts until it is sent or its reader is gone.
    let held = |body: Body| Body::from_stream(body.into_data_stream().map(move |piece| (piece, &permit).0));
    Ok(response.map(held))
}
