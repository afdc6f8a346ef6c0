//! The shelves: the newest state of each kind, as everybody reads it.

use std::{collections::BTreeMap, sync::Arc};

use horizon_machinery::{
    collection::{Collection, Limits},
    resource::Resource,
};
use tokio::sync::watch;

/// Enough for a watch to come back after an hour on a busy day, and never more memory than a large folder.
const LIMITS: Limits = Limits { changes_max: 5_000, bytes_max: 16 * 1024 * 1024 };

/// As many as there are events at most; a watch of them that comes back later begins anew.
const EVENT_LIMITS: Limits = Limits { changes_max: 2_000, bytes_max: 4 * 1024 * 1024 };

/// Returns how much history is kept of a kind.
pub(super) fn limits(resource: &Resource) -> Limits {
    if resource.kind == "Event" { EVENT_LIMITS } else { LIMITS }
}

/// Every kind that is served, by its qualified name such as `users.horizon.dev`.
#[derive(Debug)]
pub(super) struct Shelves {
    senders: BTreeMap<String, watch::Sender<Arc<Collection>>>,
}

impl Shelves {
    pub(super) fn new(collections: BTreeMap<String, Collection>) -> Self {
        let sender = |collection| watch::Sender::new(Arc::new(collection));
        Self {
            senders: collections.into_iter().map(|(kind, collection)| (kind, sender(collection))).collect(),
        }
    }

    /// Returns a kind as it is, if it is served.
    pub(super) fn get(&self, resource: &str) -> Option<Arc<Collection>> {
        self.senders.get(resource).map(|sender| Arc::clone(&sender.borrow()))
    }

    /// Shows the next states of some kinds.
    pub(super) fn show(&self, collections: BTreeMap<String, Collection>) {
        for (resource, collection) in collections {
            if let Some(sender) = self.senders.get(&resource) {
                sender.send_replace(Arc::new(collection));
            }
        }
    }

    pub(super) fn subscribe(&self) -> Arc<BTreeMap<String, watch::Receiver<Arc<Collection>>>> {
        let all = self.senders.iter();
        Arc::new(all.map(|(kind, sender)| (kind.clone(), sender.subscribe())).collect())
    }
}
