//! The resource API: what a Kubernetes API server serves, so that every Kubernetes client is a client of ours.
//!
//! A request reads the newest snapshot of a kind, decides against it with `horizon-machinery`, and asks the keeper to
//! keep what came of it if nobody was faster. Refusals are `Status` objects in the words of an API server.

mod answer;
mod body;
mod call;
mod caller;
mod chance;
mod counters;
mod decode;
mod delete;
mod desk;
mod document;
mod keep;
mod keeper;
mod lane;
mod list;
mod pieces;
mod read;
mod review;
mod shelf;
mod show;
mod token;
mod watch;
mod way;
mod write;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::any,
};
use horizon_machinery::{
    list::Refused,
    path::{self, Asked, Document, Target, Verb},
};

pub use keeper::{Admin, Admins, Counts, Deed, Holder, Keeper, Lookup, NotKept, Write};

pub(crate) use desk::Desk;

use crate::Shared;
use call::Call;
use caller::Caller;

/// Returns the routes; `/healthz` and `/readyz` are served beside them.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    const PATHS: [&str; 10] = [
        "/api",
        "/api/",
        "/api/{*rest}",
        "/apis",
        "/apis/",
        "/apis/{*rest}",
        "/openapi",
        "/openapi/{*rest}",
        "/version",
        "/livez",
    ];
    PATHS.into_iter().fold(Router::new(), |router, path| router.route(path, any(serve)))
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let form = Call::form_of_refusal(&parts);
    let answered = match Call::read(parts) {
        Ok(call) => answer(&shared, &call, body).await,
        Err(refusal) => Err(refusal.into()),
    };
    answered.unwrap_or_else(|refused| answer::refused(form, &refused))
}

async fn answer(shared: &Arc<Shared>, call: &Call, body: Body) -> Result<Response, Refused> {
    let asked = path::parse(call.method.as_str(), &call.path, &call.query);
    // Who watches whether the server lives has neither token nor session.
    if let Ok(Asked::Document(open @ (Document::Version | Document::Live))) = &asked {
        return document::tell(shared, call, open);
    }
    // What is served where is nothing that strangers learn.
    let caller = Caller::of(shared, call).await?;
    match asked? {
        Asked::Document(document) => document::tell(shared, call, &document),
        Asked::Objects(target) => {
            caller.check(&target)?;
            caller.check_cluster(shared, &target)?;
            answer_target(shared, call, body, caller, target).await
        }
    }
}

async fn answer_target(
    shared: &Arc<Shared>,
    call: &Call,
    body: Body,
    caller: Caller,
    target: Target,
) -> Result<Response, Refused> {
    let resource = target.resource;
    match target.verb {
        Verb::Create if review::is_one(resource) => {
            Ok(review::review(shared, call, body, &caller, &target).await?)
        }
        Verb::Get => Ok(read::get(shared, call, &target).await?),
        Verb::List => list::list(shared, call, &target).await,
        Verb::Watch => Ok(watch::watch(shared, call, caller, target).await?),
        Verb::Create | Verb::Update | Verb::Patch => {
            Ok(write::write(shared, call, body, &caller, &target).await?)
        }
        Verb::Delete => Ok(delete::delete(shared, call, body, &caller, &target).await?),
        Verb::DeleteCollection => Ok(delete::delete_selected(shared, call, body, &caller, &target).await?),
    }
}

#[cfg(test)]
mod tests;
