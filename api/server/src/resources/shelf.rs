//! The newest snapshot of a kind, or one that is new enough.

use std::{sync::Arc, time::Duration};

use horizon_machinery::{collection::Collection, refusal::Refusal, resource::Resource, status};
use tokio::{sync::watch, time::timeout};

use super::Keeper;

/// How long somebody waits who knows a newer state than is here, as on an API server.
const NEWER_PATIENCE: Duration = Duration::from_secs(3);

/// Finds the shelf of a kind.
///
/// # Errors
/// 404 for one that nobody keeps.
pub(super) fn of(keeper: &Keeper, resource: &Resource) -> Result<watch::Receiver<Arc<Collection>>, Refusal> {
    keeper.shelves.get(&resource.qualified()).cloned().ok_or_else(status::no_such_path)
}

/// Returns a snapshot that is at least of this version, waiting for it if it must.
///
/// # Errors
/// 504 if there is none in time.
pub(super) async fn not_older(
    shelf: &mut watch::Receiver<Arc<Collection>>,
    version: u64,
) -> Result<Arc<Collection>, Refusal> {
    let waiting = shelf.wait_for(|collection| collection.refuse_future(version).is_ok());
    if let Ok(Ok(collection)) = timeout(NEWER_PATIENCE, waiting).await {
        return Ok(Arc::clone(&collection));
    }
    let newest = Arc::clone(&shelf.borrow());
    newest.refuse_future(version).map(|()| newest)
}
