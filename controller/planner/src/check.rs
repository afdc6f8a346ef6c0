//! The offline verdict on a folder, as `horizon-controller check` gives it: the folder is the whole world.

use std::collections::BTreeMap;

use horizon_api::{
    http::{CheckAnswer, CheckedObject},
    problem::{Problem, Severity},
};

use crate::{
    compile::{Input, SourceSnapshot, compile},
    excerpt::Excerpts,
    manifest::{File, parse_file, parse_folder},
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

/// Returns the verdict on one text alone, as an editor asks for it. Whether what it refers to is there is not looked at.
pub fn check_text(text: &[u8]) -> CheckAnswer {
    let parsed = parse_file(TEXT, text);
    let accepted = parsed.manifests.iter().map(|manifest| (&manifest.key, &manifest.origin));
    let rejected = parsed.rejected.iter().map(|rejected| (&rejected.key, &rejected.origin));
    let declared = accepted.chain(rejected);
    let mut objects: Vec<_> = declared
        .map(|(key, origin)| CheckedObject { object: key.clone(), line: origin.place.line })
        .collect();
    objects.sort_by_key(|object| object.line);
    let mut problems = parsed.problems;
    problems.sort();
    CheckAnswer { problems, objects }
}

/// What stands for the name of a file where there is none.
const TEXT: &str = "text";

/// Returns the problems as lines for people, each with the text that it is about.
pub fn to_text(problems: &[Problem], files: &[File<'_>]) -> String {
    let mut shown = String::new();
    for (problem, excerpt) in problems.iter().zip(excerpts(problems, files)) {
        shown.push_str(&format!("{problem}\n"));
        for line in excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            shown.push_str(&format!("    {line}\n"));
        }
    }
    shown
}

/// Returns the text around each problem. File by file, so that the lines of one file at a time are in memory.
fn excerpts(problems: &[Problem], files: &[File<'_>]) -> Vec<Option<String>> {
    let texts: BTreeMap<&str, &[u8]> = files.iter().copied().collect();
    let mut of_file: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, problem) in problems.iter().enumerate() {
        of_file.entry(&problem.file).or_default().push(number);
    }
    let mut found = vec![None; problems.len()];
    for (file, numbers) in of_file {
        let text = texts.get(file).and_then(|text| std::str::from_utf8(text).ok());
        let Some(excerpts) = text.map(Excerpts::of) else { continue };
        for number in numbers {
            found[number] = excerpts.around(&problems[number]);
        }
    }
    found
}

/// Returns the problems as one JSON object a line.
pub fn to_json_lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| serde_json::json!(problem).to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_alone_says_what_it_declares_and_what_is_wrong() {
        let text = b"\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: alice, namespace: office}
spec: {maxDevices: many}
---
apiVersion: horizon.dev/v1alpha1
kind: PersonalKey
metadata: {name: laptop}
spec: {userRef: {name: nobody}, networkRefs: [{name: office}], generate: {}}
---
kind: Cat
";

        let CheckAnswer { problems, objects } = check_text(text);

        let declared: Vec<_> =
            objects.iter().map(|declared| (declared.object.to_string(), declared.line)).collect();
        assert_eq!(declared, [("User/office/alice".to_owned(), 1), ("PersonalKey/laptop".to_owned(), 6)]);
        let wrong: Vec<_> = problems.iter().map(|problem| (problem.line, problem.path.as_str())).collect();
        assert!(wrong.contains(&(4, "spec.maxDevices")), "{problems:?}");
        assert!(wrong.iter().all(|(line, _)| *line == 4 || *line >= 11), "{problems:?}");
        assert_eq!(check_text(b""), CheckAnswer::default());
    }

    #[test]
    fn each_problem_stands_before_its_text_in_the_order_given() {
        let files: [File<'_>; 2] = [("a.yaml", b"x: 1\ny: 2\n"), ("b.yaml", b"z: 3\n")];
        let problem = |file: &str, line: u32| Problem::error(file, "Type", "wrong").at(line, 1);

        let shown = to_text(&[problem("a.yaml", 2), problem("b.yaml", 1), problem("a.yaml", 1)], &files);

        let wanted = "\
a.yaml:2:1: error: wrong
    1 | x: 1
    2 | y: 2
      | ^
b.yaml:1:1: error: wrong
    1 | z: 3
      | ^
a.yaml:1:1: error: wrong
    1 | x: 1
      | ^
    2 | y: 2
";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_problem_of_a_file_that_is_not_there_has_no_excerpt() {
        let problem = Problem::error("gone.yaml", "Type", "wrong").at(1, 1);

        assert_eq!(to_text(std::slice::from_ref(&problem), &[("a.yaml", b"x")]), format!("{problem}\n"));
    }
}
