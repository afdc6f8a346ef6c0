//! What is known of one device at the other end, and what waits for it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use horizon_api::{card::VerifiedCard, key::PublicKey};

use crate::{
    Ends,
    handshake::{Initiation, Refused},
    session::Session,
    suite::Suite,
};

/// Why a packet is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It came before, or is older than what is remembered.
    Replayed,
    /// Its seal is not intact, or of keys that are not known here.
    Broken,
    /// It waited too long for keys, or too many did.
    Waited,
    /// The gateway has no card of the device: it is not connected, or was revoked.
    Absent,
    /// A handshake that is not believed.
    Refused,
}

/// One device, as a person is told.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    pub ends: Ends,
    /// Known once its card is here.
    pub device: Option<PublicKey>,
    pub name: String,
    /// Of the keys in use.
    pub suite: Option<Suite>,
    pub age: Option<Duration>,
    /// Keys that were agreed on since the start.
    pub handshakes: u64,
    pub sealed: u64,
    pub opened: u64,
    pub replayed: u64,
    pub broken: u64,
    pub waited: u64,
    pub refused: u64,
    /// Why a handshake or a card was last refused.
    pub refusal: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) handshakes: u64,
    pub(crate) sealed: u64,
    pub(crate) opened: u64,
    pub(crate) replayed: u64,
    pub(crate) broken: u64,
    pub(crate) waited: u64,
    pub(crate) refused: u64,
}

pub(crate) struct Peer {
    pub(crate) card: Option<VerifiedCard>,
    /// When the gateway is asked again for the card.
    pub(crate) asking: Option<Again>,
    /// The gateway has no card: it is not asked before.
    pub(crate) absent_until: Option<Instant>,
    pub(crate) handshake: Option<Outstanding>,
    pub(crate) current: Option<Session>,
    /// Packets of the keys before may still be on their way.
    pub(crate) previous: Option<Session>,
    /// Keys that the other end has not used yet: it may not have heard of them.
    pub(crate) next: Option<Session>,
    queue: VecDeque<(Instant, Vec<u8>)>,
    queue_bytes: usize,
    /// The ephemeral keys of the first messages that came.
    seen: VecDeque<[u8; 32]>,
    /// When a packet of unknown keys last made us begin.
    pub(crate) prompted: Option<Instant>,
    pub(crate) used: Instant,
    pub(crate) counts: Counts,
    pub(crate) refusal: Option<Refused>,
}

/// A first message that waits for its answer.
pub(crate) struct Outstanding {
    pub(crate) initiation: Box<Initiation>,
    pub(crate) local: u32,
    pub(crate) began: Instant,
    pub(crate) again: Again,
}

/// When to try again, a little later each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    pub(crate) tries: u32,
    pub(crate) at: Instant,
}

/// Packets that wait for keys, for one device: a second of a slow conversation.
const QUEUE_MAX: usize = 64;
const QUEUE_BYTES_MAX: usize = 128 << 10;
/// Whoever sent a packet has long sent it again.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
const SEEN_MAX: usize = 32;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(4);

impl Again {
    pub(crate) fn first(now: Instant) -> Self {
        Self { tries: 1, at: now + FIRST_WAIT }
    }

    pub(crate) fn next(self, now: Instant) -> Self {
        let wait = FIRST_WAIT.saturating_mul(1 << self.tries.min(6)).min(LONGEST_WAIT);
        Self { tries: self.tries + 1, at: now + wait }
    }
}

impl Peer {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            card: None,
            asking: None,
            absent_until: None,
            handshake: None,
            current: None,
            previous: None,
            next: None,
            queue: VecDeque::new(),
            queue_bytes: 0,
            seen: VecDeque::new(),
            prompted: None,
            used: now,
            counts: Counts::default(),
            refusal: None,
        }
    }

    /// Keeps a packet until there are keys. The oldest gives way.
    pub(crate) fn hold(&mut self, now: Instant, plain: &[u8]) {
        self.queue.push_back((now, plain.to_vec()));
        self.queue_bytes += plain.len();
        while self.queue.len() > QUEUE_MAX || self.queue_bytes > QUEUE_BYTES_MAX {
            self.drop_oldest();
        }
    }

    pub(crate) fn drop_overdue(&mut self, now: Instant) {
        while self.queue.front().is_some_and(|(since, _)| now.duration_since(*since) >= QUEUE_PATIENCE) {
            self.drop_oldest();
        }
    }

    pub(crate) fn drop_all(&mut self) {
        while !self.queue.is_empty() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, plain)) = self.queue.pop_front() {
            self.queue_bytes -= plain.len();
            self.counts.waited += 1;
        }
    }

    /// Takes what waits.
    pub(crate) fn release(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.queue_bytes = 0;
        std::mem::take(&mut self.queue).into_iter().map(|(_, plain)| plain)
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Says whether a first message with this ephemeral key comes for the first time, and remembers it.
    pub(crate) fn is_first(&mut self, noise: &[u8]) -> bool {
        let Some(ephemeral) = noise.first_chunk::<32>() else { return false };
        if self.seen.contains(ephemeral) {
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(*ephemeral);
        true
    }

    pub(crate) fn session(&mut self, local: u32) -> Option<&mut Session> {
        let sessions = [&mut self.current, &mut self.next, &mut self.previous];
        sessions.into_iter().flatten().find(|session| session.local == local)
    }

    pub(crate) fn is_absent(&self, now: Instant) -> bool {
        self.absent_until.is_some_and(|until| now < until)
    }

    pub(crate) fn refuse(&mut self, refused: Refused) -> Trouble {
        self.counts.refused += 1;
        self.refusal = Some(refused);
        Trouble::Refused
    }

    pub(crate) fn note(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Replayed => self.counts.replayed += 1,
            Trouble::Broken => self.counts.broken += 1,
            Trouble::Waited | Trouble::Absent | Trouble::Refused => {}
        }
    }

    pub(crate) fn status(&self, ends: Ends, now: Instant) -> PeerStatus {
        let Counts { handshakes, sealed, opened, replayed, broken, waited, refused } = self.counts;
        let card = self.card.as_ref().map(VerifiedCard::card);
        PeerStatus {
            ends,
            device: card.map(|card| card.device),
            name: card.map(|card| card.name.to_string()).unwrap_or_default(),
            suite: self.current.as_ref().map(|session| session.suite),
            age: self.current.as_ref().map(|session| session.age(now)),
            handshakes,
            sealed,
            opened,
            replayed,
            broken,
            waited,
            refused,
            refusal: self.refusal.as_ref().map(ToString::to_string),
        }
    }
}
