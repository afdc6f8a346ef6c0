//! The one owner of the gateway's state: configuration, host, shard. One loop, one event at a time.

mod believe;
mod heartbeat;
mod news;
mod revert;
mod rotation;
mod serving;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{assignment::GatewayConfig, delegation::Trust, key::PublicKey, wire::Refusal};
use horizon_dataplane::{
    apply::{HostState, InterfaceName},
    time_floor::TimeFloor,
    wanted,
};
use horizon_host::{
    Host, HostError, Linux, TunError,
    sysctl::{self, Family},
};
use horizon_link::LinkEvent;
use horizon_node::{clock, failure::Failure};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
};
use tracing::{error, info, warn};

use self::serving::{RunningShard, identity_of, port_of, unbound_endpoints};
use crate::{
    cache::Cache,
    controller_link::{LinkToController, Report},
    disk::Enrolment,
    keys::{KeyFiles, Keys},
    quoter::Quoter,
    running::{Running, Sections},
    socket::Order,
    standby::Standby,
    status::Status,
};

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) keys: Keys,
    pub(crate) key_files: KeyFiles,
    /// Tells the link to the controller which keys there are.
    pub(crate) keys_told: watch::Sender<Keys>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) host: Host<Linux>,
    pub(crate) tun: InterfaceName,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) boot_id: [u8; 16],
    pub(crate) link_events: mpsc::Sender<(u64, LinkEvent)>,
    pub(crate) reports: watch::Sender<Report>,
    pub(crate) statuses: watch::Sender<Status>,
    pub(crate) enrolment: Enrolment,
    pub(crate) quoter: Quoter,
    /// Which of the controller's online keys are believed, beside the one that signed what runs.
    pub(crate) believed: Option<Trust>,
    /// The file that remembers it.
    pub(crate) delegations: PathBuf,
}

/// What wakes the loop, beside signals and timers.
pub(crate) struct Inboxes {
    pub(crate) controller: mpsc::Receiver<LinkToController>,
    pub(crate) links: mpsc::Receiver<(u64, LinkEvent)>,
    /// What people at this host want done.
    pub(crate) orders: mpsc::Receiver<Order>,
    /// What runs beside the loop, by name: none may end before it.
    pub(crate) tasks: JoinSet<&'static str>,
}

pub(crate) struct EventLoop {
    parts: Parts,
    running: Option<Running>,
    shard: Option<RunningShard>,
    /// Shards that were started: what an older one still tells is nobody's business.
    shards_started: u64,
    /// Another for every configuration that is served: what was decided under an older one is asked again.
    generation: u64,
    standby: Standby,
    dismissed: Option<Refusal>,
    time_floor: TimeFloor,
    heartbeats: u64,
    /// Which reports of devices were passed on, by their hashes.
    passed: BTreeMap<PublicKey, [u8; 32]>,
    /// Why links are not served as they should be; tried again with every heartbeat.
    trouble: Option<String>,
    /// Why a change that nobody confirmed cannot be taken back; tried again with every heartbeat.
    stuck: Option<String>,
    /// Somebody else's rules that drop what is forwarded for us.
    foreign_rules: Vec<String>,
}

const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// How soon a change that somebody flushed is made again.
const REASSERT_EVERY: Duration = Duration::from_secs(10);
/// How soon somebody else's rules are noticed; a host may have tens of thousands.
const LOOK_AT_RULES_EVERY: Duration = Duration::from_secs(30);
/// After a restart without the controller, a clock that was set back is believed for this long at most.
const REMEMBER_TIME_EVERY: Duration = Duration::from_secs(60);

impl EventLoop {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            running: None,
            shard: None,
            shards_started: 0,
            generation: 0,
            standby: Standby::new(Instant::now(), clock::unix_ms()),
            dismissed: None,
            time_floor: TimeFloor::new(0, Instant::now()),
            heartbeats: 0,
            passed: BTreeMap::new(),
            trouble: None,
            stuck: None,
            foreign_rules: Vec::new(),
        }
    }

    /// Runs what an earlier process ran, before the controller is asked. What cannot run is tried again by and by: the
    /// controller must be reached all the same, because it may send what mends it.
    ///
    /// # Errors
    /// When this host lacks what every configuration needs; [`EventLoop::stop`] takes back what was changed.
    pub(crate) async fn resume(&mut self, running: Running, time_floor_ms: i64) -> anyhow::Result<()> {
        self.time_floor = TimeFloor::new(time_floor_ms, Instant::now());
        self.running = Some(running);
        let resumed = self.try_again().await;
        if resumed.as_ref().is_err_and(is_of_host) {
            return resumed;
        }
        self.note(resumed);
        Ok(())
    }

    /// Runs until a signal says stop, or a part of it fails.
    pub(crate) async fn run(mut self, mut inboxes: Inboxes) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT_EVERY);
        let mut reassert = tokio::time::interval(REASSERT_EVERY);
        let mut look = tokio::time::interval(LOOK_AT_RULES_EVERY);
        let mut remember = tokio::time::interval(REMEMBER_TIME_EVERY);
        info!(server = %self.parts.enrolment.server, "gateway runs");
        let ended = loop {
            tokio::select! {
                Some(message) = inboxes.controller.recv() => self.handle_controller(message).await,
                Some(Order { overlap_s, reply }) = inboxes.orders.recv() => {
                    // Who asked may have gone.
                    drop(reply.send(self.rotate_key(overlap_s)));
                }
                Some((shard, event)) = inboxes.links.recv() => self.handle_link(shard, event).await,
                _ = heartbeat.tick() => {
                    if let Err(error) = self.handle_heartbeat().await {
                        break Err(error);
                    }
                }
                _ = reassert.tick() => self.reassert().await,
                _ = remember.tick() => self.remember_time(),
                _ = look.tick() => self.look_at_foreign_rules().await,
                Some(task) = inboxes.tasks.join_next() => break Err(ended_early(task)),
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
            }
        };
        self.stop().await;
        ended
    }

    /// # Errors
    /// When the shard ended by itself: the gateway ends as well.
    async fn handle_heartbeat(&mut self) -> anyhow::Result<()> {
        self.check_shard().await?;
        if self.trouble.is_some() {
            self.revive().await;
        }
        self.revert_if_due().await;
        self.turn_to_next_key();
        if self.standby.handle_timeout(Instant::now()) {
            info!("grants that expired while the controller was away hold no longer");
            self.serve_or_retry();
        }
        self.beat();
        Ok(())
    }

    async fn handle_controller(&mut self, message: LinkToController) {
        match message {
            LinkToController::Up { server_time_ms } => self.controller_is_there(server_time_ms),
            LinkToController::Down { reason } => {
                if self.standby.handle_down(Instant::now(), clock::unix_ms(), reason) {
                    warn!("controller is away: serving from the cached configuration");
                    self.serve_or_retry();
                }
            }
            LinkToController::Dismissed(refusal) => self.dismiss(refusal),
            LinkToController::Believed { trust, answer } => {
                // The session may be gone by now: the next one hears it again.
                drop(answer.send(self.believe(trust)));
            }
            LinkToController::NextKeyKnown { next, known_s } => self.next_key_known(&next, known_s),
            LinkToController::NextKeyRefused(refusal) => self.next_key_refused(refusal),
            LinkToController::LetInWithNextKey { answer } => drop(answer.send(self.take_up_key())),
            LinkToController::Candidate { running, sections, answer } => {
                let revision = running.verified.version().revision;
                if let Some(old) = &mut self.running {
                    // Whatever becomes of the rest: who is revoked must go.
                    old.revoke_later(&running.config.revoked);
                }
                let applied = self.apply(*running, &sections).await;
                if applied.is_ok() {
                    info!(revision, "assignment applied");
                }
                // The session may be gone by now: the next one attaches with what runs.
                drop(answer.send(applied.map_err(|error| format!("{error:#}"))));
            }
        }
        self.beat();
    }

    fn controller_is_there(&mut self, server_time_ms: i64) {
        info!("controller is there");
        self.time_floor.handle_controller(server_time_ms, Instant::now());
        if self.dismissed.take().is_some() {
            self.remember_time();
        }
        self.standby.handle_up(Instant::now());
        self.serve_or_retry();
    }

    /// Serves nobody, after a restart neither: the last word of the controller outlives this process.
    fn dismiss(&mut self, refusal: Refusal) {
        error!(reason = %refusal, "this gateway serves nobody until its Server is declared again");
        self.dismissed = Some(refusal);
        if let Err(error) = self.parts.cache.forget_current() {
            warn!(reason = %format!("{error:#}"), "a restart without the controller would serve again");
        }
        self.serve_or_retry();
    }

    /// Takes a configuration whole, or keeps the old one, but for those whom the old one must revoke by now.
    async fn apply(&mut self, running: Running, sections: &Sections) -> anyhow::Result<()> {
        if let Err(error) = self.switch(&running, sections).await {
            self.go_back().await;
            return Err(error);
        }
        self.parts.cache.forget_others(&running);
        self.running = Some(running);
        self.stuck = None;
        self.note(Ok(()));
        Ok(())
    }

    /// What can be checked is checked before anything changes. The host first, because it may refuse; then the disk,
    /// so that a restart runs what links were told.
    async fn switch(&mut self, running: &Running, sections: &Sections) -> anyhow::Result<()> {
        let (cache, floor_ms) = (Arc::clone(&self.parts.cache), self.time_floor_ms());
        cache.keep_previous(self.running.as_ref(), running, floor_ms)?;
        let socket = self.socket_for(port_of(identity_of(running)?))?;
        self.converge(running).await?;
        cache.store(running, sections, floor_ms)?;
        self.serve(running, socket)
    }

    /// Makes host, disk and shard again what they were before a configuration that could not be taken.
    async fn go_back(&mut self) {
        if self.running.is_some() {
            self.remember_time();
            if self.shard.is_some() {
                // The host may refuse again, and whoever was revoked must not stay for that.
                self.serve_or_retry();
            }
            self.revive().await;
            return;
        }
        self.stop_shard("the gateway has no configuration");
        if let Err(error) = self.parts.host.undo_all().await {
            warn!(reason = %format!("{:#}", anyhow::Error::from(error)), "a change of the host stays");
        }
        if let Err(error) = self.parts.cache.forget_current() {
            warn!(reason = %format!("{error:#}"), "the refused configuration stays on disk");
        }
    }

    pub(super) async fn converge(&mut self, running: &Running) -> anyhow::Result<()> {
        let wanted = wanted_host(&running.config, &self.parts.tun);
        self.parts.host.converge(&wanted).await?;
        self.look_at_foreign_rules().await;
        Ok(())
    }

    async fn reassert(&mut self) {
        if let Err(error) = self.parts.host.reassert().await {
            warn!(reason = %format!("{:#}", anyhow::Error::from(error)), "the host is not as it should be");
        }
    }

    /// Somebody else's rules come and go, and matter only where the kernel forwards for us.
    async fn look_at_foreign_rules(&mut self) {
        if self.parts.host.wanted().firewall.is_none() {
            self.foreign_rules.clear();
            return;
        }
        self.foreign_rules = match self.parts.host.executor().forwarding_blocked(&self.parts.tun).await {
            Ok(blocked) => blocked.iter().map(ToString::to_string).collect(),
            Err(error) => {
                let reason = format!("{:#}", anyhow::Error::from(error));
                vec![format!("cannot see whether somebody else's rules drop what is forwarded: {reason}")]
            }
        };
    }

    fn time_floor_ms(&self) -> i64 {
        self.time_floor.at_ms(Instant::now())
    }

    /// Not after a dismissal: then the next start must find nothing to run.
    fn remember_time(&mut self) {
        if let Some(running) = self.running.as_ref().filter(|_| self.dismissed.is_none())
            && let Err(error) = self.parts.cache.store_current(running, self.time_floor_ms())
        {
            warn!(reason = %format!("{error:#}"), "cannot remember what runs, and the time");
        }
    }

    /// What an operator should know, the worst first.
    fn warnings(&self) -> Vec<String> {
        let identity = self.running.as_ref().and_then(|running| running.config.identity.as_ref());
        let endpoints = identity.filter(|_| self.parts.listen.is_none()).and_then(unbound_endpoints);
        self.trouble.iter().chain(&self.stuck).chain(&self.foreign_rules).cloned().chain(endpoints).collect()
    }

    /// Says good-bye to links and leaves the host as it was.
    pub(crate) async fn stop(mut self) {
        info!("gateway stops");
        self.stop_shard("the gateway stops");
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

/// The tasks beside the loop run for as long as it does.
fn ended_early(task: Result<&'static str, JoinError>) -> anyhow::Error {
    match task {
        Ok(name) => anyhow::anyhow!("the {name} ended by itself"),
        Err(error) => anyhow::Error::from(error).context("a task ended by itself"),
    }
}

/// Returns whether only somebody at this host can mend it.
fn is_of_host(error: &anyhow::Error) -> bool {
    error.is::<TunError>() || error.downcast_ref::<HostError>().is_some_and(HostError::is_of_host)
}
