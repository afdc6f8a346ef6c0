//! `get`: one object in a state that is new enough.

use axum::{http::StatusCode, response::Response};
use horizon_machinery::{
    parameters::read::minimum_version,
    path::Target,
    refusal::{About, Refusal},
    stored::key,
};

use super::{call::Call, shelf, show::Show};
use crate::Shared;

/// # Errors
/// 404, 406, 504 as an API server says them.
pub(super) async fn get(shared: &Shared, call: &Call, target: &Target) -> Result<Response, Refusal> {
    let show = Show::agree(shared, call, target.resource)?;
    let minimum = minimum_version(&call.query)?;
    let mut shelf = shelf::of(&shared.state.keeper, target.resource)?;
    let collection = shelf::not_older(&mut shelf, minimum).await?;
    let object = collection.get(&key(&target.namespace, &target.name)).ok_or_else(|| not_found(target))?;
    show.object(StatusCode::OK, &object.json())
}

/// Refuses what is about an object that is not there: 404.
pub(super) fn not_found(target: &Target) -> Refusal {
    let resource = target.resource;
    Refusal::not_found(About { group: &resource.group, kind: &resource.plural, name: &target.name })
}
