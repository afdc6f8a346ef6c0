//! Frames from the kernel: read eagerly, judged once, and queued for their link.

use std::io;

use bytes::BytesMut;
use horizon_dataplane::{
    drop_reason::DropReason,
    envelope,
    fair::Frame,
    forwarder::{LinkId, Reject, Verdict},
    offload::{self, VIRTIO_HEADER_LEN},
    packet::Packet,
};

use tracing::warn;

use super::{Relay, Shard};
use crate::{LinkEvent, Role, link::End};

/// The largest frame: a header and an IP packet of 64 KiB.
const READ_BYTES: usize = VIRTIO_HEADER_LEN + 65_536;
/// Read in one turn; a small packet counts as 256 bytes, for what it costs.
const READ_BYTES_PER_TURN: usize = 1 << 20;
const SMALL_BYTES: usize = 256;
/// A frame of at most so many bytes is copied, so that one that waits long does not hold a whole block.
const OWN_BYTES_MAX: usize = 2048;
pub(super) const BLOCK_BYTES: usize = 1 << 20;

impl Shard {
    /// Reads what the TUN queue has, up to a bound. Returns whether there was something.
    pub(super) fn read_tun(&mut self) -> bool {
        let mut taken = 0;
        while taken < READ_BYTES_PER_TURN {
            let length = match self.tun.read(self.pools.from_tun.space(READ_BYTES)) {
                Ok(length) => length,
                Err(error) => {
                    self.cannot_read_tun(&error);
                    break;
                }
            };
            taken += length.max(SMALL_BYTES);
            let frame = match length {
                ..=OWN_BYTES_MAX => BytesMut::from(&self.pools.from_tun.space(length)[..length]),
                _ => self.pools.from_tun.take(length),
            };
            self.handle_frame(frame);
        }
        taken > 0
    }

    /// An interface that was removed answers with an error for ever (`EBADFD`): it is not asked again.
    fn cannot_read_tun(&mut self, error: &io::Error) {
        let is_passing = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
        if !is_passing && !self.is_tun_lost {
            self.is_tun_lost = true;
            warn!(%error, "the TUN interface is gone");
            self.emit(LinkEvent::TunLost);
        }
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
            Verdict::ToLink(to) => match self.mtu_of(to).filter(|mtu| offload::is_too_big(&frame, *mtu)) {
                Some(mtu) => {
                    self.reject_to_tun(Reject::TooBig { mtu }, &packet, &frame[VIRTIO_HEADER_LEN..]);
                }
                None => self.queue(Relay { to, packet, frame: Frame::Tun(frame) }),
            },
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

    /// What the network of a device's link carries. The TUN may carry more: it is as large as the largest network's.
    fn mtu_of(&mut self, link: LinkId) -> Option<u16> {
        match &self.table.by_id(link)?.end {
            End::Gateway(session) => session.admitted().map(|admitted| admitted.accept.mtu),
            End::Device(..) | End::Handshaking => None,
        }
    }

    fn judge_for_uplink(&mut self, packet: &Packet) -> Verdict {
        // Only what is sealed here has this protocol.
        if packet.protocol == envelope::PROTOCOL && self.is_sealed(packet.destination) {
            return Verdict::Drop(DropReason::NotSealed);
        }
        let link = self.uplink.and_then(|id| self.table.by_id(id));
        match link.map(|link| (&link.end, link.id)) {
            Some((End::Device(_, Some(forwarder)), id)) => forwarder.from_tun(packet, Some(id)),
            Some(_) | None => Verdict::Drop(DropReason::LinkDown),
        }
    }
}
