//! The resource API.

mod keeper;

pub use keeper::{Admin, Admins, Deed, Keeper, NotKept, Write};
