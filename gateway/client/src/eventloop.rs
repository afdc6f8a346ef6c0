//! The one owner of the agent's state: sign-in, link, host. One loop, one event at a time.

mod grants;
mod link;
mod lookup;
mod news;
mod report;
mod rotation;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{key::SecretKey, name::Name, news::CarriedNews};
use horizon_dataplane::apply::InterfaceName;
use horizon_host::{Host, Linux};
use horizon_link::LinkEvent;
use horizon_node::{clock, random};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
};
use tracing::{info, warn};

use self::{grants::Grants, link::RunningLink, lookup::Found, news::News};
pub(crate) use self::{link::remembered_host, report::Snapshot};
use crate::{
    account::{Account, sealing::SealIdentity},
    api::{ConnectRequest, StateName},
    controller::{Credential, SignedIn},
    disk,
    files::Files,
    state::{Machine, Moment, Order, State, Target},
};

/// All that can wake the loop, but for signals, timers and the link's own events.
pub(crate) enum Event {
    /// A person asked.
    Asked(Request),
    /// The controller answered a login.
    LoggedIn { sign_in: u64, outcome: anyhow::Result<SignedIn>, reply: Reply },
    /// The controller answered a refresh, or did not.
    Refreshed { sign_in: u64, outcome: anyhow::Result<disk::Account> },
    /// The controller took another key in the place of this device's, or did not; nobody may wait for that.
    Rotated {
        sign_in: u64,
        next: Box<SecretKey>,
        outcome: anyhow::Result<disk::Account>,
        reply: Option<Reply>,
    },
    /// The controller said whom the gateway should keep out, or did not.
    News { outcome: anyhow::Result<Vec<CarriedNews>> },
    /// Names were resolved.
    Found { look_up: u64, found: Found },
}

/// What a person may ask. The answer comes when it is begun, not when a link is up.
pub(crate) enum Request {
    Login {
        credential: Box<Credential>,
        name: Name,
        reply: Reply,
    },
    Logout {
        reply: Reply,
    },
    Connect {
        request: ConnectRequest,
        reply: Reply,
    },
    Disconnect {
        reply: Reply,
    },
    /// Take another key in the place of this device's.
    RotateKey {
        reply: Reply,
    },
    /// Ask the controller at once; `done` is told when it answered or did not.
    Refresh {
        done: oneshot::Sender<()>,
    },
}

pub(crate) type Reply = oneshot::Sender<anyhow::Result<()>>;

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) key: Arc<SecretKey>,
    pub(crate) seal: Arc<SealIdentity>,
    pub(crate) files: Files,
    pub(crate) host: Host<Linux>,
    pub(crate) tun: InterfaceName,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) link_events: mpsc::Sender<(u64, LinkEvent)>,
}

pub(crate) struct EventLoop {
    parts: Parts,
    account: Option<Account>,
    /// Where the device waits to be approved; nothing once it has an account.
    waiting: Option<disk::Home>,
    memory: disk::Connection,
    machine: Machine,
    /// The state that the log told last.
    logged: StateName,
    grants: Grants,
    news: News,
    link: Option<RunningLink>,
    /// Shards that were started: what an older one still tells is nobody's business.
    links_started: u64,
    look_ups: u64,
    /// Where a gateway accepted last.
    last: Option<Target>,
    /// What must be reached beside the link.
    direct: BTreeSet<IpAddr>,
    warnings: Vec<String>,
}

/// How often counters and round trips are read while there is a link.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// How soon a change that somebody flushed is made again.
const REASSERT_EVERY: Duration = Duration::from_secs(10);
/// Timers stand still while the host sleeps, wall clocks do not: look at it this often.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(30);

impl EventLoop {
    pub(crate) fn new(
        parts: Parts,
        account: Option<Account>,
        waiting: Option<disk::Home>,
        memory: disk::Connection,
    ) -> Self {
        Self {
            parts,
            waiting: waiting.filter(|_| account.is_none()),
            account,
            memory,
            machine: Machine::new(clock::unix_ms()),
            logged: StateName::Disconnected,
            grants: Grants::new(),
            news: News::default(),
            link: None,
            links_started: 0,
            look_ups: 0,
            last: None,
            direct: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    /// Goes on where an earlier process was: the person still wants the link.
    pub(crate) async fn resume(&mut self) {
        info!("making the link again that was wanted");
        self.machine.handle_connect(moment());
        self.drive().await;
    }

    /// Runs until a signal says stop, or a part of it fails.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        mut link_inbox: mpsc::Receiver<(u64, LinkEvent)>,
        snapshots: watch::Sender<Snapshot>,
    ) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut measure = tokio::time::interval(MEASURE_EVERY);
        let mut reassert = tokio::time::interval(REASSERT_EVERY);
        info!(key = %self.parts.key.public(), "agent runs");
        let ended = loop {
            self.refresh_if_due();
            self.ask_for_news_if_due();
            snapshots.send_replace(self.snapshot());
            self.grants.tell_answered();
            let wake = tokio::time::Instant::from_std(self.next_wake());
            let answer = tokio::select! {
                Some(event) = inbox.recv() => self.handle_event(event).await,
                Some((link, event)) = link_inbox.recv() => { self.handle_link(link, event).await; None }
                _ = measure.tick(), if self.link.is_some() => {
                    self.measure();
                    if let Err(error) = self.check_shard() {
                        break Err(error);
                    }
                    None
                }
                _ = reassert.tick(), if self.link.is_some() => { self.reassert().await; None }
                () = tokio::time::sleep_until(wake) => { self.machine.handle_timeout(moment()); None }
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
            };
            self.drive().await;
            if let Some(Answer { reply, outcome }) = answer {
                // Who asked reads the snapshot next.
                snapshots.send_replace(self.snapshot());
                drop(reply.send(outcome));
            }
        };
        self.stop().await;
        ended
    }

    async fn handle_event(&mut self, event: Event) -> Option<Answer> {
        let (reply, outcome) = match event {
            Event::Asked(Request::Login { credential, name, reply }) => match self.begin_login(&credential) {
                Ok(()) => {
                    self.log_in(*credential, name, reply);
                    return None;
                }
                Err(error) => (reply, Err(error)),
            },
            Event::Asked(Request::Logout { reply }) => {
                let told = self.tell_sign_out();
                let outcome = self.log_out().await;
                self.answer_when_told(told, Answer { reply, outcome });
                return None;
            }
            Event::Asked(Request::Connect { request, reply }) => (reply, self.connect(request).await),
            Event::Asked(Request::Disconnect { reply }) => (reply, self.disconnect().await),
            Event::Asked(Request::Refresh { done }) => {
                self.refresh_for(done);
                return None;
            }
            Event::LoggedIn { sign_in, outcome, reply } => (reply, self.logged_in(sign_in, outcome)),
            Event::Asked(Request::RotateKey { reply }) => match self.rotate_key() {
                Ok(rotation) => {
                    rotation.begin(reply);
                    return None;
                }
                Err(error) => (reply, Err(error)),
            },
            Event::Rotated { sign_in, next, outcome, reply } => {
                let outcome = self.rotated(sign_in, *next, outcome);
                match (reply, outcome) {
                    (Some(reply), outcome) => (reply, outcome),
                    (None, Ok(())) => return None,
                    (None, Err(error)) => {
                        self.not_rotated(sign_in, &error);
                        return None;
                    }
                }
            }
            Event::Refreshed { sign_in, outcome } => {
                self.refreshed(sign_in, outcome);
                self.follow_offer().await;
                return None;
            }
            Event::News { outcome } => {
                self.carry(outcome);
                return None;
            }
            Event::Found { look_up, found } => {
                self.found(look_up, found);
                return None;
            }
        };
        Some(Answer { reply, outcome })
    }

    /// Does what the machine wants done, until it wants nothing.
    async fn drive(&mut self) {
        while let Some(order) = self.machine.poll_order() {
            match order {
                Order::LookUp => self.look_up().await,
                Order::Dial(target) => self.dial(&target),
                Order::Refresh => self.refresh(),
            }
        }
        let state = self.machine.state();
        if state.name() != self.logged {
            self.logged = state.name();
            log_state(&state);
        }
    }

    fn next_wake(&self) -> Instant {
        let latest = Instant::now() + LOOK_AT_CLOCK_EVERY;
        let news = self.news.wake(Instant::now());
        [Some(latest), self.machine.poll_timeout(), self.refresh_at(), news]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(latest)
    }

    /// Says good-bye and leaves the host as it was. What the person wants stays on disk.
    async fn stop(mut self) {
        info!("agent stops");
        self.remember();
        match self.tear_down("the agent stops").await {
            Ok(changes) => info!(changes, "the host is as it was"),
            Err(error) => warn!(reason = %format!("{error:#}"), "a change stays; the next start tries again"),
        }
    }
}

struct Answer {
    reply: Reply,
    outcome: anyhow::Result<()>,
}

fn moment() -> Moment {
    Moment { now: Instant::now(), unix_ms: clock::unix_ms(), jitter: u32::from_le_bytes(random::bytes()) }
}

fn log_state(state: &State) {
    match state {
        State::Blocked(problem) => {
            warn!(reason = %problem.message, hint = %problem.hint, "the link is blocked");
        }
        State::Disconnected | State::Connecting(_) | State::Connected { .. } | State::Reconnecting => {
            info!(state = ?state.name(), "the link's state changed");
        }
    }
}
