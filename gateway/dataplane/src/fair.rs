//! A fair queue with CoDel between a TUN queue or other links and one link (the idea of RFC 8290, on super-packets).
//!
//! TUN is read eagerly, so the standing queue is here and not in the kernel's ring, where it could be neither ordered
//! nor bounded in time. Frames are kept whole and cut when they leave.
//!
//! - Flows are told apart by a seeded hash and served by deficit round robin in bytes.
//! - A flow that had nothing queued is fresh: it is served first, and may pass while the path has no room. So ping, DNS,
//!   ACKs and key strokes pass bulk. All fresh flows together pass ahead by a credit only, which bulk earns for them:
//!   a sender of ever new flows soon waits like everybody else.
//! - A flow whose frames wait too long is told so: CE if it speaks ECN, else one segment of a super-packet is left out,
//!   so the inner sender halves once and repeats 1.4 KB, not 64.
//! - Over `bytes_max` the longest flow loses its oldest frame.

mod codel;
mod frame;

pub use frame::Frame;

use crate::drop_reason::{DropReason, Drops};
use crate::flow_hash::FlowHash;
use crate::packet::Packet;
use codel::Codel;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const BUCKETS: usize = 256;
/// Bytes that a flow may send in a round. Small against a super-packet: the deficit goes negative and is worked off.
const QUANTUM: isize = 8192;

/// Bounds of a [`FairQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FairLimits {
    /// Time in the queue that is still short.
    pub target: Duration,
    /// How long it must be longer before a flow is told.
    pub interval: Duration,
    /// Bytes of all frames.
    pub bytes_max: usize,
    /// Bytes that fresh flows may pass ahead by before bulk must have had a turn.
    pub ahead_bytes_max: usize,
}

impl Default for FairLimits {
    /// CoDel as RFC 8289 has it. 32 KiB are some 300 pings, DNS answers or ACKs.
    fn default() -> Self {
        Self {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            bytes_max: 16 << 20,
            ahead_bytes_max: 32 << 10,
        }
    }
}

/// What a queue did, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounters {
    /// Frames marked with Congestion Experienced.
    pub marks: u64,
    /// Super-packets that left without one segment.
    pub cuts: u64,
    /// The longest time in the queue.
    pub wait_max: Duration,
}

/// A frame whose turn it is.
#[derive(Debug)]
pub struct Popped {
    /// What to send.
    pub frame: Frame,
    /// Leave out the first segment of the super-packet.
    pub omit_first: bool,
}

/// The queue of one link; see the module.
#[derive(Debug)]
pub struct FairQueue {
    limits: FairLimits,
    hash: FlowHash,
    flows: Vec<Flow>,
    fresh: VecDeque<u16>,
    settled: VecDeque<u16>,
    bytes: usize,
    /// What fresh flows may still pass ahead by.
    ahead: isize,
    counters: QueueCounters,
}

#[derive(Debug, Default)]
struct Flow {
    frames: VecDeque<(Instant, Frame)>,
    bytes: usize,
    deficit: isize,
    is_listed: bool,
    codel: Codel,
}

impl Flow {
    /// A fresh flow that queues more than a round's worth is bulk.
    fn is_sparse(&self) -> bool {
        !self.frames.is_empty() && self.deficit > 0 && self.bytes <= QUANTUM.unsigned_abs()
    }
}

impl FairQueue {
    /// Makes an empty queue; it allocates when the first frame comes. The seed keeps others from aiming at a bucket.
    pub const fn new(limits: FairLimits, seed: u64) -> Self {
        Self {
            limits,
            hash: FlowHash::new(seed),
            flows: Vec::new(),
            fresh: VecDeque::new(),
            settled: VecDeque::new(),
            bytes: 0,
            ahead: limits.ahead_bytes_max as isize,
            counters: QueueCounters { marks: 0, cuts: 0, wait_max: Duration::ZERO },
        }
    }

    /// Takes a frame, which was read as `packet`.
    #[inline]
    pub fn push(&mut self, now: Instant, packet: &Packet, frame: Frame, drops: &mut Drops) {
        if self.flows.is_empty() {
            self.flows.resize_with(BUCKETS, Flow::default);
        }
        let bucket = self.hash.of(packet) as usize % BUCKETS;
        let flow = &mut self.flows[bucket];
        let length = frame.len();
        self.bytes += length;
        flow.bytes += length;
        flow.frames.push_back((now, frame));
        if !flow.is_listed {
            flow.is_listed = true;
            flow.deficit = QUANTUM;
            self.fresh.push_back(bucket as u16);
        }
        while self.bytes > self.limits.bytes_max {
            self.drop_oldest_of_longest(drops);
        }
    }

    /// Takes out the frame whose turn it is. Without room on the path only a fresh flow within its credit has one.
    #[inline]
    pub fn pop(&mut self, now: Instant, has_room: bool, drops: &mut Drops) -> Option<Popped> {
        loop {
            self.settle();
            let may_pass = self.ahead > 0 && !self.fresh.is_empty();
            if !has_room && !may_pass {
                return None;
            }
            let is_fresh = !self.fresh.is_empty() && (may_pass || self.settled.is_empty());
            let list = if is_fresh { &mut self.fresh } else { &mut self.settled };
            let bucket = *list.front()?;
            let flow = &mut self.flows[usize::from(bucket)];
            if flow.deficit <= 0 || flow.frames.is_empty() {
                list.pop_front();
                flow.is_listed = !flow.frames.is_empty();
                if flow.is_listed {
                    flow.deficit += QUANTUM;
                    list.push_back(bucket);
                }
                continue;
            }
            let (since, frame) = flow.frames.pop_front()?;
            let length = frame.len();
            flow.bytes -= length;
            flow.deficit -= length as isize;
            self.bytes -= length;
            self.charge(length, is_fresh && (!has_room || !self.settled.is_empty()));
            let wait = now.saturating_duration_since(since);
            self.counters.wait_max = self.counters.wait_max.max(wait);
            if let Some(popped) = self.signal(now, bucket, wait, frame, drops) {
                return Some(popped);
            }
        }
    }

    /// Tells whether [`Self::pop`] has a frame to give.
    #[inline]
    pub fn can_pop(&mut self, has_room: bool) -> bool {
        self.settle();
        self.bytes > 0 && (has_room || (self.ahead > 0 && !self.fresh.is_empty()))
    }

    /// Lets go of everything that waits: its link is over.
    pub fn clear(&mut self, drops: &mut Drops) {
        for (_, _) in self.flows.iter_mut().flat_map(|flow| flow.frames.drain(..)) {
            drops.count(DropReason::LinkDown);
        }
        self.bytes = 0;
        self.shrink();
    }

    /// Gives the memory of an empty queue back; for links that fell idle.
    pub fn shrink(&mut self) {
        if self.bytes == 0 {
            self.flows = Vec::new();
            self.fresh = VecDeque::new();
            self.settled = VecDeque::new();
        }
    }

    /// Returns what was counted since the last time.
    pub fn take_counters(&mut self) -> QueueCounters {
        std::mem::take(&mut self.counters)
    }

    /// Tells whether nothing waits.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Returns how many bytes wait.
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves at the head of the fresh list a flow that is still sparse.
    ///
    /// One that was emptied goes once through the other list, so that it can't stay fresh for ever by sending one
    /// frame at a time.
    #[inline]
    fn settle(&mut self) {
        while let Some(&bucket) = self.fresh.front() {
            if self.flows[usize::from(bucket)].is_sparse() {
                return;
            }
            self.fresh.pop_front();
            self.settled.push_back(bucket);
        }
    }

    #[inline]
    fn charge(&mut self, length: usize, passed_ahead: bool) {
        let length = length as isize;
        if passed_ahead {
            self.ahead -= length;
        } else {
            self.ahead = (self.ahead + length / 2).min(self.limits.ahead_bytes_max as isize);
        }
    }

    /// Lets CoDel speak about a frame; `None` when the frame itself is the signal.
    #[inline]
    fn signal(
        &mut self,
        now: Instant,
        bucket: u16,
        wait: Duration,
        frame: Frame,
        drops: &mut Drops,
    ) -> Option<Popped> {
        let flow = &mut self.flows[usize::from(bucket)];
        let is_last = flow.bytes == 0;
        if !flow.codel.is_due(now, wait, is_last, &self.limits) {
            return Some(Popped { frame, omit_first: false });
        }
        match frame.marked() {
            Ok(frame) => {
                self.counters.marks += 1;
                Some(Popped { frame, omit_first: false })
            }
            Err(frame) if frame.is_super() => {
                self.counters.cuts += 1;
                drops.count(DropReason::QueueDelay);
                Some(Popped { frame, omit_first: true })
            }
            Err(_) => {
                drops.count(DropReason::QueueDelay);
                None
            }
        }
    }

    fn drop_oldest_of_longest(&mut self, drops: &mut Drops) {
        let longest = self.flows.iter_mut().max_by_key(|flow| flow.bytes);
        if let Some(flow) = longest
            && let Some((_, frame)) = flow.frames.pop_front()
        {
            flow.bytes -= frame.len();
            self.bytes -= frame.len();
            drops.count(DropReason::QueueFull);
        }
    }
}

#[cfg(test)]
mod tests;
