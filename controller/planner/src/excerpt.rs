//! Three lines of a file around a problem, for a terminal. Values that may be secret are masked.

use horizon_api::problem::{Problem, printable};

use crate::secret::{Secret, is_secret_field};

/// A longer line is cut: it is a machine's.
const LINE_CHARS_MAX: usize = 120;
/// How far above a line the key of its value may stand; an armoured private key has fewer.
const BLOCK_LINES_MAX: usize = 64;
/// A key is shorter; more of a line is not looked at for one.
const KEY_CHARS_MAX: usize = 512;

/// The lines of a text, found once however many problems there are in it.
#[derive(Debug)]
pub struct Excerpts<'t> {
    text: &'t str,
    /// Where each line begins (bytes): a text may be nothing but lines.
    starts: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Line<'t> {
    text: &'t str,
    /// Bytes of blanks before the rest.
    depth: usize,
}

impl<'t> Excerpts<'t> {
    /// Finds the lines of a text.
    pub fn of(text: &'t str) -> Self {
        let following = text.match_indices('\n').map(|(end, _)| end + 1);
        let starts = std::iter::once(0).chain(following).filter(|start| *start < text.len());
        Self { text, starts: starts.map_while(|start| u32::try_from(start).ok()).collect() }
    }

    fn line(&self, index: usize) -> Option<Line<'t>> {
        let start = |index: usize| self.starts.get(index).and_then(|start| usize::try_from(*start).ok());
        let text = &self.text[start(index)?..start(index + 1).unwrap_or(self.text.len())];
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        Some(Line { text, depth: text.len() - text.trim_start().len() })
    }

    /// Returns the lines before, at and after a problem, with a mark; nothing when it is about the whole file.
    pub fn around(&self, problem: &Problem) -> Option<String> {
        let number = usize::try_from(problem.line).ok()?.checked_sub(1)?;
        self.line(number)?;
        let end = (number + 2).min(self.starts.len());
        let width = end.to_string().len();
        let mut shown = String::new();
        for index in number.saturating_sub(1)..end {
            let line = self.line(index)?;
            let line = if self.hides_in_block(index, line) { hidden(line.depth) } else { masked(line) };
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
    fn hides_in_block(&self, index: usize, line: Line<'_>) -> bool {
        let above = (index.saturating_sub(BLOCK_LINES_MAX)..index).rev().filter_map(|index| self.line(index));
        let mut above = above.filter(|line| line.depth < line.text.len());
        let Some(head) = above.find(|head| head.depth < line.depth) else { return false };
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
fn masked(line: Line<'_>) -> String {
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
mod tests {
    use super::*;

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
    fn lines_end_as_their_writer_ended_them() {
        let lines = |text: &str| -> Vec<String> {
            let excerpts = Excerpts::of(text);
            (0..).map_while(|index| Some(excerpts.line(index)?.text.to_owned())).collect()
        };

        for text in ["", "\n", "a", "a\n", "a\r\nb\rc\n\n", "ä\n\nb\r"] {
            assert_eq!(lines(text), text.lines().collect::<Vec<_>>(), "{text:?}");
        }
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_excerpt() {
        assert_eq!(excerpt(&Problem::error("a.yaml", "NotText", "not text"), "x"), None);
    }
}
