//! The small world: controller, gateway and two clients on one segment, and a LAN behind the gateway
//! whose host knows no way back to the tunnel's addresses.
//!
//! ```text
//! ctl 192.0.2.10 ──┐
//! cli 192.0.2.101 ─┼─ hub ── 192.0.2.1 gw 198.51.100.1 ── 198.51.100.7 lan
//! cli2 192.0.2.102 ┘
//! ```

mod agent;
mod controller;
mod gateway;
mod net;

use std::{net::Ipv4Addr, path::Path, process};

use tempfile::TempDir;

pub use agent::{Agent, AgentStatus, SealedPeer, Sealing};
pub use controller::Controller;
pub use gateway::{Gateway, GatewayStatus, LinkStatus, NextKey};
pub use net::Net;

use crate::{
    canary,
    folder::Folder,
    namespace,
    process::{Outcome, run},
    wait::{PATIENCE, wait_until},
};

pub const CONTROLLER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The gateway's own address in the tunnel.
pub const GATEWAY_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const LAN: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Controller: QUIC and HTTPS.
pub const CONTROLLER_PORT: u16 = 7443;
/// Gateway: links.
pub const GATEWAY_PORT: u16 = 7444;

/// Everything that a test needs. It all goes with the value.
#[derive(Debug)]
pub struct World {
    // In this order they are dropped: processes, then namespaces, then files.
    pub controller: Controller,
    pub gateway: Gateway,
    pub alice: Agent,
    pub bob: Agent,
    pub net: Net,
    pub manifests: Folder,
    pub folder: TempDir,
}

impl World {
    /// Makes the namespaces of a test. Nothing runs yet.
    ///
    /// # Errors
    /// Without root, and when a tool is missing.
    pub fn for_test() -> anyhow::Result<Self> {
        namespace::remove_stale(is_stale_test)?;
        let folder = tempfile::Builder::new().prefix("hzn-test-").tempdir()?;
        let manifests = Folder::office(folder.path().join("manifests"))?;
        Self::new(&format!("hzn-t{}", process::id()), folder, manifests)
    }

    /// Makes namespaces whose names begin with `prefix`, for these manifests.
    ///
    /// # Errors
    /// As [`World::for_test`].
    pub fn new(prefix: &str, folder: TempDir, manifests: Folder) -> anyhow::Result<Self> {
        let net = Net::create(prefix)?;
        let at = |name: &str| folder.path().join(name);
        Ok(Self {
            controller: Controller::new(net.ctl.clone(), manifests.path().to_owned(), at("controller")),
            gateway: Gateway::new(net.gw.clone(), at("gateway")),
            alice: Agent::new(net.cli.clone(), "alice", at("alice")),
            bob: Agent::new(net.cli2.clone(), "bob", at("bob")),
            net,
            manifests,
            folder,
        })
    }

    /// Starts the controller, and a gateway that joined with a real join string; waits until it is ready.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub fn start_servers(&mut self) -> anyhow::Result<()> {
        self.controller.start()?;
        self.enrol_gateway()
    }

    /// Joins the gateway with a real join string, starts it, and waits until it runs what the controller serves.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn enrol_gateway(&mut self) -> anyhow::Result<()> {
        let join = self.controller.invite("server", "gw-1")?;
        self.gateway.join(&join)?.success()?;
        self.gateway.start()?;
        self.wait_ready()
    }

    /// Waits until the gateway runs the revision that is in force.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_ready(&self) -> anyhow::Result<()> {
        wait_until("the gateway is ready", PATIENCE, || {
            let server = self.controller.server("gw-1")?;
            anyhow::ensure!(server.ready, "{}: {}", server.reason, server.message);
            Ok((server.applied_revision == server.desired_revision).then_some(()))
        })
    }

    /// Starts both servers and signs alice's device in and connects it.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn start_with_alice(&mut self) -> anyhow::Result<()> {
        self.start_servers()?;
        self.alice.sign_in(&self.controller)?;
        self.alice.connect()
    }

    /// Returns what the programs say of themselves that run, by where they say it.
    pub fn answers(&self) -> Vec<(&'static str, String)> {
        let said =
            |outcome: anyhow::Result<Outcome>| outcome.map(|outcome| outcome.stdout).unwrap_or_default();
        vec![
            ("horizon-controller status --json", said(self.controller.verb(&["status", "--json"]))),
            (
                "horizon-gateway status --json",
                said(self.gateway.command(&["status", "--json"]).and_then(run)),
            ),
            ("horizon status --json", said(self.alice.verb(&["status", "--json"]))),
            ("/metrics", canary::metrics(&self.controller.socket()).unwrap_or_default()),
        ]
    }

    /// Returns the logs of all, the end of each.
    pub fn logs(&self) -> String {
        let text_of =
            |path: &Path| crate::process::last_lines(&std::fs::read_to_string(path).unwrap_or_default(), 30);
        let logs =
            [self.controller.log_path(), self.gateway.log_path(), self.alice.log_path(), self.bob.log_path()];
        logs.iter().map(|path| format!("== {}\n{}\n", path.display(), text_of(path))).collect()
    }
}

/// Says whether a namespace is a test's whose process is gone, or of this process.
fn is_stale_test(name: &str) -> bool {
    let owner = name.strip_prefix("hzn-t").and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
    let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
    owner.is_some_and(|pid| pid == process::id() || !Path::new(&format!("/proc/{pid}")).exists())
}
