//! What a folder costs, by its size: `cargo bench -p horizon-planner`. Compare lines of one run only.

#[path = "../tests/world/crowd.rs"]
mod crowd;

use divan::{Bencher, counter::BytesCount};
use horizon_planner::{manifest::parse_folder, parse};

/// Numbers of objects, about a kilobyte each.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn main() {
    divan::main();
}

/// Text to checked manifests, on one core.
#[divan::bench(args = SIZES, sample_count = 5)]
fn parse_and_check(bencher: Bencher<'_, '_>, objects: usize) {
    let files = crowd::crowd(objects, 1);
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    assert_eq!(parse_folder(&files).problems, [], "the crowd is sound");
    bencher.counter(BytesCount::new(bytes)).bench(|| parse_folder(&files));
}

/// Text to trees: what of that is YAML.
#[divan::bench(args = SIZES, sample_count = 5)]
fn read(bencher: Bencher<'_, '_>, objects: usize) {
    let files = crowd::crowd(objects, 1);
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    let read = || files.iter().map(|(name, text)| parse::parse(name, text.as_bytes())).collect::<Vec<_>>();
    bencher.counter(BytesCount::new(bytes)).bench(read);
}
