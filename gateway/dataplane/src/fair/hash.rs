//! A seeded hash of what makes a flow.

use crate::packet::{Fragment, Packet};
use std::net::IpAddr;

/// Odd numbers without structure: the digits of the golden ratio and of π.
const KEYS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345];

#[derive(Debug, Clone, Copy)]
pub(super) struct FlowHash {
    seed: u64,
}

impl FlowHash {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Fragments have no ports to tell them apart, so their first does not either: they stay in order.
    #[inline]
    pub(super) fn of(self, packet: &Packet) -> u64 {
        let ports = match (packet.fragment, packet.ports()) {
            (Fragment::Whole, Some((source, destination))) => {
                u64::from(source) << 16 | u64::from(destination)
            }
            (Fragment::Whole | Fragment::First(_) | Fragment::Later(_), _) => 0,
        };
        let rest = ports << 8 | u64::from(packet.protocol);
        let [source_high, source_low] = words(packet.source);
        let [destination_high, destination_low] = words(packet.destination);
        let first = mix(source_low ^ self.seed, destination_low ^ KEYS[0]);
        let second = mix(source_high ^ self.seed ^ KEYS[1], destination_high ^ first);
        mix(rest ^ self.seed ^ KEYS[2], first ^ second.rotate_left(32))
    }
}

#[inline]
fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right ^ KEYS[0]);
    (product >> 64) as u64 ^ product as u64
}

#[inline]
fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [0, u64::from(address.to_bits())],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    }
}
