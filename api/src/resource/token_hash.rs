//! A token as a manifest declares it: by its hash, never by itself.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::token::TokenDigest;

/// `sha256:` and 64 hex digits over the whole token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash(String);

/// Text that is not the hash of a token. It does not repeat the text, which may be the token itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `sha256:` and 64 hex digits, as `printf %s TOKEN | sha256sum` prints them")]
pub struct TokenHashError;

impl TokenHash {
    /// The same rule for schemas.
    pub const PATTERN: &'static str = "^sha256:[0-9a-f]{64}$";

    /// Returns the digest that the store looks up.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::from_text(&self.0).expect("the constructor read it with the same function")
    }
}

impl FromStr for TokenHash {
    type Err = TokenHashError;
    fn from_str(text: &str) -> Result<Self, TokenHashError> {
        let is_lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        let digest = TokenDigest::from_text(text).filter(|_| is_lower).ok_or(TokenHashError)?;
        Ok(Self(digest.to_text()))
    }
}

impl TryFrom<String> for TokenHash {
    type Error = TokenHashError;
    fn try_from(text: String) -> Result<Self, TokenHashError> {
        text.parse()
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.0
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_sha256_is_a_hash() {
        let hash = format!("sha256:{}", "0a".repeat(32));

        assert_eq!(hash.parse::<TokenHash>().expect("a hash").digest().to_text(), hash);
        for text in ["", "hzr_secret", "sha256:00", &hash.to_uppercase(), &hash.replace("0a", "0A")] {
            assert_eq!(text.parse::<TokenHash>(), Err(TokenHashError), "{text}");
        }
    }
}
