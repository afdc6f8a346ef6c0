//! What is seen of the cluster: every object of a kind once, and then what changes, without an end.

use std::time::Duration;

use futures_util::StreamExt;
use horizon_api::resource::{Kind, ObjectKey};
use kube::{
    core::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{Cluster, Trouble};

/// One thing that was seen of a kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// A list begins; what was listed before and is not listed now is gone, once the list is whole.
    Begins,
    Listed(Seen),
    /// The list is whole.
    Whole,
    Changed(Seen),
    Gone(ObjectKey),
    /// It cannot be seen at present; it is tried again.
    Failed(Trouble),
}

/// An object as the cluster has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub key: ObjectKey,
    pub uid: String,
    pub generation: i64,
    /// All of it but `metadata.managedFields`.
    pub object: Value,
}

/// How long one page of a list may take.
const LIST_PATIENCE: Duration = Duration::from_secs(30);
/// After so many seconds without a word a watch begins anew where it was: a connection may die without a word too.
const WATCH_S: u32 = 30;
/// Objects that one answer of a list brings.
const PAGE: u32 = 500;

impl Cluster {
    /// Looks at a kind until nobody wants to know any more.
    /// `number` tells its sights from those of an earlier watch.
    pub async fn watch(&self, kind: Kind, number: u32, sights: mpsc::Sender<(Kind, u32, Sight)>) {
        let config = watcher::Config::default().page_size(PAGE).timeout(WATCH_S);
        let stream = watcher(self.all(kind), config).default_backoff();
        tokio::pin!(stream);
        let mut is_listing = true;
        loop {
            let next = if is_listing {
                timeout(LIST_PATIENCE, stream.next()).await
            } else {
                Ok(stream.next().await)
            };
            let sight = match next {
                Ok(Some(event)) => sight(kind, event),
                Ok(None) => return,
                Err(_) => Some(Sight::Failed(Trouble::Away(format!(
                    "{} cannot be read: the API server does not answer within {LIST_PATIENCE:?}",
                    kind.plural()
                )))),
            };
            let Some(sight) = sight else { continue };
            is_listing = match sight {
                Sight::Begins => true,
                Sight::Whole | Sight::Failed(_) => false,
                Sight::Listed(_) | Sight::Changed(_) | Sight::Gone(_) => is_listing,
            };
            if sights.send((kind, number, sight)).await.is_err() {
                return;
            }
        }
    }

    /// Waits between questions that are asked again and again.
    pub const PAUSE: Duration = Duration::from_secs(2);
}

fn sight(kind: Kind, event: Result<Event<DynamicObject>, watcher::Error>) -> Option<Sight> {
    let sight = match event {
        Ok(Event::Init) => Sight::Begins,
        Ok(Event::InitDone) => Sight::Whole,
        // What is to go and waits for somebody's finalizers is out of force from here on.
        Ok(Event::Apply(object)) if object.metadata.deletion_timestamp.is_some() => {
            Sight::Gone(seen(kind, object)?.key)
        }
        Ok(Event::InitApply(object)) if object.metadata.deletion_timestamp.is_some() => return None,
        Ok(Event::InitApply(object)) => Sight::Listed(seen(kind, object)?),
        Ok(Event::Apply(object)) => Sight::Changed(seen(kind, object)?),
        Ok(Event::Delete(object)) => Sight::Gone(seen(kind, object)?.key),
        Err(error) => Sight::Failed(Trouble::of_watch(kind, &error)),
    };
    Some(sight)
}

/// No object of an API server is without a name and, for kinds like ours, a namespace.
fn seen(kind: Kind, object: DynamicObject) -> Option<Seen> {
    let DynamicObject { mut metadata, data, .. } = object;
    metadata.managed_fields = None;
    let key = ObjectKey::new(kind, metadata.namespace.clone()?, metadata.name.clone()?);
    let (uid, generation) = (metadata.uid.clone().unwrap_or_default(), metadata.generation.unwrap_or(1));
    let mut object = data;
    object["apiVersion"] = horizon_api::resource::API_VERSION.into();
    object["kind"] = kind.to_string().into();
    object["metadata"] = json!(metadata);
    Some(Seen { key, uid, generation, object })
}
