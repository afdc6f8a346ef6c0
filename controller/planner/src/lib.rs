//! Resources in, revision and statuses out: parse → resolve → allocate → compile.
//!
//! Pure: no I/O, no clock, no randomness. The same input gives the same bytes, in any order of files and documents.
//! Nothing here fails as a whole: what is wrong becomes a [`Problem`](horizon_api::problem::Problem) with its place,
//! and everything else goes on.

pub mod alike;
pub mod allocate;
pub mod check;
pub mod compile;
pub mod effect;
pub mod excerpt;
pub mod hold;
pub mod manifest;
pub mod node;
pub mod parse;
pub mod plan;
pub mod schema;
pub mod status;
pub mod why;

mod cel;
mod change;
mod conflict;
mod formats;
mod gate;
mod not_yet;
mod ratchet;
mod remarks;
mod resolve;
mod rules;
mod secret;
mod site;
mod validate;
mod world;
