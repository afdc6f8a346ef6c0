//! Tokens: `prefix_id_secret`, with a checksum so that a typo fails where it is made.
//!
//! `hzr_` enrols a gateway, `hzc_` signs a person's device in, `hza_` lets a program use the resource API.
//! The id (10 characters of Crockford base32) may be shown and logged; the rest (43 of base62 for 256 random bits,
//! 6 of base62 for the CRC-32 of everything before) may not.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::key::PublicKey;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Registration,
    Personal,
    Api,
}

impl TokenKind {
    const ALL: [Self; 3] = [Self::Registration, Self::Personal, Self::Api];

    /// Returns the four characters in front of a token of this kind.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Registration => "hzr_",
            Self::Personal => "hzc_",
            Self::Api => "hza_",
        }
    }
}

/// A whole token. It has no `Debug`, no `PartialEq`, no `Serialize`.
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    text: Zeroizing<String>,
}

/// A token as it travels: any text, which may be none. It shows nothing of itself.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// Returns the text of a token, to be sent.
    pub fn new(token: &Token) -> Self {
        Self(token.text.clone())
    }

    /// Returns the text of no token.
    pub fn none() -> Self {
        Self(Zeroizing::new(String::new()))
    }

    /// Returns the secret text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenText(…)")
    }
}

/// Why text is not a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("must begin with `hzr_` (gateway), `hzc_` (person) or `hza_` (resource API)")]
    Prefix,
    #[error("must be {expected} characters long, not {found}: it was cut, or something was added")]
    Length { expected: usize, found: usize },
    #[error("has a typing error: the checksum at its end does not fit")]
    Checksum,
}

const ID_CHARS: usize = 10;
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;
const TOKEN_CHARS: usize = 4 + ID_CHARS + 1 + SECRET_CHARS + CHECK_CHARS;
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Token {
    /// Makes a token of 39 random bytes: 7 for the id, 32 for the secret.
    pub fn generate(kind: TokenKind, random: &[u8; 39]) -> Self {
        let (id, secret) = random.split_at(7);
        let mut text = String::from(kind.prefix());
        text.push_str(&in_base(CROCKFORD, id, ID_CHARS));
        text.push('_');
        text.push_str(&in_base(BASE62, secret, SECRET_CHARS));
        text.push_str(&checksum(&text));
        Self { kind, text: Zeroizing::new(text) }
    }

    /// Returns what it is for.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Returns the part that may be shown and logged.
    pub fn id(&self) -> &str {
        &self.text[4..4 + ID_CHARS]
    }

    /// Returns the whole text: to be shown once, or sent to a controller that was checked.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Returns what a manifest declares.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.text.as_bytes()).into())
    }
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let kind = TokenKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()));
        let kind = kind.ok_or(TokenError::Prefix)?;
        if text.len() != TOKEN_CHARS || !text.is_ascii() {
            return Err(TokenError::Length { expected: TOKEN_CHARS, found: text.chars().count() });
        }
        let (body, check) = text.split_at(TOKEN_CHARS - CHECK_CHARS);
        if checksum(body) != check {
            return Err(TokenError::Checksum);
        }
        Ok(Self { kind, text: Zeroizing::new(text.to_owned()) })
    }
}

/// The SHA-256 of a whole token. Text form: `sha256:` and 64 hex digits, as any shell can compute it.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Reads the text that a manifest carries.
    pub fn from_text(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        Some(Self(*blake3::Hash::from_hex(hex).ok()?.as_bytes()))
    }

    /// Returns the text that a manifest carries.
    pub fn to_text(&self) -> String {
        format!("sha256:{}", blake3::Hash::from_bytes(self.0).to_hex())
    }

    /// Returns what stands for the token of a key that is declared by a public key: no token has this digest.
    pub fn of_public_key(key: &PublicKey) -> Self {
        Self(blake3::derive_key("horizon personal public key v1", key.as_bytes()))
    }

    /// Returns its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns what the store keeps: the digest under a key that is not in the database.
    pub fn keyed(&self, pepper: &[u8; 32]) -> KeyedDigest {
        KeyedDigest(*blake3::keyed_hash(pepper, &self.0).as_bytes())
    }
}

/// A token's digest under the controller's pepper; compared in constant time only.
#[derive(Clone, Copy)]
pub struct KeyedDigest([u8; 32]);

impl KeyedDigest {
    /// Returns a digest that was computed before.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns its 32 bytes, as they are stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

fn checksum(body: &str) -> String {
    in_base(BASE62, &crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECK_CHARS)
}

/// Writes a big-endian number in a base, padded to `width`. What does not fit in `width` is left out in front.
fn in_base(alphabet: &[u8], number: &[u8], width: usize) -> String {
    let base = alphabet.len();
    let mut digits = number.to_vec();
    let mut text = vec![alphabet[0]; width];
    for place in text.iter_mut().rev() {
        let mut rest = 0;
        for digit in &mut digits {
            let value = rest * 256 + usize::from(*digit);
            *digit =
                u8::try_from(value / base).expect("the rest is below the base, so the quotient is below 256");
            rest = value % base;
        }
        *place = alphabet[rest];
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text() {
        for kind in TokenKind::ALL {
            let token = Token::generate(kind, &[0xab; 39]);

            let Ok(read) = token.reveal().parse::<Token>() else { panic!("valid") };

            assert_eq!(read.kind(), kind);
            assert_eq!(read.id(), token.id());
            assert_eq!(read.digest().to_text(), token.digest().to_text());
        }
    }

    #[test]
    fn typing_errors_are_found_offline() {
        let text = Token::generate(TokenKind::Registration, &[3; 39]).reveal().to_owned();
        let last = text.len() - 8;
        let other = if text.as_bytes()[last] == b'a' { "b" } else { "a" };
        let changed = format!("{}{other}{}", &text[..last], &text[last + 1..]);

        assert_eq!(changed.parse::<Token>().err(), Some(TokenError::Checksum));
        assert_eq!(text[1..].parse::<Token>().err(), Some(TokenError::Prefix));
        assert_eq!(
            text[..30].parse::<Token>().err(),
            Some(TokenError::Length { expected: TOKEN_CHARS, found: 30 })
        );
    }

    #[test]
    fn different_secrets_give_different_tokens() {
        let mut random = [0; 39];
        let first = Token::generate(TokenKind::Personal, &random);
        random[38] = 1;
        let second = Token::generate(TokenKind::Personal, &random);

        assert_eq!(first.id(), second.id());
        assert!(!first.digest().keyed(&[1; 32]).matches(&second.digest().keyed(&[1; 32])));
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Token::generate(TokenKind::Personal, &[9; 39]).digest();

        let read = TokenDigest::from_text(&digest.to_text()).expect("valid");

        assert!(read.keyed(&[0; 32]).matches(&digest.keyed(&[0; 32])));
    }
}
