//! What the parser says about broken text, in words that tell a person what to do.

use granit_parser::{ErrorKind, ScanError};
use horizon_api::problem::{is_invisible, printable};

use super::{Fault, place, too_deep};
use crate::node::Place;

pub(super) fn explain(text: &str, error: &ScanError) -> Fault {
    let at = place(error.marker());
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(at);
    }
    if let Some(tab) = tab_near(text, at) {
        return Fault::new(tab, "Tab", "tabs are not allowed for indentation", "use spaces");
    }
    if let Some(c) = char_at(text, at).filter(|c| c.is_control() || is_invisible(*c)) {
        return invisible(at, c);
    }
    if *error.kind() == ErrorKind::UnclosedQuotedScalar {
        return Fault::new(at, "Syntax", "the quote that opens here is never closed", "close it");
    }
    Fault::new(at, "Syntax", format!("this is not YAML: {}", error.kind()), hint(error.kind()))
}

pub(super) fn invisible(at: Place, c: char) -> Fault {
    let message = format!("the invisible character `{}` is not allowed", printable(&c.to_string()));
    Fault::new(at, "Invisible", message, "remove it")
}

fn char_at(text: &str, at: Place) -> Option<char> {
    line_of(text, at.line)?.chars().nth(usize::try_from(at.column).ok()?.checked_sub(1)?)
}

/// A tab in the indentation of the line of an error or of the one before it, because the parser often trips later.
fn tab_near(text: &str, at: Place) -> Option<Place> {
    [at.line.saturating_sub(1), at.line].into_iter().find_map(|number| {
        let line = line_of(text, number)?;
        let indentation = &line[..line.len() - line.trim_start().len()];
        let column = indentation.chars().position(|c| c == '\t')?;
        Some(Place { line: number, column: u32::try_from(column + 1).unwrap_or(u32::MAX) })
    })
}

fn line_of(text: &str, number: u32) -> Option<&str> {
    text.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows; the rest has no better hint")]
fn hint(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            "close every `[` and `{`; the file may have been cut"
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::ExpectedDocumentStart => "check the indentation, and quote text that contains `: `",
        ErrorKind::UnexpectedEof => "the file may have been cut",
        _ => "check this line and the one before it",
    }
}
