//! Which later fragments may pass: those whose first fragment did.

use super::{Moment, Stamp, holds};
use crate::flow_hash::{FlowHash, write_address};
use crate::packet::{Fragment, Packet};
use horizon_api::verdict::Decision;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Fragments leave together; this covers any reordering.
const AGE_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FragmentKey {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

impl FragmentKey {
    fn of(packet: &Packet) -> Option<Self> {
        let (Fragment::First(identification) | Fragment::Later(identification)) = packet.fragment else {
            return None;
        };
        let Packet { source, destination, protocol, .. } = *packet;
        Some(Self { source, destination, protocol, identification })
    }
}

impl Hash for FragmentKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        write_address(hasher, self.source);
        write_address(hasher, self.destination);
        hasher.write_u64(u64::from(self.identification) << 8 | u64::from(self.protocol));
    }
}

#[derive(Debug, Clone, Copy)]
struct Allowed {
    until: Instant,
    stamp: Stamp,
    decision: Decision,
    /// Unix seconds.
    decided_s: i64,
}

#[derive(Debug)]
pub(super) struct Fragments {
    allowed: HashMap<FragmentKey, Allowed, FlowHash>,
    oldest: VecDeque<(Instant, FragmentKey)>,
    count_max: usize,
}

impl Fragments {
    pub(super) fn new(count_max: usize, seed: u64) -> Self {
        Self {
            allowed: HashMap::with_hasher(FlowHash::new(seed)),
            oldest: VecDeque::new(),
            count_max: count_max.max(16),
        }
    }

    /// Lets the later fragments of a packet pass for a while.
    pub(super) fn allow(&mut self, first: &Packet, stamp: Stamp, decision: Decision, at: Moment) {
        self.expire(at.now);
        while self.oldest.len() >= self.count_max {
            self.forget_oldest();
        }
        if let Some(key) = FragmentKey::of(first) {
            let until = at.now + AGE_MAX;
            self.allowed.insert(key, Allowed { until, stamp, decision, decided_s: at.unix_s });
            self.oldest.push_back((until, key));
        }
    }

    /// Returns the decision about the first fragment of a later one, while that would be made again.
    pub(super) fn find(&self, later: &Packet, stamp: Stamp, at: Moment) -> Option<Decision> {
        let allowed = self.allowed.get(&FragmentKey::of(later)?)?;
        let holds = allowed.until > at.now
            && allowed.stamp == stamp
            && holds(allowed.decision, allowed.decided_s, at);
        holds.then_some(allowed.decision)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while self.oldest.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((until, key)) = self.oldest.pop_front()
            && self.allowed.get(&key).is_some_and(|allowed| allowed.until == until)
        {
            self.allowed.remove(&key);
        }
    }
}
