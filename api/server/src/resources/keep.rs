//! A write on its way to the keeper, and back when somebody else was faster.

use std::{sync::Arc, time::Duration};

use horizon_machinery::{
    refusal::{About, Reason, Refusal},
    resource::Resource,
    status,
    stored::Stored,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Deed, Keeper, NotKept, Write};

/// How often a write is decided before its caller hears that others are always faster.
pub(super) const TRIES_MAX: usize = 8;
/// A keeper may wait for a slow disk, behind a full queue.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how many seconds a full queue may have room.
const RETRY_AFTER_S: u32 = 1;

/// Which object is to be kept, by whom.
pub(super) struct Place<'a> {
    pub(super) resource: &'static Resource,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) by: &'a str,
    pub(super) is_dry_run: bool,
}

impl Place<'_> {
    /// Asks the keeper; `None` is that the state is another one, so that it must be decided anew.
    ///
    /// # Errors
    /// What the keeper refuses; 429 for a full queue, 503 and 504 for a keeper that does not answer.
    pub(super) async fn keep(
        &self,
        keeper: &Keeper,
        expected: Option<u64>,
        deed: Deed,
    ) -> Result<Option<Arc<Stored>>, Refusal> {
        let (reply, answer) = oneshot::channel();
        let write = Write {
            resource: self.resource,
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            expected,
            deed,
            by: self.by.to_owned(),
            is_dry_run: self.is_dry_run,
            reply,
        };
        keeper.writes.try_send(write).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => status::too_many_requests(RETRY_AFTER_S),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(stored))) => Ok(Some(stored)),
            Ok(Ok(Err(NotKept::Moved))) => Ok(None),
            Ok(Ok(Err(NotKept::Refused(refusal)))) => Err(refusal),
            Ok(Err(_)) => Err(stopped()),
            Err(_) => {
                let message = "the store is slow; this may still be done: look before you try again";
                Err(Refusal::plain(504, Reason::Timeout, message))
            }
        }
    }

    /// Refuses a write whose object was changed by others each time that it was decided.
    pub(super) fn overtaken(&self) -> Refusal {
        let Resource { group, plural, .. } = self.resource;
        let about = About { group, kind: plural, name: self.name };
        Refusal::conflict(
            about,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }
}

fn stopped() -> Refusal {
    let message = "the controller's store does not answer; nothing is known to be done";
    Refusal::plain(503, Reason::ServiceUnavailable, message)
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::Value;
    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_and_a_keeper_that_is_gone_are_told() {
        let (writes, mut queue) = mpsc::channel(1);
        let keeper = Keeper {
            shelves: Arc::default(),
            admins: watch::channel(Arc::default()).1,
            writes,
            lookups: mpsc::channel(1).0,
            endings: watch::channel(0).1,
            counts: watch::channel(Arc::default()).1,
            system_namespace: "horizon-system".into(),
        };
        let resource = Resource::of(Kind::User);
        let place = Place { resource, namespace: "default", name: "alice", by: "owner", is_dry_run: false };
        let keep = async || place.keep(&keeper, None, Deed::Put(Value::Null)).await.unwrap_err();

        let (first, second) = tokio::join!(keep(), async {
            let second = keep().await;
            // The first one hears that nobody will answer.
            drop(queue.recv().await);
            second
        });

        assert_eq!((first.code, second.code), (503, 429));
        assert_eq!(second.details.and_then(|details| details.retry_after_seconds), Some(RETRY_AFTER_S));
        drop(queue);
        assert_eq!(keep().await.code, 503);
        assert_eq!(place.overtaken().code, 409);
    }
}
