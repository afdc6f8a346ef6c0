//! Datagrams of links: each packet has its verdict (asked for once in a run of one flow), and is joined with others for
//! the kernel or handed to another link.

use bytes::Bytes;
use horizon_dataplane::{
    datagram::{self, Datagram, Segment},
    drop_reason::DropReason,
    fair::Frame,
    forwarder::{Run, Verdict},
    packet::Packet,
};

use super::{Relay, Shard};
use crate::{
    link::{End, Link},
    tun_sink::TunSink,
};

impl Shard {
    /// Takes what links have received. Returns whether there was something.
    pub(super) fn step_inbound(&mut self) -> bool {
        self.judge_some();
        if !self.table.has_dirty() {
            return false;
        }
        let mut handles = std::mem::take(&mut self.pools.handles);
        self.table.take_dirty(&mut handles);
        for &handle in &handles {
            let Some(mut link) = self.table.take(handle) else { continue };
            self.handle_events(&mut link);
            self.handle_control(&mut link);
            self.take_datagrams(&mut link);
            self.table.put(link);
            // Acknowledgements and answers leave in this turn.
            self.table.mark(handle);
        }
        self.coalescer.flush(&mut TunSink { tun: &self.tun, drops: &mut self.drops });
        self.flush_sealer();
        self.pools.handles = handles;
        let mut relays = std::mem::take(&mut self.relays);
        for relay in relays.drain(..) {
            self.queue(relay);
        }
        self.relays = relays;
        true
    }

    fn take_datagrams(&mut self, link: &mut Link) {
        let mut run = None;
        while let Some(datagram) = link.connection.datagrams().recv() {
            if !link.is_accepted() || link.is_closing {
                continue;
            }
            if let Some(segment) = self.whole_packet(link, datagram) {
                link.inbound_bytes += segment.packet().len() as u64;
                self.handle_packet(link, segment, &mut run);
            }
        }
    }

    fn whole_packet(&mut self, link: &mut Link, datagram: Bytes) -> Option<Segment> {
        match datagram::decode(datagram) {
            Ok(Datagram::Packet(segment)) => Some(segment),
            Ok(Datagram::Part(part)) => {
                let (now, pool) = (self.clock.now, &mut self.pools.parts);
                link.reassembly.push(now, part, pool, &mut self.drops)
            }
            Ok(Datagram::Probe(_)) => None,
            Err(reason) => {
                self.drops.count(reason);
                None
            }
        }
    }

    fn handle_packet(&mut self, link: &Link, segment: Segment, run: &mut Option<Run>) {
        let Ok(packet) = Packet::parse(segment.packet()) else {
            return self.drops.count(DropReason::Malformed);
        };
        let verdict = match &link.end {
            End::Gateway(_) => run.and_then(|run| run.verdict(&packet)).unwrap_or_else(|| {
                let verdict = self.judge_from_link(link, &packet, segment.packet());
                *run = Run::begin(&packet, verdict);
                verdict
            }),
            End::Device(_, Some(forwarder)) => forwarder.from_link(&packet),
            End::Device(_, None) | End::Handshaking => Verdict::Drop(DropReason::LinkDown),
        };
        match verdict {
            Verdict::ToTun if self.is_sealed(packet.source) => {
                let Some((packet, segment)) = self.open_sealed(&packet, &segment) else { return };
                let lacks_checksum = segment.lacks_checksum();
                let mut sink = TunSink { tun: &self.tun, drops: &mut self.drops };
                self.coalescer.push(&packet, segment.into_packet(), lacks_checksum, &mut sink);
            }
            Verdict::ToTun => {
                let lacks_checksum = segment.lacks_checksum();
                let mut sink = TunSink { tun: &self.tun, drops: &mut self.drops };
                self.coalescer.push(&packet, segment.into_packet(), lacks_checksum, &mut sink);
            }
            Verdict::ToLink(to) => {
                let frame = Frame::Segment(segment.to_owned());
                self.relays.push(Relay { to, packet, frame });
            }
            Verdict::Reject(reject) => self.reject_to_link(link.id, reject, &packet, segment.packet()),
            Verdict::Drop(reason) => self.drops.count(reason),
        }
    }

    fn judge_from_link(&mut self, link: &Link, packet: &Packet, bytes: &[u8]) -> Verdict {
        let Some(serving) = &self.serving else { return Verdict::Drop(DropReason::LinkDown) };
        let at = self.clock.moment();
        serving.forwarder.from_link(link.id, packet, bytes, &self.addresses, &mut self.flows, at)
    }

    pub(super) fn judge_from_tun(&mut self, packet: &Packet, bytes: &[u8]) -> Verdict {
        let Some(serving) = &self.serving else { return Verdict::Drop(DropReason::LinkDown) };
        let at = self.clock.moment();
        serving.forwarder.from_tun(packet, bytes, &self.addresses, &mut self.flows, at)
    }
}
