//! Three lines of a file around a problem, for a terminal. Values that may be secret are masked.

use horizon_api::problem::{Problem, printable};

use crate::secret::{Secret, is_secret_field};

/// A longer line is cut: it is a machine's.
const LINE_CHARS_MAX: usize = 120;

/// Returns the line of a problem, the one before it, and a mark below; nothing when it is about the whole file.
pub fn excerpt(problem: &Problem, text: &str) -> Option<String> {
    let number = usize::try_from(problem.line).ok()?.checked_sub(1)?;
    let line = text.lines().nth(number)?;
    let width = problem.line.to_string().len();
    let mut shown = String::new();
    if let Some(before) = number.checked_sub(1).and_then(|before| text.lines().nth(before)) {
        shown.push_str(&format!("{:>width$} | {}\n", problem.line - 1, masked(before)));
    }
    shown.push_str(&format!("{:>width$} | {}\n", problem.line, masked(line)));
    let column = usize::try_from(problem.column).unwrap_or(1).saturating_sub(1).min(LINE_CHARS_MAX);
    shown.push_str(&format!("{:>width$} | {}^", "", " ".repeat(column)));
    Some(shown)
}

/// Hides the value of a line whose key may hold a secret, and everything that looks like one.
fn masked(line: &str) -> String {
    let cut: String = line.chars().take(LINE_CHARS_MAX).collect();
    let cut = cut.replace('\t', " ");
    let is_secret_block = !cut.contains(": ") && cut.trim().len() >= 40 && !cut.trim().contains(' ');
    let hidden = cut.split_once(':').filter(|(key, value)| {
        let field = key.trim_start_matches([' ', '-', '{', '"', '\'']).trim_end_matches(['"', '\'']);
        let value = value.trim();
        (is_secret_field(field) || Secret::find(field, value).is_some()) && !value.is_empty()
    });
    match hidden {
        Some((key, _)) => format!("{}: …", printable(key)),
        None if is_secret_block || holds_secret(&cut) => {
            let indentation = cut.len() - cut.trim_start().len();
            format!("{}…", " ".repeat(indentation))
        }
        None => printable(&cut),
    }
}

fn holds_secret(line: &str) -> bool {
    let inline = line.split([',', '{', '}']).any(|part| {
        let (key, value) = part.split_once(':').unwrap_or(("", part));
        is_secret_field(key.trim().trim_matches(['"', '\''])) && !value.trim().is_empty()
    });
    inline || line.split_whitespace().any(|word| Secret::find("", word.trim_matches(['"', '\''])).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let problem = Problem::error("a.yaml", "Type", "wrong").at(1, 3);
        excerpt(&problem, line).expect("a line").lines().next().expect("a line").to_owned()
    }

    #[test]
    fn the_mark_stands_under_the_column() {
        let problem = Problem::error("a.yaml", "Type", "wrong").at(2, 9);

        let excerpt = excerpt(&problem, "spec:\n  mtu: \"1380\"\n").expect("the line exists");

        assert_eq!(excerpt, "1 | spec:\n2 |   mtu: \"1380\"\n  |         ^");
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(shown("  hash: sha256:0011"), "1 |   hash: …");
        assert_eq!(shown("  password: hunter2"), "1 |   password: …");
        assert_eq!(shown("  - publicKey: abc="), "1 |   - publicKey: …");
        assert_eq!(shown("spec: {hash: sha256:00}"), "1 | …");
        assert!(!shown(&format!("  note: hzr_{}", "a".repeat(60))).contains("aaaa"));
        assert_eq!(shown(&format!("    {}", "b".repeat(64))), "1 |     …");
    }

    #[test]
    fn everything_else_is_shown() {
        assert_eq!(shown("  registrationKeyRef: {name: gw}"), "1 |   registrationKeyRef: {name: gw}");
        assert_eq!(shown("  mtu: 99\u{202e}"), "1 |   mtu: 99\\u202e");
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_excerpt() {
        assert_eq!(excerpt(&Problem::error("a.yaml", "NotText", "not text"), "x"), None);
    }
}
