//! Three lines of a file around a problem, for a terminal. Values that may be secret are masked.

use horizon_api::problem::{Problem, printable};

use crate::secret::{Secret, is_secret_field};

/// A longer line is cut: it is a machine's.
const LINE_CHARS_MAX: usize = 120;
/// How far above a line the key of its value may stand; an armoured private key has fewer.
const BLOCK_LINES_MAX: usize = 64;

/// Returns the lines before, at and after a problem, with a mark; nothing when it is about the whole file.
pub fn excerpt(problem: &Problem, text: &str) -> Option<String> {
    let number = usize::try_from(problem.line).ok()?.checked_sub(1)?;
    let lines: Vec<&str> = text.lines().take(number + 2).collect();
    lines.get(number)?;
    let width = (number + 2).min(lines.len()).to_string().len();
    let mut shown = String::new();
    for index in number.saturating_sub(1)..lines.len() {
        let line = if hides_in_block(&lines, index) { hidden(lines[index]) } else { masked(lines[index]) };
        shown.push_str(&format!("{:>width$} | {line}\n", index + 1));
        if index == number {
            let column = usize::try_from(problem.column).unwrap_or(1).saturating_sub(1).min(LINE_CHARS_MAX);
            shown.push_str(&format!("{:>width$} | {}^\n", "", " ".repeat(column)));
        }
    }
    Some(shown.trim_end_matches('\n').to_owned())
}

/// Says whether a line belongs to a value that begins above it, under a key that may hold a secret.
fn hides_in_block(lines: &[&str], index: usize) -> bool {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let own = depth(lines[index]);
    let above = lines[index.saturating_sub(BLOCK_LINES_MAX)..index].iter().rev();
    let head = above.filter(|line| !line.trim().is_empty()).find(|line| depth(line) < own);
    head.and_then(|line| line.split_once(':'))
        .is_some_and(|(key, _)| is_secret_field(key.trim_start_matches([' ', '-', '{', '"', '\'']).trim()))
}

fn hidden(line: &str) -> String {
    format!("{}…", " ".repeat((line.len() - line.trim_start().len()).min(LINE_CHARS_MAX)))
}

/// Hides the value of a line whose key may hold a secret, and everything that looks like one.
fn masked(line: &str) -> String {
    let cut: String = line.chars().take(LINE_CHARS_MAX).collect();
    let cut = cut.replace('\t', " ");
    let is_secret_block = !cut.contains(": ") && cut.trim().len() >= 40 && !cut.trim().contains(' ');
    let keyed = cut.split_once(':').filter(|(key, value)| {
        let field = key.trim_start_matches([' ', '-', '{', '"', '\'']).trim_end_matches(['"', '\'']);
        let value = value.trim();
        (is_secret_field(field) || Secret::find(field, value).is_some()) && !value.is_empty()
    });
    match keyed {
        Some((key, _)) => format!("{}: …", printable(key)),
        None if is_secret_block || holds_secret(&cut) => hidden(&cut),
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

        let excerpt = excerpt(&problem, "spec:\n  mtu: \"1380\"\n  pq: Required\n").expect("the line exists");

        assert_eq!(excerpt, "1 | spec:\n2 |   mtu: \"1380\"\n  |         ^\n3 |   pq: Required");
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
    fn secrets_in_blocks_are_masked() {
        let text = "  passwordHash: |\n    hunter2\n  role: Owner\n";
        let problem = Problem::error("a.yaml", "Secret", "a plain password").at(2, 5);

        let excerpt = excerpt(&problem, text).expect("the line exists");

        assert_eq!(excerpt, "1 |   passwordHash: …\n2 |     …\n  |     ^\n3 |   role: Owner");
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
