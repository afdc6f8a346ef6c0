//! The console: one page, live.
//!
//! `model` computes and is tested natively; `live` talks to the controller; pages and components show.

#![cfg_attr(
    target_arch = "wasm32",
    expect(unreachable_pub, reason = "the component macro makes items public that cannot be reached")
)]

pub mod model;

#[cfg(target_arch = "wasm32")]
mod address;
#[cfg(target_arch = "wasm32")]
mod app;
#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
mod live;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod rows;

#[cfg(target_arch = "wasm32")]
pub use app::start;
