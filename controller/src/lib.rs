//! The controller's hands: sources, store, reconciler, push.
//!
//! Decisions live in `horizon-planner`; what is here reads, writes and waits.

pub mod args;
pub mod certificate;
pub mod check;
pub mod console;
pub mod dispatch;
pub mod event;
pub mod fate;
pub mod identity;
pub mod metrics;
mod off_worker;
pub mod policy;
pub mod push;
pub mod reconciler;
pub mod registry;
pub mod run;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod tasks;
pub mod turn;
pub mod verbs;
