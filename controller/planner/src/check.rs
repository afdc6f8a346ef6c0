//! The offline verdict on a folder, as `horizon-controller check` gives it: the folder is the whole world.

use std::collections::BTreeMap;

use horizon_api::problem::{Problem, Severity};

use crate::{
    compile::{Input, SourceSnapshot, compile},
    excerpt::Excerpts,
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
    let texts: BTreeMap<&str, &[u8]> = files.iter().copied().collect();
    let mut excerpts: BTreeMap<&str, Option<Excerpts<'_>>> = BTreeMap::new();
    let mut shown = String::new();
    for problem in problems {
        shown.push_str(&format!("{problem}\n"));
        let excerpts = excerpts.entry(&problem.file).or_insert_with(|| {
            let text = texts.get(problem.file.as_str())?;
            std::str::from_utf8(text).ok().map(Excerpts::of)
        });
        let excerpt = excerpts.as_ref().and_then(|excerpts| excerpts.around(problem));
        for line in excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            shown.push_str(&format!("    {line}\n"));
        }
    }
    shown
}

/// Returns the problems as one JSON object a line.
pub fn to_json_lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| serde_json::json!(problem).to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::excerpt::tests::BYTES_CUT;

    /// Returns the bytes that were cut into lines to show the problems of so many files with so many mistakes each.
    fn cut(files: usize, mistakes: usize) -> (usize, usize) {
        let text = format!("{}a: b\n", "# c\n".repeat(mistakes));
        let names: Vec<String> = (0..files).map(|file| format!("{file:04}.yaml")).collect();
        let files: Vec<File<'_>> = names.iter().map(|name| (name.as_str(), text.as_bytes())).collect();
        let problem = |name: &str, line: usize| {
            Problem::error(name, "Type", "wrong").at(u32::try_from(line).expect("a few"), 1)
        };
        // By line and not by file, as no two callers agree on an order.
        let problems: Vec<Problem> =
            (1..=mistakes).flat_map(|line| names.iter().map(move |name| problem(name, line))).collect();

        let before = BYTES_CUT.get();
        let shown = to_text(&problems, &files);

        assert_eq!(shown.matches("error: wrong").count(), problems.len());
        assert!(shown.contains("    1 | # c\n"), "{shown}");
        (BYTES_CUT.get() - before, files.len() * text.len())
    }

    #[test]
    fn every_text_is_cut_into_lines_once() {
        for (files, mistakes) in [(1, 1), (1, 300), (200, 1), (200, 20)] {
            let (cut, bytes) = cut(files, mistakes);

            assert_eq!(cut, bytes, "{files} files with {mistakes} mistakes");
        }
    }

    #[test]
    fn a_problem_of_a_file_that_is_not_there_has_no_excerpt() {
        let problem = Problem::error("gone.yaml", "Type", "wrong").at(1, 1);

        assert_eq!(to_text(std::slice::from_ref(&problem), &[("a.yaml", b"x")]), format!("{problem}\n"));
    }
}
