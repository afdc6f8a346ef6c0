//! Three lines of a file around a problem, for a terminal. Values that may be secret are masked.

use horizon_api::problem::{Problem, printable};

use crate::secret::{Secret, is_secret_field};

/// A longer line is cut: it is a machine's.
const LINE_CHARS_MAX: usize = 120;
/// How far above a line the key of its value may stand; an armoured private key has fewer.
const BLOCK_LINES_MAX: usize = 64;
/// A key is shorter; more of a line is not looked at for one.
const KEY_CHARS_MAX: usize = 512;

/// The lines of a text, cut once however many problems there are in it.
#[derive(Debug)]
pub struct Excerpts<'t>(Vec<Line<'t>>);

#[derive(Debug)]
struct Line<'t> {
    text: &'t str,
    /// Bytes of blanks before the rest.
    depth: usize,
}

impl<'t> Excerpts<'t> {
    /// Cuts a text into its lines.
    pub fn of(text: &'t str) -> Self {
        #[cfg(test)]
        tests::BYTES_CUT.with(|cut| cut.set(cut.get() + text.len()));
        let line = |text: &'t str| Line { text, depth: text.len() - text.trim_start().len() };
        Self(text.lines().map(line).collect())
    }

    /// Returns the lines before, at and after a problem, with a mark; nothing when it is about the whole file.
    pub fn around(&self, problem: &Problem) -> Option<String> {
        let Self(lines) = self;
        let number = usize::try_from(problem.line).ok()?.checked_sub(1)?;
        lines.get(number)?;
        let end = (number + 2).min(lines.len());
        let width = end.to_string().len();
        let mut shown = String::new();
        for (index, line) in lines.iter().enumerate().take(end).skip(number.saturating_sub(1)) {
            let line = if self.hides_in_block(index) { hidden(line.depth) } else { masked(line) };
            shown.push_str(&format!("{:>width$} | {line}\n", index + 1));
            if index == number {
                let column =
                    usize::try_from(problem.column).unwrap_or(1).saturating_sub(1).min(LINE_CHARS_MAX);
                shown.push_str(&format!("{:>width$} | {}^\n", "", " ".repeat(column)));
            }
        }
        Some(shown.trim_end_matches('\n').to_owned())
    }

    /// Says whether a line belongs to a value that begins above it, under a key that may hold a secret.
    fn hides_in_block(&self, index: usize) -> bool {
        let Self(lines) = self;
        let above = lines[index.saturating_sub(BLOCK_LINES_MAX)..index].iter().rev();
        let mut above = above.filter(|line| line.depth < line.text.len());
        let Some(head) = above.find(|line| line.depth < lines[index].depth) else { return false };
        let head: String = head.text[head.depth..].chars().take(KEY_CHARS_MAX).collect();
        head.split_once(':').is_some_and(|(key, _)| {
            is_secret_field(key.trim_start_matches([' ', '-', '{', '"', '\'']).trim())
        })
    }
}

fn hidden(depth: usize) -> String {
    format!("{}…", " ".repeat(depth.min(LINE_CHARS_MAX)))
}

/// Hides the value of a line whose key may hold a secret, and everything that looks like one.
fn masked(line: &Line<'_>) -> String {
    let cut: String = line.text.chars().take(LINE_CHARS_MAX).collect();
    let cut = cut.replace('\t', " ");
    let is_secret_block = !cut.contains(": ") && cut.trim().len() >= 40 && !cut.trim().contains(' ');
    let keyed = cut.split_once(':').filter(|(key, value)| {
        let field = key.trim_start_matches([' ', '-', '{', '"', '\'']).trim_end_matches(['"', '\'']);
        let value = value.trim();
        (is_secret_field(field) || Secret::find(field, value).is_some()) && !value.is_empty()
    });
    match keyed {
        Some((key, _)) => format!("{}: …", printable(key)),
        None if is_secret_block || holds_secret(&cut) => hidden(line.depth),
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
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Bytes of all texts that were cut.
        pub(crate) static BYTES_CUT: Cell<usize> = const { Cell::new(0) };
    }

    fn excerpt(problem: &Problem, text: &str) -> Option<String> {
        Excerpts::of(text).around(problem)
    }

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
