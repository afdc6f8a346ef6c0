//! The link: the host before it, the shard that carries it, and what becomes of it.

use std::collections::BTreeSet;

use anyhow::Context;
use horizon_api::{
    key::SecretKey,
    wire::link::{Accept, LinkHello},
};
use horizon_dataplane::{
    apply::{HostState, Interface, InterfaceName, Link},
    wanted,
};
use horizon_host::{Tun, tun::Offload};
use horizon_link::{Command, Dial, LinkEvent, Role, ShardHandle, ShardParts};
use horizon_node::{
    failure::Failure,
    negotiated::Negotiated,
    udp::{self, Family},
};
use tracing::{debug, info, warn};

use super::{
    Event, EventLoop,
    lookup::{self, Found},
    moment,
};
use crate::{
    account::sealing,
    api::ConnectRequest,
    choice::{self, Candidate},
    disk::Wish,
    socket::not_signed_in,
    state::{Problem, Target},
    terms::{self, TermsError},
};

/// The shard, and what is known of the link in it.
pub(super) struct RunningLink {
    pub(super) handle: ShardHandle,
    number: u64,
    family: Family,
    pub(super) dialed: Option<Target>,
    /// By its id: what the gateway of the link was last told.
    pub(super) grant: [u8; 16],
    pub(super) negotiated: Negotiated,
    /// The terms as they came, while the controller's offer does not cover all of them.
    unoffered: Option<Accept>,
    /// Another link is about to be made in its place: what it still tells is nobody's business.
    pub(super) is_replaced: bool,
}

/// An interface without a link: the least that IPv6 asks of one (RFC 8200 §5), and the short queue of a link's.
const BARE: Link = Link { mtu: 1280, queue_packets: 32, is_up: true };

/// Returns how the host is set until a link is up: as the last one left it, so that nothing leaks out elsewhere.
pub(crate) fn remembered_host(accept: Option<&Accept>, tun: &InterfaceName) -> HostState {
    match accept {
        Some(accept) => wanted::device_host(accept, tun),
        None => {
            let interface = Interface { link: BARE, addresses: BTreeSet::new() };
            HostState { interfaces: [(tun.clone(), interface)].into(), ..HostState::default() }
        }
    }
}

impl EventLoop {
    pub(super) async fn connect(&mut self, request: ConnectRequest) -> anyhow::Result<()> {
        let wish = Wish { server: request.server, network: request.network };
        if self.waiting.is_some() {
            return self.connect_when_approved(wish);
        }
        let candidates = self.candidates(&wish)?;
        let is_there = self
            .machine
            .up()
            .is_some_and(|up| candidates.iter().any(|one| one.key == up.key && one.network == up.network));
        let former = self.memory.wish.replace(wish);
        // On disk before anything ends: what fails here leaves the link that is there.
        if let Err(error) = self.parts.files.store_connection(&self.memory) {
            self.memory.wish = former;
            return Err(error);
        }
        if is_there {
            return Ok(());
        }
        // A link elsewhere ends first; what it still has to tell is then nobody's business.
        self.stop_shard("another link is made");
        if let Err(error) = self.prepare().await {
            self.take_wish_back(former, &error).await;
            return Err(error);
        }
        self.machine.handle_connect(moment());
        Ok(())
    }

    /// Nothing can be made yet, but what is wanted is known.
    fn connect_when_approved(&mut self, wish: Wish) -> anyhow::Result<()> {
        self.memory.wish = Some(wish);
        self.parts.files.store_connection(&self.memory)?;
        let text = "this device waits for an admin's approval; it connects by itself once it is approved";
        Err(Failure::Waits(text.into()).into())
    }

    /// This host cannot have another link: what was wanted before is wanted again, and made again.
    async fn take_wish_back(&mut self, former: Option<Wish>, error: &anyhow::Error) {
        self.memory.wish = former;
        self.remember();
        if self.memory.wish.is_none()
            && let Err(second) = self.parts.host.undo_all().await
        {
            warn!(reason = %second, "a change stays; the next start takes it back");
        }
        self.machine.handle_carrier_lost(problem_of(error), moment());
    }

    pub(super) async fn disconnect(&mut self) -> anyhow::Result<()> {
        self.measure();
        self.memory.wish = None;
        self.memory.accept = None;
        self.machine.handle_disconnect(moment());
        let undone = self.tear_down("the person disconnects").await;
        self.parts.files.store_connection(&self.memory)?;
        undone.map(|_| ())
    }

    /// Ends the link and takes back what was changed on the host.
    pub(super) async fn tear_down(&mut self, reason: &str) -> anyhow::Result<usize> {
        self.stop_shard(reason);
        self.warnings.clear();
        Ok(self.parts.host.undo_all().await?)
    }

    /// Prepares the host, chooses servers, and has their names resolved.
    pub(super) async fn look_up(&mut self) {
        self.look_ups += 1;
        if let Err(error) = self.prepare().await {
            return self.machine.handle_unfit(problem_of(&error), moment());
        }
        let wish = self.memory.wish.clone().unwrap_or_default();
        let candidates = match self.candidates(&wish) {
            Ok(candidates) => candidates,
            Err(error) => return self.machine.handle_stale_offer(problem_of(&error), moment()),
        };
        let (Some(account), Some(link)) = (&self.account, &self.link) else { return };
        let controller = (account.stored().host.clone(), account.stored().port);
        let (family, events, look_up) = (link.family, self.parts.events.clone(), self.look_ups);
        tokio::spawn(async move {
            let found = lookup::find(candidates, family, controller).await;
            drop(events.send(Event::Found { look_up, found }).await);
        });
    }

    pub(super) fn found(&mut self, look_up: u64, mut found: Found) {
        if look_up != self.look_ups {
            return;
        }
        if let Some(last) = &self.last {
            found.add_last(last);
        }
        self.direct = found.direct;
        if found.targets.is_empty() {
            let reason = found.problem.unwrap_or_else(|| {
                "no server says where it is reached; give each Server its endpoints".to_owned()
            });
            self.machine.handle_lost(Problem::from_line(&reason), moment());
        } else {
            self.machine.handle_targets(found.targets, moment());
        }
    }

    pub(super) fn dial(&mut self, target: &Target) {
        let (Some(account), Some(link)) = (&self.account, &mut self.link) else {
            let problem = Problem::new("nothing carries the link any more", "");
            return self.machine.handle_carrier_lost(problem, moment());
        };
        if !account.grants(&target.network) {
            // It was chosen by a grant of before.
            return self.machine.handle_lost(not_granted(target), moment());
        }
        debug!(server = %target.server, remote = %target.remote, "dialling");
        let hello = LinkHello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: vec![],
            grant: account.stored().granted.grant.clone(),
            delegation: Some(account.stored().delegation.clone()),
            network: target.network.clone(),
            card: self.parts.seal.card(account, &target.network).unwrap_or_default().to_vec(),
        };
        let seal = self.parts.seal.terms(account, &target.network);
        if seal.as_ref().is_some_and(|terms| terms.card.is_empty()) {
            // Granted to an agent of before, which had no key to seal with, or had another one.
            self.grants.hurry();
        }
        let dial = Dial { remote: target.remote, gateway: target.keys(), hello, seal };
        link.dialed = Some(target.clone());
        link.grant = account.grant().id;
        link.unoffered = None;
        link.is_replaced = false;
        if let Err(error) = link.handle.command(Command::Dial(Box::new(dial))) {
            self.machine.handle_lost(Problem::new(error.to_string(), ""), moment());
        }
    }

    pub(super) async fn handle_link(&mut self, number: u64, event: LinkEvent) {
        if self.link.as_ref().is_none_or(|link| link.number != number || link.is_replaced) {
            return;
        }
        match event {
            LinkEvent::Up { accept, negotiated } => {
                if let Some(link) = &mut self.link {
                    link.negotiated = negotiated;
                }
                self.news.handle_gateway(accept.news_after);
                self.accepted(accept).await;
            }
            LinkEvent::Changed(accept) => {
                self.news.handle_gateway(accept.news_after);
                if let Err(error) = self.configure(accept).await {
                    let reason = format!("{error:#}");
                    warn!(%reason, "the gateway changed the terms of the link, and this host cannot follow");
                    self.warnings.push(format!("the terms before the last change stay: {reason}"));
                }
                self.ask_for_offer();
            }
            LinkEvent::Refused(refusal) | LinkEvent::Down { refusal: Some(refusal), .. } => {
                info!(code = ?refusal.code, reason = %refusal, "the gateway says no");
                self.news.handle_gateway(None);
                self.machine.handle_refused(&refusal, moment());
            }
            LinkEvent::Down { refusal: None, reason } => {
                self.news.handle_gateway(None);
                self.lost(&reason);
            }
            LinkEvent::TunLost => self.tun_lost(),
            LinkEvent::Admitted { .. }
            | LinkEvent::Turned { .. }
            | LinkEvent::Left { .. }
            | LinkEvent::News(_)
            | LinkEvent::RootWord(_) => {
                debug!(?event, "an event of gateways only");
            }
        }
    }

    /// Looks at the shard itself, because an event may be lost.
    ///
    /// # Errors
    /// When its thread ended by itself: the agent ends as well.
    pub(super) fn check_shard(&mut self) -> anyhow::Result<()> {
        let Some(link) = &self.link else { return Ok(()) };
        anyhow::ensure!(!link.handle.has_ended(), "the shard ended by itself");
        if link.handle.status().is_tun_lost {
            self.tun_lost();
        }
        Ok(())
    }

    /// Goes on with the keys that servers have by now, in everything that remembers a server by its key.
    pub(super) fn follow_keys(&mut self) {
        let Some(account) = &self.account else { return };
        let servers = &account.stored().granted.servers;
        self.machine.handle_offers(servers);
        let dialed = self.link.as_mut().and_then(|link| link.dialed.as_mut());
        dialed.into_iter().chain(&mut self.last).for_each(|target| target.follow(servers));
        for server in servers {
            let Some(previous) = server.previous else { continue };
            if let Some(rtt_us) = self.memory.rtts_us.remove(&previous) {
                self.memory.rtts_us.entry(server.key).or_insert(rtt_us);
            }
            if self.memory.last == Some(previous) {
                self.memory.last = Some(server.key);
            }
        }
    }

    /// Reads the counters of the link, and remembers its round trip.
    pub(super) fn measure(&mut self) {
        let (Some(link), Some(up)) = (&self.link, self.machine.up()) else { return };
        if let Some(status) = link.handle.status().links.first().filter(|status| status.rtt_us > 0) {
            self.memory.rtts_us.insert(up.key, status.rtt_us);
        }
    }

    pub(super) async fn reassert(&mut self) {
        if let Err(error) = self.parts.host.reassert().await {
            warn!(reason = %format!("{:#}", anyhow::Error::from(error)), "the host is not as it should be");
        }
    }

    /// Writes down what is worth remembering. Without it the next start chooses a little worse, no more.
    pub(super) fn remember(&mut self) {
        if let Some(account) = &self.account {
            let servers = &account.stored().granted.servers;
            self.memory.rtts_us.retain(|key, _| servers.iter().any(|server| server.key == *key));
        }
        if let Err(error) = self.parts.files.store_connection(&self.memory) {
            warn!(reason = %format!("{error:#}"), "cannot remember the link");
        }
    }

    fn candidates(&self, wish: &Wish) -> anyhow::Result<Vec<Candidate>> {
        let account = self.account.as_ref().ok_or_else(not_signed_in)?;
        let last = self.memory.last.filter(|_| self.machine.was_up());
        let servers = &account.stored().granted.servers;
        Ok(choice::candidates(servers, account.grant(), wish, &self.memory, last)?)
    }

    /// Makes interface and shard, where they are not there.
    async fn prepare(&mut self) -> anyhow::Result<()> {
        if self.link.is_some() {
            return Ok(());
        }
        let remembered = remembered_host(self.memory.accept.as_ref(), &self.parts.tun);
        if let Err(error) = self.parts.host.converge(&remembered).await {
            // The terms of the last link may not fit this host any more; the next link brings its own.
            debug!(reason = %format!("{:#}", anyhow::Error::from(error)), "the last terms do not fit");
            self.memory.accept = None;
            self.parts.host.converge(&remembered_host(None, &self.parts.tun)).await?;
        }
        self.start_shard()
    }

    fn start_shard(&mut self) -> anyhow::Result<()> {
        let mut tun = Tun::open(&self.parts.tun, 1)?;
        let queue = tun.queues.pop().context("a TUN has one queue at least")?;
        let bound = udp::bind_any(0).map_err(|(_, error)| error).context("open a UDP socket")?;
        self.links_started += 1;
        let (number, events) = (self.links_started, self.parts.link_events.clone());
        let handle = horizon_link::start(ShardParts {
            socket: bound.socket,
            tun: queue,
            joins_udp: tun.offload == Offload::TcpAndUdp,
            key: SecretKey::from_seed(&self.parts.key.seed()),
            role: Role::Device,
            // One link has a handful of events; the loop would have to stand still for the queue to fill.
            on_event: Box::new(move |event| drop(events.try_send((number, event)))),
        })?;
        self.link = Some(RunningLink {
            handle,
            number,
            family: bound.family,
            dialed: None,
            grant: [0; 16],
            negotiated: Negotiated::default(),
            unoffered: None,
            is_replaced: false,
        });
        Ok(())
    }

    fn stop_shard(&mut self, reason: &str) {
        if let Some(mut link) = self.link.take() {
            // A link that hangs up says so to its gateway; one that only ends is waited for.
            drop(link.handle.command(Command::HangUp { reason: reason.to_owned() }));
            link.handle.stop(reason);
        }
    }

    /// Hangs up, and looks for another way.
    pub(super) fn end_link(&mut self, problem: Problem) {
        info!(reason = %problem.message, "the link ends");
        if let Some(link) = &mut self.link {
            // What it still has to tell is nobody's business.
            link.is_replaced = true;
            drop(link.handle.command(Command::HangUp { reason: problem.message.clone() }));
        }
        self.machine.handle_carrier_lost(problem, moment());
    }

    fn tun_lost(&mut self) {
        let reason = format!("the interface {} was removed", self.parts.tun);
        warn!(%reason, "making it again");
        self.stop_shard(&reason);
        self.machine.handle_carrier_lost(Problem::new(reason, ""), moment());
    }

    async fn accepted(&mut self, accept: Accept) {
        self.machine.handle_accepted();
        self.grants.handle_let_in();
        self.last = self.link.as_ref().and_then(|link| link.dialed.clone());
        self.memory.last = self.last.as_ref().map(|target| target.key);
        match self.configure(accept).await {
            Ok(()) => {
                self.machine.handle_configured(moment());
                self.renew_if_other();
                self.ask_for_offer();
            }
            Err(error) => {
                let problem = problem_of(&error);
                warn!(reason = %problem.message, "this host cannot have the link");
                if let Some(link) = &self.link {
                    drop(
                        link.handle
                            .command(Command::HangUp { reason: "the host could not be set".to_owned() }),
                    );
                }
                if error.is::<TermsError>() {
                    self.machine.handle_stale_offer(problem, moment());
                } else {
                    self.machine.handle_unfit(problem, moment());
                }
            }
        }
        self.remember();
    }

    /// Asks the controller where its offer does not cover what a gateway says: the gateway may know of a change first.
    pub(super) fn ask_for_offer(&mut self) {
        if self.link.as_ref().is_some_and(|link| link.unoffered.is_some()) {
            self.grants.hurry();
        }
    }

    /// Takes what was not offered when the gateway said it, if it is now.
    pub(super) async fn follow_offer(&mut self) {
        let Some(accept) = self.link.as_mut().and_then(|link| link.unoffered.take()) else { return };
        if self.machine.up().is_some()
            && let Err(error) = self.configure(accept).await
        {
            warn!(reason = %format!("{error:#}"), "this host cannot follow the controller's offer");
        }
    }

    /// Sets the host by the terms of a link, as far as the controller offered them.
    async fn configure(&mut self, accept: Accept) -> anyhow::Result<()> {
        let (account, link) = (self.account.as_ref(), self.link.as_mut());
        let account = account.context("the device is signed in")?;
        let link = link.context("a shard carries the link")?;
        let target = link.dialed.as_ref().context("the link was dialled")?;
        let servers = &account.stored().granted.servers;
        let (offered, unoffered) = terms::keep_offered(accept.clone(), account.grant(), servers, target)?;
        let is_sealed = sealing::scope(account, &target.network).is_some();
        let is_told = terms::demands_seal(&accept) == is_sealed;
        link.unoffered = (!unoffered.is_empty() || !is_told).then_some(accept);
        let (accept, left_out) = terms::keep_direct(terms::leave_room(offered, is_sealed), &self.direct);
        self.parts.host.converge(&wanted::device_host(&accept, &self.parts.tun)).await?;
        let astray = left_out.into_iter().map(|route| {
            format!("{route} is not routed through the link: the gateway or the controller itself is in it")
        });
        let greedy = unoffered.into_iter().map(|route| {
            format!(
                "{route} is not routed through the link: the controller did not offer it with this server"
            )
        });
        self.warnings = astray.chain(greedy).collect();
        self.memory.accept = Some(accept);
        Ok(())
    }

    fn lost(&mut self, reason: &str) {
        self.measure();
        let dialed = self.link.as_ref().and_then(|link| link.dialed.as_ref());
        let problem = match dialed {
            Some(target) if self.machine.up().is_none() => {
                let (ip, port) = (target.remote.ip().to_canonical(), target.remote.port());
                Problem::new(
                    format!("server {} at {ip} port {port}: {reason}", target.server),
                    format!("check that its gateway runs, and that UDP port {port} is open on the way"),
                )
            }
            Some(_) | None => {
                info!(reason, "the link is gone");
                Problem::new(reason, "")
            }
        };
        self.machine.handle_lost(problem, moment());
    }
}

/// What stands against a link to a target, when the newest grant does not name its network.
pub(super) fn not_granted(target: &Target) -> Problem {
    let message = format!("the controller gives this device no place in network {} any more", target.network);
    Problem::new(message, "ask an administrator, if that is a mistake")
}

fn problem_of(error: &anyhow::Error) -> Problem {
    Problem::from_line(&format!("{error:#}"))
}
