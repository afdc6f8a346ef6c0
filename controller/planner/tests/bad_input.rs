//! What people and machines feed us, and what they are told: `bad-input/NAME` beside `bad-input/NAME.out`.
//! What stands in `NAME.before.yaml` is in force when the input arrives. `UPDATE=1` rewrites the answers; read the difference as you would read code.

use std::{collections::BTreeSet, fs, path::PathBuf};

use horizon_api::problem::Problem;
use horizon_planner::{
    check::{check, to_json_lines, to_text},
    compile::{Input, SourceSnapshot, compile},
    manifest::parse_folder,
};

/// The first moment of 2026 (unix seconds).
const NOW: i64 = 1_767_225_600;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run with cargo")).join("tests/bad-input")
}

fn check_one(name: &str, bytes: &[u8]) -> Vec<Problem> {
    check(&[(name, bytes)], NOW)
}

/// Checks a file that takes the place of an earlier one.
fn check_change(name: &str, before: &[u8], bytes: &[u8]) -> Vec<Problem> {
    let input = |bytes: &[u8]| {
        let parsed = parse_folder(&[(name, bytes)]).into();
        Input {
            sources: vec![SourceSnapshot { source: "files".into(), parsed, is_complete: true }],
            ..Input::default()
        }
    };
    let compiled = compile(&input(before), NOW);
    assert!(compiled.problems.iter().all(|p| !p.is_error()), "{name}: {:?}", compiled.problems);
    let previous = compiled.objects.values().cloned().collect();
    let after = Input { previous, allocations: compiled.allocations, ..input(bytes) };
    compile(&after, NOW).problems
}

#[test]
fn every_input_gets_its_answer() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .expect("the corpus exists")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.ends_with(".out") && !name.ends_with(".before.yaml"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "the corpus is there");
    for name in names {
        let bytes = fs::read(folder().join(&name)).expect("readable");
        let before = fs::read(folder().join(name.replace(".yaml", ".before.yaml")));
        let problems = match before {
            Ok(before) if name.ends_with(".yaml") => check_change(&name, &before, &bytes),
            Ok(_) | Err(_) => check_one(&name, &bytes),
        };
        let answer = to_text(&problems, &[(&name, &bytes)]);
        let golden = folder().join(format!("{name}.out"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &answer).expect("writable");
        }

        assert_eq!(answer, fs::read_to_string(golden).unwrap_or_default(), "{name}");
    }
}

#[test]
fn no_problem_is_told_twice() {
    for entry in fs::read_dir(folder()).expect("the corpus exists") {
        let path = entry.expect("readable").path();
        let problems = check_one("a.yaml", &fs::read(&path).expect("readable"));

        for (index, problem) in problems.iter().enumerate() {
            assert!(!problems[..index].contains(problem), "{}: {problem}", path.display());
        }
    }
}

#[track_caller]
fn first(bytes: &[u8]) -> String {
    check_one("a.yaml", bytes).first().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn what_is_not_utf8_text_is_named() {
    let utf16: Vec<u8> = "kind: User\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&[0xff, 0xfe], utf16.as_slice()].concat();

    assert_eq!(first(&utf16), "a.yaml:1:1: error: the file is UTF-16; save it as UTF-8");
    assert_eq!(first(&with_mark), "a.yaml:1:1: error: the file is UTF-16; save it as UTF-8");
    assert_eq!(
        first(b"kind: User\nname: M\xfcller\n"),
        "a.yaml:2:8: error: byte 0xfc is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(first(b"a: b\nc: \0d\n"), "a.yaml:2:4: error: a NUL character is not text; remove it");
    assert_eq!(
        first(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x02"),
        "a.yaml:1:1: error: the file is not text; give it another ending or move it away"
    );
}

#[test]
fn a_byte_order_mark_of_utf8_is_nothing() {
    let text = "\u{feff}apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: alice}\nspec: {}\n";

    assert_eq!(check_one("a.yaml", text.as_bytes()), []);
}

#[test]
fn nesting_ends_at_its_limit() {
    let deep = |open: &str, levels: usize| first(open.repeat(levels).as_bytes());

    for (open, levels) in [("[", 100_000), ("{a: ", 50_000), ("- ", 10_000)] {
        let message = deep(open, levels);
        assert!(message.contains("nesting deeper than 32 is not allowed"), "{open}: {message}");
    }
    let closed = |levels: usize| first(format!("{}{}", "[".repeat(levels), "]".repeat(levels)).as_bytes());
    assert!(closed(33).contains("nesting"), "{}", closed(33));
    assert!(!closed(32).contains("nesting"), "{}", closed(32));
}

#[test]
fn large_documents_are_refused_and_their_file_only() {
    let large = format!("a: {}\n", "x".repeat(2 * 1024 * 1024));
    let good = "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: alice}\nspec: {}\n";

    let problems = check(&[("a.yaml", large.as_bytes()), ("b.yaml", good.as_bytes())], NOW);

    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "TooLarge");
}

#[test]
fn documents_of_other_programs_hide_no_mistake_and_are_none() {
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n".repeat(150);
    let wrong =
        "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: alice}\nspec: {gruops: [a]}\n";

    let alone = check_one("a.yaml", foreign.as_bytes());
    let with_mistake = check_one("a.yaml", format!("{foreign}{wrong}").as_bytes());

    assert!(alone.iter().all(|problem| !problem.is_error()), "{alone:?}");
    assert_eq!(alone.last().map(|last| last.code.as_str()), Some("TooManyProblems"));
    let errors: Vec<_> = with_mistake.iter().filter(|problem| problem.is_error()).collect();
    assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [604]);
}

#[test]
fn many_warnings_hide_no_mistake_and_are_none() {
    let labels: String = (0..150).map(|number| format!("    l{number:03}: yes\n")).collect();
    let network = |spec: &str| {
        format!(
            "apiVersion: horizon.dev/v1alpha1\nkind: Network\nmetadata:\n  name: office\n  labels:\n{labels}spec:\n{spec}"
        )
    };
    let read = |text: &str| parse_folder(&[("a.yaml", text.as_bytes())]);

    let fine = read(&network("  addressPools: [{cidr: 10.77.0.0/16}]\n"));
    assert!(fine.problems.iter().all(|problem| !problem.is_error()), "{:?}", fine.problems.last());
    assert_eq!(fine.manifests.len(), 1);
    for spec in ["  adressPools: []\n", "  addressPools: [{cidr: fd77::/48}]\n  mtu: 1000\n"] {
        let wrong = read(&network(spec));
        assert!(wrong.problems.iter().any(|problem| problem.is_error() && problem.line > 150), "{spec}");
        assert_eq!((wrong.manifests.len(), wrong.rejected.len()), (0, 1), "{spec}");
    }
}

#[test]
fn many_documents_and_many_problems_are_bounded() {
    let documents = "a: b\n---\n".repeat(20_000);

    let problems = check_one("a.yaml", documents.as_bytes());

    let last: Vec<_> = problems[100..].iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(last, ["TooManyProblems", "TooManyDocuments"]);
}

#[test]
fn a_user_of_ten_thousand_groups_is_refused_by_the_limit() {
    let groups: Vec<_> = (0..10_000).map(|group| format!("g{group}")).collect();
    let text = format!(
        "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {{name: alice}}\nspec: {{groups: [{}]}}\n",
        groups.join(", ")
    );

    let answers: Vec<_> = check_one("a.yaml", text.as_bytes()).iter().map(ToString::to_string).collect();

    assert_eq!(
        answers,
        [
            "a.yaml:4:16: error: User/alice spec.groups: must have at most 64 entries, not 10000; split the object"
        ]
    );
}

#[test]
fn json_lines_have_the_documented_fields() {
    let line = to_json_lines(&check_one("a.yaml", b"- a\n"));

    let json: serde_json::Value = serde_json::from_str(line.trim_end()).expect("one object a line");
    // A set: whether JSON objects keep their order depends on what else is built with this crate.
    let fields: BTreeSet<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    let documented = ["file", "line", "column", "severity", "object", "path", "code", "message", "fix"];
    assert_eq!(fields, documented.into());
}
