//! Any bytes at all get an answer in time: a microsecond for each and five milliseconds, by the clock of the thread.
//! What the quick reader takes, the full parser reads alike.

#![no_main]

#[path = "../../tests/world/oracle.rs"]
mod oracle;

use horizon_planner::parse::alike;
use libfuzzer_sys::fuzz_target;

/// Instrumented code is slower than what is shipped.
const SLOWNESS: u64 = 4;

fuzz_target!(|bytes: &[u8]| {
    oracle::ask(bytes, SLOWNESS);
    if let Ok(text) = std::str::from_utf8(bytes) {
        alike::check(text);
    }
});
