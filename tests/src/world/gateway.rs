//! The gateway under test, and its verbs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::{
    namespace::Namespace,
    process::{Daemon, Outcome, run},
    program,
    wait::{PATIENCE, wait_until},
};

/// One gateway with one data folder.
#[derive(Debug)]
pub struct Gateway {
    namespace: Namespace,
    data: PathBuf,
    /// What `run` is told beside what it is always told.
    words: Vec<String>,
    daemon: Option<Daemon>,
}

/// The part of `status --json` that tests look at.
#[derive(Clone, Debug, Deserialize)]
pub struct GatewayStatus {
    pub key: String,
    #[serde(default)]
    pub next_key: Option<NextKey>,
    pub revision: Option<u64>,
    pub standby_since_ms: Option<i64>,
    #[serde(default)]
    pub away_reason: Option<String>,
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub evidence: String,
    pub links: Vec<LinkStatus>,
    pub drops: BTreeMap<String, u64>,
}

/// The key that is to follow the gateway's.
#[derive(Clone, Debug, Deserialize)]
pub struct NextKey {
    pub key: String,
    pub due_ms: Option<i64>,
    pub waits_for: Option<String>,
}

/// One link, as the gateway shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct LinkStatus {
    pub name: String,
    pub user: String,
    pub since_ms: i64,
    pub key_exchange: String,
}

impl Gateway {
    pub fn new(namespace: Namespace, data: PathBuf) -> Self {
        Self { namespace, data, words: Vec::new(), daemon: None }
    }

    /// Adds words to its command line, from its next start on.
    pub fn tell(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// Returns a command with the program's verb and this data folder.
    ///
    /// # Errors
    /// When it was not built.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.namespace.command(program::path("horizon-gateway")?);
        command.args(words).arg("--data").arg(&self.data);
        Ok(command)
    }

    /// # Errors
    /// When it cannot be started.
    pub fn join(&self, join: &str) -> anyhow::Result<Outcome> {
        run(self.command(&["join", join])?)
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.daemon.is_none(), "the gateway runs already");
        let mut command = self.command(&["run"])?;
        command.args(&self.words);
        let daemon = Daemon::start("horizon-gateway", command, &self.log_path())?;
        self.daemon = Some(daemon);
        let up = wait_until("the gateway answers", PATIENCE, || self.status().map(Some));
        self.daemon()?;
        up.map(drop)
    }

    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the gateway does not run")?.kill()
    }

    /// # Errors
    /// When it does not run, or does not end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the gateway does not run")?.stop()
    }

    /// # Errors
    /// When it does not run.
    pub fn daemon(&mut self) -> anyhow::Result<&mut Daemon> {
        let daemon = self.daemon.as_mut().context("the gateway does not run")?;
        daemon.check_alive()?;
        Ok(daemon)
    }

    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<GatewayStatus> {
        let said = run(self.command(&["status", "--json"])?)?.success()?;
        serde_json::from_str(&said).context("read what `status --json` printed")
    }

    /// Waits for a status with something in it; the gateway looks at itself every few seconds.
    ///
    /// # Errors
    /// When it is not there in time.
    pub fn wait_status(
        &self,
        what: &str,
        is_right: impl Fn(&GatewayStatus) -> bool,
    ) -> anyhow::Result<GatewayStatus> {
        wait_until(what, PATIENCE, || Ok(Some(self.status()?).filter(&is_right)))
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn socket(&self) -> PathBuf {
        self.data.join("gateway.sock")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }
}
