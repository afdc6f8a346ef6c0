//! Puts the parts of a packet together again, bounded in count, bytes and age.

use super::{HEADROOM, PARTS_MAX, Part, Segment, ip_header};
use crate::drop_reason::{DropReason, Drops};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bounds of a [`Reassembly`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Packets that wait for parts.
    pub packets_max: usize,
    /// Bytes that wait.
    pub bytes_max: usize,
    /// How long a packet waits.
    pub age_max: Duration,
}

impl Default for ReassemblyLimits {
    /// Parts of a packet leave together, so a second covers any reordering; 32 packets are more than a batch of them.
    fn default() -> Self {
        Self { packets_max: 32, bytes_max: 128 << 10, age_max: Duration::from_secs(1) }
    }
}

/// The packets of one link that wait for parts.
#[derive(Debug)]
pub struct Reassembly {
    limits: ReassemblyLimits,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    packet_id: u16,
    since: Instant,
    lacks_checksum: bool,
    /// How many parts there are, once the last has come.
    count: Option<u8>,
    bytes: usize,
    /// Empty: not here. Parts are never empty.
    parts: [Bytes; PARTS_MAX],
}

impl Reassembly {
    /// Makes one; it allocates when the first part comes.
    pub const fn new(limits: ReassemblyLimits) -> Self {
        Self { limits, waiting: VecDeque::new(), bytes: 0 }
    }

    /// Takes a part; returns the packet when it was the last that was missing.
    pub fn push(
        &mut self,
        now: Instant,
        part: Part,
        pool: &mut BytesMut,
        drops: &mut Drops,
    ) -> Option<Segment> {
        self.handle_timeout(now, drops);
        let place = match self.waiting.iter().rposition(|waiting| waiting.packet_id == part.packet_id) {
            Some(place) => place,
            None => self.begin(now, &part, drops),
        };
        let waiting = &mut self.waiting[place];
        let before = waiting.bytes;
        let fits = waiting.put(part);
        self.bytes += waiting.bytes - before;
        if !fits {
            self.remove(place);
            drops.count(DropReason::Malformed);
            return None;
        }
        if self.waiting[place].is_complete() {
            let whole = self.remove(place)?;
            return Some(whole.join(pool));
        }
        while self.bytes > self.limits.bytes_max {
            self.remove(0)?;
            drops.count(DropReason::ReassemblyFull);
        }
        None
    }

    /// Lets go of packets that waited too long.
    pub fn handle_timeout(&mut self, now: Instant, drops: &mut Drops) {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            self.remove(0);
            drops.count(DropReason::ReassemblyIncomplete);
        }
    }

    /// Returns when the oldest packet has waited too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.since + self.limits.age_max)
    }

    /// Returns how many bytes wait.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn begin(&mut self, now: Instant, part: &Part, drops: &mut Drops) -> usize {
        if self.waiting.len() >= self.limits.packets_max {
            self.remove(0);
            drops.count(DropReason::ReassemblyFull);
        }
        self.waiting.push_back(Waiting {
            packet_id: part.packet_id,
            since: now,
            lacks_checksum: part.lacks_checksum,
            count: None,
            bytes: 0,
            parts: Default::default(),
        });
        self.waiting.len() - 1
    }

    fn remove(&mut self, place: usize) -> Option<Waiting> {
        let waiting = self.waiting.remove(place)?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }
}

impl Waiting {
    /// Takes a part; `false` if it contradicts those that are here.
    fn put(&mut self, part: Part) -> bool {
        let count = part.index + 1;
        let slot = &mut self.parts[usize::from(part.index)];
        let contradicts = part.lacks_checksum != self.lacks_checksum
            || !slot.is_empty()
            || self.count.is_some_and(|known| part.is_last || count > known);
        if contradicts {
            return false;
        }
        self.bytes += part.payload.len();
        *slot = part.payload;
        if part.is_last {
            self.count = Some(count);
            // Nothing may lie behind the last.
            return self.parts[usize::from(count)..].iter().all(Bytes::is_empty);
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.parts[..usize::from(count)].iter().all(|part| !part.is_empty()))
    }

    fn join(self, pool: &mut BytesMut) -> Segment {
        pool.reserve(HEADROOM + self.bytes);
        pool.put_slice(&ip_header(self.lacks_checksum));
        for part in &self.parts {
            pool.put_slice(part);
        }
        Segment::from_framed(pool.split().freeze())
    }
}
