//! Plans of other folders: they are read here, so that one that hangs holds up nothing but its own plan.

use std::{path::Path, sync::Arc};

use horizon_api::http::{PlanAnswer, PlanRequest};
use horizon_api_server::Reply;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::spawn_blocking,
};

use super::busy;
use crate::{
    event::{Event, ReadFolder},
    source::{Reader, files},
};

/// Each holds two folders in memory, and a thread for as long as its folder does not answer.
const PLANS_MAX: usize = 4;

/// Reads folders, and asks the reconciler what they would do.
pub(super) struct Plans {
    events: mpsc::Sender<Event>,
    slots: Arc<Semaphore>,
}

impl Plans {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, slots: Arc::new(Semaphore::new(PLANS_MAX)) }
    }

    pub(super) fn begin(&self, request: PlanRequest, reply: Reply<PlanAnswer>) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            drop(reply.send(Err(busy("other plans are being worked out"))));
            return;
        };
        tokio::spawn(plan(self.events.clone(), request, slot, reply));
    }
}

async fn plan(
    events: mpsc::Sender<Event>,
    request: PlanRequest,
    slot: OwnedSemaphorePermit,
    mut reply: Reply<PlanAnswer>,
) {
    // The slot goes with the thread: whoever asked may leave before a folder answers.
    let reading = spawn_blocking(move || (read_folders(&request.folders), slot));
    let (folders, _slot) = tokio::select! {
        Ok(read) = reading => read,
        () = reply.closed() => return,
        else => return,
    };
    let (sender, answer) = oneshot::channel();
    if events.send(Event::Plan(folders, sender)).await.is_err() {
        return;
    }
    tokio::select! {
        Ok(answer) = answer => drop(reply.send(answer)),
        () = reply.closed() => {}
        else => {}
    }
}

/// Reads folders as the controller's own are read. Blocks.
pub(crate) fn read_folders(folders: &[String]) -> Vec<ReadFolder> {
    let read = |folder: &String| {
        let scan = files::scan(Path::new(folder), false);
        let parsed = Reader::default().read(&scan.files);
        ReadFolder { path: folder.clone(), scan, parsed }
    };
    folders.iter().map(read).collect()
}
