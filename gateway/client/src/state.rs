//! What the agent decides about its link: what to do after each thing that happened, and how to say it.
//!
//! A pure machine: `handle_*` take what happened, [`Machine::poll_order`] gives what to do next.
//! While a person wants to be connected it never gives up: it goes through the servers, waits, and begins again.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use horizon_api::{key::PublicKey, section::NetworkId, wire::Refusal};

use crate::{api::StateName, backoff::Backoff};

/// One address of one gateway, for one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) server: String,
    pub(crate) key: PublicKey,
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
    /// Whether the link was up since the person asked for it.
    was_up: bool,
    /// What somebody has to change, as far as this round knows.
    refused: Option<Problem>,
    blocked: Option<Problem>,
    last_problem: Option<(i64, Problem)>,
    asked_for_grant: bool,
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

impl Machine {
    pub(crate) fn new(unix_ms: i64) -> Self {
        Self {
            phase: Phase::Idle,
            rest: VecDeque::new(),
            orders: VecDeque::new(),
            retry: RETRY,
            slow_retry: SLOW_RETRY,
            was_up: false,
            refused: None,
            blocked: None,
            last_problem: None,
            asked_for_grant: false,
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
            self.retry.reset();
            self.slow_retry.reset();
            self.blocked = None;
            self.refused = None;
            self.asked_for_grant = false;
            self.note_state(at);
        }
    }

    /// A link, or an attempt at one, ended for a reason that may pass by itself.
    pub(crate) fn handle_lost(&mut self, problem: Problem, at: Moment) {
        self.end_attempt(problem, at);
    }

    /// A link, or an attempt at one, ended because somebody said no.
    pub(crate) fn handle_refused(&mut self, refusal: &Refusal, at: Moment) {
        let problem = Problem::from(refusal);
        if refusal.code.is_final() {
            self.refused = Some(problem.clone());
            // Perhaps only the grant is too old. One question for each time that the link was up.
            if !self.asked_for_grant {
                self.asked_for_grant = true;
                self.orders.push_back(Order::Refresh);
            }
        }
        self.end_attempt(problem, at);
    }

    /// This host cannot have the link: only a person can change that.
    pub(crate) fn handle_unfit(&mut self, problem: Problem, at: Moment) {
        if self.phase != Phase::Idle {
            self.rest.clear();
            self.refused = Some(problem.clone());
            self.phase = Phase::LookingUp;
            self.end_attempt(problem, at);
        }
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

    fn end_attempt(&mut self, problem: Problem, at: Moment) {
        match self.phase {
            Phase::Idle | Phase::Waiting(_) => return,
            Phase::Up(_) if self.refused.is_none() => self.look_up(),
            Phase::LookingUp | Phase::Dialing(_) | Phase::Configuring(_) | Phase::Up(_) => self.try_next(at),
        }
        self.last_problem = Some((at.unix_ms, problem));
        self.note_state(at);
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
        let backoff = if self.blocked.is_some() { &mut self.slow_retry } else { &mut self.retry };
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

impl State {
    pub(crate) fn name(&self) -> StateName {
        match self {
            Self::Disconnected => StateName::Disconnected,
            Self::Connecting(_) => StateName::Connecting,
            Self::Connected { .. } => StateName::Connected,
            Self::Reconnecting => StateName::Reconnecting,
            Self::Blocked(_) => StateName::Blocked,
        }
    }

    /// Returns one sentence of what happened, and one of what to do, empty when there is nothing to do.
    pub(crate) fn explain(&self, last_problem: Option<&Problem>) -> Problem {
        match self {
            Self::Disconnected => Problem::new("no link", "run `horizon connect`"),
            Self::Connecting(Step::LookUp) => Problem::new("looking up servers", ""),
            Self::Connecting(Step::Dial { server }) => Problem::new(format!("asking server {server}"), ""),
            Self::Connecting(Step::Configure { server }) => {
                Problem::new(format!("server {server} accepted, setting addresses and routes"), "")
            }
            Self::Connecting(Step::Wait) => match last_problem {
                Some(problem) => Problem::new(format!("trying again: {}", problem.message), &problem.hint),
                None => Problem::new("trying again in a moment", ""),
            },
            Self::Connected { server } => Problem::new(format!("connected through server {server}"), ""),
            Self::Reconnecting => {
                let reason = last_problem.map_or("it ended", |problem| &problem.message);
                Problem::new(
                    format!(
                        "the link is gone ({reason}), making another; packets for it wait for nobody meanwhile"
                    ),
                    "wait, or run `horizon disconnect` to leave the network",
                )
            }
            Self::Blocked(problem) => problem.clone(),
        }
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
