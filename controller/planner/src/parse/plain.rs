//! The YAML that nearly every manifest is written in, read in one go: block mappings and lists, scalars and flow
//! collections of one line, plain block scalars, comments.
//!
//! It knows no errors. Whatever it is not sure about it leaves, with the whole file, to the full parser, which reads
//! everything and explains what is wrong; a test holds that both read the same tree with the same places.

mod flow;
mod line;
mod scalar;

use self::line::{Lines, Stop};
use super::{DEPTH_MAX, DOCUMENT_BYTES_MAX, DOCUMENTS_MAX};
use crate::node::{Entry, Node, Place, Value};

/// Returns the documents of a text that is plain throughout, without those that are empty.
pub(super) fn read(text: &str) -> Option<Vec<Node>> {
    if !line::is_plain(text) {
        return None;
    }
    let mut reader = Reader { lines: Lines::new(text), depth: 0 };
    let mut documents = Vec::new();
    // A document needs its mark, but for the first one.
    let mut may_begin = true;
    let mut start = 0;
    reader.lines.advance()?;
    loop {
        match reader.lines.stop {
            Stop::End => return Some(documents),
            Stop::Document => {
                may_begin = true;
                start = reader.lines.at;
                reader.lines.advance()?;
            }
            Stop::Content => {
                let is_few = may_begin && documents.len() < DOCUMENTS_MAX;
                documents.push(if is_few { reader.block()? } else { return None });
                may_begin = false;
                // Comments count too, and for which document the full parser knows.
                if reader.lines.at - start > DOCUMENT_BYTES_MAX / 2 {
                    return None;
                }
            }
        }
    }
}

struct Reader<'t> {
    lines: Lines<'t>,
    depth: usize,
}

impl Reader<'_> {
    /// Reads the collection that begins at the cursor, which is the first of its line but for dashes.
    fn block(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let column = self.lines.column();
        let node = if self.lines.is_dash() { self.list(column) } else { self.map(column) };
        self.depth -= 1;
        node
    }

    fn map(&mut self, column: usize) -> Option<Node> {
        let place = self.lines.place();
        let mut entries: Vec<Entry> = Vec::with_capacity(4);
        loop {
            let place = self.lines.place();
            let key = self.lines.key()?;
            if is_known(&entries, key) {
                return None;
            }
            let node = self.value(column, true)?;
            entries.push(Entry { key: key.to_owned(), place, node });
            if !self.lines.continues(column)? || self.lines.is_dash() {
                break;
            }
        }
        Some(Node { place, value: Value::Map(entries) })
    }

    fn list(&mut self, column: usize) -> Option<Node> {
        let place = self.lines.place();
        let mut items = Vec::new();
        loop {
            self.lines.at += 1;
            let node = self.value(column, false)?;
            items.push(node);
            if !self.lines.continues(column)? || !self.lines.is_dash() {
                break;
            }
        }
        Some(Node { place, value: Value::List(items) })
    }

    /// Reads what follows a colon or a dash of a collection in some column, and goes on to the next line.
    fn value(&mut self, column: usize, is_map: bool) -> Option<Node> {
        let after = self.lines.place();
        if self.lines.skip_blanks() {
            return self.below(after, column, is_map);
        }
        if !is_map && (self.lines.is_dash() || self.lines.is_key()) {
            return self.block();
        }
        let place = self.lines.place();
        match self.lines.byte() {
            b'|' | b'>' => scalar::block(&mut self.lines, column),
            b'[' | b'{' => {
                let node = flow::collection(&mut self.lines, DEPTH_MAX.checked_sub(self.depth)?)?;
                self.lines.end()?;
                Some(node)
            }
            _ => {
                let value = scalar::value(&mut self.lines)?;
                self.lines.end()?;
                Some(Node { place, value })
            }
        }
    }

    /// Reads what stands in the lines below a colon or a dash.
    fn below(&mut self, after: Place, column: usize, is_map: bool) -> Option<Node> {
        self.lines.advance()?;
        let is_content = self.lines.stop == Stop::Content;
        let inner = self.lines.column();
        if is_content && inner > column {
            return self.block();
        }
        if is_content && inner == column && is_map && self.lines.is_dash() {
            return self.block().and_then(unindented);
        }
        // An absent value stands at the colon. Where an absent item stands, only the full parser knows.
        let place = Place { column: after.column - 1, ..after };
        is_map.then_some(Node { place, value: Value::Null })
    }
}

/// The full parser places a list that is no deeper than its key at its first item.
fn unindented(mut list: Node) -> Option<Node> {
    let Value::List(items) = &list.value else { return None };
    let first = items.first()?.place;
    // What a comment between does to it, only the full parser knows.
    let is_beside = first.line == list.place.line;
    list.place = first;
    is_beside.then_some(list)
}

/// Says whether a key is there already. Few mappings are large, and the full parser reads those.
fn is_known(entries: &[Entry], key: &str) -> bool {
    entries.len() >= ENTRIES_MAX || entries.iter().any(|entry| entry.key == key)
}

/// So that looking through the keys stays cheaper than an index of them, and linear.
const ENTRIES_MAX: usize = 64;
