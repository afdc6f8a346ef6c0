//! What digests of tokens are kept under: it is not in the database, so a stolen one is of no use.
//!
//! Each rotation lays another pepper over what is kept, because nobody here knows the tokens: `pepper` is the first,
//! `pepper.2` the second, and so on. The store says how many count; a file beyond is of a rotation that did not happen.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context;
use horizon_api::token::{KeyedDigest, TokenDigest};
use horizon_node::{failure::Failure, secret_file};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use zeroize::Zeroizing;

type Bytes = Zeroizing<[u8; 32]>;

/// The peppers of this controller. Clones are the same ones.
#[derive(Clone)]
pub struct Pepper {
    layers: Arc<RwLock<Vec<Bytes>>>,
    /// Held by whoever compares what it computes with the store, and alone by a rotation.
    turn: Arc<tokio::sync::RwLock<()>>,
}

/// More would make every look at a token slow; once a month for ten years are fewer.
const LAYERS_MAX: usize = 128;

impl Pepper {
    /// Reads the peppers behind the first one, as many as the store counts.
    ///
    /// # Errors
    /// When one of them is missing or damaged.
    pub fn load(data: &Path, first: Bytes, layers: i64) -> anyhow::Result<Self> {
        let pepper = Self::new(first);
        for layer in 2..=layers {
            let path = path(data, layer);
            let bytes = secret_file::load(&path).with_context(|| format!("load pepper {layer}"))?;
            let missing = || {
                let path = path.display();
                Failure::Failed(format!(
                    "{path} is missing, but the database beside it is in use: restore it from a backup; without it no token is known"
                ))
            };
            pepper.add(bytes.ok_or_else(missing)?);
        }
        Ok(pepper)
    }

    pub fn new(first: Bytes) -> Self {
        Self { layers: Arc::new(RwLock::new(vec![first])), turn: Arc::default() }
    }

    /// Makes the file of the next layer, or reads the one that a rotation left which did not happen. Blocks.
    ///
    /// # Errors
    /// When there are too many, or the file cannot be written.
    pub fn next(&self, data: &Path) -> anyhow::Result<Bytes> {
        let layers = self.layers();
        anyhow::ensure!(layers < LAYERS_MAX, "there are {layers} peppers already, which is the most");
        let next = i64::try_from(layers + 1).context("count the peppers")?;
        secret_file::load_or_create(&path(data, next)).context("make a pepper")
    }

    /// Takes in the layer that the store counts by now.
    pub fn add(&self, layer: Bytes) {
        self.layers.write().unwrap_or_else(PoisonError::into_inner).push(layer);
    }

    /// Returns how many layers count.
    pub fn layers(&self) -> usize {
        self.layers.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits while a rotation is under way, and keeps the next one waiting.
    pub async fn still(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.turn).read_owned().await
    }

    /// Waits until nobody compares anything, and keeps everybody waiting.
    pub async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.turn).write_owned().await
    }

    /// Returns what is kept of a registration or personal token.
    pub fn keyed(&self, digest: &TokenDigest) -> KeyedDigest {
        self.over(digest.as_bytes())
    }

    /// Returns what is kept of a token of the resource API, of what its face learns of the text.
    pub fn keyed_api(&self, secret: &[u8; 32]) -> KeyedDigest {
        self.over(&blake3::derive_key("horizon api token v1", secret))
    }

    /// Puts a digest under all layers.
    pub fn over(&self, digest: &[u8; 32]) -> KeyedDigest {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        let keyed = layers.iter().fold(*digest, |digest, layer| under(layer, &digest));
        KeyedDigest::from_bytes(keyed)
    }
}

/// Puts a digest under one pepper.
pub fn under(pepper: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    *blake3::keyed_hash(pepper, digest).as_bytes()
}

fn path(data: &Path, layer: i64) -> PathBuf {
    data.join(format!("pepper.{layer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_before_is_the_same_under_the_pepper() {
        let (pepper, other) = (Pepper::new([1; 32].into()), Pepper::new([2; 32].into()));
        let before = blake3::derive_key("horizon api token v1", &[7; 32]);

        assert!(pepper.over(&before).matches(&pepper.keyed_api(&[7; 32])));
        assert!(!other.keyed_api(&[7; 32]).matches(&pepper.keyed_api(&[7; 32])));
    }

    #[test]
    fn another_layer_lies_over_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let pepper = Pepper::new([1; 32].into());
        let kept = pepper.keyed_api(&[7; 32]);

        let layer = pepper.next(folder.path()).unwrap();
        let again = pepper.next(folder.path()).unwrap();
        assert_eq!((*layer, pepper.layers()), (*again, 1), "it does not count yet");
        pepper.add(layer.clone());
        let moved = KeyedDigest::from_bytes(under(&layer, kept.as_bytes()));

        assert!(moved.matches(&pepper.keyed_api(&[7; 32])));
        let read = Pepper::load(folder.path(), [1; 32].into(), 2).unwrap();
        assert!(read.keyed_api(&[7; 32]).matches(&moved));
        assert!(Pepper::load(folder.path(), [1; 32].into(), 3).is_err());
    }
}
