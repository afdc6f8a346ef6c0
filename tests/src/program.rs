//! Where the programs under test are: beside this one, as one build leaves them.

use std::{env, path::PathBuf, sync::OnceLock};

use anyhow::{Context, anyhow};

/// Returns the path of a program of ours. `HORIZON_BIN_DIR` names another folder.
///
/// # Errors
/// When it was not built.
pub fn path(name: &str) -> anyhow::Result<PathBuf> {
    let folder = folder()?;
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(anyhow!("{} is missing: cargo build --workspace --bins", path.display()))
}

fn folder() -> anyhow::Result<&'static PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            if let Some(folder) = env::var_os("HORIZON_BIN_DIR") {
                return Some(folder.into());
            }
            let folder = env::current_exe().ok()?.parent()?.to_owned();
            // Tests are one folder below the programs.
            if folder.ends_with("deps") { folder.parent().map(Into::into) } else { Some(folder) }
        })
        .as_ref()
        .context("this program does not know where it is")
}
