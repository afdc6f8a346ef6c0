//! Objects of every kind, as their schemas allow them, get an answer in time and the same one twice.

#![no_main]

#[path = "../../tests/world/objects.rs"]
mod objects;
#[path = "../../tests/world/oracle.rs"]
mod oracle;
#[path = "../../tests/world/spec.rs"]
mod spec;

use horizon_planner::schema::{Schema, Type};
use libfuzzer_sys::fuzz_target;

/// Instrumented code is slower than what is shipped.
const SLOWNESS: u64 = 4;

fuzz_target!(|bytes: &[u8]| objects::ask(bytes, SLOWNESS));
