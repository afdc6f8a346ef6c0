//! Frames from the kernel: read eagerly, judged once, and queued for their link.

use bytes::BytesMut;
use horizon_dataplane::{
    drop_reason::DropReason, fair::Frame, forwarder::Verdict, offload::VIRTIO_HEADER_LEN, packet::Packet,
};

use super::{Relay, Shard};
use crate::{Role, link::End};

/// The largest frame: a header and an IP packet of 64 KiB.
const READ_BYTES: usize = VIRTIO_HEADER_LEN + 65_536;
/// Read in one turn; a small packet counts as 256 bytes, for what it costs.
const READ_BYTES_PER_TURN: usize = 1 << 20;
const SMALL_BYTES: usize = 256;
pub(super) const BLOCK_BYTES: usize = 1 << 20;

impl Shard {
    /// Reads what the TUN queue has, up to a bound. Returns whether there was something.
    pub(super) fn read_tun(&mut self) -> bool {
        let mut taken = 0;
        while taken < READ_BYTES_PER_TURN {
            let Ok(length) = self.tun.read(self.pools.from_tun.space(READ_BYTES)) else { break };
            taken += length.max(SMALL_BYTES);
            let frame = self.pools.from_tun.take(length);
            self.handle_frame(frame);
        }
        taken > 0
    }

    fn handle_frame(&mut self, frame: BytesMut) {
        let parsed = frame.get(VIRTIO_HEADER_LEN..).map(Packet::parse);
        let Some(Ok(packet)) = parsed else {
            return self.drops.count(DropReason::Malformed);
        };
        let verdict = match self.role {
            Role::Gateway => self.judge_from_tun(&packet, &frame[VIRTIO_HEADER_LEN..]),
            Role::Device => self.judge_for_uplink(&packet),
        };
        match verdict {
            Verdict::ToLink(to) => {
                self.queue(Relay { to, packet, frame: Frame::Tun(frame) });
            }
            Verdict::ToTun => self.drops.count(DropReason::NoRoute),
            Verdict::Reject(reject) => self.reject_to_tun(reject, &packet, &frame[VIRTIO_HEADER_LEN..]),
            Verdict::Drop(reason) => self.drops.count(reason),
        }
    }

    /// Puts a frame into the queue of its link.
    pub(super) fn queue(&mut self, relay: Relay) {
        match self.table.by_id(relay.to).filter(|link| link.is_accepted() && !link.is_closing) {
            Some(link) => {
                link.queue.push(self.clock.now, &relay.packet, relay.frame, &mut self.drops);
                let handle = link.handle;
                self.table.mark(handle);
            }
            None => self.drops.count(DropReason::LinkDown),
        }
    }

    fn judge_for_uplink(&mut self, packet: &Packet) -> Verdict {
        let link = self.uplink.and_then(|id| self.table.by_id(id));
        match link.map(|link| (&link.end, link.id)) {
            Some((End::Device(_, Some(forwarder)), id)) => forwarder.from_tun(packet, Some(id)),
            Some(_) | None => Verdict::Drop(DropReason::LinkDown),
        }
    }
}
