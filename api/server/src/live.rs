//! The event stream: a snapshot, then what changed, at most four times a second.
//!
//! Each stream is a task that compares the newest view with the last one sent. A slow reader holds the task
//! at its one-place queue; when it moves on, it gets the difference to the newest view, however many it missed.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::State,
    http::header,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use horizon_api::http::{LiveEvent, View};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Interval, MissedTickBehavior, interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Admins, SecretHash, Shared,
    failure::Failure,
    session::{SignedIn, lookup},
};

/// Changes closer together than this travel as one.
const COALESCE: Duration = Duration::from_millis(250);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a stream may outlive its session.
const SESSION_CHECK: Duration = Duration::from_secs(60);

pub(crate) async fn events(State(shared): State<Arc<Shared>>, caller: SignedIn) -> Result<Response, Failure> {
    let permit = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| Failure::TooManyStreams)?;
    let (sender, receiver) = mpsc::channel(1);
    let follower = Follower {
        view: shared.state.view.clone(),
        admins: shared.state.keeper.admins.clone(),
        session: caller.hash(),
        session_check: session_check(),
        shared,
        sender,
        _permit: permit,
    };
    tokio::spawn(follower.run());
    let stream = Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // A proxy in front would hold the events back otherwise.
    Ok(([(header::HeaderName::from_static("x-accel-buffering"), "no")], stream).into_response())
}

struct Follower {
    view: watch::Receiver<Arc<View>>,
    admins: watch::Receiver<Arc<Admins>>,
    session: SecretHash,
    session_check: Interval,
    shared: Arc<Shared>,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// Ends when the reader leaves, the session ends, or the controller stops.
    async fn run(mut self) {
        let mut sent = Arc::clone(&self.view.borrow_and_update());
        let snapshot = LiveEvent::Snapshot { now: now(), view: Box::new((*sent).clone()) };
        if !self.send(&snapshot).await {
            return;
        }
        while self.changed().await {
            let newest = Arc::clone(&self.view.borrow_and_update());
            for event in newest.changes_since(&sent, now()) {
                if !self.send(&event).await {
                    return;
                }
            }
            sent = newest;
            sleep(COALESCE).await;
        }
    }

    /// Waits for a newer view; false when there is no reason to go on.
    async fn changed(&mut self) -> bool {
        loop {
            tokio::select! {
                changed = self.view.changed() => return changed.is_ok(),
                () = self.sender.closed() => return false,
                changed = self.admins.changed() => {
                    if changed.is_err() || self.has_ended().await {
                        return false;
                    }
                }
                _ = self.session_check.tick() => {
                    if self.has_ended().await {
                        return false;
                    }
                }
            }
        }
    }

    /// A store that is away for a moment ends nobody's stream.
    async fn has_ended(&self) -> bool {
        matches!(lookup(&self.shared, self.session).await, Ok(None))
    }

    async fn send(&self, event: &LiveEvent) -> bool {
        match Event::default().json_data(event) {
            Ok(event) => self.sender.send(Ok(event)).await.is_ok(),
            Err(error) => {
                tracing::error!(%error, "event of the console is not JSON");
                false
            }
        }
    }
}

fn session_check() -> Interval {
    let mut ticks = interval(SESSION_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
