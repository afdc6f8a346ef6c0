//! From queues to UDP: a frame leaves its queue only when it can go at once, so what waits can still be ordered.

use std::io;

use bytes::BytesMut;
use horizon_dataplane::{
    datagram::{self, Segment},
    drop_reason::{DropReason, Drops},
    fair::{Frame, Popped},
    offload,
};

use super::{Shard, sealing::Sealing};
use crate::{link::Link, settings::DATAGRAM_SEND_BYTES};

/// What quinn-proto may hold of a link: a batch. The rest stays where it can be ordered.
const STAGE_BYTES: usize = 64 << 10;
/// What one link may send in one turn.
const SEND_BYTES_PER_TURN: usize = 256 << 10;

impl Shard {
    /// Sends for every link that has work. Returns whether there is more to do at once.
    pub(super) fn step_outbound(&mut self) -> bool {
        for handle in std::mem::take(&mut self.blocked) {
            self.table.mark(handle);
        }
        let mut handles = std::mem::take(&mut self.pools.handles);
        self.table.take_dirty(&mut handles);
        let mut has_more = false;
        for &handle in &handles {
            let Some(mut link) = self.table.take(handle) else { continue };
            self.send(&mut link);
            self.handle_events(&mut link);
            if link.is_drained {
                self.table.remove(handle);
                continue;
            }
            let again = link.can_send();
            if link.blocked.is_some() {
                self.blocked.push(handle);
            }
            self.table.put(link);
            if again {
                has_more = true;
                self.table.mark(handle);
            }
        }
        self.pools.handles = handles;
        // First messages that packets without keys gave rise to.
        self.flush_sealer();
        self.reject_absent();
        has_more
    }

    fn send(&mut self, link: &mut Link) {
        if !self.send_blocked(link) {
            return;
        }
        let mut sent = 0;
        loop {
            while sent < SEND_BYTES_PER_TURN
                && link.connection.datagrams().send_buffer_space() > DATAGRAM_SEND_BYTES - STAGE_BYTES
            {
                let has_room = link.has_room();
                let Some(popped) = link.queue.pop(self.clock.now, has_room, &mut self.drops) else { break };
                sent += popped.frame.len();
                self.stage(link, popped);
            }
            if !self.transmit(link) {
                return;
            }
        }
    }

    /// Cuts a frame into datagrams and hands them to the connection.
    fn stage(&mut self, link: &mut Link, popped: Popped) {
        let Some(datagram_max) = link.connection.datagrams().max_size() else {
            return self.drops.count(DropReason::LinkDown);
        };
        let (drops, parts_pool) = (&mut self.drops, &mut self.pools.parts);
        let (clock, pool, absent) = (&self.clock, &mut self.pools.sealed, &mut self.pools.absent);
        let mut sealing = self.sealer.as_mut().map(|sealer| Sealing { sealer, pool, absent, clock });
        let mut hand_over = |segment, drops: &mut Drops| {
            let sealed = match &mut sealing {
                Some(sealing) => sealing.seal(segment, drops),
                None => Some(segment),
            };
            if let Some(segment) = sealed {
                // What waits for keys was not sent, so nobody owes an answer.
                link.saw_outbound(clock.now);
                hand_over(link, segment, datagram_max, parts_pool, drops);
            }
        };
        match popped.frame {
            Frame::Segment(segment) => hand_over(segment, drops),
            Frame::Tun(frame) => {
                let mut omit = popped.omit_first;
                let cut = offload::split(&frame, &mut self.pools.to_link, true, |segment| {
                    if !std::mem::take(&mut omit) {
                        hand_over(segment, drops);
                    }
                });
                if cut.is_err() {
                    drops.count(DropReason::Malformed);
                }
            }
        }
    }

    /// Sends what UDP would not take before. Returns whether the way is free.
    fn send_blocked(&self, link: &mut Link) -> bool {
        let Some((transmit, contents)) = link.blocked.take() else { return true };
        match self.udp.send(&transmit, &contents) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                link.blocked = Some((transmit, contents));
                false
            }
            // Other errors are of this path and moment (no route, ICMP); QUIC repeats what matters.
            Ok(()) | Err(_) => true,
        }
    }

    /// Sends one batch. Returns whether there may be another.
    fn transmit(&mut self, link: &mut Link) -> bool {
        let mut contents = std::mem::take(&mut self.pools.transmit);
        contents.clear();
        let transmit = link.connection.poll_transmit(self.clock.now, self.udp.batch_max(), &mut contents);
        let Some(transmit) = transmit else {
            self.pools.transmit = contents;
            return false;
        };
        link.follow_path();
        match self.udp.send(&transmit, &contents) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                link.blocked = Some((transmit, contents));
                false
            }
            Ok(()) | Err(_) => {
                self.pools.transmit = contents;
                true
            }
        }
    }

    /// The last control message leaves before the close frame takes the stream's place.
    pub(super) fn flush_before_close(&mut self, link: &mut Link) {
        if self.send_blocked(link) {
            while self.transmit(link) {}
        }
    }
}

fn hand_over(link: &mut Link, segment: Segment, datagram_max: usize, pool: &mut BytesMut, drops: &mut Drops) {
    link.outbound_bytes += segment.packet().len() as u64;
    // The stage has room for a batch beyond what was checked, so nothing is refused for want of space.
    if segment.datagram_len() <= datagram_max {
        if link.connection.datagrams().send(segment.into_datagram(), true).is_err() {
            drops.count(DropReason::LinkDown);
        }
        return;
    }
    link.packet_id = link.packet_id.wrapping_add(1);
    let connection = &mut link.connection;
    let cut = datagram::parts(&segment, datagram_max, link.packet_id, pool, |part| {
        // Lost with the rest of the packet, and counted at the other end as incomplete.
        let _ = connection.datagrams().send(part, true);
    });
    if let Err(reason) = cut {
        drops.count(reason);
    }
}
