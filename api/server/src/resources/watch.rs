//! `watch`: one task a watcher, which tells what happens to objects until the client leaves, its token or session ends, the time
//! is over, or the controller stops. It holds no events: a slow reader holds up nothing but itself.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, StatusCode},
    response::Response,
};
use horizon_machinery::{
    collection::Collection,
    list::Scope,
    negotiate::Form,
    parameters::read::{Read, Start},
    path::Target,
    refusal::Refusal,
    status,
    watch::{Event, Lines, Poll, Subject, Watcher},
};
use jiff::Timestamp;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::sleep_until,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{Admins, answer, call::Call, caller::Caller, chance, counters::Counters, shelf};
use crate::{Shared, serve::Stopping};

/// After how many seconds one watcher too many may try again.
const RETRY_AFTER_S: u32 = 5;

/// # Errors
/// 400, 406, 429, 504 as an API server says them.
pub(super) async fn watch(
    shared: &Arc<Shared>,
    call: &Call,
    caller: Caller,
    target: Target,
) -> Result<Response, Refusal> {
    let resource = target.resource;
    let form = Form::of_watch(&call.accept())?;
    let lines = Lines::new(resource, form, &call.query)?;
    let Read::Watch(watch) = Read::parse(&call.query, |field| resource.knows_field(field))? else {
        return Err(Refusal::bad_request("a list is asked for, and a watch"));
    };
    let permit = Arc::clone(&shared.desk.watchers).try_acquire_owned();
    let permit = permit.map_err(|_| status::too_many_requests(RETRY_AFTER_S))?;
    let mut shelf = shelf::of(&shared.state.keeper, resource)?;
    if let Start::WithState(version) = watch.start {
        shelf::not_older(&mut shelf, version).await?;
    }
    let (start, timeout) = (Instant::now(), chance::watch_timeout()?);
    let scope = Scope { resource: &resource.qualified(), namespace: &target.namespace };
    let (api_version, kind) = (&resource.api_version(), &resource.kind);
    let subject = Subject { scope, api_version, kind, now: Duration::ZERO, timeout };
    let watcher = Watcher::start(&shelf.borrow_and_update(), subject, &watch);
    let counters = Counters::of(shared, form, resource);
    let (sender, receiver) = mpsc::channel(1);
    let admins = shared.state.keeper.admins.clone();
    let shared = Arc::clone(shared);
    let follower = Follower {
        shared,
        caller,
        target,
        shelf,
        admins,
        watcher,
        lines,
        counters,
        start,
        looked: start,
        answered: start,
        stopping: call.stopping.clone(),
        sender,
        _permit: permit,
    };
    tokio::spawn(follower.run());
    let body = Body::from_stream(ReceiverStream::new(receiver));
    let response = answer::bytes(StatusCode::OK, form.encoding.content_type(), body);
    // A proxy in front would hold the events back otherwise.
    Ok(answer::with_header(response, HeaderName::from_static("x-accel-buffering"), "no"))
}

struct Follower {
    shared: Arc<Shared>,
    caller: Caller,
    target: Target,
    shelf: watch::Receiver<Arc<Collection>>,
    admins: watch::Receiver<Arc<Admins>>,
    watcher: Watcher,
    lines: Lines,
    counters: Counters,
    start: Instant,
    /// When the token or session was last looked at.
    looked: Instant,
    /// When somebody last answered whether it is valid.
    answered: Instant,
    stopping: Option<Stopping>,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let collection = Arc::clone(&self.shelf.borrow_and_update());
            let polled = self.watcher.poll(&collection, self.start.elapsed());
            drop(collection);
            let goes_on = match polled {
                Poll::Events(events) => self.send(&events).await,
                Poll::Wait(until) => self.wait(until).await,
                Poll::End => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Waits until there may be something to tell; false when there is no reason to go on.
    async fn wait(&mut self, until: Duration) -> bool {
        let until = (self.start + until).into();
        let sender = self.sender.clone();
        loop {
            let look_at = self.look_at();
            tokio::select! {
                changed = self.shelf.changed() => return changed.is_ok(),
                () = sleep_until(until) => return true,
                () = sender.closed() => return false,
                () = stopped(&mut self.stopping) => return false,
                changed = self.admins.changed() => {
                    if changed.is_err() || !self.look_again().await {
                        return false;
                    }
                }
                () = sleep_until(look_at) => {
                    if !self.look_again().await {
                        return false;
                    }
                }
            }
        }
    }

    /// Sends events as one piece; false when there is no reason to go on.
    async fn send(&mut self, events: &[Event]) -> bool {
        let mut piece = Vec::new();
        let counter = self.counters.counter();
        for event in events {
            let line = self.lines.write(event, Timestamp::now(), &counter);
            line.iter().for_each(|part| piece.extend_from_slice(part));
        }
        let sender = self.sender.clone();
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.look_at()) => {
                    if !self.look_again().await {
                        return false;
                    }
                }
                place = sender.reserve() => {
                    let Ok(place) = place else { return false };
                    place.send(Ok(Bytes::from(piece)));
                    return true;
                }
            }
        }
    }

    fn look_at(&self) -> tokio::time::Instant {
        (self.looked + self.shared.desk.tokens.life()).into()
    }

    /// Says whether the caller may still watch.
    async fn look_again(&mut self) -> bool {
        self.looked = Instant::now();
        let caller = match self.caller.again(&self.shared).await {
            Ok(caller) => {
                self.answered = self.looked;
                caller
            }
            // A store that is away for a moment ends nobody's watch, and whoever is no Admin any more is none.
            Err(_) => {
                let is_short = self.answered.elapsed() < self.shared.desk.silence_max;
                self.caller.in_force(&self.shared).filter(|_| is_short)
            }
        };
        let Some(caller) = caller else { return false };
        self.caller = caller;
        self.caller.check(&self.target).is_ok()
    }
}

async fn stopped(stopping: &mut Option<Stopping>) {
    match stopping {
        Some(stopping) => stopping.begun().await,
        None => std::future::pending().await,
    }
}
