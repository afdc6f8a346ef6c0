//! The one form of names: a DNS label, because names of networks, servers and devices become parts of host names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use unicode_normalization::UnicodeNormalization;

/// A DNS-1123 label: 1 to 63 of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(SmolStr);

/// Text that is not a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 63 of the characters a-z, 0-9 and '-', and must begin and end with a letter or digit, such as `fra-1`"
)]
pub struct NameError;

/// Returns the one form in which names of people are compared: composed (NFC) and in lower case.
///
/// Uniqueness and sign-in both go by it, so that nobody can look like another.
pub fn folded(text: &str) -> String {
    // What is ASCII is composed already, and is what nearly everybody writes.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

impl Name {
    /// The longest name, which is the longest DNS label (RFC 1035 §2.3.4).
    pub const CHARS_MAX: usize = 63;
    /// The same rule for schemas.
    pub const PATTERN: &'static str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

    /// Returns the text of the name, as others keep it.
    pub fn text(&self) -> &SmolStr {
        &self.0
    }

    /// Returns the text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_edge = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = text.as_bytes();
        let is_name = bytes.len() <= Self::CHARS_MAX
            && bytes.first().is_some_and(is_edge)
            && bytes.last().is_some_and(is_edge)
            && bytes.iter().all(|c| is_edge(c) || *c == b'-');
        is_name.then(|| Self(text.into())).ok_or(NameError)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        let longest = "a".repeat(63);
        for name in ["a", "0", "fra-1", "a--b", &longest] {
            assert_eq!(name.parse::<Name>().expect("a name").as_str(), name);
        }
        let too_long = "a".repeat(64);
        for text in ["", "-a", "a-", "A", "a.b", "a/b", "..", "a_b", "é", "a\u{202e}", &too_long] {
            assert_eq!(text.parse::<Name>(), Err(NameError), "{text}");
        }
    }

    #[test]
    fn people_are_the_same_in_any_case_and_composition() {
        assert_eq!(folded("M\u{fc}ller"), folded("MU\u{308}LLER"));
        assert_ne!(folded("muller"), folded("m\u{fc}ller"));
    }
}
