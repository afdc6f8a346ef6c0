//! A short piece, repeated until the text is long, gets an answer in time: what is quadratic shows only there.

#![no_main]

#[path = "../../tests/world/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

/// Instrumented code is slower than what is shipped.
const SLOWNESS: u64 = 4;
/// Long enough for a square to show, short enough for many tries.
const BYTES: usize = 32 * 1024;

fuzz_target!(|bytes: &[u8]| oracle::ask(&oracle::repeated(bytes, BYTES), SLOWNESS));
