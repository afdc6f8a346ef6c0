//! Links, decided: whom a gateway admits, and what a device does with the answer.

pub mod admission;
pub mod session;
