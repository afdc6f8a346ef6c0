//! Copies of the store, asked for on its host.

use std::path::PathBuf;

use horizon_api::http::{ApiError, BackupRequest, Done};
use horizon_api_server::Refusal;

use crate::store::Store;

/// Copies the store into the file that is asked for.
pub(super) async fn write(store: &Store, request: &BackupRequest, revision: u64) -> Result<Done, Refusal> {
    let file = PathBuf::from(&request.file);
    if !file.is_absolute() {
        let message = format!("{}: must be an absolute path", request.file);
        return Err(Refusal::Invalid(ApiError::new("Path", message, "name the whole path of the file")));
    }
    let backup = store.backup(file).await.map_err(|error| {
        Refusal::Conflict(ApiError::new("NoBackup", error.to_string(), "nothing was written"))
    })?;
    let message = format!(
        "wrote {}: revision {} (epoch {}), {} bytes; the keys beside the database are not in it",
        request.file, backup.revision, backup.epoch, backup.bytes
    );
    Ok(Done { message, revision })
}
