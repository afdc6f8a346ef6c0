//! This gateway's key: 32 bytes in a file, or the same sealed to the host's TPM, so that a copy of the disk lacks it.
//!
//! It is one file in both forms, replaced whole: there is never none, and never another key.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use horizon_api::{
    cbor,
    key::{PublicKey, SecretKey},
};
use horizon_node::{data_folder::DataFolder, durable, failure::Failure, random, secret_file};
use horizon_tpm::{Tpm, sealed::Sealed};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A key and how it is kept.
pub(crate) struct Identity {
    pub(crate) key: SecretKey,
    pub(crate) is_sealed: bool,
}

/// The sealed form of the file, after its mark. The version is that of what follows.
#[derive(Serialize, Deserialize)]
struct SealedKey {
    version: u32,
    /// Whose key it is.
    public: PublicKey,
    sealed: Sealed,
}

pub(crate) const FILE: &str = "node.key";
/// The key that is to follow.
pub(crate) const NEXT: &str = "node.key.next";
/// No key is as long, so that nobody takes the one for the other.
const MARK: &[u8] = b"horizon: a key that only one TPM opens\n";
const VERSION: u32 = 1;

/// Reads the key, and makes it first where it is missing: sealed, if `is_to_seal`.
pub(crate) fn load_or_create(
    data: &DataFolder,
    tpm: Option<&Path>,
    is_to_seal: bool,
) -> anyhow::Result<Identity> {
    let identity = make(&data.file(FILE), tpm, is_to_seal)?;
    if is_to_seal && !identity.is_sealed {
        let text = "this gateway has a key already, which is not sealed: seal it with `horizon-gateway key seal`, and join then";
        return Err(Failure::Usage(text.into()).into());
    }
    Ok(identity)
}

/// Reads a key, and makes it first where it is missing: sealed, if `is_to_seal`.
pub(crate) fn make(path: &Path, tpm: Option<&Path>, is_to_seal: bool) -> anyhow::Result<Identity> {
    if !path.exists() && is_to_seal {
        let key = SecretKey::from_seed(&Zeroizing::new(random::bytes()));
        keep_sealed(path, &key, tpm)?;
    }
    load(path, tpm)
}

/// Reads a key as it is kept, and makes one in a file where there is none.
pub(crate) fn load(path: &Path, tpm: Option<&Path>) -> anyhow::Result<Identity> {
    match read_sealed(path)? {
        Some(sealed) => {
            let key = open(&sealed, tpm).with_context(|| {
                format!("open {}, which is sealed to a TPM and holds the key of this gateway", path.display())
            })?;
            Ok(Identity { key, is_sealed: true })
        }
        None => Ok(Identity { key: secret_file::node_key(path)?, is_sealed: false }),
    }
}

/// Seals the key that is in the file, and the one that is to follow it. Returns whether one was not yet.
pub(crate) fn seal(data: &DataFolder, tpm: Option<&Path>) -> anyhow::Result<bool> {
    let mut has_changed = false;
    for path in existing(data)? {
        let identity = load(&path, tpm)?;
        if !identity.is_sealed {
            keep_sealed(&path, &identity.key, tpm)?;
            has_changed = true;
        }
    }
    Ok(has_changed)
}

/// Writes the key into the file as it is, and the one that is to follow it. Returns whether one was sealed.
pub(crate) fn unseal(data: &DataFolder, tpm: Option<&Path>) -> anyhow::Result<bool> {
    let mut has_changed = false;
    for path in existing(data)? {
        let identity = load(&path, tpm)?;
        if identity.is_sealed {
            durable::write(&path, &identity.key.seed()[..]).context("write the key")?;
            has_changed = true;
        }
    }
    Ok(has_changed)
}

/// Returns the files of the keys that there are.
fn existing(data: &DataFolder) -> anyhow::Result<Vec<PathBuf>> {
    if !data.file(FILE).exists() {
        let text = format!("there is no key in {}: join first", data.path().display());
        return Err(Failure::Failed(text).into());
    }
    Ok([FILE, NEXT].map(|name| data.file(name)).into_iter().filter(|path| path.exists()).collect())
}

/// What was sealed is opened again before it takes the place of what it was made from.
fn keep_sealed(path: &Path, key: &SecretKey, tpm: Option<&Path>) -> anyhow::Result<()> {
    let sealed = tpm_at(tpm)?.seal(&key.seed()).context("seal the key")?;
    let kept = SealedKey { version: VERSION, public: key.public(), sealed };
    open(&kept, tpm).context("open what was just sealed")?;
    let bytes = [MARK, &cbor::encode(&kept)].concat();
    durable::write(path, &bytes).context("write the sealed key")
}

fn open(kept: &SealedKey, tpm: Option<&Path>) -> anyhow::Result<SecretKey> {
    let key = SecretKey::from_seed(&*tpm_at(tpm)?.unseal(&kept.sealed)?);
    anyhow::ensure!(
        key.public() == kept.public,
        "it holds another key than it says; restore it from a backup"
    );
    Ok(key)
}

fn tpm_at(path: Option<&Path>) -> anyhow::Result<Tpm> {
    let text = "this host has no TPM: start on the host that sealed the key, name its TPM with --tpm PATH, or remove node.key and join again";
    let path = path.ok_or_else(|| Failure::Failed(text.into()))?;
    Ok(Tpm::open(path)?)
}

fn read_sealed(path: &Path) -> anyhow::Result<Option<SealedKey>> {
    // What cannot be read is told by whoever reads it as a key.
    let Ok(bytes) = fs::read(path).map(Zeroizing::new) else { return Ok(None) };
    let Some(kept) = bytes.strip_prefix(MARK) else { return Ok(None) };
    let kept: SealedKey = cbor::decode(kept).with_context(|| format!("read {}", path.display()))?;
    anyhow::ensure!(kept.version <= VERSION, "{} is of a newer version: upgrade the gateway", path.display());
    Ok(Some(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (tempfile::TempDir, DataFolder) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(&folder.path().join("data")).expect("free");
        (folder, data)
    }

    fn said(result: anyhow::Result<impl Sized>) -> String {
        format!("{:#}", result.err().expect("refused"))
    }

    #[test]
    fn without_a_tpm_a_key_is_in_a_file() {
        let (_folder, data) = data();

        let made = load_or_create(&data, None, false).expect("made");
        let read = load(&data.file(FILE), None).expect("read");

        assert_eq!(made.key.public(), read.key.public());
        assert!(!read.is_sealed && !unseal(&data, None).expect("nothing to do"));
    }

    #[test]
    fn what_cannot_be_sealed_stays_as_it_was() {
        let (folder, data) = data();
        assert!(said(seal(&data, None)).contains("join first"));
        assert!(said(load_or_create(&data, None, true)).contains("has no TPM"));
        assert!(!data.file(FILE).exists(), "nothing was made");
        let made = load(&data.file(FILE), None).expect("made");

        let missing = folder.path().join("no-tpm");
        assert!(said(seal(&data, None)).contains("has no TPM"));
        assert!(said(seal(&data, Some(&missing))).contains("there is no TPM at"));
        assert!(said(load_or_create(&data, None, true)).contains("key seal"));

        assert_eq!(load(&data.file(FILE), None).expect("as it was").key.public(), made.key.public());
    }

    #[test]
    fn a_sealed_key_without_its_tpm_and_a_damaged_one_open_nothing() {
        let (_folder, data) = data();
        durable::write(&data.file(FILE), &[MARK, b"damaged"].concat()).expect("written");

        assert!(said(load(&data.file(FILE), None)).starts_with("read "));
    }
}
