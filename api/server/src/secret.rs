//! Codes, session cookies and bearer tokens: 256 random bits as hex, kept by others only as a hash.

use std::fmt::Write;

/// The BLAKE3 of a secret's text: all that the store learns. Random secrets of 256 bits need no salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 32]);

/// A secret that this process made or was shown. It has no `Debug`, so no log can hold it.
pub(crate) struct Secret(String);

const LENGTH: usize = 64;

impl Secret {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; LENGTH / 2];
        getrandom::fill(&mut bytes)?;
        let mut text = String::with_capacity(LENGTH);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
        Ok(Self(text))
    }

    /// `None`: this was never one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == LENGTH && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(text.to_owned()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(*blake3::hash(self.0.as_bytes()).as_bytes())
    }

    /// The CSRF token of the session with this secret: derived, so that nobody has to store it.
    pub(crate) fn csrf(&self) -> blake3::Hash {
        blake3::Hash::from_bytes(blake3::derive_key("horizon console csrf v1", self.0.as_bytes()))
    }
}

/// A bearer token of the resource API: `hza_` and 64 hexadecimal digits, so that scanners for leaked secrets know one
/// when they see it. It has no `Debug`, so no log can hold it.
pub struct Token {
    text: String,
}

const TOKEN_HEAD: &str = "hza_";

impl Token {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self { text: format!("{TOKEN_HEAD}{}", Secret::generate()?.reveal()) })
    }

    /// Reads a token; `None`: this was never one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Secret::parse(text.strip_prefix(TOKEN_HEAD)?)?;
        Some(Self { text: text.to_owned() })
    }

    /// Returns the text, for whoever is to use it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns what the store keeps: the BLAKE3 of the whole text.
    pub fn hash(&self) -> SecretHash {
        SecretHash(*blake3::hash(self.text.as_bytes()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_is_told_from_a_cookie() {
        let token = Token::generate().unwrap();

        assert_eq!(token.reveal().len(), 68);
        assert_eq!(Token::parse(token.reveal()).map(|read| read.hash()), Some(token.hash()));
        assert!(Secret::parse(token.reveal()).is_none());
        for text in ["", "hza_", &token.reveal()[4..], &token.reveal().to_uppercase()] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn secrets_differ_and_read_back() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());

        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(Secret::parse(one.reveal()).unwrap().hash(), one.hash());
    }

    #[test]
    fn other_text_is_no_secret() {
        for text in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"0".repeat(65), &"é".repeat(32)] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn csrf_token_is_not_the_hash_in_the_store() {
        let secret = Secret::parse(&"0".repeat(64)).unwrap();

        assert_ne!(secret.csrf().as_bytes(), &secret.hash().0);
    }
}
