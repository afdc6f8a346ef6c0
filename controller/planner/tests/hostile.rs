//! Reading takes time in proportion to the bytes, whatever they are, and never more than a microsecond for each.
//!
//! `fuzz/` looks further, with the same oracle; what it found and kept is tried here again.

#[path = "world/crowd.rs"]
mod crowd;
#[path = "world/mutate.rs"]
mod mutate;
#[path = "world/objects.rs"]
mod objects;
#[path = "world/oracle.rs"]
mod oracle;
#[path = "world/spec.rs"]
mod spec;

use std::{fs, path::Path};

use horizon_planner::{
    manifest::parse_folder,
    schema::{Schema, Type},
};
use oracle::cost;

/// Says whether it holds at least once in three times: what disturbs a measurement does not come back.
fn holds(claim: impl Fn() -> bool) -> bool {
    (0..3).any(|_| claim())
}

/// Repeats a piece to a size.
fn repeated(piece: &str, bytes: usize) -> Vec<u8> {
    piece.bytes().cycle().take(bytes / piece.len() * piece.len()).collect()
}

/// Lines, each deeper than the last: the text of n levels has n² bytes.
fn stairs(piece: &str, bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    for level in 0.. {
        if text.len() >= bytes {
            break;
        }
        text += &format!("{}{piece}\n", " ".repeat(level));
    }
    text.into_bytes()
}

fn numbered(bytes: usize, line: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = String::new();
    (0..)
        .map(line)
        .take_while(|line| {
            text += line;
            text.len() < bytes
        })
        .for_each(drop);
    text.into_bytes()
}

const PIECES: [&str; 62] = [
    "[",
    "{",
    "[{",
    "{a: ",
    "[a,",
    "[[],",
    "{a: [",
    "- ",
    "- - ",
    "? ",
    "? - ",
    "a: \n",
    "a:\n",
    "a\n",
    "a ",
    "a: a: ",
    "a:b ",
    ": ",
    ":\n",
    "-\n",
    "- a\n",
    "- a: b\n",
    "a: b\n",
    "? a\n: b\n",
    "&a ",
    "&a a: *a\n",
    "*a ",
    "- *a\n",
    "- &a a\n",
    "!!str ",
    "!a ",
    "- !a b\n",
    "#",
    "# a\n",
    "a #",
    "\t",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\r ",
    "\"",
    "'",
    "\"a\" ",
    "'a': ",
    "\\",
    "|\n",
    "- |\n",
    "- |\n\n",
    "- >\n  a\n",
    "---\n",
    "--- a\n",
    "...\n",
    "%A b\n",
    "%YAML 1.1\n---\n",
    "%TAG !a! b\n",
    "\u{feff}",
    "\u{202e}",
    "é",
    "é: ",
    "[é, ",
    "\u{85}",
];

const OPENED: [&str; 14] = [
    "a: \"", "a: '", "a: [", "a: {", "a: |\n", "a: |\n ", "a: >\n ", "[", "{", "? ", "- ", "\"", "'",
    "a: &b ",
];

fn hostile(bytes: usize) -> Vec<(String, Vec<u8>)> {
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    for piece in PIECES {
        texts.push((format!("{piece:?} again and again"), repeated(piece, bytes)));
        for opened in OPENED {
            let text = [opened.as_bytes(), &repeated(piece, bytes)].concat();
            texts.push((format!("{opened:?} and then {piece:?}"), text));
        }
    }
    for piece in ["a:", "-", "- a:", "?", "a: b", "#", "\"", "|"] {
        texts.push((format!("stairs of {piece:?}"), stairs(piece, bytes)));
    }
    texts.push(("a thousand fields that nobody knows".into(), {
        let fields = numbered(bytes, |n| format!("{}q{n}: 1", if n == 0 { "{" } else { ", " }));
        [
            b"apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: u}\nspec: ".as_slice(),
            &fields,
            b"}\n",
        ]
        .concat()
    }));
    texts.push(("zones that do not exist".into(), numbered(bytes, |n| {
        format!("---\napiVersion: horizon.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: p{n}}}\nspec: {{networkRef: {{name: o}}, action: Allow, from: [{{any: true}}], rules: [{{to: [{{any: true}}]}}], windows: [{{days: [Mon], start: \"08:00\", end: \"09:00\", timeZone: Europe/Nowhere{n}}}]}}\n")
    })));
    texts.push(("rules of which every part breaks a rule".into(), {
        let selectors = vec!["{network: elsewhere}"; 64].join(", ");
        numbered(bytes, |n| {
            if n % 64 == 0 {
                format!("---\napiVersion: horizon.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: p{n}}}\nspec:\n  networkRef: {{name: o}}\n  action: Allow\n  from: [{{any: true}}]\n  rules:\n  - {{to: [{selectors}]}}\n")
            } else {
                format!("  - {{to: [{selectors}]}}\n")
            }
        })
    }));
    texts.push(("different keys".into(), numbered(bytes, |n| format!("k{n}: v\n"))));
    texts.push((
        "keys in flow".into(),
        numbered(bytes, |n| format!("{}k{n}: v", if n == 0 { "{" } else { ", " })),
    ));
    texts.push(("anchors by name".into(), numbered(bytes, |n| format!("- &a{n} *a{}\n", n / 2))));
    texts.push(("indentations".into(), numbered(bytes, |n| format!("{}a: b\n", " ".repeat(n * 7 % 30)))));
    texts.push(("objects without sense".into(), numbered(bytes, |n| {
        format!("apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {{name: u{n}}}\nspec: {{x{n}: 1, y: 2, groups: [a, a]}}\n---\n")
    })));
    texts.push((
        "items of a list".into(),
        numbered(bytes, |n| match n {
            0 => "apiVersion: v1\nkind: List\nitems:\n".to_owned(),
            _ => "- {}\n".to_owned(),
        }),
    ));
    texts
}

#[test]
fn time_grows_with_the_bytes_whatever_they_are() {
    const SMALL: usize = 16 * 1024;
    let mut wrong = Vec::new();
    for ((name, small), (_, large)) in hostile(SMALL).into_iter().zip(hostile(4 * SMALL)) {
        // Quadratic time grows sixteenfold, linear time fourfold.
        let is_linear = || cost(&large) < 9 * cost(&small) + 2_000_000 * SLOWNESS;
        if !holds(|| cost(&large) < limit(&large)) || !holds(is_linear) {
            wrong.push(format!("{name}: {} µs, then {} µs", cost(&small) / 1000, cost(&large) / 1000));
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn limit(bytes: &[u8]) -> u64 {
    oracle::limit(bytes.len(), SLOWNESS)
}

/// How much slower than a release build this one may be.
const SLOWNESS: u64 = if cfg!(debug_assertions) { 8 } else { 1 };

#[test]
fn mutated_files_get_an_answer_in_time() {
    let seed = 5;
    let mut random = crowd::Random::new(seed);
    let mut below = |end: usize| random.below(end);
    let planner = std::env::var_os("CARGO_MANIFEST_DIR").expect("run with cargo");
    let corpus = fs::read_dir(Path::new(&planner).join("tests/bad-input")).expect("the corpus exists");
    let mut files: Vec<Vec<u8>> =
        corpus.map(|entry| fs::read(entry.expect("readable").path()).expect("readable")).collect();
    files.sort();
    files.extend(crowd::crowd(20, seed).into_iter().map(|(_, text)| text.into_bytes()));
    files.extend(hostile(2_000).into_iter().map(|(_, text)| text));

    for round in 0..2_000 {
        let mut text = files[below(files.len())].clone();
        mutate::mutate(&mut text, &mut below);

        assert!(holds(|| cost(&text) < limit(&text)), "round {round}: {:?}", String::from_utf8_lossy(&text));
        oracle::answer(&text);
    }
}

/// The texts that fuzzing began with, those that led it somewhere, and those that were slow or wrong once.
#[test]
fn what_fuzzing_kept_gets_an_answer_in_time() {
    let planner = std::env::var_os("CARGO_MANIFEST_DIR").expect("run with cargo");
    let planner = Path::new(&planner);
    let texts = |folder: &str| -> Vec<Vec<u8>> {
        let entries = fs::read_dir(planner.join(folder)).expect("the folder exists");
        let read = |entry: std::io::Result<fs::DirEntry>| fs::read(entry.expect("readable").path());
        entries.map(|entry| read(entry).expect("readable")).collect()
    };
    let [plain, pieces, choices] =
        ["parse", "repeat", "objects"].map(|target| texts(&format!("fuzz/seeds/{target}")));
    assert!(plain.len() > 50 && pieces.len() > 50 && choices.len() > 20, "the seeds are there");

    for text in plain.iter().chain(&texts("../../manifests/examples")) {
        oracle::ask(text, SLOWNESS);
    }
    for piece in &pieces {
        oracle::ask(&oracle::repeated(piece, 32 * 1024), SLOWNESS);
    }
    for choices in &choices {
        objects::ask(choices, SLOWNESS);
    }
}

/// Remarks are not counted by file: each is shown with its lines, and only the text as a whole costs its length.
#[test]
fn as_many_remarks_as_objects_are_shown_in_time() {
    let devices = numbered(1 << 20, |n| {
        format!(
            "---\napiVersion: horizon.dev/v1alpha1\nkind: Device\nmetadata: {{name: d{n}}}\nspec: {{userRef: {{name: nobody}}, networkRefs: [{{name: nowhere}}]}}\n"
        )
    });
    let objects = devices.iter().filter(|byte| **byte == b'\n').count() / 5;

    oracle::ask(&devices, SLOWNESS);

    let shown = oracle::answer(&devices);
    assert!(shown.matches("error: Device/d").count() >= 2 * objects, "{objects}");
}

#[test]
fn rows_that_no_file_can_hold_are_refused_by_name() {
    let told = |name: &str, bytes: &[u8]| -> Vec<String> {
        let good = b"apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: alice}\nspec: {}\n";
        let parsed = parse_folder(&[(name, bytes), ("zz.yaml", good)]);
        assert_eq!(parsed.manifests.len(), 1, "{name}: the other file applies");
        assert!(parsed.broken_files.contains(name), "{name}: what it held before stays");
        parsed.problems.iter().map(ToString::to_string).collect()
    };

    // Written by code, because no editor should show them.
    for (character, shown) in [
        ('\u{202e}', "18: error: the invisible character `\\u202e`"),
        ('\u{200b}', "18: error: the invisible character `\\u200b`"),
        ('\u{7}', "21: error: the invisible character `\\u0007`"),
    ] {
        let name = format!(
            "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {{name: \"al{character}ice\"}}\nspec: {{}}\n"
        );
        assert_eq!(
            told("06.yaml", name.as_bytes()),
            [format!("06.yaml:3:{shown} is not allowed; remove it")]
        );
    }
    let aliases = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 19), "*a, ".repeat(500));
    assert_eq!(
        told("13.yaml", aliases.as_bytes()),
        ["13.yaml:1:7: error: anchors and aliases (`&a`, `*a`) are not allowed; write the value out"]
    );
    assert_eq!(
        told("14.yaml", "[".repeat(100_000).as_bytes()),
        ["14.yaml:1:33: error: nesting deeper than 32 is not allowed; no kind needs it"]
    );
    assert_eq!(
        told("15.yaml", "{a: ".repeat(50_000).as_bytes()),
        ["15.yaml:1:129: error: nesting deeper than 32 is not allowed; no kind needs it"]
    );
    let many = "a: b\n---\n".repeat(200_000);
    let problems = told("21.yaml", many.as_bytes());
    assert_eq!(problems.len(), 102);
    assert_eq!(problems[100], "21.yaml:200:1: error: 9901 more problems in this file are not listed");
    assert_eq!(
        problems[101],
        "21.yaml:20002:1: error: the file has more than 10000 documents; split it into several files"
    );
    let empty = "---\n# nothing\n".repeat(200_000);
    assert_eq!(parse_folder(&[("21.yaml", empty.as_bytes())]).problems, []);
}
