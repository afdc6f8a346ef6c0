//! A seeded hash of what makes a flow: fast, and nobody who does not know the seed can aim at a bucket.

use crate::packet::{Fragment, Packet};
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

/// Numbers without structure: the digits of the golden ratio and of π.
const KEYS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345];

/// Hashes packets by flow, and is the hasher of tables by flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowHash {
    seed: u64,
}

impl FlowHash {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Fragments have no ports to tell them apart, so their first does not either: they stay in order.
    #[inline]
    pub(crate) fn of(self, packet: &Packet) -> u64 {
        let ports = match (packet.fragment, packet.ports()) {
            (Fragment::Whole, Some((source, destination))) => {
                u64::from(source) << 16 | u64::from(destination)
            }
            (Fragment::Whole | Fragment::First(_) | Fragment::Later(_), _) => 0,
        };
        let mut hasher = self.build_hasher();
        write_address(&mut hasher, packet.source);
        write_address(&mut hasher, packet.destination);
        hasher.write_u64(ports << 8 | u64::from(packet.protocol));
        hasher.finish()
    }
}

/// Gives the words of an address to a hasher.
#[inline]
pub(crate) fn write_address(hasher: &mut impl Hasher, address: IpAddr) {
    match address {
        IpAddr::V4(address) => hasher.write_u64(u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            hasher.write_u64((bits >> 64) as u64);
            hasher.write_u64(bits as u64);
        }
    }
}

impl BuildHasher for FlowHash {
    type Hasher = FlowHasher;

    #[inline]
    fn build_hasher(&self) -> FlowHasher {
        FlowHasher { seed: self.seed, state: self.seed ^ KEYS[1] }
    }
}

/// The state of a hash.
#[derive(Debug)]
pub(crate) struct FlowHasher {
    seed: u64,
    state: u64,
}

impl Hasher for FlowHasher {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(word ^ self.state) * u128::from(self.seed ^ KEYS[0] | 1);
        self.state = (product >> 64) as u64 ^ (product as u64).rotate_left(29) ^ KEYS[2];
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state ^ self.state >> 32
    }
}
