//! What the page computes from what it was sent. No business rules: those are the controller's.

pub mod age;
pub mod quantity;
pub mod standing;
