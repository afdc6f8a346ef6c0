//! The quick reader and the full parser say the same about everything that the quick one takes.

#[path = "../../tests/world/crowd.rs"]
pub(crate) mod crowd;
#[path = "../../tests/world/mutate.rs"]
mod mutate;

use std::{fs, path::Path};

use super::alike::check;

#[test]
fn what_people_write_is_plain() {
    let plain = [
        "a: b\n",
        "# a\n---\n# b\na: b # c\n\n---\nc: d\n---\n",
        "a:\n  b: 1\n  c:\n  - d\n  - e: f\n    g: h\n\n    # i\n    j:\n      k: l\n  - - m\n    - n\no: p\n",
        "a:\nb: ~\nc:\n  -\n    d: e\n  - # f\n    g: h\n  - i\n",
        "a: [b, \"c\", 'd', [e, 1], {f: g}]\nh: {i: j, k: {l: fd77:1::/64}}\nm: []\nn: {}\n",
        "a: |\n  b\n   c # d\n\n  e\nf: >-\n  g\n  h\n\n\n  i\n# j\nk: l\n",
        "- a: b\n  c: d\n- e\n",
        "a: Müller & Söhne # größer\nb: {c: é, d: ü}\n",
        "a: b",
        "a: \"\"\nb: ''\nc: a:b c#d 10:00\n",
        "{a: b}",
    ];
    // The last is a flow collection at the root, as in JSON.
    for text in &plain[..plain.len() - 1] {
        assert!(check(text), "{text:?}");
    }
    assert!(!check(plain[plain.len() - 1]));
}

#[test]
fn what_is_not_sure_is_left_to_the_full_parser() {
    let unsure = [
        "a: b\na: c\n",
        "a: b\n c: d\n",
        "a: b\n  c\n",
        "a: b: c\n",
        "a: - b\n",
        "a: [b\n",
        "a: [b,\n  c]\n",
        "a: \"b\\n\"\n",
        "a: 'b''c'\n",
        "a: &b c\n",
        "a: *b\n",
        "a: !b c\n",
        "? a\n: b\n",
        "\"a\": b\n",
        "<<: {}\n",
        "a:\tb\n",
        "a: b\r\n",
        "a\n",
        "...\n",
        "a: b\n...\n",
        "%YAML 1.2\n---\na: b\n",
        "--- a\n",
        "a: |2\n  b\n",
        "a: |+\n  b\n",
        "a: >\n  b\n   c\n",
        "a: @b\n",
        "a: \u{202e}b\n",
        "- a\nb: c\n",
        "a: b\n- c\n",
        "a: {b: c, b: d}\n",
        "a: {b}\n",
        "a: [b,]\n",
        "a: {b: c}}\n",
        "a: [b]c\n",
        "a: \"b\"c\n",
        "a: |\n b\nc",
        "a: |\n  b",
        "--a: b\n",
        "a: b #c\n---#d\n",
    ];
    for text in unsure {
        assert!(!check(text), "{text:?}");
    }
}

#[test]
fn examples_and_definitions_are_read_alike() {
    let planner = std::env::var_os("CARGO_MANIFEST_DIR").expect("run with cargo");
    let mut taken = 0;
    for folder in ["tests/bad-input", "../../manifests/quickstart", "../../crds"] {
        for entry in fs::read_dir(Path::new(&planner).join(folder)).expect("the folder exists") {
            let bytes = fs::read(entry.expect("readable").path()).expect("readable");
            taken += usize::from(check(&String::from_utf8_lossy(&bytes)));
        }
    }

    assert!(taken > 20, "only {taken} files are plain");
}

#[test]
fn a_crowd_is_read_alike_and_quickly() {
    for (name, text) in crowd::crowd(500, 7) {
        assert!(check(&text), "{name} is not plain");
    }
}

#[test]
fn mutated_files_are_read_alike() {
    let seed = 11;
    let mut random = crowd::Random::new(seed);
    let mut below = |end: usize| random.below(end);
    let files: Vec<String> = crowd::crowd(40, seed)
        .into_iter()
        .flat_map(|(_, text)| text.split("---\n").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let (mut taken, rounds) = (0, 20_000);

    for _ in 0..rounds {
        // Half are short, so that a piece meets a piece.
        let mut text = match below(2) {
            0 => files[below(files.len())].clone().into_bytes(),
            _ => (0..below(12)).flat_map(|_| mutate::PIECES[below(mutate::PIECES.len())].to_vec()).collect(),
        };
        mutate::mutate(&mut text, &mut below);
        if let Ok(text) = std::str::from_utf8(&text) {
            taken += usize::from(check(text));
        }
    }

    assert!(taken > rounds / 20, "only {taken} of {rounds} were plain");
}
