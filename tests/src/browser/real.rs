//! The real controller on loopback, on a copy of the quick start that a test may spoil.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use horizon_api::http::StatusReport;

use crate::{
    folder::Folder,
    process::{Daemon, run},
    program,
    wait::{PATIENCE, wait_until},
};

/// A running controller. It ends with the value.
pub struct RealController {
    pub manifests: Folder,
    data: PathBuf,
    // Dropped before the folder that it writes to.
    _daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl RealController {
    /// Starts it and waits until it serves what the manifests say.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hzn-browser-").tempdir()?;
        let tests = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("run this with cargo")?);
        let quickstart = tests.parent().context("no workspace")?.join("manifests/quickstart");
        let manifests = Folder::copy_of(&quickstart, folder.path().join("manifests"))?;
        let data = folder.path().join("data");
        let mut command = Command::new(program::path("horizon-controller")?);
        command.arg("run").arg("--manifests").arg(manifests.path()).arg("--data").arg(&data);
        command.args(["--http", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
        let mut daemon = Daemon::start("horizon-controller", command, &folder.path().join("log"))?;
        let up = wait_until("the controller is ready", PATIENCE, || {
            let report: StatusReport = serde_json::from_str(&verb(&data, &["status", "--json"])?)?;
            Ok(report.readiness.ready.then_some(()))
        });
        daemon.check_alive().and(up)?;
        Ok(Self { manifests, data, _daemon: daemon, _folder: folder })
    }

    /// Returns a link that opens the console once for an Admin, as soon as they may sign in.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn sign_in_link_of(&self, admin: &str) -> anyhow::Result<String> {
        wait_until("the Admin may sign in", PATIENCE, || {
            Ok(verb(&self.data, &["sign-in", admin]).ok().map(|link| link.trim().to_owned()))
        })
    }

    /// Returns a link that opens the console once, as the operator gets it.
    ///
    /// # Errors
    /// When the controller does not answer.
    pub fn sign_in_link(&self) -> anyhow::Result<String> {
        Ok(verb(&self.data, &["sign-in"])?.trim().to_owned())
    }
}

fn verb(data: &Path, words: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(program::path("horizon-controller")?);
    command.args(words).arg("--data").arg(data);
    run(command)?.success()
}
