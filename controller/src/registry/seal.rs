//! Secrets at rest: sealed with a key that is not in the store, so that a copy of the database tells none.

use std::{fmt, path::Path};

use anyhow::Context;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use horizon_node::{random, secret_file};

use crate::store::DocumentKey;

const FILE: &str = "seal.key";
/// What a sealed text begins with: how it was sealed.
const HEAD: &str = "chacha20poly1305:";

/// Seals and opens what is secret.
pub struct Seal {
    key: LessSafeKey,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Reads the key of a data folder, or makes it. One that is made where another was lost opens nothing of what the
    /// other sealed, and [`Seal::open`] says so.
    ///
    /// # Errors
    /// When it can be neither read nor made, or others can read it.
    pub fn load(data: &Path) -> anyhow::Result<Self> {
        let bytes = secret_file::load_or_create(&data.join(FILE)).context("load the key of secrets")?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes[..]);
        let key = key.map_err(|_| anyhow::anyhow!("a key of 32 bytes is refused"))?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Seals the text of a document, for this document alone.
    ///
    /// # Errors
    /// When it is longer than any document.
    pub(super) fn close(&self, key: &DocumentKey, text: &[u8]) -> anyhow::Result<String> {
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut sealed = text.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name(key)), &mut sealed)
            .map_err(|_| anyhow::anyhow!("a secret cannot be sealed"))?;
        Ok(format!("{HEAD}{}", STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// When it was sealed with another key, for another document, or was changed.
    pub(super) fn open(&self, key: &DocumentKey, text: &str) -> anyhow::Result<String> {
        let opened = text.strip_prefix(HEAD).and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| {
            let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let opened = self.key.open_in_place(nonce, Aad::from(name(key)), &mut sealed).ok()?;
            String::from_utf8(opened.to_vec()).ok()
        });
        opened.with_context(|| {
            let DocumentKey { namespace, name, .. } = key;
            format!(
                "secret {namespace}/{name} cannot be opened: put the {FILE} back that belongs to this store"
            )
        })
    }
}

fn name(key: &DocumentKey) -> Vec<u8> {
    let DocumentKey { resource, namespace, name } = key;
    format!("horizon sealed document v1\0{resource}\0{namespace}\0{name}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_in_its_own_place_and_with_its_own_key_only() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let seal = Seal::load(folder.path()).unwrap();
        let key = |name: &str| DocumentKey {
            resource: "secrets".into(),
            namespace: "default".into(),
            name: name.into(),
        };

        let sealed = seal.close(&key("a"), b"hush").unwrap();

        assert!(!sealed.contains("hush") && sealed != seal.close(&key("a"), b"hush").unwrap());
        assert_eq!(Seal::load(folder.path()).unwrap().open(&key("a"), &sealed).unwrap(), "hush");
        assert!(seal.open(&key("b"), &sealed).is_err());
        assert!(seal.open(&key("a"), "hush").is_err());
        assert!(Seal::load(other.path()).unwrap().open(&key("a"), &sealed).is_err());
        std::fs::write(other.path().join(FILE), b"short").unwrap();
        assert!(Seal::load(other.path()).unwrap_err().to_string().contains("load the key of secrets"));
    }
}
