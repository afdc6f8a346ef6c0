//! A controller that serves its resource API on the loopback, alone or for a cluster: no network namespaces, no root, no
//! ports of its own choice. It can be killed and started again under the same address, as clients that go on need it.

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
    source: Source,
    /// `127.0.0.1:PORT`; the port is the system's choice at the first start.
    address: String,
    folder: TempDir,
}

/// Where its resources come from, beside its own API.
#[derive(Debug)]
enum Source {
    Nowhere,
    Manifests(PathBuf),
    /// The cluster that this kubeconfig names, or one namespace of it.
    Cluster(PathBuf, Option<String>),
}

impl Standalone {
    /// Starts one to which everything is declared by the API.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn empty() -> anyhow::Result<Self> {
        Self::start_with(Source::Nowhere)
    }

    /// Starts one that reads this folder too.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn with_manifests(manifests: &Path) -> anyhow::Result<Self> {
        Self::start_with(Source::Manifests(manifests.to_owned()))
    }

    /// Starts one for the cluster that this kubeconfig names.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn in_cluster(kubeconfig: &Path) -> anyhow::Result<Self> {
        Self::start_with(Source::Cluster(kubeconfig.to_owned(), None))
    }

    /// Starts one for a namespace of that cluster.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn in_namespace(kubeconfig: &Path, namespace: &str) -> anyhow::Result<Self> {
        Self::start_with(Source::Cluster(kubeconfig.to_owned(), Some(namespace.to_owned())))
    }

    fn start_with(source: Source) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hzn-standalone-").tempdir()?;
        let mut controller = Self { daemon: None, source, address: "127.0.0.1:0".into(), folder };
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
        let command = self.command(&self.data(), &self.address)?;
        let daemon = Daemon::start("horizon-controller", command, &self.log_path())?;
        self.daemon = Some(daemon);
        self.wait_ready()
    }

    /// Starts another process on a data folder, which may be the same one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn rival(&self, data: &Path, address: &str) -> anyhow::Result<Daemon> {
        let log = self.path().join("rival.log");
        Daemon::start("another horizon-controller", self.command(data, address)?, &log)
    }

    /// Takes a process for its own, which another value or [`Self::rival`] started on its data folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn adopt(&mut self, daemon: Daemon) -> anyhow::Result<()> {
        ensure!(self.daemon.is_none(), "the controller runs already");
        self.daemon = Some(daemon);
        self.wait_ready()
    }

    fn command(&self, data: &Path, address: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program::path("horizon-controller")?);
        command.arg("run").arg("--data").arg(data).args(["--http", address, "--quic", address]);
        match &self.source {
            Source::Nowhere => {}
            Source::Manifests(manifests) => drop(command.arg("--manifests").arg(manifests)),
            Source::Cluster(kubeconfig, namespace) => {
                // As a container says it, so that both ways to say it are tried.
                command.env("HORIZON_KUBE", "true").env("KUBECONFIG", kubeconfig);
                command.args(namespace.iter().flat_map(|namespace| ["--kube-namespace", namespace]));
            }
        }
        Ok(command)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let up = wait_until("the controller is ready", PATIENCE, || {
            let report = self.status()?;
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

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the controller does not run")?.stop()
    }

    /// Asks what it does.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<StatusReport> {
        Ok(serde_json::from_str(&self.verb(&["status", "--json"])?.success()?)?)
    }

    /// Returns the memory that is resident, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        self.daemon.as_ref().context("the controller does not run")?.memory_bytes()
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

    /// Returns its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("controller.log")
    }
}
