//! A controller that serves its resource API on the loopback: no namespaces, no root, no ports of its own choice.
//! It can be killed and started again under the same address, as clients that go on need it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use horizon_api::http::StatusReport;
use tempfile::TempDir;

use crate::{
    process::{Daemon, Outcome, run},
    program,
    wait::{PATIENCE, wait_until},
};

/// The controller, with all of its files. It is killed with the value.
#[derive(Debug)]
pub struct Standalone {
    // In this order they are dropped: the process, then its files.
    daemon: Option<Daemon>,
    manifests: Option<PathBuf>,
    /// `127.0.0.1:PORT`; the port is the system's choice at the first start.
    address: String,
    folder: TempDir,
}

impl Standalone {
    /// Starts one to which everything is declared by the API.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn empty() -> anyhow::Result<Self> {
        Self::start_with(None)
    }

    /// Starts one that reads this folder too.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn with_manifests(manifests: &Path) -> anyhow::Result<Self> {
        Self::start_with(Some(manifests.to_owned()))
    }

    fn start_with(manifests: Option<PathBuf>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hzn-standalone-").tempdir()?;
        let mut controller = Self { daemon: None, manifests, address: "127.0.0.1:0".into(), folder };
        controller.start()?;
        let config = fs::read_to_string(controller.kubeconfig(&[])?)?;
        let server = config.lines().find_map(|line| line.trim().strip_prefix("server: https://"));
        controller.address = server.context("the kubeconfig names no server")?.to_owned();
        Ok(controller)
    }

    /// Starts it, where it was before, and waits until it serves.
    ///
    /// # Errors
    /// When it runs, or does not come up.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.daemon.is_none(), "the controller runs already");
        let mut command = Command::new(program::path("horizon-controller")?);
        command.arg("run").arg("--data").arg(self.data()).args(["--http", &self.address]);
        command.args(["--quic", "127.0.0.1:0"]);
        if let Some(manifests) = &self.manifests {
            command.arg("--manifests").arg(manifests);
        }
        let daemon = Daemon::start("horizon-controller", command, &self.log_path())?;
        self.daemon = Some(daemon);
        let up = wait_until("the controller is ready", PATIENCE, || {
            let said = self.verb(&["status", "--json"])?.success()?;
            let report: StatusReport = serde_json::from_str(&said)?;
            ensure!(report.readiness.ready, "{:?}", report.readiness.reasons);
            Ok(Some(()))
        });
        self.daemon.as_mut().context("the controller does not run")?.check_alive().and(up)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the controller does not run")?.kill()
    }

    /// Runs a verb of the program on its data folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn verb(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        let mut command = Command::new(program::path("horizon-controller")?);
        command.args(words).arg("--data").arg(self.data());
        run(command)
    }

    /// Writes a kubeconfig for the operator, or for the Admin that `words` name, and returns its path.
    ///
    /// # Errors
    /// When the controller refuses.
    pub fn kubeconfig(&self, words: &[&str]) -> anyhow::Result<PathBuf> {
        let name: String = words.iter().flat_map(|word| ["-", word]).collect();
        let path = self.path().join(format!("kubeconfig{}.yaml", name.replace('/', "-")));
        let out = path.to_str().context("a path that is not text")?;
        self.verb(&[&["kubeconfig", "--for", "12h", "--out", out], words].concat())?.success()?;
        Ok(path)
    }

    /// Returns the folder in which all files are, and in which a test may write its own.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("controller.log")
    }
}
