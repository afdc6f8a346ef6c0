//! Whether the quick reader and the full parser read one text alike. Tests and fuzz targets ask.

use super::{ParsedFile, builder::Duplicates, plain};
use crate::node::{Node, Place, Value};

/// Compares both, and says whether the quick reader took the text.
///
/// # Panics
/// They differ, in the tree, in a place, or because only one of them complains.
#[track_caller]
pub fn check(text: &str) -> bool {
    let Some(documents) = plain::read(text) else { return false };
    let full = full("a.yaml", text);
    assert_eq!(full.problems, [], "the full parser complains about {text:?}");
    assert_eq!(full.end, None, "the full parser refuses {text:?}");
    let (quick, full) = (lines(&documents), lines(&full.documents));
    let differ = quick.iter().zip(&full).find(|(quick, full)| quick != full);
    assert_eq!(differ, None, "{text:?}");
    assert_eq!(quick.len(), full.len(), "{text:?}");
    true
}

/// Reads a text by the full parser alone.
pub fn full(file: &str, text: &str) -> ParsedFile {
    let mut full = ParsedFile::default();
    full.read(file, text, Duplicates::Refused);
    full
}

/// Every node in one line, so that a difference is one line too.
fn lines(documents: &[Node]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ahead: Vec<(String, &Node)> = documents.iter().rev().map(|root| (String::new(), root)).collect();
    while let Some((name, node)) = ahead.pop() {
        let Place { line, column } = node.place;
        match &node.value {
            Value::List(items) => {
                lines.push(format!("{line}:{column} {name}: a list of {}", items.len()));
                ahead.extend(items.iter().rev().map(|item| ("-".to_owned(), item)));
            }
            Value::Map(entries) => {
                lines.push(format!("{line}:{column} {name}: a mapping of {}", entries.len()));
                ahead.extend(entries.iter().rev().map(|e| (format!("{:?} {}", e.place, e.key), &e.node)));
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::OddNumber(_) | Value::Text { .. } => {
                lines.push(format!("{line}:{column} {name}: {:?}", node.value));
            }
        }
    }
    lines
}
