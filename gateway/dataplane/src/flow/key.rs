//! What makes a flow: two ends and a protocol, the same key for both directions.

use crate::flow_hash::write_address;
use crate::packet::{Packet, Transport};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// Identifies a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    low: (IpAddr, u16),
    high: (IpAddr, u16),
    protocol: u8,
}

/// From which end a packet comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    FromLow,
    FromHigh,
}

impl Direction {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::FromLow => Self::FromHigh,
            Self::FromHigh => Self::FromLow,
        }
    }
}

impl FlowKey {
    /// Returns the flow of a packet; for ICMP the identifier stands for both ports.
    #[inline]
    pub(super) fn of(packet: &Packet) -> (Self, Direction) {
        let (source_port, destination_port) = match packet.transport {
            Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => {
                (source, destination)
            }
            Transport::Icmp { id, .. } => (id.unwrap_or(0), id.unwrap_or(0)),
            Transport::Opaque => (0, 0),
        };
        let (source, destination) = ((packet.source, source_port), (packet.destination, destination_port));
        if source <= destination {
            (Self { low: source, high: destination, protocol: packet.protocol }, Direction::FromLow)
        } else {
            (Self { low: destination, high: source, protocol: packet.protocol }, Direction::FromHigh)
        }
    }
}

impl FlowKey {
    #[inline]
    pub(super) const fn protocol(&self) -> u8 {
        self.protocol
    }
}

impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        write_address(hasher, self.low.0);
        write_address(hasher, self.high.0);
        let ports = u64::from(self.low.1) << 16 | u64::from(self.high.1);
        hasher.write_u64(ports << 8 | u64::from(self.protocol));
    }
}
