//! What a Kubernetes API server does with objects, apart from keeping them: patches, server-side apply, selectors,
//! tables, discovery, answers. Pure: no I/O, no clock, no randomness.

pub mod access;
pub mod collection;
pub mod definition;
pub mod discovery;
pub mod event;
pub mod field_cause;
pub mod generate_name;
pub mod json_path;
pub mod kubeconfig;
pub mod list;
pub mod managed;
pub mod negotiate;
pub mod openapi;
mod packed;
pub mod parameters;
pub mod patch;
pub mod path;
pub mod protobuf;
pub mod query;
pub mod refusal;
pub mod resource;
pub mod selector;
pub mod shown;
pub mod status;
pub mod stored;
pub mod table;
pub mod validate;
pub mod warning;
pub mod watch;
pub mod write;

mod apply;
mod gotext;
mod names;
mod percent;
mod told;
