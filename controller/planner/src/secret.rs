//! Secrets that people paste where none belongs: recognised by their look, never repeated.

use crate::node::{Node, Value};

/// What a text looks like, when it looks like a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    PrivateKey,
    Token,
    /// 32 bytes of base64 where a public key with a prefix belongs: a WireGuard key, secret or not.
    BareKey,
    /// What a person would type, where its hash belongs.
    Password,
    /// Left encrypted by SOPS.
    Encrypted,
}

impl Secret {
    /// Looks at one value and the name of its field.
    pub(crate) fn find(field: &str, text: &str) -> Option<Self> {
        let is_token = ["hzr_", "hzc_"].iter().any(|prefix| text.contains(prefix)) && text.len() > 40;
        if text.contains("-----BEGIN") && text.contains("PRIVATE KEY") {
            Some(Self::PrivateKey)
        } else if is_token {
            Some(Self::Token)
        } else if text.starts_with("ENC[AES256_GCM") {
            Some(Self::Encrypted)
        } else if field == "publicKey" && text.len() == 44 && text.ends_with('=') {
            Some(Self::BareKey)
        } else if field == "passwordHash" && !text.starts_with('$') && !text.is_empty() {
            Some(Self::Password)
        } else {
            None
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::PrivateKey => "this looks like a private key",
            Self::Token => "this looks like a whole token",
            Self::BareKey => "this looks like a WireGuard key, perhaps a private one",
            Self::Password => "this looks like a plain password",
            Self::Encrypted => "the value is still encrypted",
        }
    }

    pub(crate) fn fix(self) -> &'static str {
        match self {
            Self::PrivateKey => "rotate it, because it may be in Git history, and declare the public key",
            Self::Token => {
                "rotate it, because it may be in Git history, and declare `sha256:` and the hash of the next one"
            }
            Self::BareKey => "if it is private, rotate it; declare `ed25519:` and the public key",
            Self::Password => {
                "change it, because it may be in Git history, and declare its argon2id hash, as `horizon-controller admin add` makes it"
            }
            Self::Encrypted => "decrypt it before Horizon reads it",
        }
    }
}

/// Returns the place of the block that SOPS adds to a document that it encrypted.
pub(crate) fn sops_block(root: &Node) -> Option<&Node> {
    root.field("sops").filter(|node| matches!(node.value, Value::Map(_)))
}

/// Returns whether a field of this name may hold a secret, so that excerpts mask it.
pub fn is_secret_field(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    ["hash", "secret", "password", "token", "key"].iter().any(|word| field.contains(word))
        && !field.ends_with("ref")
}
