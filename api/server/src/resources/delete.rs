//! `delete` and `deletecollection`.

use std::sync::Arc;

use axum::{body::Body, http::StatusCode, response::Response};
use horizon_machinery::{
    definition::Definition,
    list::{Page, Refused, Scope},
    parameters::{delete::Delete, read::Read},
    path::Target,
    refusal::{Details, Reason, Refusal},
    resource::Resource,
    status,
    stored::{Stored, key},
    write::delete::{Deleted, Deletion, delete as decide},
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    Deed, answer, body,
    call::Call,
    caller::Caller,
    decode,
    keep::{Place, TRIES_MAX},
    shelf,
    show::{Show, parse},
    write::definition_of,
};
use crate::Shared;

/// How many objects of a collection are on their way at once: what a keeper takes into one transaction, or less.
const AT_ONCE: usize = 64;

/// # Errors
/// 404, 409 and what else an API server refuses.
pub(super) async fn delete(
    shared: &Arc<Shared>,
    call: &Call,
    body: Body,
    caller: &Caller,
    target: &Target,
) -> Result<Response, Refusal> {
    let show = Show::agree(shared, call, target.resource)?;
    let order = Order::read(shared, call, body, caller, target).await?;
    match order.carry_out(&target.namespace, &target.name).await? {
        Ended::Marked(object) => show.object(StatusCode::OK, &object.to_string().into()),
        Ended::Gone(object) => {
            let resource = target.resource;
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            let (group, kind) = (resource.group.clone(), resource.plural.clone());
            let details = Details { group, kind, name: target.name.clone(), uid, ..Details::default() };
            Ok(answer::document(StatusCode::OK, call.form()?, &status::success(&details)))
        }
    }
}

/// Deletes what a list would show, and answers with that list, as an API server does.
///
/// # Errors
/// 429 before anything goes where too many lists are on their way; the first refusal that is not about an object that
/// went meanwhile; what went before stays gone.
pub(super) async fn delete_selected(
    shared: &Arc<Shared>,
    call: &Call,
    body: Body,
    caller: &Caller,
    target: &Target,
) -> Result<Response, Refused> {
    let resource = target.resource;
    let show = Show::agree(shared, call, resource)?;
    let Read::List(list) = Read::parse(&call.query, |field| resource.knows_field(field))? else {
        return Err(Refusal::bad_request("watch is no parameter of a deletion").into());
    };
    let order = Arc::new(Order::read(shared, call, body, caller, target).await?);
    let snapshot = Arc::clone(&shelf::of(&shared.state.keeper, resource)?.borrow());
    let scope = Scope { resource: &resource.qualified(), namespace: &target.namespace };
    let page = Page::read(&snapshot, scope, &list)?;
    // Once they are gone it is too late to refuse the answer.
    let place = shared.desk.pieced_lists.enter()?;
    let mut under_way = JoinSet::new();
    for stored in &page.items {
        if under_way.len() >= AT_ONCE {
            ended(under_way.join_next().await)?;
        }
        let (order, stored) = (Arc::clone(&order), Arc::clone(stored));
        under_way.spawn(async move {
            let (namespace, name) = stored.key().split_once('/').unwrap_or(("", stored.key()));
            order.carry_out(namespace, name).await
        });
    }
    while !under_way.is_empty() {
        ended(under_way.join_next().await)?;
    }
    Ok(show.page(page, || Ok(place))?)
}

fn ended(joined: Option<Result<Result<Ended, Refusal>, tokio::task::JoinError>>) -> Result<(), Refusal> {
    match joined {
        None | Some(Ok(Ok(_))) => Ok(()),
        Some(Ok(Err(refusal))) if refusal.reason == Reason::NotFound => Ok(()),
        Some(Ok(Err(refusal))) => Err(refusal),
        Some(Err(error)) => {
            tracing::error!(%error, "delete an object of a collection");
            Err(Refusal::plain(500, Reason::InternalError, "Internal error occurred: the deletion broke"))
        }
    }
}

/// What is to be done to one object or to many.
struct Order {
    shared: Arc<Shared>,
    resource: &'static Resource,
    definition: &'static Definition,
    options: Delete,
    by: String,
}

/// What came of a deletion.
enum Ended {
    Gone(Value),
    /// It is still there, with the mark that it goes.
    Marked(Value),
}

impl Order {
    async fn read(
        shared: &Arc<Shared>,
        call: &Call,
        body: Body,
        caller: &Caller,
        target: &Target,
    ) -> Result<Self, Refusal> {
        let definition = definition_of(target)?;
        let received = body::receive(&shared.desk, &call.headers, body).await?;
        let options = Delete::parse(&call.query, decode::asked(call, &received.bytes)?.as_ref())?;
        let resource = target.resource;
        Ok(Self { shared: Arc::clone(shared), resource, definition, options, by: caller.subject.clone() })
    }

    async fn carry_out(&self, namespace: &str, name: &str) -> Result<Ended, Refusal> {
        let keeper = &self.shared.state.keeper;
        let is_dry_run = self.options.is_dry_run;
        let place = Place { resource: self.resource, namespace, name, by: &self.by, is_dry_run };
        let shelf = shelf::of(keeper, place.resource)?;
        for _ in 0..TRIES_MAX {
            let before = shelf.borrow().get(&key(namespace, name)).cloned();
            let (deed, decided) = match self.decide(name, before.as_ref())? {
                Deleted::Waiting(object) => return Ok(Ended::Marked(object)),
                Deleted::Marked(object) => (Deed::Put(object.clone()), Some(object)),
                Deleted::Gone(_) => (Deed::Delete, None),
            };
            let expected = before.map(|before| before.version());
            let Some(kept) = place.keep(keeper, expected, deed).await? else { continue };
            return match decided {
                Some(object) if is_dry_run => Ok(Ended::Marked(object)),
                Some(_) => parse(&kept.json()).map(Ended::Marked),
                None => parse(&kept.json()).map(Ended::of_last_state),
            };
        }
        Err(place.overtaken())
    }

    fn decide(&self, name: &str, before: Option<&Arc<Stored>>) -> Result<Deleted, Refusal> {
        let stored = before.map(|stored| parse(&stored.json())).transpose()?;
        // Nobody here collects what deleted objects owned, so nothing waits for it.
        let deletion = Deletion {
            definition: self.definition,
            name,
            options: &self.options,
            is_garbage_collected: false,
            now: Timestamp::now(),
        };
        decide(&deletion, stored.as_ref())
    }
}

impl Ended {
    /// Whoever keeps objects marks one that waits for what it did to be undone.
    fn of_last_state(object: Value) -> Self {
        if object["metadata"]["deletionTimestamp"].is_string() {
            Self::Marked(object)
        } else {
            Self::Gone(object)
        }
    }
}
