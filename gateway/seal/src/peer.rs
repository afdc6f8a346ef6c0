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
    /// Longer than any packet once it is sealed.
    TooLong,
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
    /// As far as it is believed.
    pub(crate) card: Option<VerifiedCard>,
    /// Whose card was last believed: it may be gone, and sessions that it led to are not.
    pub(crate) owner: Option<Owner>,
    /// When the gateway is asked again for the card.
    pub(crate) asking: Option<Again>,
    /// The gateway has no card: it is not asked before.
    pub(crate) absent_until: Option<Instant>,
    pub(crate) handshake: Option<Outstanding>,
    pub(crate) current: Option<Session>,
    /// Packets of the keys before may still be on their way.
    pub(crate) previous: Option<Session>,
    /// Keys that the other end has not used yet: it may not have heard of them. The newest is the last.
    pub(crate) next: Vec<Session>,
    queue: VecDeque<(Instant, Vec<u8>)>,
    queue_bytes: usize,
    /// The ephemeral keys of the first messages that came.
    seen: VecDeque<[u8; 32]>,
    /// When a packet of unknown keys last made us begin.
    pub(crate) prompted: Option<Instant>,
    /// First messages of it that are read.
    pub(crate) budget: Budget,
    pub(crate) used: Instant,
    pub(crate) counts: Counts,
    pub(crate) refusal: Option<Refused>,
}

/// The device at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) device: PublicKey,
    pub(crate) name: String,
}

/// What waits for keys at all devices together, and what waited in vain.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: usize,
    pub(crate) dropped: u64,
}

/// First messages that are read: each costs 0.2 ms.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    since: Option<Instant>,
    taken: u32,
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
/// Of all devices together: two packets each of as many as there may be.
const HELD_BYTES_MAX: usize = 16 << 20;
/// Whoever sent a packet has long sent it again.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);
const SEEN_MAX: usize = 32;
/// A first message and its repetition, where both are late.
const NEXT_MAX: usize = 2;
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
            owner: None,
            asking: None,
            absent_until: None,
            handshake: None,
            current: None,
            previous: None,
            next: Vec::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            seen: VecDeque::new(),
            prompted: None,
            budget: Budget::default(),
            used: now,
            counts: Counts::default(),
            refusal: None,
        }
    }

    /// Believes a card.
    pub(crate) fn take_card(&mut self, card: VerifiedCard) -> Option<VerifiedCard> {
        self.owner = Some(Owner { device: card.card().device, name: card.card().name.to_string() });
        self.card.replace(card)
    }

    /// Keeps a packet until there are keys. The oldest gives way.
    pub(crate) fn hold(&mut self, now: Instant, plain: &[u8], held: &mut Held) {
        self.queue.push_back((now, plain.to_vec()));
        self.queue_bytes += plain.len();
        held.bytes += plain.len();
        let is_over = |peer: &Self, held: &Held| {
            peer.queue.len() > QUEUE_MAX
                || peer.queue_bytes > QUEUE_BYTES_MAX
                || (held.bytes > HELD_BYTES_MAX && peer.has_waiting())
        };
        while is_over(self, held) {
            self.drop_oldest(held);
        }
    }

    pub(crate) fn drop_overdue(&mut self, now: Instant, held: &mut Held) {
        while self.queue.front().is_some_and(|(since, _)| now.duration_since(*since) >= QUEUE_PATIENCE) {
            self.drop_oldest(held);
        }
    }

    pub(crate) fn drop_all(&mut self, held: &mut Held) {
        while self.has_waiting() {
            self.drop_oldest(held);
        }
    }

    fn drop_oldest(&mut self, held: &mut Held) {
        if let Some((_, plain)) = self.queue.pop_front() {
            self.queue_bytes -= plain.len();
            held.bytes -= plain.len();
            held.dropped += 1;
            self.counts.waited += 1;
        }
    }

    /// Takes what waits.
    pub(crate) fn release(&mut self, held: &mut Held) -> impl Iterator<Item = Vec<u8>> + use<> {
        held.bytes -= std::mem::take(&mut self.queue_bytes);
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
        let in_use = self.current.iter_mut().chain(&mut self.previous);
        in_use.chain(&mut self.next).find(|session| session.local == local)
    }

    /// Keeps keys until the other end uses them. Returns those that gave way.
    pub(crate) fn expect(&mut self, session: Session) -> Option<Session> {
        self.next.push(session);
        (self.next.len() > NEXT_MAX).then(|| self.next.remove(0))
    }

    /// Says whether nothing is known of it and nothing is under way: a guess at an address.
    pub(crate) fn is_unknown(&self) -> bool {
        self.owner.is_none() && self.refusal.is_none() && !self.is_busy()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.has_waiting()
            || self.asking.is_some()
            || self.handshake.is_some()
            || self.current.is_some()
            || !self.next.is_empty()
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
            Trouble::Waited | Trouble::Absent | Trouble::Refused | Trouble::TooLong => {}
        }
    }

    pub(crate) fn status(&self, ends: Ends, now: Instant) -> PeerStatus {
        let Counts { handshakes, sealed, opened, replayed, broken, waited, refused } = self.counts;
        PeerStatus {
            ends,
            device: self.owner.as_ref().map(|owner| owner.device),
            name: self.owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default(),
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

impl Budget {
    pub(crate) fn take(&mut self, now: Instant, per_s: u32) -> bool {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            *self = Self { since: Some(now), taken: 0 };
        }
        self.taken = self.taken.saturating_add(1);
        self.taken <= per_s
    }
}
