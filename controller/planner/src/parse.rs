//! Bytes of a file to trees with places, in one pass and in linear time.
//!
//! The dialect is YAML 1.2 without anchors, aliases, tags, merge keys and duplicate keys. A syntax error ends the
//! file, because YAML cannot resynchronise; a document in a foreign dialect is left out and the next one is read.

mod builder;
mod encoding;
mod plain;
pub mod single;
mod syntax;

#[cfg(any(test, fuzzing))]
pub mod alike;
#[cfg(test)]
pub(crate) mod facts;

use granit_parser::{Event, Marker, Parser};
use horizon_api::problem::Problem;

use self::{
    builder::{Builder, Duplicates},
    single::Duplicate,
};
use crate::node::{Node, Place};

/// Deeper documents are refused.
pub const DEPTH_MAX: usize = 32;
/// Larger documents are refused.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Further documents of a file are not read.
pub const DOCUMENTS_MAX: usize = 10_000;
/// Further problems of a file are not listed: a program wrote it, or a cat walked over it.
pub const PROBLEMS_MAX: usize = 100;

/// What a file says.
#[derive(Clone, Debug, Default)]
pub struct ParsedFile {
    pub documents: Vec<Node>,
    pub problems: Vec<Problem>,
    /// Further problems, which are not listed.
    pub left_out: usize,
    /// Why the rest of the file was not read.
    pub end: Option<Problem>,
    /// Some of it could not be read, so that what is missing from it may still be wanted.
    pub is_broken: bool,
    /// Keys that are set twice, where that is no fault.
    duplicates: Vec<Duplicate>,
}

/// Reads all documents of a file.
pub fn parse(file: &str, bytes: &[u8]) -> ParsedFile {
    let mut parsed = ParsedFile::default();
    let text = match encoding::decode(bytes) {
        Ok(text) => text,
        Err(fault) => {
            parsed.end(fault.problem(file));
            return parsed;
        }
    };
    match plain::read(text) {
        Some(documents) => parsed.documents = documents,
        None => parsed.read(file, text, Duplicates::Refused),
    }
    parsed
}

/// Something that the dialect does not allow, before it is known in which file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    place: Place,
    code: &'static str,
    message: String,
    fix: String,
}

impl Fault {
    fn new(place: Place, code: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place, code, message: message.into(), fix: fix.into() }
    }

    fn problem(self, file: &str) -> Problem {
        Problem::error(file, self.code, self.message).at(self.place.line, self.place.column).fix(self.fix)
    }
}

impl ParsedFile {
    fn read(&mut self, file: &str, text: &str, duplicates: Duplicates) {
        // Its limits are ours for either style alone; what both make together is counted here.
        let options = granit_parser::options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        let mut builder = Builder::new(duplicates);
        let mut document_start = 0;
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    let fault = syntax::explain(text, &error);
                    return self.end(fault.problem(file));
                }
            };
            let offset = span.end.byte_offset().unwrap_or_default();
            if offset.saturating_sub(document_start) > DOCUMENT_BYTES_MAX {
                return self.end(too_large(&span.start).problem(file));
            }
            if let Event::DocumentStart(_, version) = &event {
                document_start = span.start.byte_offset().unwrap_or_default();
                if version.is_some_and(|v| (v.major, v.minor) == (1, 1)) {
                    self.problems.push(old_version(place(&span.start)).problem(file).info());
                }
            } else if event == Event::DocumentEnd {
                self.take(file, std::mem::replace(&mut builder, Builder::new(duplicates)));
                if self.documents.len() > DOCUMENTS_MAX {
                    return self.end(too_many(place(&span.start)).problem(file));
                }
            } else {
                builder.handle_event(event, &span);
            }
            if builder.is_too_deep() {
                return self.end(too_deep(place(&span.start)).problem(file));
            }
        }
    }

    fn take(&mut self, file: &str, mut builder: Builder) {
        self.duplicates.append(&mut builder.duplicates);
        match builder.finish() {
            Ok(Some(document)) => self.documents.push(document),
            Ok(None) => {}
            Err((faults, left_out)) => {
                self.left_out += left_out;
                faults.into_iter().for_each(|fault| self.refuse(fault.problem(file)));
            }
        }
    }

    fn end(&mut self, problem: Problem) {
        self.is_broken = true;
        self.end = Some(problem);
    }

    fn refuse(&mut self, problem: Problem) {
        self.is_broken = true;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.left_out += 1;
        }
    }
}

fn place(mark: &Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(mark.line()), column: number(mark.col() + 1) }
}

fn too_deep(place: Place) -> Fault {
    Fault::new(
        place,
        "TooDeep",
        format!("nesting deeper than {DEPTH_MAX} is not allowed"),
        "no kind needs it",
    )
}

fn too_large(mark: &Marker) -> Fault {
    let message = format!("the document is larger than {} MiB", DOCUMENT_BYTES_MAX / 1024 / 1024);
    Fault::new(place(mark), "TooLarge", message, "split it into several objects")
}

fn too_many(place: Place) -> Fault {
    let message = format!("the file has more than {DOCUMENTS_MAX} documents");
    Fault::new(place, "TooManyDocuments", message, "split it into several files")
}

fn old_version(place: Place) -> Fault {
    let message = "the file is read as YAML 1.2: `yes`, `no`, `on` and `off` are strings";
    Fault::new(place, "YamlVersion", message, "write `true` or `false`")
}
