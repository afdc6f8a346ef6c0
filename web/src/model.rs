//! What the page computes from what it was sent. No business rules: those are the controller's.

pub mod age;
pub mod documents;
pub mod happened;
pub mod lines;
pub mod object;
pub mod quantity;
pub mod refusal;
pub mod route;
pub mod standing;
pub mod table;
pub mod trust;
