//! One document, as a client sends it: keys that are set twice are counted, and numbers mean what they are.

use horizon_api::problem::Problem;
use serde_json::{Map, Number, Value as Json};

use super::{Fault, ParsedFile, builder::Duplicates, encoding, plain};
use crate::node::{Node, Place, Value};

/// What a text says that holds one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    pub json: Json,
    /// Keys that are set twice, in the order of the text, at most a hundred. The last one is what holds.
    pub duplicates: Vec<Duplicate>,
}

/// A key that its mapping has already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// 1 is the first.
    pub line: u32,
    /// The key, cut at 256 characters.
    pub key: String,
    /// Where it stands, such as `spec.ports[0].name`; each part cut at 256 characters.
    pub path: String,
}

/// Reads the only document of a text, in the dialect of manifests.
///
/// # Errors
/// The first thing that is wrong, with its place; the name of the file is empty.
pub fn parse_single(bytes: &[u8]) -> Result<Single, Box<Problem>> {
    let boxed = |fault: Fault| Box::new(fault.problem(""));
    let text = encoding::decode(bytes).map_err(boxed)?;
    let mut parsed = ParsedFile::default();
    match plain::read(text) {
        Some(documents) => parsed.documents = documents,
        None => parsed.read("", text, Duplicates::Counted),
    }
    if let Some(problem) = parsed.problems.into_iter().chain(parsed.end).find(Problem::is_error) {
        return Err(problem.into());
    }
    let mut documents = parsed.documents.into_iter();
    let start = Place { line: 1, column: 1 };
    let nothing = || boxed(Fault::new(start, "Empty", "there is no document", ""));
    let document = documents.next().ok_or_else(nothing)?;
    if let Some(second) = documents.next() {
        let message = "a second document begins here";
        return Err(boxed(Fault::new(second.place, "TooManyDocuments", message, "send one")));
    }
    Ok(Single { json: to_json(document).map_err(boxed)?, duplicates: parsed.duplicates })
}

/// As [`Node::to_json`], but numbers of which readers make different things are refused.
fn to_json(node: Node) -> Result<Json, Fault> {
    Ok(match node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Integer(value) => value.into(),
        Value::OddNumber(text) => number(node.place, &text)?.into(),
        Value::Text { text, .. } => text.into(),
        Value::List(items) => items.into_iter().map(to_json).collect::<Result<_, _>>()?,
        Value::Map(entries) => {
            let pairs = entries.into_iter().map(|entry| Ok((entry.key, to_json(entry.node)?)));
            Json::Object(pairs.collect::<Result<Map<_, _>, Fault>>()?)
        }
    })
}

/// Reads what is a number in JSON too.
fn number(place: Place, text: &str) -> Result<Number, Fault> {
    serde_json::from_str(text).map_err(|_| {
        let message = "this number is not the same one for every reader";
        Fault::new(place, "Number", message, "write it with plain digits, or put it in quotes")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_are_set_twice_are_counted_and_the_last_holds() {
        let text = "a: 1\nb:\n  - c: 1\n  - c: 1\n    d: {e: 1, e: 2}\n    c: 2\na: 3\n";

        let read = parse_single(text.as_bytes()).unwrap();

        assert_eq!(read.json, json!({"a": 3, "b": [{"c": 1}, {"c": 2, "d": {"e": 2}}]}));
        let duplicates: Vec<_> =
            read.duplicates.iter().map(|twice| (twice.line, &*twice.key, &*twice.path)).collect();
        assert_eq!(duplicates, [(5, "e", "b[1].d.e"), (6, "c", "b[1].c"), (7, "a", "a")]);
    }

    #[test]
    fn one_document_is_read_and_everything_else_refused_with_its_line() {
        for (text, line, code) in [
            ("", 1, "Empty"),
            ("# only words\n", 1, "Empty"),
            ("a: 1\n---\nb: 2\n", 3, "TooManyDocuments"),
            ("a: 1\nb: 0777\n", 2, "Number"),
            ("a: [1, .nan]\n", 1, "Number"),
            ("a: 1\nb: &c d\n", 2, "Anchor"),
            ("a: 1\n  b: 2\n", 2, "Syntax"),
            ("a: !!binary x\n", 1, "Tag"),
        ] {
            let problem = parse_single(text.as_bytes()).unwrap_err();
            assert_eq!((problem.line, problem.code.as_str()), (line, code), "{text:?}: {problem}");
        }
        assert_eq!(parse_single(b"\xff\xfe").unwrap_err().code, "Utf16");
        assert_eq!(parse_single(b"---\na: 1.5e3\n").unwrap().json, json!({"a": 1500.0}));
    }

    #[test]
    fn hostile_bodies_end_soon() {
        let deep = "[".repeat(100_000);
        assert_eq!(parse_single(deep.as_bytes()).unwrap_err().code, "TooDeep");
        let twice = format!("{}: 1\n", "x".repeat(1000)).repeat(100);
        let read = parse_single(twice.as_bytes()).unwrap();
        assert_eq!((read.duplicates.len(), read.duplicates[0].path.len()), (99, 256));
        let many = "a: 1\n".repeat(100_000);
        assert_eq!(parse_single(many.as_bytes()).unwrap().duplicates.len(), 100);
    }
}
