//! Secrets of 32 bytes on disk: a node's key, the root key, the pepper. Made once, mode 0600, never sent.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use horizon_api::key::SecretKey;
use zeroize::Zeroizing;

use crate::{durable, random};

/// Why a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("cannot read {path}: {reason}")]
    Read { path: PathBuf, reason: io::Error },
    #[error("cannot write {path}: {reason}; free some space or give this user the right to the folder")]
    Write { path: PathBuf, reason: io::Error },
    #[error(
        "{path} can be read by others (mode {mode:o}): its secret may be known; run `chmod 600 {path}` if you are sure that nobody read it, else remove it and enrol again"
    )]
    Open { path: PathBuf, mode: u32 },
    #[error(
        "{path} belongs to user {owner}, not to the user of this process: run as that user, or remove it and enrol again"
    )]
    Owner { path: PathBuf, owner: u32 },
    #[error(
        "{path} is damaged: it has {bytes} bytes and not 32; restore it from a backup, or remove it and enrol again"
    )]
    Damaged { path: PathBuf, bytes: usize },
}

/// Reads a secret, and makes it first where it is missing.
///
/// # Errors
/// See [`SecretFileError`].
pub fn load_or_create(path: &Path) -> Result<Zeroizing<[u8; 32]>, SecretFileError> {
    if let Some(secret) = load(path)? {
        return Ok(secret);
    }
    let secret = Zeroizing::new(random::bytes());
    durable::write(path, &secret[..])
        .map_err(|reason| SecretFileError::Write { path: path.to_owned(), reason })?;
    Ok(secret)
}

/// Reads the key of a node, and makes it first where it is missing.
///
/// # Errors
/// See [`SecretFileError`].
pub fn node_key(path: &Path) -> Result<SecretKey, SecretFileError> {
    Ok(SecretKey::from_seed(&*load_or_create(path)?))
}

/// Reads a secret, and makes none where it is missing.
///
/// # Errors
/// See [`SecretFileError`].
pub fn load(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, SecretFileError> {
    let fail = |reason| SecretFileError::Read { path: path.to_owned(), reason };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 || !metadata.is_file() {
        return Err(SecretFileError::Open { path: path.to_owned(), mode });
    }
    if metadata.uid() != current_uid() {
        return Err(SecretFileError::Owner { path: path.to_owned(), owner: metadata.uid() });
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(fail)?);
    let secret = <[u8; 32]>::try_from(bytes.as_slice())
        .map_err(|_| SecretFileError::Damaged { path: path.to_owned(), bytes: bytes.len() })?;
    Ok(Some(Zeroizing::new(secret)))
}

fn current_uid() -> u32 {
    // SAFETY: geteuid takes nothing, changes nothing and cannot fail.
    #[allow(unsafe_code, reason = "std has no geteuid")]
    unsafe {
        libc::geteuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.key");

        assert!(load(&path).expect("looked for").is_none());
        let first = load_or_create(&path).expect("made");
        let second = load_or_create(&path).expect("read");

        assert_eq!(*first, *second);
    }

    #[test]
    fn open_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.key");

        fs::write(&path, [1; 31]).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let open = load_or_create(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        let damaged = load_or_create(&path);

        assert!(matches!(open, Err(SecretFileError::Open { mode: 0o644, .. })));
        assert!(matches!(damaged, Err(SecretFileError::Damaged { bytes: 31, .. })));
    }
}
