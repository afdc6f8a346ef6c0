//! One flow: its decisions, and enough of its state to know when it is over.

use super::key::{Direction, FlowKey};
use super::{Moment, Stamp, holds, is_allow};
use crate::packet::{Packet, TCP, Transport, UDP};
use horizon_api::verdict::Decision;
use std::time::{Duration, Instant};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// Entries move to the end of their list at most this often, which keeps the common packet from touching neighbours.
const MOVE_AGE: Duration = Duration::from_secs(1);

/// How long a flow may be silent, in the order in which flows make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Not allowed in either direction.
    Denied,
    /// TCP after RST or both FINs.
    Closing,
    /// No answer yet; ICMP and others always.
    Brief,
    /// UDP with answers.
    Datagrams,
    /// TCP with answers.
    Established,
}

impl Class {
    pub(super) const ALL: [Self; 5] =
        [Self::Denied, Self::Closing, Self::Brief, Self::Datagrams, Self::Established];

    /// RFC 4787 §4.3 asks for two minutes and more for UDP, RFC 5382 §5 for two hours and four minutes for TCP.
    const fn silence_max(self) -> Duration {
        Duration::from_secs(match self {
            Self::Denied | Self::Closing => 10,
            Self::Brief => 30,
            Self::Datagrams => 180,
            Self::Established => 7440,
        })
    }

    /// Whether an entry of this class makes room only after it fell silent.
    pub(super) const fn is_in_use(self) -> bool {
        match self {
            Self::Denied | Self::Closing | Self::Brief => false,
            Self::Datagrams | Self::Established => true,
        }
    }
}

/// What is remembered about one direction.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    stamp: Stamp,
    decision: Decision,
    /// Unix seconds.
    decided_s: i64,
    /// Whether this side sent something of its own accord, allowed or not: only that can be answered.
    is_begun: bool,
}

/// What was seen of one direction.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    any: bool,
    fin: bool,
}

impl Remembered {
    #[inline]
    fn holds(&self, stamp: Stamp, at: Moment) -> bool {
        self.stamp == stamp && holds(self.decision, self.decided_s, at)
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: FlowKey,
    pub(super) listed: Class,
    pub(super) listed_at: Instant,
    pub(super) before: u32,
    pub(super) after: u32,
    remembered: [Option<Remembered>; 2],
    seen: [Seen; 2],
    is_reset: bool,
}

impl Entry {
    pub(super) fn new(key: FlowKey, now: Instant) -> Self {
        Self {
            key,
            listed: Class::Denied,
            listed_at: now,
            before: 0,
            after: 0,
            remembered: [None; 2],
            seen: [Seen::default(); 2],
            is_reset: false,
        }
    }

    pub(super) fn list(&mut self, class: Class, now: Instant) {
        self.listed = class;
        self.listed_at = now;
    }

    /// Keeps the first decision of a flow.
    pub(super) fn remember(&mut self, direction: Direction, stamp: Stamp, decision: Decision, at: Moment) {
        let remembered = Remembered { stamp, decision, decided_s: at.unix_s, is_begun: true };
        self.remembered[direction as usize] = Some(remembered);
    }

    /// A packet came in this direction that answers nothing.
    pub(super) fn begin(&mut self, direction: Direction) {
        if let Some(remembered) = &mut self.remembered[direction as usize] {
            remembered.is_begun = true;
        }
    }

    /// Returns the decision about the direction that a packet came in, asked for if there is none that holds.
    #[inline]
    pub(super) fn own(
        &mut self,
        direction: Direction,
        stamp: Stamp,
        at: Moment,
        decide: impl FnOnce() -> Decision,
    ) -> Decision {
        match &mut self.remembered[direction as usize] {
            Some(remembered) if remembered.holds(stamp, at) => remembered.decision,
            place => {
                let decision = decide();
                let is_begun = is_allow(decision) || place.is_some_and(|former| former.is_begun);
                *place = Some(Remembered { stamp, decision, decided_s: at.unix_s, is_begun });
                decision
            }
        }
    }

    /// Returns the decision about a direction that was begun, asked for again if it holds no more.
    #[inline]
    pub(super) fn remembered(
        &mut self,
        direction: Direction,
        stamp: Stamp,
        at: Moment,
        decide: impl FnOnce() -> Decision,
    ) -> Option<Decision> {
        let remembered =
            self.remembered[direction as usize].as_mut().filter(|remembered| remembered.is_begun)?;
        if !remembered.holds(stamp, at) {
            *remembered = Remembered { stamp, decision: decide(), decided_s: at.unix_s, is_begun: true };
        }
        Some(remembered.decision)
    }

    /// Takes note of a packet that passes.
    #[inline]
    pub(super) fn see(&mut self, packet: &Packet, direction: Direction) {
        if let Transport::Tcp { flags, .. } = packet.transport {
            if flags & (SYN | RST | FIN) == SYN && self.class() == Class::Closing {
                // The ports are used again.
                self.seen = [Seen::default(); 2];
                self.is_reset = false;
            }
            self.is_reset |= flags & RST != 0;
            self.seen[direction as usize].fin |= flags & FIN != 0;
        }
        self.seen[direction as usize].any = true;
    }

    #[inline]
    pub(super) fn class(&self) -> Class {
        let is_allowed = self.remembered.iter().flatten().any(|remembered| is_allow(remembered.decision));
        let is_answered = self.seen.iter().all(|seen| seen.any);
        if !is_allowed {
            return Class::Denied;
        }
        match self.key.protocol() {
            TCP if self.is_reset || self.seen.iter().all(|seen| seen.fin) => Class::Closing,
            TCP if is_answered => Class::Established,
            UDP if is_answered => Class::Datagrams,
            _ => Class::Brief,
        }
    }

    #[inline]
    pub(super) fn is_due_to_move(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.listed_at) >= MOVE_AGE
    }

    #[inline]
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at() <= now
    }

    /// Returns when it will have been silent for too long.
    pub(super) fn expires_at(&self) -> Instant {
        self.listed_at + self.listed.silence_max()
    }
}
