//! The offline verdict on a folder, as `horizon-controller check` gives it: the folder is the whole world.

use horizon_api::problem::{Problem, Severity};

use crate::{
    compile::{Input, SourceSnapshot, compile},
    excerpt::excerpt,
    manifest::{File, parse_folder},
};

/// Returns every problem of a folder in the order of its files. `now` is unix seconds.
pub fn check(files: &[File<'_>], now: i64) -> Vec<Problem> {
    let source =
        SourceSnapshot { source: "files".into(), parsed: parse_folder(files).into(), is_complete: true };
    let input = Input { sources: vec![source], ..Input::default() };
    let mut problems = compile(&input, now).problems;
    // Nobody else can bring what is missing.
    for problem in &mut problems {
        if problem.code == "RefNotFound" {
            problem.severity = Severity::Error;
        }
    }
    problems.sort();
    problems
}

/// Returns the problems as lines for people, each with the text that it is about.
pub fn to_text(problems: &[Problem], files: &[File<'_>]) -> String {
    let mut shown = String::new();
    for problem in problems {
        shown.push_str(&format!("{problem}\n"));
        let text = files.iter().find(|(file, _)| *file == problem.file);
        let text = text.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok());
        if let Some(excerpt) = text.and_then(|text| excerpt(problem, text)) {
            for line in excerpt.lines() {
                shown.push_str(&format!("    {line}\n"));
            }
        }
    }
    shown
}

/// Returns the problems as one JSON object a line.
pub fn to_json_lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| serde_json::json!(problem).to_string() + "\n").collect()
}
