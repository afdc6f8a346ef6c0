//! Walks the folder in the order of its names, and never out of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::read::{Patience, Unread, read};
use super::{DEPTH_MAX, FILES_MAX, FolderScan, Incomplete, ManifestFile, TREE_BYTES_MAX, name};

pub(super) fn walk(root: &Path) -> FolderScan {
    let mut walk = Walk { bytes_left: TREE_BYTES_MAX, ..Walk::default() };
    match root.canonicalize().and_then(|root| Ok((root.metadata()?, root))) {
        Ok((metadata, real_root)) if metadata.is_dir() => {
            walk.seen.insert(identity(&metadata));
            walk.root = real_root.clone();
            walk.folder(&real_root, "", 0);
        }
        Ok(_) => walk.scan.missed("", Incomplete::RootNotAFolder, "it is not a folder"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            walk.scan.missed("", Incomplete::RootMissing, "it does not exist");
        }
        Err(error) => walk.scan.missed("", Incomplete::RootUnreadable, lower(&error)),
    }
    walk.scan
}

#[derive(Default)]
struct Walk {
    /// The root without links.
    root: PathBuf,
    scan: FolderScan,
    /// What was visited, by device and inode: a second name of the same thing adds nothing.
    seen: BTreeSet<(u64, u64)>,
    bytes_left: u64,
    patience: Patience,
}

impl Walk {
    fn folder(&mut self, folder: &Path, path: &str, depth: usize) {
        if depth > DEPTH_MAX {
            let message = format!("folders are nested deeper than {DEPTH_MAX}");
            return self.scan.missed(path, Incomplete::TooDeep, message);
        }
        let entries = match entries(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let reason = match path {
                    "" => Incomplete::RootUnreadable,
                    _ => Incomplete::FolderUnreadable,
                };
                return self.scan.missed(path, reason, lower(&error));
            }
        };
        for (name, kind) in entries {
            let Some(name) = name.to_str() else {
                let message = format!("a name in it is not UTF-8: {}", name.to_string_lossy());
                self.scan.missed(path, Incomplete::NameUnreadable, message);
                continue;
            };
            if name::is_ignored(name) {
                continue;
            }
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            self.entry(&folder.join(name), &path, kind, depth);
        }
    }

    fn entry(&mut self, real: &Path, path: &str, kind: FileType, depth: usize) {
        if !kind.is_dir() && !kind.is_symlink() && !name::is_manifest(path) {
            return;
        }
        let (real, metadata) = match resolve(real, kind) {
            Ok(resolved) => resolved,
            // It may have been a folder: a release that is being swapped, a mount that is not there.
            Err(_) if kind.is_symlink() && !name::is_manifest(path) => {
                return self.scan.missed(path, Incomplete::LinkNotFollowed, "the link leads nowhere");
            }
            Err(error) => return self.scan.unread(path, lower(&error)),
        };
        if !real.starts_with(&self.root) {
            return self.link_out(path, &metadata);
        }
        if metadata.is_dir() {
            if self.seen.insert(identity(&metadata)) {
                self.folder(&real, path, depth + 1);
            }
        } else if name::is_manifest(path) && self.seen.insert(identity(&metadata)) {
            self.manifest(&real, path);
        }
    }

    fn link_out(&mut self, path: &str, metadata: &Metadata) {
        let message = "the link leads out of the folder and is not followed";
        if metadata.is_dir() {
            self.scan.missed(path, Incomplete::LinkNotFollowed, message);
        } else if name::is_manifest(path) {
            self.scan.unread(path, message);
        }
    }

    fn manifest(&mut self, real: &Path, path: &str) {
        if self.scan.files.len() >= FILES_MAX {
            if self.scan.incomplete.is_none() {
                let message = format!("more than {FILES_MAX} manifests, the rest was not read");
                self.scan.missed(path, Incomplete::TooManyFiles, message);
            }
            return;
        }
        match read(real, self.bytes_left, &mut self.patience) {
            Ok(bytes) => {
                self.bytes_left -= bytes.len() as u64;
                self.scan.files.push(ManifestFile { path: path.to_owned(), bytes });
            }
            Err(Unread::NotAFile) => self.scan.unread(path, "it is not a regular file"),
            Err(Unread::KeptChanging) => self.scan.unread(path, "it kept changing while it was read"),
            Err(Unread::Refused(error)) => self.scan.unread(path, lower(&error)),
            Err(Unread::TooLarge) => {
                let message = format!("with it the manifests exceed {} MiB", TREE_BYTES_MAX >> 20);
                self.scan.unread(path, message);
                self.scan.incomplete.get_or_insert(Incomplete::TooManyBytes);
            }
        }
    }
}

/// Returns names and kinds, in the order of the names.
fn entries(folder: &Path) -> std::io::Result<Vec<(OsString, FileType)>> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        entries.push((entry.file_name(), entry.file_type()?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// Follows a link to its end; anything else is where it is, because the way to it was resolved before.
fn resolve(path: &Path, kind: FileType) -> std::io::Result<(PathBuf, Metadata)> {
    let real = if kind.is_symlink() { path.canonicalize()? } else { path.to_owned() };
    let metadata = real.symlink_metadata()?;
    Ok((real, metadata))
}

pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn lower(error: &std::io::Error) -> String {
    error.to_string().to_lowercase()
}
