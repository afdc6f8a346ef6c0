//! The one owner of the gateway's state: configuration, host, shard. One loop, one event at a time.

mod heartbeat;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use horizon_api::{assignment::GatewayConfig, key::SecretKey, wire::Refusal};
use horizon_dataplane::{
    apply::{HostState, InterfaceName},
    forwarder::Forwarder,
    link::admission::Admission,
    wanted,
};
use horizon_host::{
    Host, Linux, Tun,
    sysctl::{self, Family},
    tun::Offload,
};
use horizon_link::{Command, LinkEvent, Role, Serving, ShardHandle, ShardParts};
use horizon_node::{clock, failure::Failure};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing::{debug, error, info, warn};

use crate::{
    cache::{Cache, Running, Sections},
    controller_link::{LinkToController, Report},
    disk::Enrolment,
    listen,
    status::Status,
};

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) key: Arc<SecretKey>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) host: Host<Linux>,
    pub(crate) tun: InterfaceName,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) boot_id: [u8; 16],
    pub(crate) link_events: mpsc::Sender<LinkEvent>,
    pub(crate) reports: watch::Sender<Report>,
    pub(crate) statuses: watch::Sender<Status>,
    pub(crate) enrolment: Enrolment,
}

pub(crate) struct EventLoop {
    parts: Parts,
    running: Option<Running>,
    shard: Option<RunningShard>,
    /// Another for every configuration that is served: what was decided under an older one is asked again.
    generation: u64,
    /// Unix milliseconds since when the controller is away; `None` while it is there.
    standby_since_ms: Option<i64>,
    dismissed: Option<Refusal>,
    time_floor_ms: i64,
    heartbeats: u64,
    warnings: Vec<String>,
}

struct RunningShard {
    handle: ShardHandle,
    port: u16,
}

const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// How soon a change that somebody flushed is made again.
const REASSERT_EVERY: Duration = Duration::from_secs(10);
/// A clock set back is believed for this long at most after a restart.
const REMEMBER_TIME_EVERY: Duration = Duration::from_secs(60);

impl EventLoop {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            running: None,
            shard: None,
            generation: 0,
            standby_since_ms: Some(clock::unix_ms()),
            dismissed: None,
            time_floor_ms: 0,
            heartbeats: 0,
            warnings: Vec::new(),
        }
    }

    /// Runs what an earlier process ran, before the controller is asked.
    pub(crate) async fn resume(&mut self, running: Running, time_floor_ms: i64) -> anyhow::Result<()> {
        self.time_floor_ms = time_floor_ms;
        self.converge(&running).await?;
        self.running = Some(running);
        self.serve()
    }

    /// Runs until a signal says stop, or a part of it fails.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<LinkToController>,
        mut link_inbox: mpsc::Receiver<LinkEvent>,
    ) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT_EVERY);
        let mut reassert = tokio::time::interval(REASSERT_EVERY);
        let mut remember = tokio::time::interval(REMEMBER_TIME_EVERY);
        info!(server = %self.parts.enrolment.server, "gateway runs");
        let ended = loop {
            tokio::select! {
                Some(message) = inbox.recv() => self.handle_controller(message).await,
                Some(event) = link_inbox.recv() => {
                    if let LinkEvent::Stopped { error } = &event {
                        break Err(anyhow::anyhow!("the shard ended: {}", error.as_deref().unwrap_or("no reason")));
                    }
                    log_link_event(&event);
                }
                _ = heartbeat.tick() => self.beat(),
                _ = reassert.tick() => self.reassert().await,
                _ = remember.tick() => self.remember_time(),
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
            }
        };
        self.stop().await;
        ended
    }

    async fn handle_controller(&mut self, message: LinkToController) {
        match message {
            LinkToController::Up => {
                info!("controller is there");
                self.dismissed = None;
                self.set_standby(None);
            }
            LinkToController::Down => {
                if self.standby_since_ms.is_none() {
                    warn!("controller is away: serving from the cached configuration");
                    self.set_standby(Some(clock::unix_ms()));
                }
            }
            LinkToController::Dismissed(refusal) => {
                error!(reason = %refusal, "this gateway serves nobody until its Server is declared again");
                self.dismissed = Some(refusal);
                self.serve_or_log();
            }
            LinkToController::Candidate { running, sections, answer } => {
                let revision = running.verified.version().revision;
                let applied = self.apply(*running, &sections).await;
                match &applied {
                    Ok(()) => info!(revision, "assignment applied"),
                    Err(error) => warn!(revision, reason = %format!("{error:#}"), "assignment refused"),
                }
                // The session may be gone by now: the next one attaches with what runs.
                drop(answer.send(applied.map_err(|error| format!("{error:#}"))));
            }
        }
        self.beat();
    }

    fn set_standby(&mut self, since_ms: Option<i64>) {
        self.standby_since_ms = since_ms;
        self.serve_or_log();
    }

    /// Takes a configuration whole, or keeps the old one: the host first, because it may refuse.
    async fn apply(&mut self, running: Running, sections: &Sections) -> anyhow::Result<()> {
        self.converge(&running).await?;
        let now_ms = self.time_now_ms();
        let stored = self.parts.cache.store(&running, sections, now_ms);
        if let Err(error) = stored {
            if let Some(old) = self.running.clone() {
                self.converge(&old).await?;
            }
            return Err(error);
        }
        self.running = Some(running);
        self.serve()
    }

    async fn converge(&mut self, running: &Running) -> anyhow::Result<()> {
        let wanted = wanted_host(&running.config, &self.parts.tun);
        self.parts.host.converge(&wanted).await?;
        let blocked = self.parts.host.executor().forwarding_blocked(&self.parts.tun).await;
        self.warnings = blocked.unwrap_or_default().iter().map(ToString::to_string).collect();
        Ok(())
    }

    /// Hands the shard what it must serve by; starts it first where it does not run.
    fn serve(&mut self) -> anyhow::Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        let identity = running.config.identity.as_ref().context("the assignment has no identity section")?;
        let port = identity.endpoints.first().map_or(DEFAULT_PORT, |endpoint| endpoint.port);
        let server = identity.server.clone();
        let running = running.clone();
        self.ensure_shard(port)?;
        self.generation += 1;
        let mut config = running.config;
        if self.dismissed.is_some() {
            config.networks.clear();
        }
        let networks: Vec<_> = config.networks.values().cloned().collect();
        let policies: Vec<_> = config
            .policies
            .iter()
            .map(|(network, table)| horizon_api::section::Policy {
                network: network.clone(),
                table: table.clone(),
            })
            .collect();
        let forwarder = Forwarder::new(self.generation, &server, &networks, &policies, &config.routes);
        let admission = Admission {
            trust: running.trust,
            gateway: self.parts.key.public(),
            config,
            is_standby: self.standby_since_ms.is_some(),
            time_floor_ms: self.time_floor_ms,
        };
        let shard = self.shard.as_ref().context("the shard runs")?;
        Ok(shard.handle.command(Command::Serve(Arc::new(Serving { admission, forwarder })))?)
    }

    fn serve_or_log(&mut self) {
        if let Err(error) = self.serve() {
            error!(reason = %format!("{error:#}"), "cannot serve");
        }
    }

    fn ensure_shard(&mut self, port: u16) -> anyhow::Result<()> {
        if self.shard.as_ref().is_some_and(|shard| shard.port == port || self.parts.listen.is_some()) {
            return Ok(());
        }
        let socket = listen::bind(self.parts.listen, port)?;
        if let Some(mut old) = self.shard.take() {
            old.handle.stop("the gateway moves to another port");
        }
        let mut tun = Tun::open(&self.parts.tun, 1)?;
        let queue = tun.queues.pop().context("a TUN has one queue at least")?;
        let events = self.parts.link_events.clone();
        let handle = horizon_link::start(ShardParts {
            socket,
            tun: queue,
            joins_udp: tun.offload == Offload::TcpAndUdp,
            key: SecretKey::from_seed(&self.parts.key.seed()),
            role: Role::Gateway,
            // A loop that does not keep up loses news of links, never packets.
            on_event: Box::new(move |event| drop(events.try_send(event))),
        })?;
        self.shard = Some(RunningShard { handle, port });
        info!(port, "listening for links");
        Ok(())
    }

    async fn reassert(&mut self) {
        if let Err(error) = self.parts.host.reassert().await {
            warn!(reason = %format!("{:#}", anyhow::Error::from(error)), "the host is not as it should be");
        }
    }

    fn time_now_ms(&mut self) -> i64 {
        self.time_floor_ms = self.time_floor_ms.max(clock::unix_ms());
        self.time_floor_ms
    }

    fn remember_time(&mut self) {
        let now_ms = self.time_now_ms();
        if let Some(running) = &self.running
            && let Err(error) = self.parts.cache.store_current(running, now_ms)
        {
            warn!(reason = %format!("{error:#}"), "cannot remember the time");
        }
    }

    /// Says good-bye to links and leaves the host as it was.
    async fn stop(mut self) {
        info!("gateway stops");
        if let Some(mut shard) = self.shard.take() {
            shard.handle.stop("the gateway stops");
        }
        match self.parts.host.undo_all().await {
            Ok(changes) => info!(changes, "the host is as it was"),
            Err(error) => {
                let error = Failure::Failed(format!("{:#}", anyhow::Error::from(error)));
                warn!(reason = %error, "a change stays; `horizon-gateway uninstall` tries again");
            }
        }
    }
}

/// Returns what this host must look like, with the settings that forwarding takes here.
pub(crate) fn wanted_host(config: &GatewayConfig, tun: &InterfaceName) -> HostState {
    let mut host = wanted::gateway_host(config, tun);
    let forwards = wanted::forwards(config);
    let families = [(forwards.ipv4, Family::Ipv4), (forwards.ipv6, Family::Ipv6)];
    for (_, family) in families.into_iter().filter(|(is_wanted, _)| *is_wanted) {
        host.sysctls.extend(sysctl::forwarding(family));
    }
    host
}

/// Where links arrive when the Server names no endpoint.
const DEFAULT_PORT: u16 = 7444;

fn log_link_event(event: &LinkEvent) {
    match event {
        LinkEvent::Admitted { device, name, remote } => {
            info!(device = %name, key = %device.short(), "device connected");
            debug!(%remote, "device's address");
        }
        LinkEvent::Turned { device, refusal, .. } => {
            info!(key = %device.short(), code = ?refusal.code, reason = %refusal, "device turned away");
        }
        LinkEvent::Left { name, reason, .. } => info!(device = %name, reason, "device left"),
        LinkEvent::Up { .. }
        | LinkEvent::Changed(_)
        | LinkEvent::Refused(_)
        | LinkEvent::Down { .. }
        | LinkEvent::Stopped { .. } => debug!(?event, "link event"),
    }
}
