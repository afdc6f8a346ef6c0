//! A client agent under test, and its verbs.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
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

use super::Controller;

/// One agent with one data folder: one device of one person.
#[derive(Debug)]
pub struct Agent {
    pub namespace: Namespace,
    user: String,
    data: PathBuf,
    daemon: Option<Daemon>,
}

/// The part of `status --json` that tests look at.
#[derive(Clone, Debug, Deserialize)]
pub struct AgentStatus {
    pub state: String,
    pub message: String,
    pub server: Option<String>,
    /// With the prefix lengths of their pools.
    pub addresses: Vec<String>,
    pub key_exchange: Option<String>,
    pub is_in_grace: bool,
    pub key: String,
    #[serde(default)]
    pub sealing: Option<Sealing>,
}

/// How packets for other devices are sealed, as `status --json` shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Sealing {
    pub has_card: bool,
    pub dropped_unsealed: u64,
    pub peers: Vec<SealedPeer>,
}

/// A device that packets are sealed for.
#[derive(Clone, Debug, Deserialize)]
pub struct SealedPeer {
    pub device: String,
    pub address: IpAddr,
    pub suite: Option<String>,
    pub age_s: Option<u64>,
    pub handshakes: u64,
    pub sealed: u64,
    pub opened: u64,
    pub replayed: u64,
    pub broken: u64,
    pub refused: u64,
    pub refusal: Option<String>,
}

impl AgentStatus {
    pub fn is_connected(&self) -> bool {
        self.state == "Connected"
    }

    /// Returns what is said of the sealed conversation with the device that has this address.
    pub fn sealed_with(&self, address: impl Into<IpAddr>) -> Option<&SealedPeer> {
        let address = address.into();
        let peers = self.sealing.iter().flat_map(|sealing| &sealing.peers);
        peers.into_iter().find(|peer| peer.address == address)
    }

    /// Returns the device's first IPv4 address in the network.
    ///
    /// # Errors
    /// When it has none.
    pub fn ipv4(&self) -> anyhow::Result<Ipv4Addr> {
        let mut ipv4 = self.hosts().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        ipv4.next().context("the device has no IPv4 address")
    }

    /// Returns the device's first IPv6 address in the network.
    ///
    /// # Errors
    /// When it has none.
    pub fn ipv6(&self) -> anyhow::Result<Ipv6Addr> {
        let mut ipv6 = self.hosts().filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address),
        });
        ipv6.next().context("the device has no IPv6 address")
    }

    fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter_map(|text| text.split('/').next()?.parse().ok())
    }
}

impl Agent {
    /// Returns the agent of a person's device in a namespace.
    pub fn new(namespace: Namespace, user: &str, data: PathBuf) -> Self {
        Self { namespace, user: user.to_owned(), data, daemon: None }
    }

    /// Returns a command with the program's verb and this data folder.
    ///
    /// # Errors
    /// When it was not built.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.namespace.command(program::path("horizon")?);
        command.args(words).arg("--data").arg(&self.data);
        Ok(command)
    }

    /// Runs a verb.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn verb(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        run(self.command(words)?)
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.daemon.is_none(), "the agent runs already");
        let daemon = Daemon::start("horizon agent", self.command(&["agent", "run"])?, &self.log_path())?;
        self.daemon = Some(daemon);
        let up = wait_until("the agent answers", PATIENCE, || self.status().map(Some));
        self.daemon()?;
        up.map(drop)
    }

    /// Starts the daemon and signs the person's device in with a real link.
    ///
    /// # Errors
    /// When it is refused.
    pub fn sign_in(&mut self, controller: &Controller) -> anyhow::Result<()> {
        let link = controller.invite("user", &self.user)?;
        self.start()?;
        let name = format!("{}-laptop", self.user);
        self.verb(&["login", &link, "--name", &name])?.success().map(drop)
    }

    /// Connects and waits until the link is up.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn connect(&self) -> anyhow::Result<()> {
        self.verb(&["connect"])?.success()?;
        self.wait_connected()
    }

    /// # Errors
    /// When it is not connected in time.
    pub fn wait_connected(&self) -> anyhow::Result<()> {
        wait_until("the device is connected", PATIENCE, || {
            let status = self.status()?;
            ensure!(status.is_connected(), "{}: {}", status.state, status.message);
            Ok(Some(()))
        })
    }

    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<AgentStatus> {
        let said = self.verb(&["status", "--json"])?.success()?;
        serde_json::from_str(&said).context("read what `status --json` printed")
    }

    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the agent does not run")?.kill()
    }

    /// # Errors
    /// When it does not run, or does not end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the agent does not run")?.stop()
    }

    /// # Errors
    /// When it does not run.
    pub fn daemon(&mut self) -> anyhow::Result<&mut Daemon> {
        let daemon = self.daemon.as_mut().context("the agent does not run")?;
        daemon.check_alive()?;
        Ok(daemon)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn socket(&self) -> PathBuf {
        self.data.join("agent.sock")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }
}
