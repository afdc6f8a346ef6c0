//! What a Kubernetes API server does with objects, apart from keeping them: patches, server-side apply, selectors,
//! tables, discovery, answers. Pure: no I/O, no clock, no randomness.

pub mod managed;
pub mod patch;
pub mod refusal;
pub mod write;

mod apply;
