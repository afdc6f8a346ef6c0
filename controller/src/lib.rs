//! The controller's hands: what it stores, and where its resources come from.
//!
//! Decisions live in `horizon-planner`; what is here reads, writes and waits.

pub mod source;
pub mod store;
