//! The one owner of what the resource API shows: the texts that its clients write, the versions of everything, and the
//! shelves from which every list and watch is read.
//!
//! A write is accepted here, and stored, before anybody looks at what follows from it; the reconciler hears of it, and
//! its word about an object comes back as the object's status. What folders and logins declare stands on the same
//! shelves, and only the reconciler's word changes it.

mod definition;
mod draft;
mod event;
mod keep;
mod learn;
mod leaving;
mod namespace;
mod pending;
mod record;
mod seal;
mod shelf;
mod start;

#[cfg(test)]
mod facts;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use horizon_api::resource::ObjectKey;
use horizon_api_server::{NotKept, Write};
use horizon_machinery::stored::Stored;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tracing::error;

use self::{draft::Draft, event::Events, leaving::Leaving, pending::Pending, record::Record, shelf::Shelves};
use crate::{event::Event, fate::Fates, store::Store};
pub use seal::Seal;
pub use start::Parts;

/// Writes that are taken in one transaction.
const WRITES_MAX: usize = 256;
/// How long to wait when the store has refused what the reconciler said.
const RETRY: Duration = Duration::from_secs(1);

/// The task's own parts.
pub struct Registry {
    store: Store,
    shelves: Shelves,
    /// Who keeps each of our objects.
    records: BTreeMap<ObjectKey, Record>,
    /// The next resource version.
    next_version: u64,
    /// The last version that may be given before the store must hear of it.
    reserved: u64,
    pending: Pending,
    leaving: Leaving,
    happened: Events,
    seal: Seal,
    /// Resources are a cluster's, and are written there.
    has_cluster: bool,
    /// What the reconciler said and the store refused.
    unlearned: Fates,
    retry_at: Option<Instant>,
    in_flight: Option<oneshot::Receiver<()>>,
    fates: mpsc::Receiver<Fates>,
    writes: mpsc::Receiver<Write>,
    events: mpsc::Sender<Event>,
}

/// Where the answer to a write goes.
type Reply = oneshot::Sender<Result<Arc<Stored>, NotKept>>;

impl Registry {
    /// Runs until nobody can write any more, or the reconciler is gone.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(WRITES_MAX);
        let events = self.events.clone();
        loop {
            let (leaves_at, fades_at) = (self.leaving.next_end(), self.happened.next_end());
            tokio::select! {
                count = self.writes.recv_many(&mut batch, WRITES_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.keep(std::mem::take(&mut batch)).await;
                }
                fates = self.fates.recv(), if self.unlearned.is_empty() => match fates {
                    Some(fates) => self.hear(fates).await,
                    None => return,
                },
                () = until(self.retry_at), if self.retry_at.is_some() => {
                    let fates = std::mem::take(&mut self.unlearned);
                    self.hear(fates).await;
                }
                place = events.reserve(), if self.in_flight.is_none() && !self.pending.is_empty() => {
                    let Ok(place) = place else { return };
                    let (done, is_done) = oneshot::channel();
                    place.send(Event::Api(self.pending.take(), done));
                    self.in_flight = Some(is_done);
                }
                // Whether it was compiled or the reconciler is gone: nothing is under way any more.
                _ = arrived(self.in_flight.as_mut()), if self.in_flight.is_some() => self.in_flight = None,
                () = until(leaves_at), if leaves_at.is_some() => self.leaving.end(Instant::now()),
                () = until(fades_at), if fades_at.is_some() => self.forget_events().await,
            }
        }
    }

    async fn forget_events(&mut self) {
        let mut draft = Draft::new(&self.shelves, &self.seal, self.next_version);
        self.happened.forget(&mut draft, Instant::now());
        let finished = draft.finish();
        if let Err(error) = self.finish(finished).await {
            error!(%error, "events that are over are still shown");
        }
    }

    /// Takes in what the reconciler says; what the store refuses is tried again.
    async fn hear(&mut self, fates: Fates) {
        self.retry_at = None;
        if let Err((error, rest)) = self.learn(fates).await {
            error!(%error, "the resource API shows an old state: the store refuses the next one");
            self.unlearned = rest;
            self.retry_at = Some(Instant::now() + RETRY);
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn arrived(answer: Option<&mut oneshot::Receiver<()>>) {
    match answer {
        // An answer that never comes is of a reconciler that is gone.
        Some(answer) => drop(answer.await),
        None => std::future::pending().await,
    }
}
