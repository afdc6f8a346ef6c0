//! The verdict about a run of packets of one flow: asked for once, given to each.

use super::Verdict;
use crate::packet::{Fragment, Packet, Transport};
use std::net::IpAddr;

/// The verdict about a packet, which holds for packets of its flow that come right behind it: from the same link, at the
/// same moment, with the same policy and links, and with no packet of another flow in between.
///
/// Only packets that neither begin nor end a flow are in a run: asking about the second would find and change nothing
/// that asking about the first did not.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    source: IpAddr,
    destination: IpAddr,
    ports: (u16, u16),
    protocol: u8,
    verdict: Verdict,
}

const FIN_SYN_RST: u8 = 0x07;

impl Run {
    /// Begins a run with a packet and the verdict about it, if it may be in one.
    #[inline]
    pub fn begin(packet: &Packet, verdict: Verdict) -> Option<Self> {
        let Packet { source, destination, protocol, .. } = *packet;
        plain_ports(packet).map(|ports| Self { source, destination, ports, protocol, verdict })
    }

    /// Returns the verdict about the packet behind the last one, if it is in the run.
    #[inline]
    pub fn verdict(&self, packet: &Packet) -> Option<Verdict> {
        let is_next = plain_ports(packet) == Some(self.ports)
            && packet.protocol == self.protocol
            && packet.source == self.source
            && packet.destination == self.destination;
        is_next.then_some(self.verdict)
    }
}

#[inline]
fn plain_ports(packet: &Packet) -> Option<(u16, u16)> {
    match (packet.fragment, packet.transport) {
        (Fragment::Whole, Transport::Tcp { source, destination, flags }) if flags & FIN_SYN_RST == 0 => {
            Some((source, destination))
        }
        (Fragment::Whole, Transport::Udp { source, destination }) => Some((source, destination)),
        (Fragment::Whole | Fragment::First(_) | Fragment::Later(_), _) => None,
    }
}
