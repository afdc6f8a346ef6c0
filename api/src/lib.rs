//! What two programs of Horizon must agree on, and nothing that only one cares about.
//!
//! Pure: no I/O, no clock, no randomness. Time and seeds are arguments.
//! Signed documents keep the bytes that were signed: hashes and signatures cover received bytes, nobody re-encodes.

pub mod assignment;
pub mod card;
pub mod cbor;
pub mod condition;
pub mod delegation;
pub mod grant;
pub mod http;
pub mod join;
pub mod kept;
pub mod key;
pub mod name;
pub mod news;
pub mod problem;
pub mod redact;
pub mod resource;
pub mod section;
pub mod signed;
pub mod signing;
pub mod token;
pub mod tpm;
pub mod traffic;
pub mod verdict;
pub mod wire;
