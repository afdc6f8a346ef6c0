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

use super::{call::Call, shelf, show::Show};
use crate::Shared;

/// More objects than this are written beside the tasks that answer others.
const QUICK_OBJECTS: usize = 256;

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
    // Bytes that are there already are sent as they are.
    let is_quick = show.is_shared()
        || collection.len() <= QUICK_OBJECTS
        || list.limit.is_some_and(|limit| limit <= QUICK_OBJECTS);
    let write = move || {
        let scope = Scope { resource: &resource.qualified(), namespace: &namespace };
        Ok(show.page(Page::read(&collection, scope, &list)?)?)
    };
    if is_quick { write() } else { beside(write).await }
}

async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "write a list");
        let refusal = Refusal::plain(500, Reason::InternalError, "Internal error occurred: the list broke");
        Err(refusal.into())
    })
}
