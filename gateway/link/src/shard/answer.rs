//! What a sender is told when its packet is not carried: ICMP, at a bounded rate.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use horizon_dataplane::{
    datagram::Segment,
    fair::Frame,
    forwarder::{LinkId, Reject},
    icmp::{self, IcmpError},
    packet::Packet,
};

use super::{Relay, Shard};
use crate::tun_sink::TunSink;

/// Errors that a shard sends in a second (RFC 4443 §2.4(f) asks for a limit); a burst of as many may come at once.
const ERRORS_PER_S: u32 = 100;

/// A token bucket.
pub(super) struct ErrorBudget {
    tokens: u32,
    refilled: Instant,
}

impl ErrorBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self { tokens: ERRORS_PER_S, refilled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let one = Duration::from_secs(1) / ERRORS_PER_S;
        let earned = now.duration_since(self.refilled).as_nanos() / one.as_nanos();
        if earned > 0 {
            self.tokens = (u128::from(self.tokens) + earned).min(u128::from(ERRORS_PER_S)) as u32;
            self.refilled = now;
        }
        let has_one = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        has_one
    }
}

impl Shard {
    /// Counts a rejected packet of a link, and tells the device.
    pub(super) fn reject_to_link(&mut self, link: LinkId, reject: Reject, packet: &Packet, bytes: &[u8]) {
        let from = self.own_address(packet);
        if let Some((answer, parsed)) = self.answer(reject, packet, bytes, from) {
            self.relays.push(Relay { to: link, packet: parsed, frame: Frame::Segment(answer) });
        }
    }

    /// Counts a rejected packet from the kernel, and tells whoever sent it. The answer speaks for the destination: a
    /// kernel takes nothing from an interface that claims to come from one of the kernel's own addresses.
    pub(super) fn reject_to_tun(&mut self, reject: Reject, packet: &Packet, bytes: &[u8]) {
        if let Some((answer, parsed)) = self.answer(reject, packet, bytes, Some(packet.destination)) {
            let mut sink = TunSink { tun: &self.tun, drops: &mut self.drops };
            self.coalescer.push(&parsed, answer.into_packet(), false, &mut sink);
            self.coalescer.flush(&mut sink);
        }
    }

    fn answer(
        &mut self,
        reject: Reject,
        packet: &Packet,
        bytes: &[u8],
        from: Option<IpAddr>,
    ) -> Option<(Segment, Packet)> {
        self.drops.count(reject.drop_reason());
        let error = match reject {
            Reject::Prohibited => IcmpError::Prohibited,
            Reject::Unreachable => IcmpError::Unreachable,
            Reject::TooBig { mtu } => IcmpError::TooBig { mtu },
        };
        let from = from?;
        if !self.errors.take(self.clock.now) {
            return None;
        }
        let answer = icmp::answer(error, packet, bytes, from)?;
        let parsed = Packet::parse(answer.packet()).ok()?;
        Some((answer, parsed))
    }

    /// Our address in the network of one of the packet's ends, in its family.
    fn own_address(&self, packet: &Packet) -> Option<IpAddr> {
        let serving = self.serving.as_ref()?;
        let networks = serving.admission.config.networks.values();
        let of_ends = networks.filter(|network| {
            let ends = [packet.source, packet.destination];
            network.pools.iter().any(|pool| ends.iter().any(|end| pool.contains(end)))
        });
        let addresses = of_ends.flat_map(|network| network.addresses.iter().copied());
        addresses.into_iter().find(|address| address.is_ipv4() == packet.source.is_ipv4())
    }
}
