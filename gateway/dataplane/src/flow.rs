//! The flows that one shard carries: what was decided about each, remembered within bounds.
//!
//! A flow has two directions, and each remembers the decision about packets that begin in it. A packet passes if its own
//! direction is allowed, or if the other is and this is an answer. Decisions are made by the caller, kept with a
//! [`Stamp`] of what they were made from, and asked for again when the stamp is another: after new policy, or another
//! device at an address. So an answer's permission ends with the permission of what it answers.
//!
//! Each flow is in a list by how long it may be silent, oldest first. Every operation is O(1).

mod entry;
mod fragments;
mod key;
mod list;

pub use key::FlowKey;

use crate::drop_reason::DropReason;
use crate::flow_hash::FlowHash;
use crate::packet::{Fragment, Packet};
use entry::{Class, Entry};
use fragments::Fragments;
use horizon_api::verdict::{Action, Decision};
use key::Direction;
use list::Lists;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A flow that is in use is refused to newcomers; one that was silent for this long is not.
const YIELD_AGE: Duration = Duration::from_secs(60);
/// Work of one `handle_timeout`.
const EXPIRIES_MAX: usize = 256;

/// Both clocks: one for durations, one for what policy says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic.
    pub now: Instant,
    /// Unix seconds.
    pub unix_s: i64,
}

/// What a decision was made from: it holds while all of it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Generation of the policy.
    pub generation: u64,
    /// The two ends, each a number that is another for every member that ever was at an address; 0 for no member.
    pub ends: [u64; 2],
}

impl Stamp {
    /// The same two ends, seen from the other.
    const fn reversed(self) -> Self {
        Self { generation: self.generation, ends: [self.ends[1], self.ends[0]] }
    }
}

/// Which way a question looks: from the packet's source, or from its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// May the packet's source begin this flow?
    Source,
    /// May the packet's destination have begun it?
    Destination,
}

/// What a flow table says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It passes, as what was decided.
    Allowed(Decision),
    /// It does not.
    Denied(Decision),
    /// It does not, for want of something other than permission.
    Dropped(DropReason),
}

/// The flows of one shard; see the module.
#[derive(Debug)]
pub struct FlowTable {
    places: HashMap<FlowKey, u32, FlowHash>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    lists: Lists,
    fragments: Fragments,
    flows_max: usize,
}

impl FlowTable {
    /// Makes an empty table of at most `flows_max` flows; the seed keeps others from aiming at a bucket.
    pub fn new(flows_max: usize, seed: u64) -> Self {
        Self {
            places: HashMap::with_hasher(FlowHash::new(seed)),
            entries: Vec::new(),
            free: Vec::new(),
            lists: Lists::new(),
            fragments: Fragments::new(flows_max / 16, seed),
            flows_max: flows_max.max(1),
        }
    }

    /// Says whether a packet passes; `decide` is asked where nothing valid is remembered.
    #[inline]
    pub fn pass(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        at: Moment,
        decide: impl FnMut(Ask) -> Decision,
    ) -> Passage {
        match packet.fragment {
            Fragment::Whole => self.pass_flow(packet, stamp, at, decide),
            Fragment::First(_) => {
                let passage = self.pass_flow(packet, stamp, at, decide);
                if let Passage::Allowed(decision) = passage {
                    self.fragments.allow(packet, stamp, decision, at);
                }
                passage
            }
            Fragment::Later(_) => self
                .fragments
                .find(packet, stamp, at)
                .map_or(Passage::Dropped(DropReason::FragmentWithoutFirst), Passage::Allowed),
        }
    }

    /// Says whether the packet that an ICMP error quotes belongs to a flow that is allowed, which makes no new flow.
    ///
    /// `stamp` and `decide` speak of the quoted packet.
    pub fn is_allowed(
        &mut self,
        quoted: &Packet,
        stamp: Stamp,
        at: Moment,
        mut decide: impl FnMut(Ask) -> Decision,
    ) -> bool {
        let (key, direction) = FlowKey::of(quoted);
        let Some(entry) = self.places.get(&key).map(|place| &mut self.entries[*place as usize]) else {
            return false;
        };
        !entry.is_expired(at.now)
            && (entry.remembered(direction, stamp, at, || decide(Ask::Source)).is_some_and(is_allow)
                || entry
                    .remembered(direction.other(), stamp.reversed(), at, || decide(Ask::Destination))
                    .is_some_and(is_allow))
    }

    /// Forgets flows that were silent for too long, a bounded number at once.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.fragments.expire(now);
        for _ in 0..EXPIRIES_MAX {
            let Some(place) = self.expired(now) else { return };
            self.remove(place);
        }
    }

    /// Returns when the next flow will have been silent for too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let heads = Class::ALL.into_iter().filter_map(|class| self.lists.first(class));
        heads.map(|place| self.entries[place as usize].expires_at()).min()
    }

    /// Returns how many flows are remembered.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether no flow is remembered.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    #[inline]
    fn pass_flow(
        &mut self,
        packet: &Packet,
        stamp: Stamp,
        at: Moment,
        mut decide: impl FnMut(Ask) -> Decision,
    ) -> Passage {
        let (key, direction) = FlowKey::of(packet);
        if let Some(&place) = self.places.get(&key) {
            if !self.entries[place as usize].is_expired(at.now) {
                return self.pass_entry(place, packet, direction, stamp, at, decide);
            }
            self.remove(place);
        }
        let decision = decide(Ask::Source);
        if !self.make_room(at.now) {
            // A denied flow needs no memory.
            return if is_allow(decision) {
                Passage::Dropped(DropReason::FlowTableFull)
            } else {
                Passage::Denied(decision)
            };
        }
        let mut entry = Entry::new(key, at.now);
        entry.remember(direction, stamp, decision, at);
        if is_allow(decision) {
            entry.see(packet, direction);
        }
        self.insert(entry);
        passage(decision)
    }

    #[inline]
    fn pass_entry(
        &mut self,
        place: u32,
        packet: &Packet,
        direction: Direction,
        stamp: Stamp,
        at: Moment,
        mut decide: impl FnMut(Ask) -> Decision,
    ) -> Passage {
        let entry = &mut self.entries[place as usize];
        let own = entry.own(direction, stamp, at, || decide(Ask::Source));
        let answered = if is_allow(own) || packet.begins_flow() {
            None
        } else {
            entry
                .remembered(direction.other(), stamp.reversed(), at, || decide(Ask::Destination))
                .filter(|decision| is_allow(*decision))
        };
        let decision = answered.unwrap_or(own);
        if answered.is_none() {
            entry.begin(direction);
        }
        if is_allow(decision) {
            entry.see(packet, direction);
        }
        self.relist(place, at.now);
        passage(decision)
    }

    /// Moves an entry to the end of the list that it belongs to.
    #[inline]
    fn relist(&mut self, place: u32, now: Instant) {
        let entry = &mut self.entries[place as usize];
        let class = entry.class();
        if class != entry.listed || entry.is_due_to_move(now) {
            self.lists.remove(&mut self.entries, place);
            self.entries[place as usize].list(class, now);
            self.lists.push(&mut self.entries, place);
        }
    }

    fn insert(&mut self, mut entry: Entry) {
        let (key, class, now) = (entry.key, entry.class(), entry.listed_at);
        entry.list(class, now);
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.places.insert(key, place);
        self.lists.push(&mut self.entries, place);
    }

    fn remove(&mut self, place: u32) {
        self.lists.remove(&mut self.entries, place);
        self.places.remove(&self.entries[place as usize].key);
        self.free.push(place);
    }

    /// Makes room for one flow: denied ones go first, then such as never answered, then such as fell silent.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.places.len() < self.flows_max {
            return true;
        }
        for class in Class::ALL {
            let Some(place) = self.lists.first(class) else { continue };
            let entry = &self.entries[place as usize];
            if !class.is_in_use() || now.saturating_duration_since(entry.listed_at) >= YIELD_AGE {
                self.remove(place);
                return true;
            }
        }
        false
    }

    fn expired(&self, now: Instant) -> Option<u32> {
        Class::ALL
            .into_iter()
            .filter_map(|class| self.lists.first(class))
            .find(|place| self.entries[*place as usize].is_expired(now))
    }
}

#[inline]
fn is_allow(decision: Decision) -> bool {
    decision.action == Action::Allow
}

/// Whether a decision would be made again. A clock that was set back makes it one of the future, also where time alone
/// would not have changed it from then on: a rule that had ended has effect again.
#[inline]
fn holds(decision: Decision, decided_s: i64, at: Moment) -> bool {
    decided_s <= at.unix_s && decision.holds_until.is_none_or(|end| at.unix_s < end)
}

#[inline]
fn passage(decision: Decision) -> Passage {
    if is_allow(decision) { Passage::Allowed(decision) } else { Passage::Denied(decision) }
}

#[cfg(test)]
mod tests;
