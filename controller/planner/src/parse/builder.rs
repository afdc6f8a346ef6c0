//! Events of one document to one tree, without recursion.

use std::{borrow::Cow, collections::BTreeMap};

use granit_parser::{Event, ScalarStyle, Span, Tag};
use horizon_api::problem::{is_invisible, printable};

use super::{DEPTH_MAX, Fault, PROBLEMS_MAX, place, single::Duplicate, syntax::invisible};
use crate::node::{Entry, Node, Place, Value};

/// What keys are that are set twice in one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duplicates {
    /// Faults.
    Refused,
    /// Counted; the last one is what holds.
    Counted,
}

/// The open collections of a document and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Builder {
    kept: Duplicates,
    /// Keys that are set twice, where that is no fault; at most as many as anybody reads.
    pub(super) duplicates: Vec<Duplicate>,
    open: Vec<Open>,
    root: Option<Node>,
    faults: Vec<Fault>,
    /// Faults of which there are too many to keep them.
    left_out: usize,
    /// The shape is lost; only the end of the document is waited for.
    is_lost: bool,
}

#[derive(Debug)]
enum Open {
    List { place: Place, items: Vec<Node> },
    Map { place: Place, entries: Vec<Entry>, index: BTreeMap<String, Place>, key: Option<(String, Place)> },
}

impl Builder {
    pub(super) fn new(kept: Duplicates) -> Self {
        let (open, faults, duplicates) = (vec![], vec![], vec![]);
        Self { kept, duplicates, open, root: None, faults, left_out: 0, is_lost: false }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; the other events carry no data")]
    pub(super) fn handle_event(&mut self, event: Event<'_>, span: &Span) {
        let at = place(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(at, anchor, tag.as_ref(), span);
                self.handle_scalar(&text, style, at);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_extras(at, anchor, tag.as_ref(), span);
                self.open(Open::List { place: at, items: vec![] }, at);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_extras(at, anchor, tag.as_ref(), span);
                self.open(Open::Map { place: at, entries: vec![], index: BTreeMap::new(), key: None }, at);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse_once(anchors(at));
                self.handle_scalar("", ScalarStyle::Plain, at);
            }
            _ => {}
        }
    }

    pub(super) fn is_too_deep(&self) -> bool {
        self.open.len() > DEPTH_MAX
    }

    /// Returns the tree, or nothing for a document without content.
    pub(super) fn finish(self) -> Result<Option<Node>, (Vec<Fault>, usize)> {
        if !self.faults.is_empty() {
            return Err((self.faults, self.left_out));
        }
        Ok(self.root.filter(|root| root.value != Value::Null))
    }

    fn handle_scalar(&mut self, text: &str, style: ScalarStyle, at: Place) {
        if self.is_lost {
            return;
        }
        if let Some(c) =
            text.chars().find(|c| is_invisible(*c) || (c.is_control() && *c != '\n' && *c != '\t'))
        {
            self.refuse(invisible(at, c));
        }
        let is_plain = style == ScalarStyle::Plain;
        if let Some(Open::Map { key: key @ None, entries, index, .. }) = self.open.last_mut() {
            let duplicate = place_of_key(entries, index, text);
            *key = Some((text.to_owned(), at));
            self.check_key(text, is_plain, at, duplicate);
        } else {
            self.put(Node { place: at, value: Value::of_scalar(text, is_plain) });
        }
    }

    fn check_key(&mut self, text: &str, is_plain: bool, at: Place, duplicate: Option<Place>) {
        if is_plain && text == "<<" {
            self.refuse(Fault::new(
                at,
                "MergeKey",
                "merge keys (`<<`) are not allowed",
                "write the fields out",
            ));
        } else if is_plain && (text.starts_with("//") || text.starts_with("/*")) {
            self.refuse(Fault::new(at, "Comment", "`//` and `/*` begin no comment", "use `#`, or remove it"));
        } else if text.is_empty() {
            self.refuse(complex_key(at));
        } else if duplicate.is_some() && self.kept == Duplicates::Counted {
            if self.duplicates.len() < PROBLEMS_MAX {
                self.duplicates.push(Duplicate { line: at.line, key: short(text), path: self.path() });
            }
        } else if let Some(first) = duplicate {
            let message = format!(
                "`{}` is set twice, here and in line {} column {}",
                printable(text),
                first.line,
                first.column
            );
            self.refuse(Fault::new(at, "DuplicateKey", message, "remove one of them"));
        }
    }

    /// Returns where the key stands that was just read, such as `spec.ports[0].name`. Of a long path the end is left
    /// out.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Open::Map { key: Some((key, _)), .. } => {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(&short(key));
                }
                Open::Map { key: None, .. } => {}
            }
        }
        path
    }

    fn open(&mut self, open: Open, at: Place) {
        if self.is_lost {
            return;
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            self.refuse(complex_key(at));
            self.is_lost = true;
            self.open.clear();
            return;
        }
        self.open.push(open);
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::List { place, items }) => self.put(Node { place, value: Value::List(items) }),
            Some(Open::Map { place, entries, .. }) => self.put(Node { place, value: Value::Map(entries) }),
            None => {}
        }
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry { key, place, node });
                }
            }
        }
    }

    fn refuse_extras(&mut self, at: Place, anchor: usize, tag: Option<&Cow<'_, Tag>>, span: &Span) {
        if anchor != 0 {
            self.refuse_once(anchors(at));
        }
        if tag.is_some() {
            let at = span.tag_start().map_or(at, |mark| place(&mark));
            self.refuse_once(Fault::new(
                at,
                "Tag",
                "tags (`!Foo`, `!!binary`) are not allowed",
                "remove the tag",
            ));
        }
    }

    fn refuse(&mut self, fault: Fault) {
        if self.faults.len() < PROBLEMS_MAX {
            self.faults.push(fault);
        } else {
            self.left_out += 1;
        }
    }

    /// One complaint of a sort is enough: nine levels of laughs are one mistake.
    fn refuse_once(&mut self, fault: Fault) {
        if !self.faults.iter().any(|known| known.code == fault.code) {
            self.refuse(fault);
        }
    }
}

/// Returns the beginning of a key, which may be as long as a document; no field of ours has a longer name.
fn short(key: &str) -> String {
    const CHARACTERS_MAX: usize = 256;
    let end = key.char_indices().nth(CHARACTERS_MAX).map_or(key.len(), |(end, _)| end);
    key[..end].to_owned()
}

/// Returns where a mapping has a key already. An index is kept only for those too large to look through.
fn place_of_key(entries: &[Entry], index: &mut BTreeMap<String, Place>, key: &str) -> Option<Place> {
    if entries.len() < LOOKED_THROUGH {
        return entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.place);
    }
    // One entry was added since the last time, or the index begins.
    let known = index.len();
    for entry in &entries[if known == 0 { 0 } else { entries.len() - 1 }..] {
        index.insert(entry.key.clone(), entry.place);
    }
    index.get(key).copied()
}

/// Mappings with more entries have an index of their keys.
const LOOKED_THROUGH: usize = 16;

fn anchors(at: Place) -> Fault {
    Fault::new(at, "Anchor", "anchors and aliases (`&a`, `*a`) are not allowed", "write the value out")
}

fn complex_key(at: Place) -> Fault {
    Fault::new(at, "ComplexKey", "keys must be plain strings", "write `name: value`")
}
