//! The table as people read it.

use std::fmt::Write as _;

use super::table::{REASONS, Reason, Way};

const HEAD: &str = "\
# One verdict

A resource gets one verdict, whichever way it comes: by a folder, by the API of a controller that runs alone, by a \
Kubernetes cluster with the controller in it, or by the editor of the console.
One schema and one set of rules decide (`crds/`), and what is wrong is said in the same words at the same place.
Here is what differs from the folder all the same, and why.
`tests/tests/doors.rs` sends the corpus of bad manifests (`controller/planner/tests/bad-input`) and all examples through \
every door, and fails when this list lacks something, or when something of it is not true any more.
`FILE#2` is the second document of a file.
";

/// Returns the page, which ends with a line break.
pub(crate) fn text() -> String {
    let sections: String = REASONS.iter().map(section).collect();
    format!("{HEAD}{sections}")
}

fn section(reason: &Reason) -> String {
    let doors: Vec<String> = reason.doors.iter().map(|door| format!("{door}")).collect();
    let mut section = format!("\n## {}\n\nWhere: {}.\n", reason.title, doors.join(", and "));
    for sentence in reason.why.split_inclusive(". ") {
        section.push_str(sentence.trim_end());
        section.push('\n');
    }
    section.push('\n');
    for line in lines(reason) {
        // A String takes whatever is written.
        let _ = writeln!(section, "- {line}");
    }
    section
}

fn lines(reason: &Reason) -> Vec<String> {
    let cases = |wanted: fn(&Way) -> Option<&'static str>| {
        let cases: Vec<String> =
            reason.ways.iter().filter_map(wanted).map(|case| format!("`{case}`")).collect();
        (!cases.is_empty()).then(|| cases.join(", "))
    };
    let verdicts = cases(|way| if let Way::Verdict(case) = way { Some(case) } else { None });
    let unsaid = cases(|way| if let Way::Unsaid(case) = way { Some(case) } else { None });
    let more = cases(|way| if let Way::More(words) = way { Some(words) } else { None });
    let words: Vec<String> = reason.ways.iter().filter_map(words).collect();
    let mut lines: Vec<String> =
        verdicts.map(|cases| format!("Another verdict: {cases}")).into_iter().collect();
    lines.extend(words);
    lines.extend(unsaid.map(|cases| format!("Not said there: {cases}")));
    lines.extend(more.map(|words| format!("Said beside it: {words}")));
    for way in reason.ways {
        match way {
            Way::NotSent => lines.push("Not sent at all".to_owned()),
            Way::InStatus => lines.push(
                "Taken, and kept out with the reason in the condition `Accepted` or `ResolvedRefs`"
                    .to_owned(),
            ),
            Way::FirstOnly => lines.push("The first reason only".to_owned()),
            Way::Place => lines.push("The same words, at the list or the object around it".to_owned()),
            Way::Verdict(_) | Way::Unsaid(_) | Way::Words { .. } | Way::More(_) => {}
        }
    }
    lines
}

fn words(way: &Way) -> Option<String> {
    let Way::Words { ours, theirs } = way else { return None };
    Some(format!("`{ours}` is said as `{theirs}`"))
}
