//! The verbs that copy the store and that make one from a copy.

use anyhow::Context;
use horizon_api::http::{BackupRequest, Done};
use horizon_node::failure::Failure;
use http::Method;

use super::ask;
use crate::{
    args::{BackupArgs, RestoreArgs},
    identity,
    store::{self, RestoredStore},
};

/// Has the running controller copy its store.
///
/// # Errors
/// When no controller answers, or the file cannot be written.
pub async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let file = std::path::absolute(&args.file).with_context(|| format!("find {}", args.file.display()))?;
    let request = BackupRequest { file: file.to_string_lossy().into_owned() };
    let done: Done = ask(&args.data.folder, Method::POST, "/v1/backup", Some(&request)).await?.json()?;
    say(&done.message);
    Ok(())
}

/// Makes the store of a data folder from a copy, while no controller runs on it.
///
/// # Errors
/// When one runs, or the copy cannot be used; then the store is what it was.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let data = &args.data.folder;
    let restored = store::restore(data, &args.file, i64::from(args.after_epoch))
        .map_err(|error| Failure::Failed(error.to_string()))?;
    say(&text(&restored));
    if !identity::can_sign_epochs(data) {
        say(
            "to do: gateways believe the new epoch by the root key's word; bring root.key into the data folder for the next start",
        );
    }
    Ok(())
}

fn text(restored: &RestoredStore) -> String {
    let RestoredStore { backup, epoch, replaced } = restored;
    let aside = replaced
        .as_ref()
        .map(|path| format!("; the store that was there is kept as {}", path.display()))
        .unwrap_or_default();
    format!(
        "restored revision {} (epoch {}); epoch {epoch} begins with the next start{aside}",
        backup.revision, backup.epoch
    )
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "what the commands are for")]
    {
        println!("{line}");
    }
}
