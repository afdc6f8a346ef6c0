//! Whose turn it is where several controllers may be started for one cluster: the lock of the data folder tells processes
//! of one place apart, the Lease those of different places, and the epoch tells gateways who came last.

use std::{path::Path, time::Duration};

use anyhow::Context;
use horizon_kube::{Cluster, Fence, Fenced};
use horizon_node::data_folder::DataFolderError;
use tracing::{error, info, warn};

use crate::{
    identity,
    store::{Store, StoreError},
};

/// How often a waiting process looks whether the data folder is free.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until this process may serve the cluster.
///
/// # Errors
/// When the store cannot be opened, or the Lease cannot be held.
pub async fn take(cluster: &Cluster, data: &Path) -> anyhow::Result<(Store, Fence)> {
    let store = open_when_free(data).await?;
    let (fence, fenced) = cluster.fence(name(data)?).await?;
    if fenced != Fenced::TakenOver {
        return Ok((store, fence));
    }
    if !identity::can_sign_epochs(data) {
        warn!(
            "the controller before this one ended without a word, and gateways cannot be told that its turn is over: the root key is elsewhere"
        );
        return Ok((store, fence));
    }
    info!("the controller before this one ended without a word: gateways refuse it from here on");
    Ok((store.raise_epoch().await.context("begin the next epoch")?, fence))
}

/// Keeps the turn until it is over, or gives it back when the controller stops.
pub async fn keep(mut fence: Fence, stopped: impl Future<Output = ()>) {
    tokio::select! {
        over = fence.hold() => error!(reason = %format!("{over:#}"), "the turn of this controller is over: it stops"),
        () = stopped => fence.give_back().await,
    }
}

async fn open_when_free(data: &Path) -> anyhow::Result<Store> {
    let mut told = None;
    loop {
        let folder = data.to_owned();
        match tokio::task::spawn_blocking(move || Store::open(&folder)).await? {
            Err(StoreError::Folder(DataFolderError::InUse { path, holder })) => {
                if told.as_ref() != Some(&holder) {
                    info!(folder = %path.display(), %holder, "another process has the data folder: waiting for its turn to end");
                    told = Some(holder);
                }
            }
            opened => return opened.context("open the store"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns the name of a place: a host and a data folder. Two processes of one place are never there at once.
fn name(data: &Path) -> anyhow::Result<String> {
    let folder = data.canonicalize().with_context(|| format!("find {}", data.display()))?;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let host = read("/proc/sys/kernel/hostname");
    // Hosts may share a name, and containers know their host by no other number.
    let place = format!("{}\0{}", read("/proc/sys/kernel/random/boot_id"), folder.display());
    Ok(format!("{host}_{}", &blake3::hash(place.as_bytes()).to_hex()[..12]))
}
