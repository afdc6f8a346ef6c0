//! Field selectors: `metadata.name=alice,spec.role!=Server`. Which fields there are is said by the resource.

use std::fmt;

use crate::{gotext::quoted, refusal::Refusal};

/// What the fields of an object must satisfy, all of it; sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    is_equal: bool,
    value: String,
}

impl Selector {
    /// Reads a selector. The empty text selects everything.
    ///
    /// # Errors
    /// 400 with the API server's sentence for what cannot be read.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = vec![];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, is_equal, value)) = split_term(part) else {
                let message = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(Refusal::bad_request(message));
            };
            terms.push(Term { field: field.to_owned(), is_equal, value: unescape(value)? });
        }
        Ok(Self { terms })
    }

    /// Selects the one object of a name.
    pub fn of_name(name: &str) -> Self {
        let term = Term { field: "metadata.name".to_owned(), is_equal: true, value: name.to_owned() };
        Self { terms: vec![term] }
    }

    /// Refuses fields that the resource does not know.
    ///
    /// # Errors
    /// 400 that names the first unknown field.
    pub fn check(&self, is_known: impl Fn(&str) -> bool) -> Result<(), Refusal> {
        match self.terms.iter().find(|term| !is_known(&term.field)) {
            None => Ok(()),
            Some(term) => Err(Refusal::bad_request(format!("field label not supported: {}", term.field))),
        }
    }

    /// Says whether an object is selected, given what its fields hold.
    pub fn selects<'a>(&self, value_of: impl Fn(&str) -> &'a str) -> bool {
        self.terms.iter().all(|term| (value_of(&term.field) == term.value) == term.is_equal)
    }

    /// Says whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the only value that a field may have, if the selector demands one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.is_equal && term.field == field);
        term.map(|term| term.value.as_str())
    }
}

/// One text for one meaning; values are quoted, so no value can look like another term.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Term { field, is_equal, value } in &self.terms {
            write!(f, "{field}{}{},", if *is_equal { "=" } else { "!=" }, quoted(value))?;
        }
        Ok(())
    }
}

/// Splits at commas that no backslash stands before.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = vec![];
    let (mut start, mut is_escaped) = (0, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ',' => {
                terms.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Splits at the first operator: field, whether it must be equal, value as written.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let equals = term.find('=')?;
    let (field, value) = (&term[..equals], &term[equals + 1..]);
    match field.strip_suffix('!') {
        Some(field) => Some((field, false, value)),
        None => Some((field, true, value.strip_prefix('=').unwrap_or(value))),
    }
}

fn unescape(value: &str) -> Result<String, Refusal> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    let message = format!("invalid field selector: invalid escape sequence: {sequence}");
                    return Err(Refusal::bad_request(message));
                }
            },
            // The API server prints the number of the character.
            ',' | '=' => {
                let number = u32::from(character);
                let message = format!("invalid field selector: unescaped character in value: {number}");
                return Err(Refusal::bad_request(message));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, name: &str, expected: bool) {
        let selector = Selector::parse(selector).unwrap();
        let value_of = |path: &str| if path == "metadata.name" { name } else { "" };
        assert_eq!(selector.selects(value_of), expected, "{selector} {name}");
    }

    #[test]
    fn terms_select() {
        check("", "alice", true);
        check("metadata.name=alice", "alice", true);
        check("metadata.name==alice", "bob", false);
        check("metadata.name!=alice", "bob", true);
        check("metadata.name!=alice,", "alice", false);
        check("metadata.name=a\\,b\\=c\\\\", "a,b=c\\", true);
        check("metadata.name=", "", true);
    }

    #[test]
    fn complaints_are_those_of_an_api_server() {
        for (text, expected) in [
            ("x", "invalid selector: 'x'; can't understand 'x'"),
            ("a=b\\c", "invalid field selector: invalid escape sequence: \\c"),
            ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().message, expected, "{text}");
        }
        let unknown = Selector::parse("spec.nothing=x").unwrap();
        let refused = unknown.check(|path| path == "metadata.name").unwrap_err();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (400, "field label not supported: spec.nothing")
        );
    }

    #[test]
    fn a_demanded_name_is_found() {
        let selector = Selector::parse("metadata.name!=a,metadata.name=b").unwrap();

        assert_eq!(selector.exact("metadata.name"), Some("b"));
        assert_eq!(Selector::of_name("x").exact("metadata.name"), Some("x"));
        assert!(Selector::parse("").unwrap().is_everything());
    }
}
