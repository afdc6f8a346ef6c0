//! Codes, session cookies and bearer tokens: 256 random bits as hex, kept by others only as a hash.

use std::fmt::Write;

use horizon_api::token::{self, TokenError, TokenKind};

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

/// A bearer token of the resource API. It has no `Debug`, so no log can hold it.
pub struct Token {
    form: Form,
}

enum Form {
    Checked(token::Token),
    /// As they were before there was a checksum: 64 hexadecimal digits, and no id.
    Earlier(Secret),
}

const TOKEN_HEAD: &str = "hza_";

impl Token {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = [0; 39];
        getrandom::fill(&mut random)?;
        Ok(Self { form: Form::Checked(token::Token::generate(TokenKind::Api, &random)) })
    }

    /// Reads a token.
    ///
    /// # Errors
    /// What is wrong with the text, which is no secret.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if let Some(secret) = text.strip_prefix(TOKEN_HEAD).and_then(Secret::parse) {
            return Ok(Self { form: Form::Earlier(secret) });
        }
        let token: token::Token = text.parse()?;
        let is_ours = token.kind() == TokenKind::Api;
        if is_ours { Ok(Self { form: Form::Checked(token) }) } else { Err(TokenError::Prefix) }
    }

    /// Returns the part that may be shown and logged.
    pub fn id(&self) -> &str {
        match &self.form {
            Form::Checked(token) => token.id(),
            Form::Earlier(_) => "",
        }
    }

    /// Returns the text, for whoever is to use it.
    pub fn reveal(&self) -> String {
        match &self.form {
            Form::Checked(token) => token.reveal().to_owned(),
            Form::Earlier(secret) => format!("{TOKEN_HEAD}{}", secret.reveal()),
        }
    }

    /// Returns what the controller learns of the text; the store keeps less.
    pub fn hash(&self) -> SecretHash {
        match &self.form {
            Form::Checked(token) => SecretHash(*token.digest().as_bytes()),
            Form::Earlier(_) => SecretHash(*blake3::hash(self.reveal().as_bytes()).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_is_told_from_a_cookie_and_from_other_tokens() {
        let token = Token::generate().unwrap();
        let personal = token::Token::generate(TokenKind::Personal, &[7; 39]);

        assert!(Token::parse(&token.reveal()).is_ok_and(|read| read.hash() == token.hash()));
        assert!(token.reveal().contains(token.id()) && token.id().len() == 10);
        assert!(Secret::parse(&token.reveal()).is_none());
        for text in ["", "hza_", &token.reveal()[4..], personal.reveal()] {
            assert!(Token::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_typing_error_in_a_token_is_told_and_an_earlier_form_is_read() {
        let token = Token::generate().unwrap();
        let text = token.reveal();
        let (head, last) = text.split_at(text.len() - 1);
        let typo = format!("{head}{}", if last == "a" { "b" } else { "a" });
        let earlier = format!("hza_{}", "0".repeat(64));

        assert_eq!(Token::parse(&typo).err(), Some(TokenError::Checksum));
        assert!(Token::parse(&earlier).is_ok_and(|read| read.id().is_empty()));
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
