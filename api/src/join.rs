//! The one string that joins a gateway or a person: `horizon://HOST:PORT?key=TOKEN#ROOT`.

use std::{fmt, str::FromStr};

use crate::{
    key::RootFingerprint,
    token::{Token, TokenError},
};

/// Where the controller is, what admits us there, and the root that proves it is the right one.
#[derive(Clone)]
pub struct JoinString {
    pub host: String,
    pub port: u16,
    pub token: Token,
    pub root: RootFingerprint,
}

/// Why text is not a join string. No variant repeats the text, because it holds a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error(
        "a join string begins with `horizon://`; copy the whole line that `horizon-controller invite` printed"
    )]
    Scheme,
    #[error("the join string has no `?key=` part; quote it, or the shell may cut it")]
    MissingKey,
    #[error(
        "this link has a key of its own: leave out the key pair, or use the link of `horizon-controller invite user NAME --key`"
    )]
    HasKey,
    #[error("the join string has no `#` part with the root's fingerprint; quote it, or the shell may cut it")]
    MissingRoot,
    #[error("the join string has no HOST:PORT, such as controller.example.net:7443")]
    Authority,
    #[error("the part behind `#` must be 64 hex digits")]
    Root,
    #[error("the key in the join string {0}")]
    Token(#[from] TokenError),
}

/// Where a controller is, and the root that proves it is the right one: `horizon://HOST:PORT#ROOT`, for a person who
/// signs in with a key pair. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub host: String,
    pub port: u16,
    pub root: RootFingerprint,
}

impl FromStr for Place {
    type Err = JoinError;
    fn from_str(text: &str) -> Result<Self, JoinError> {
        let rest = text.trim().strip_prefix("horizon://").ok_or(JoinError::Scheme)?;
        let (rest, root) = rest.split_once('#').ok_or(JoinError::MissingRoot)?;
        if rest.contains('?') {
            return Err(JoinError::HasKey);
        }
        let (host, port) = authority(rest)?;
        Ok(Self { host, port, root: root.parse().map_err(|_| JoinError::Root)? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "horizon://{}:{}#{}", bracketed(&self.host), self.port, self.root)
    }
}

impl FromStr for JoinString {
    type Err = JoinError;
    fn from_str(text: &str) -> Result<Self, JoinError> {
        let rest = text.trim().strip_prefix("horizon://").ok_or(JoinError::Scheme)?;
        let (rest, root) = rest.split_once('#').ok_or(JoinError::MissingRoot)?;
        let (authority, token) = rest.split_once("?key=").ok_or(JoinError::MissingKey)?;
        let (host, port) = self::authority(authority)?;
        Ok(Self { host, port, token: token.parse()?, root: root.parse().map_err(|_| JoinError::Root)? })
    }
}

impl JoinString {
    /// Returns the text with its secret: shown once, to whom it is for.
    pub fn reveal(&self) -> String {
        let host = bracketed(&self.host);
        format!("horizon://{host}:{}?key={}#{}", self.port, self.token.reveal(), self.root)
    }
}

fn authority(text: &str) -> Result<(String, u16), JoinError> {
    let (host, port) = text.trim_end_matches('/').rsplit_once(':').ok_or(JoinError::Authority)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(JoinError::Authority);
    }
    Ok((host.to_owned(), port.parse().map_err(|_| JoinError::Authority)?))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Shows everything but the secret.
impl fmt::Display for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "horizon://{}:{} (key {}, root {})", self.host, self.port, self.token.id(), self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::SecretKey, token::TokenKind};

    fn join(host: &str) -> JoinString {
        JoinString {
            host: host.into(),
            port: 7443,
            token: Token::generate(TokenKind::Registration, &[5; 39]),
            root: RootFingerprint::of(&SecretKey::from_seed(&[1; 32]).public()),
        }
    }

    #[test]
    fn a_join_string_survives_its_text() {
        for host in ["controller.example.net", "192.0.2.1", "2001:db8::1"] {
            let Ok(read) = join(host).reveal().parse::<JoinString>() else { panic!("valid") };

            assert_eq!((read.host.as_str(), read.port), (host, 7443));
            assert_eq!(read.root, join(host).root);
        }
    }

    #[test]
    fn a_link_without_a_token_survives_its_text() {
        for host in ["controller.example.net", "2001:db8::1"] {
            let JoinString { host, port, root, .. } = join(host);
            let place = Place { host, port, root };

            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert_eq!(join("h").reveal().parse::<Place>(), Err(JoinError::HasKey));
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = join("h").reveal();
        let (head, root) = whole.split_once('#').expect("has a root");

        assert_eq!(head.parse::<JoinString>().err(), Some(JoinError::MissingRoot));
        assert_eq!(format!("horizon://h:1#{root}").parse::<JoinString>().err(), Some(JoinError::MissingKey));
        assert_eq!("https://x".parse::<JoinString>().err(), Some(JoinError::Scheme));
        assert_eq!(whole.replace(":7443", "").parse::<JoinString>().err(), Some(JoinError::Authority));
        assert_eq!(format!("{head}#12").parse::<JoinString>().err(), Some(JoinError::Root));
    }

    #[test]
    fn the_shown_form_has_no_secret() {
        let shown = join("h").to_string();

        assert!(!shown.contains("hzr_"), "{shown}");
    }
}
