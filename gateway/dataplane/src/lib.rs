//! The data plane as pure functions and machines: packets in, verdicts and packets out.
//!
//! No I/O, no clock, no randomness: every input takes `now`, every seed is an argument.
//! The loop in `gateway/link` moves the bytes and drives what is here.

pub mod apply;
pub mod checksum;
pub mod congestion;
pub mod datagram;
pub mod drop_reason;
pub mod envelope;
pub mod fair;
pub mod flow;
mod flow_hash;
pub mod forwarder;
pub mod icmp;
pub mod link;
pub mod offload;
pub mod packet;
pub mod time_floor;
pub mod wanted;

#[cfg(test)]
mod testing;
