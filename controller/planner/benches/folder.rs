//! What a folder costs, by its size: `cargo bench -p horizon-planner`. Compare lines of one run only.

#[path = "../tests/world/crowd.rs"]
mod crowd;

use std::{collections::BTreeMap, sync::Arc};

use divan::{Bencher, counter::BytesCount};
use horizon_planner::{
    compile::{Input, SourceSnapshot, compile},
    manifest::{Parsed, parse_folder},
    parse,
    status::{self, Progress},
};

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

/// Checked manifests to the first revision.
#[divan::bench(args = SIZES, sample_count = 5)]
fn compile_first(bencher: Bencher<'_, '_>, objects: usize) {
    let input = Input { sources: vec![source(objects, false)], ..Input::default() };
    bencher.bench(|| compile(&input, NOW));
}

/// A revision in force to the next one, where one file lets another port pass: what gates and plans cost is in it.
#[divan::bench(args = SIZES, sample_count = 5)]
fn compile_again(bencher: Bencher<'_, '_>, objects: usize) {
    let first = Input { sources: vec![source(objects, false)], ..Input::default() };
    let compiled = compile(&first, NOW);
    let input = Input {
        previous: compiled.objects.values().cloned().collect(),
        sources: vec![source(objects, true)],
        allocations: compiled.allocations,
        ..Input::default()
    };
    bencher.bench(|| compile(&input, NOW));
}

/// Conditions of all objects, as after every revision.
#[divan::bench(args = SIZES, sample_count = 5)]
fn conditions(bencher: Bencher<'_, '_>, objects: usize) {
    let input = Input { sources: vec![source(objects, false)], ..Input::default() };
    let compiled = compile(&input, NOW);
    let progress = Progress { gateways: &[].into(), earlier: &BTreeMap::new(), now: NOW };
    bencher.bench(|| status::changed(&compiled, progress));
}

/// Unix seconds.
const NOW: i64 = 1_800_000_000;

/// Returns the company, or the one where policies of one file let another port pass.
fn source(objects: usize, is_changed: bool) -> SourceSnapshot {
    let mut files = crowd::crowd(objects, 1);
    if let Some((_, text)) = files.get_mut(1).filter(|_| is_changed) {
        *text = text.replace("\"443\"", "\"444\"");
    }
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let parsed: Parsed = parse_folder(&files);
    SourceSnapshot { source: "files:/company".into(), parsed: Arc::new(parsed), is_complete: true }
}

/// Text to trees: what of that is YAML.
#[divan::bench(args = SIZES, sample_count = 5)]
fn read(bencher: Bencher<'_, '_>, objects: usize) {
    let files = crowd::crowd(objects, 1);
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    let read = || files.iter().map(|(name, text)| parse::parse(name, text.as_bytes())).collect::<Vec<_>>();
    bencher.counter(BytesCount::new(bytes)).bench(read);
}
