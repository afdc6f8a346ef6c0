//! What the controller believes of its servers, and why: challenges, heartbeats, evidence, addresses.
//!
//! Most of it rests on the key of the gateway's host. Whoever has root there has the key, and can answer as the server
//! does: what is found here are accidents, copies and careless thieves. Where the host has a TPM, its quotes say more:
//! which TPM it is, and what the host was started with. [`horizon_api::http::EvidenceLevel`] says what each proves.
//!
//! Pure: no I/O, no clock, no randomness. Time and seeds are arguments.

pub mod address;
pub mod boot;
pub mod challenge;
pub mod disk;
pub mod evidence;
pub mod finding;
pub mod log;
pub mod pace;
pub mod quote;
pub mod server;
mod tpm;
pub mod traffic;
