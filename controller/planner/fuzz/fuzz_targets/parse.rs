//! Any bytes at all get an answer in time: a microsecond for each and five milliseconds, by the clock of the thread.

#![no_main]

use horizon_planner::check::{check, to_text};
use horizon_planner::manifest::parse_folder;
use libfuzzer_sys::fuzz_target;

/// Instrumented code is slower than what is shipped.
const SLOWNESS: u64 = 10;

fuzz_target!(|bytes: &[u8]| {
    let limit = (5_000_000 + 1_000 * bytes.len() as u64) * SLOWNESS;
    // One slow run may be the machine; three are the parser.
    let time = (0..3).map(|_| run(bytes)).find(|time| *time <= limit);
    assert!(time.is_some(), "more than {limit} ns for {} bytes, three times", bytes.len());
    let files = [("a.yaml", bytes)];
    to_text(&check(&files, 0), &files);
});

fn run(bytes: &[u8]) -> u64 {
    let start = clock();
    parse_folder(&[("a.yaml", bytes)]);
    clock() - start
}

/// Returns the nanoseconds that this thread has run.
fn clock() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts what threads run");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number is the time run")
}
