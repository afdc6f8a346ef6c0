//! The controller under test, and its verbs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use horizon_api::http::{DeviceView, ServerView, StatusReport, View};

use crate::{
    namespace::Namespace,
    process::{Daemon, Outcome, run},
    program,
    wait::{PATIENCE, wait_until},
};

use super::{CONTROLLER, CONTROLLER_PORT};

/// One controller with one data folder.
#[derive(Debug)]
pub struct Controller {
    namespace: Namespace,
    manifests: PathBuf,
    data: PathBuf,
    /// What `run` is told beside what it is always told.
    words: Vec<String>,
    daemon: Option<Daemon>,
    /// Join strings and links that were asked for: each holds a token.
    invitations: Mutex<Vec<String>>,
}

impl Controller {
    pub(super) fn new(namespace: Namespace, manifests: PathBuf, data: PathBuf) -> Self {
        let (words, invitations) = (Vec::new(), Mutex::default());
        Self { namespace, manifests, data, words, daemon: None, invitations }
    }

    /// Returns the command that runs it.
    ///
    /// # Errors
    /// When it was not built.
    pub fn run_command(&self) -> anyhow::Result<Command> {
        let mut command = self.namespace.command(program::path("horizon-controller")?);
        command.arg("run").arg("--manifests").arg(&self.manifests).arg("--data").arg(&self.data);
        command.args(["--advertise", &format!("{CONTROLLER}:{CONTROLLER_PORT}")]);
        command.args(&self.words);
        Ok(command)
    }

    /// Adds words to its command line, from its next start on.
    pub fn tell(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// Starts it and waits until it serves a committed revision.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.daemon.is_none(), "the controller runs already");
        let daemon = Daemon::start("horizon-controller", self.run_command()?, &self.log_path())?;
        let daemon = self.daemon.insert(daemon);
        let data = &self.data;
        let up = wait_until("the controller is ready", PATIENCE, || {
            let outcome = run(status_command(data)?)?;
            let report: StatusReport = serde_json::from_str(&outcome.success()?)?;
            ensure!(report.readiness.ready, "{:?}", report.readiness.reasons);
            Ok(Some(()))
        });
        daemon.check_alive().and(up)
    }

    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the controller does not run")?.kill()
    }

    /// # Errors
    /// When it does not run, or does not end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the controller does not run")?.stop()
    }

    /// # Errors
    /// When it does not run.
    pub fn daemon(&mut self) -> anyhow::Result<&mut Daemon> {
        let daemon = self.daemon.as_mut().context("the controller does not run")?;
        daemon.check_alive()?;
        Ok(daemon)
    }

    /// Runs a verb of the program on this data folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn verb(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        let mut command = Command::new(program::path("horizon-controller")?);
        command.args(words).arg("--data").arg(&self.data);
        run(command)
    }

    /// Returns a join string or a link.
    ///
    /// # Errors
    /// When the controller refuses.
    pub fn invite(&self, kind: &str, name: &str) -> anyhow::Result<String> {
        let invitation = self.verb(&["invite", kind, name])?.success()?.trim().to_owned();
        self.invitations.lock().unwrap_or_else(PoisonError::into_inner).push(invitation.clone());
        Ok(invitation)
    }

    /// Returns every join string and link that was asked for.
    pub fn invitations(&self) -> Vec<String> {
        self.invitations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<StatusReport> {
        let said = run(status_command(&self.data)?)?.success()?;
        serde_json::from_str(&said).context("read what `status --json` printed")
    }

    /// # Errors
    /// When it does not answer.
    pub fn view(&self) -> anyhow::Result<View> {
        Ok(self.status()?.view)
    }

    /// # Errors
    /// When it does not know the server.
    pub fn server(&self, name: &str) -> anyhow::Result<ServerView> {
        let mut servers = self.view()?.servers.into_iter();
        servers.find(|server| server.name == name).with_context(|| format!("no server {name}"))
    }

    /// # Errors
    /// When it does not answer.
    pub fn devices_of(&self, user: &str) -> anyhow::Result<Vec<DeviceView>> {
        Ok(self.view()?.devices.into_iter().filter(|device| device.user == user).collect())
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the socket of its verbs.
    pub fn socket(&self) -> PathBuf {
        self.data.join("control.sock")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }
}

fn status_command(data: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(program::path("horizon-controller")?);
    command.args(["status", "--json", "--data"]).arg(data);
    Ok(command)
}
