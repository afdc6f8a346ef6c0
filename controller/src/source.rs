//! Where resources come from. A source says what it has, and how much of it could be seen.

pub mod cluster;
pub mod files;
mod reader;

pub use reader::Reader;
