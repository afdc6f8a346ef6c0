//! Why input was refused, with its place and what to do: the same text in CLI, log, condition and console.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resource::ObjectKey;

/// One complaint about one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    pub file: String,
    /// 1 is the first; 0 when the problem is about the whole file.
    pub line: u32,
    /// In characters; 1 is the first.
    pub column: u32,
    pub severity: Severity,
    /// `Kind/name`, when it is known.
    pub object: Option<ObjectKey>,
    /// Where in the object, such as `spec.endpoints[0].port`; empty for all of it.
    pub path: String,
    /// The cause in one word, which does not change when the text does.
    pub code: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do, in one sentence; empty when the message says it all.
    pub fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    /// Worth knowing, nothing to do.
    Info,
}

impl Problem {
    /// Returns an error about a whole file.
    pub fn error(file: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            object: None,
            path: String::new(),
            code: code.to_owned(),
            message: message.into(),
            fix: String::new(),
        }
    }

    /// Says where in the file.
    #[must_use]
    pub fn at(self, line: u32, column: u32) -> Self {
        Self { line, column, ..self }
    }

    /// Says about which object, and where in it.
    #[must_use]
    pub fn about(self, object: ObjectKey, path: impl Into<String>) -> Self {
        Self { object: Some(object), path: path.into(), ..self }
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// Makes it a warning: what it is about still takes effect.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// Makes it a mere remark.
    #[must_use]
    pub fn info(self) -> Self {
        Self { severity: Severity::Info, ..self }
    }

    /// Says whether it keeps something from taking effect.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the message and the fix as one text.
    pub fn sentence(&self) -> String {
        if self.fix.is_empty() { self.message.clone() } else { format!("{}; {}", self.message, self.fix) }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// `FILE:LINE:COL: error: Kind/name path: message; fix`, safe for a terminal.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, severity, .. } = self;
        match line {
            // It is about the whole file, or about what stands in none.
            0 => write!(f, "{}: {severity}: ", printable(file))?,
            _ => write!(f, "{}:{line}:{column}: {severity}: ", printable(file))?,
        }
        let object = self.object.as_ref().map(ToString::to_string);
        let subject: Vec<&str> = object.iter().map(String::as_str).chain([self.path.as_str()]).collect();
        let subject = subject.join(" ");
        if !subject.trim().is_empty() {
            write!(f, "{}: ", printable(subject.trim()))?;
        }
        f.write_str(&printable(&self.sentence()))
    }
}

/// Escapes what could steer a terminal or turn text around: control and bidirectional characters.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() || is_invisible(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Returns whether a character changes the look of others: bidirectional controls, zero widths, byte-order mark.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Kind;

    fn problem() -> Problem {
        Problem::error("office.yaml", "Range", "must be an integer from 1 to 65535")
            .at(7, 13)
            .about(ObjectKey::new(Kind::Server, "default", "fra-1"), "spec.endpoints[0].port")
    }

    #[test]
    fn the_line_is_the_documented_one() {
        assert_eq!(
            problem().fix("remove the quotes").to_string(),
            "office.yaml:7:13: error: Server/fra-1 spec.endpoints[0].port: must be an integer from 1 to 65535; remove the quotes"
        );
        assert_eq!(Problem::error("a.yaml", "NotText", "not text").to_string(), "a.yaml: error: not text");
    }

    #[test]
    fn the_json_is_flat() {
        let json = serde_json::to_value(problem()).expect("JSON");

        assert_eq!(json["object"], "Server/fra-1");
        assert_eq!(json["severity"], "error");
        assert_eq!(serde_json::from_value::<Problem>(json).expect("a problem"), problem());
    }

    #[test]
    fn nothing_reaches_the_terminal_unescaped() {
        let shown = Problem::error("a\u{1b}[31m.yaml", "Name", "bad \u{202e}name").to_string();

        assert_eq!(shown, "a\\u001b[31m.yaml: error: bad \\u202ename");
    }
}
