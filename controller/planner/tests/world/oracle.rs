//! What holds for any bytes: an answer comes in time, and it can be shown to anybody. Fuzz targets ask it of what they
//! find, tests of what was kept.
//!
//! The clock is that of the thread on its processor, because others use the machine too.

#![allow(dead_code, unreachable_pub, reason = "each program that includes it uses another part")]

use std::fs;

use horizon_api::problem::{Problem, is_invisible};
use horizon_planner::{
    check::{check, to_text},
    manifest::parse_folder,
    parse::PROBLEMS_MAX,
};

/// Unix seconds.
const NOW: i64 = 1_800_000_000;

/// Returns the nanoseconds that this thread has run.
pub fn clock() -> u64 {
    // The kernel adds up when it schedules; otherwise what is read is as old as its last tick, up to ten milliseconds.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts what threads run");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number is the time run")
}

/// Returns the nanoseconds that an answer may take: a microsecond for each byte, and five milliseconds.
pub fn limit(bytes: usize, slowness: u64) -> u64 {
    (5_000_000 + 1_000 * bytes as u64) * slowness
}

/// Returns the nanoseconds that reading takes.
pub fn cost(bytes: &[u8]) -> u64 {
    let start = clock();
    parse_folder(&[("a.yaml", bytes)]);
    clock() - start
}

/// Goes the whole way of a text that nobody trusts: trees, objects, rules, remarks, and what people are shown.
pub fn answer(bytes: &[u8]) -> String {
    let files = [("a.yaml", bytes)];
    to_text(&check(&files, NOW), &files)
}

/// Asks for an answer to a file that this build may be so many times slower for than a released one.
///
/// # Panics
/// The answer is late three times in a row, or must not be shown.
#[track_caller]
pub fn ask(bytes: &[u8], slowness: u64) {
    let limit = limit(bytes.len(), slowness);
    let late = |what: &str, time: &dyn Fn() -> u64| {
        // One slow run may be the machine; three are the program.
        let best = (0..3).map(|_| time()).find(|time| *time <= limit);
        assert!(best.is_some(), "{what} takes {} ns, {limit} are allowed: {:?}", time(), Shown(bytes));
    };
    late("reading", &|| cost(bytes));
    let shown = std::cell::RefCell::default();
    late("the whole way", &|| {
        let start = clock();
        *shown.borrow_mut() = answer(bytes);
        clock() - start
    });
    let shown = shown.into_inner();
    let is_wrong = |c: char| c != '\n' && (c.is_control() || is_invisible(c));
    assert!(!shown.contains(is_wrong), "the answer would disturb a terminal: {:?}", Shown(bytes));
    agree(bytes);
}

/// Problems stand in the file, at most so many of them.
#[track_caller]
fn agree(bytes: &[u8]) {
    let parsed = parse_folder(&[("a.yaml", bytes)]);
    assert!(parsed.problems.len() <= 2 * PROBLEMS_MAX + 3, "too many problems: {:?}", Shown(bytes));
    let lines = 2 + bytes.iter().filter(|byte| b"\n\r".contains(byte)).count();
    for problem in &parsed.problems {
        let is_inside = problem.file == "a.yaml" && problem.line as usize <= lines && problem.column > 0;
        assert!(is_inside, "{problem}: {:?}", Shown(bytes));
    }
    if parsed.problems.iter().any(Problem::is_error) {
        let is_told = !parsed.rejected.is_empty() || !parsed.broken_files.is_empty();
        assert!(is_told, "an error and nothing refused: {:?}", Shown(bytes));
    }
}

/// Makes a long text of a short one: what stands before the first byte 0xff, then again and again what stands between
/// that and the second, then the rest. Time that grows with the square of a text shows only in long ones.
pub fn repeated(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut parts = bytes.splitn(3, |byte| *byte == 0xff);
    let (open, piece, close) = match (parts.next(), parts.next(), parts.next()) {
        (Some(open), Some(piece), close) => (open, piece, close.unwrap_or_default()),
        (open, ..) => (Default::default(), open.unwrap_or_default(), Default::default()),
    };
    let times =
        if piece.is_empty() { 0 } else { size.saturating_sub(open.len() + close.len()) / piece.len() };
    [open, &piece.repeat(times), close].concat()
}

/// The beginning of a text, for people.
struct Shown<'a>(&'a [u8]);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.0[..self.0.len().min(400)];
        write!(f, "{:?} ({} bytes)", String::from_utf8_lossy(start), self.0.len())
    }
}
