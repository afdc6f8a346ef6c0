//! What the agent decides about its link: what to do after each thing that happened, and how to say it.
//!
//! A pure machine: `handle_*` take what happened, [`Machine::poll_order`] gives what to do next.
//! While a person wants to be connected it never gives up: it goes through the servers, waits, and begins again.

mod said;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use horizon_api::{
    key::PublicKey,
    section::NetworkId,
    wire::{Refusal, RefusalCode, dev::ServerOffer},
};
use horizon_node::backoff::Backoff;

use crate::api::StateName;

/// One address of one gateway, for one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) server: String,
    pub(crate) key: PublicKey,
    /// The key that is to follow: the gateway may answer with it already.
    pub(crate) next: Option<PublicKey>,
    pub(crate) network: NetworkId,
    pub(crate) remote: SocketAddr,
}

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What the shell does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Prepare the host, choose servers and resolve their names; answer with the targets.
    LookUp,
    /// Make a link.
    Dial(Target),
    /// Ask the controller for another grant.
    Refresh,
}

/// The moment of an event, read once by the shell, with a random number for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) unix_ms: i64,
    pub(crate) jitter: u32,
}

/// Where the link stands, as people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Disconnected,
    Connecting(Step),
    Connected {
        server: String,
    },
    /// The link was up, is not, and will be again.
    Reconnecting,
    /// It takes somebody to change something; the agent tries again from time to time.
    Blocked(Problem),
}

/// What a first connection is busy with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    LookUp,
    Dial { server: String },
    Configure { server: String },
    Wait,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    /// Where to try next, before the round is over.
    rest: VecDeque<Target>,
    orders: VecDeque<Order>,
    retry: Backoff,
    slow_retry: Backoff,
    offer_retry: Backoff,
    /// Whether the link was up since the person asked for it.
    was_up: bool,
    /// What somebody has to change, as far as this round knows.
    refused: Option<Problem>,
    /// Whether it is the controller's list that has to change.
    is_offer_stale: bool,
    blocked: Option<Problem>,
    last_problem: Option<(i64, Problem)>,
    /// Whether the controller was asked for another grant since the link last lasted.
    asked_for_grant: bool,
    /// When it was last asked for another list of servers.
    asked_for_servers: Option<Instant>,
    up_since: Option<Instant>,
    shown: StateName,
    since_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    LookingUp,
    Dialing(Target),
    Configuring(Target),
    Up(Target),
    Waiting(Instant),
}

/// After a round in which nobody answered.
const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
/// After a refusal: only somebody's change makes it a yes, and that takes minutes.
const SLOW_RETRY: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(60));

/// While no server of the list fits: whoever enables one again expects people back soon, and asking costs little.
const OFFER_RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(20));

/// The controller is not asked more often for what it said a moment ago, however many attempts fail meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// As [`ASK_EVERY`], while its list is all that stands in the way.
const ASK_STALE_EVERY: Duration = Duration::from_secs(10);
/// A link that was up for so long was no accident.
const LASTING: Duration = Duration::from_secs(5);
/// Longer than the longest slow wait, so that two hosts with one key, which end each other's links, come to rest.
const LASTING_LONG: Duration = Duration::from_secs(90);

impl Machine {
    pub(crate) fn new(unix_ms: i64) -> Self {
        Self {
            phase: Phase::Idle,
            rest: VecDeque::new(),
            orders: VecDeque::new(),
            retry: RETRY,
            slow_retry: SLOW_RETRY,
            offer_retry: OFFER_RETRY,
            was_up: false,
            refused: None,
            is_offer_stale: false,
            blocked: None,
            last_problem: None,
            asked_for_grant: false,
            asked_for_servers: None,
            up_since: None,
            shown: StateName::Disconnected,
            since_ms: unix_ms,
        }
    }

    /// The person wants a link, or another one than there is.
    pub(crate) fn handle_connect(&mut self, at: Moment) {
        *self = Self { last_problem: self.last_problem.take(), ..Self::new(self.since_ms) };
        self.shown = StateName::Connecting;
        self.since_ms = at.unix_ms;
        self.look_up();
    }

    /// The person wants no link.
    pub(crate) fn handle_disconnect(&mut self, at: Moment) {
        let since_ms = if self.phase == Phase::Idle { self.since_ms } else { at.unix_ms };
        *self = Self::new(since_ms);
    }

    /// The shell looked up where to dial.
    pub(crate) fn handle_targets(&mut self, targets: Vec<Target>, at: Moment) {
        if self.phase == Phase::LookingUp {
            self.rest = targets.into();
            self.refused = None;
            self.is_offer_stale = false;
            self.try_next(at);
        }
    }

    /// The gateway accepted. The shell sets the host next.
    pub(crate) fn handle_accepted(&mut self) {
        if let Phase::Dialing(target) = &self.phase {
            self.phase = Phase::Configuring(target.clone());
        }
    }

    /// The host is set for the link: packets flow.
    pub(crate) fn handle_configured(&mut self, at: Moment) {
        if let Phase::Configuring(target) = &self.phase {
            self.phase = Phase::Up(target.clone());
            self.was_up = true;
            self.up_since = Some(at.now);
            self.blocked = None;
            self.refused = None;
            self.is_offer_stale = false;
            self.note_state(at);
        }
    }

    /// A link, or an attempt at one, ended for a reason that may pass by itself.
    pub(crate) fn handle_lost(&mut self, problem: Problem, at: Moment) {
        self.look_back(at);
        self.end_attempt(problem, at);
    }

    /// A link, or an attempt at one, ended because somebody said no.
    pub(crate) fn handle_refused(&mut self, refusal: &Refusal, at: Moment) {
        let problem = Problem::from(refusal);
        self.look_back(at);
        if refusal.code.is_final() {
            self.refused = Some(problem.clone());
            // Perhaps only the grant is too old. One question for each time that the link lasted.
            if refusal.code != RefusalCode::Replaced && !self.asked_for_grant {
                self.asked_for_grant = true;
                self.orders.push_back(Order::Refresh);
            }
        }
        self.end_attempt(problem, at);
    }

    /// No server of the controller's list fits, or a server says what the list does not.
    pub(crate) fn handle_stale_offer(&mut self, problem: Problem, at: Moment) {
        if self.phase != Phase::Idle {
            self.ask_for_servers(ASK_STALE_EVERY, at);
            self.is_offer_stale = true;
        }
        self.unfit(problem, at);
    }

    /// What carries links on this host is gone, and the link with it. The shell makes it again when it looks up.
    pub(crate) fn handle_carrier_lost(&mut self, problem: Problem, at: Moment) {
        self.look_back(at);
        match self.phase {
            // A wait ends in looking up.
            Phase::Idle | Phase::Waiting(_) => return,
            Phase::LookingUp | Phase::Dialing(_) | Phase::Configuring(_) | Phase::Up(_) => self.look_up(),
        }
        self.last_problem = Some((at.unix_ms, problem));
        self.note_state(at);
    }

    /// This host cannot have the link: only a person can change that.
    pub(crate) fn handle_unfit(&mut self, problem: Problem, at: Moment) {
        self.is_offer_stale = false;
        self.unfit(problem, at);
    }

    /// The controller gave another grant.
    pub(crate) fn handle_granted(&mut self) {
        if self.blocked.is_some() && matches!(self.phase, Phase::Waiting(_)) {
            self.look_up();
        }
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, at: Moment) {
        if matches!(self.phase, Phase::Waiting(until) if until <= at.now) {
            self.look_up();
        }
    }

    /// Returns what to do next. Drain it after each `handle_*`.
    pub(crate) fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Returns when [`Machine::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting(until) => Some(until),
            Phase::Idle | Phase::LookingUp | Phase::Dialing(_) | Phase::Configuring(_) | Phase::Up(_) => None,
        }
    }

    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::Idle => State::Disconnected,
            Phase::Up(target) => State::Connected { server: target.server.clone() },
            phase @ (Phase::LookingUp | Phase::Dialing(_) | Phase::Configuring(_) | Phase::Waiting(_)) => {
                match (&self.blocked, self.was_up) {
                    (Some(problem), _) => State::Blocked(problem.clone()),
                    (None, true) => State::Reconnecting,
                    (None, false) => State::Connecting(step_of(phase)),
                }
            }
        }
    }

    /// Returns unix milliseconds of when the state became what it is.
    pub(crate) fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Returns what went wrong last, and when in unix milliseconds.
    pub(crate) fn last_problem(&self) -> Option<&(i64, Problem)> {
        self.last_problem.as_ref()
    }

    /// The controller says which keys servers have by now. The link that is there stays.
    pub(crate) fn handle_offers(&mut self, servers: &[ServerOffer]) {
        let current = match &mut self.phase {
            Phase::Dialing(target) | Phase::Configuring(target) | Phase::Up(target) => Some(target),
            Phase::Idle | Phase::LookingUp | Phase::Waiting(_) => None,
        };
        current.into_iter().chain(&mut self.rest).for_each(|target| target.follow(servers));
    }

    /// Returns the target of the link that is up, or being made.
    pub(crate) fn target(&self) -> Option<&Target> {
        match &self.phase {
            Phase::Dialing(target) | Phase::Configuring(target) | Phase::Up(target) => Some(target),
            Phase::Idle | Phase::LookingUp | Phase::Waiting(_) => None,
        }
    }

    /// Returns the target of the link that is up.
    pub(crate) fn up(&self) -> Option<&Target> {
        match &self.phase {
            Phase::Up(target) => Some(target),
            Phase::Idle
            | Phase::LookingUp
            | Phase::Dialing(_)
            | Phase::Configuring(_)
            | Phase::Waiting(_) => None,
        }
    }

    /// Says whether the link was up since the person asked for it.
    pub(crate) fn was_up(&self) -> bool {
        self.was_up
    }

    pub(crate) fn wants_connection(&self) -> bool {
        self.phase != Phase::Idle
    }

    fn unfit(&mut self, problem: Problem, at: Moment) {
        if self.phase != Phase::Idle {
            self.rest.clear();
            self.refused = Some(problem.clone());
            self.phase = Phase::LookingUp;
            self.end_attempt(problem, at);
        }
    }

    fn end_attempt(&mut self, problem: Problem, at: Moment) {
        match self.phase {
            Phase::Idle | Phase::Waiting(_) => return,
            Phase::Up(_) if self.refused.is_none() && self.lasted(at) >= LASTING => self.look_up(),
            Phase::LookingUp | Phase::Dialing(_) | Phase::Configuring(_) | Phase::Up(_) => self.try_next(at),
        }
        self.last_problem = Some((at.unix_ms, problem));
        self.note_state(at);
    }

    /// Waits begin anew only after a link that lasted: one that is taken and closed at once is no success.
    fn look_back(&mut self, at: Moment) {
        if self.lasted(at) >= LASTING {
            self.retry.reset();
            self.offer_retry.reset();
            self.asked_for_grant = false;
        }
        if self.lasted(at) >= LASTING_LONG {
            self.slow_retry.reset();
        }
    }

    /// How long the link that is up has been.
    fn lasted(&self, at: Moment) -> Duration {
        match (&self.phase, self.up_since) {
            (Phase::Up(_), Some(since)) => at.now.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }

    /// Perhaps the list is older than the servers: they may have moved.
    fn ask_for_servers(&mut self, every: Duration, at: Moment) {
        let is_fresh = |asked: Instant| at.now.saturating_duration_since(asked) < every;
        if !self.asked_for_servers.is_some_and(is_fresh) {
            self.asked_for_servers = Some(at.now);
            self.orders.push_back(Order::Refresh);
        }
    }

    fn look_up(&mut self) {
        self.rest.clear();
        self.phase = Phase::LookingUp;
        self.orders.push_back(Order::LookUp);
    }

    fn try_next(&mut self, at: Moment) {
        if let Some(target) = self.rest.pop_front() {
            self.phase = Phase::Dialing(target.clone());
            self.orders.push_back(Order::Dial(target));
            return;
        }
        self.blocked = self.refused.clone();
        if self.blocked.is_none() {
            self.ask_for_servers(ASK_EVERY, at);
        }
        let backoff = match &self.blocked {
            Some(_) if self.is_offer_stale => &mut self.offer_retry,
            Some(_) => &mut self.slow_retry,
            None => &mut self.retry,
        };
        self.phase = Phase::Waiting(at.now + backoff.next(at.jitter));
        self.note_state(at);
    }

    fn note_state(&mut self, at: Moment) {
        let name = self.state().name();
        if self.shown != name {
            self.shown = name;
            self.since_ms = at.unix_ms;
        }
    }
}

impl Target {
    /// Takes in which key its server has by now.
    pub(crate) fn follow(&mut self, servers: &[ServerOffer]) {
        let is_it = |server: &&ServerOffer| server.key == self.key || server.previous == Some(self.key);
        if let Some(server) = servers.iter().find(is_it) {
            (self.key, self.next) = (server.key, server.next);
        }
    }

    /// Returns the keys that it may answer with.
    pub(crate) fn keys(&self) -> Vec<PublicKey> {
        [Some(self.key), self.next].into_iter().flatten().collect()
    }
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    /// Reads one line of the form `what; what to do`, which all our errors have.
    pub(crate) fn from_line(line: &str) -> Self {
        match line.split_once("; ") {
            Some((message, hint)) => Self::new(message, hint),
            None => Self::new(line, ""),
        }
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        Self::new(&refusal.message, &refusal.hint)
    }
}

fn step_of(phase: &Phase) -> Step {
    match phase {
        Phase::Idle | Phase::LookingUp => Step::LookUp,
        Phase::Dialing(target) => Step::Dial { server: target.server.clone() },
        Phase::Configuring(target) | Phase::Up(target) => Step::Configure { server: target.server.clone() },
        Phase::Waiting(_) => Step::Wait,
    }
}

#[cfg(test)]
mod tests;
