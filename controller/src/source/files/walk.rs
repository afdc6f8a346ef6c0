//! Walks the folder in the order of its names, and never out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ignore::{self, Ignores, Unknown};
use super::mounts::Devices;
use super::read::{Patience, Unread, read};
use super::shelf::Shelf;
use super::{
    DEPTH_MAX, FILE_BYTES_MAX, FILES_MAX, FolderScan, Incomplete, ScanProblem, TREE_BYTES_MAX, name,
};

/// What one walk saw.
pub(super) struct Walked {
    pub(super) scan: FolderScan,
    pub(super) links: Links,
    pub(super) devices: Devices,
}

/// Links that were followed, and where each led.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(PathBuf, PathBuf)>);

impl Links {
    /// Tells whether one of them was swapped since: what was seen is partly of before, and partly of after.
    pub(super) fn lead_elsewhere(&self) -> bool {
        self.0.iter().any(|(link, real)| link.canonicalize().ok().as_ref() != Some(real))
    }
}

pub(super) fn walk(root: &Path, shelf: &mut Shelf) -> Walked {
    let mut walk = Walk {
        root: PathBuf::new(),
        scan: FolderScan::default(),
        links: Links::default(),
        devices: Devices::new(),
        shelf,
        seen: BTreeSet::new(),
        bytes_left: TREE_BYTES_MAX,
        folders_left: FILES_MAX,
        is_full: false,
        ignores: Ignores::default(),
        patience: Patience::default(),
    };
    match root.canonicalize().and_then(|root| Ok((root.metadata()?, root))) {
        Ok((metadata, real_root)) if metadata.is_dir() => {
            walk.seen.insert(identity(&metadata));
            walk.root = real_root.clone();
            walk.folder(&real_root, "", &metadata, 0);
        }
        Ok(_) => walk.scan.missed("", Incomplete::RootNotAFolder, "it is not a folder"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            walk.scan.missed("", Incomplete::RootMissing, "it does not exist");
        }
        Err(error) => walk.scan.missed("", Incomplete::RootUnreadable, lower(&error)),
    }
    Walked { scan: walk.scan, links: walk.links, devices: walk.devices }
}

struct Walk<'a> {
    /// The root without links.
    root: PathBuf,
    scan: FolderScan,
    links: Links,
    devices: Devices,
    shelf: &'a mut Shelf,
    /// What was visited, by device and inode: a second name of the same thing adds nothing.
    seen: BTreeSet<(u64, u64)>,
    bytes_left: u64,
    folders_left: usize,
    /// Nothing more is looked at.
    is_full: bool,
    ignores: Ignores,
    patience: Patience,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, path: &str, metadata: &Metadata, depth: usize) {
        if depth > DEPTH_MAX {
            let message = format!("folders are nested deeper than {DEPTH_MAX}");
            return self.scan.missed(path, Incomplete::TooDeep, message);
        }
        if self.folders_left == 0 {
            return self.full(path, "folders");
        }
        self.folders_left -= 1;
        match self.ignores.enter(folder, path, &mut self.patience) {
            Ok(()) => {}
            Err(Unknown::Folder(error)) => return self.closed(path, &error),
            Err(Unknown::Rules(line, reason)) => {
                let path = join(path, ignore::NAME);
                let message = format!("{reason}; nothing of its folder is read until it is right");
                self.scan.incomplete.get_or_insert(Incomplete::IgnoreUnreadable);
                return self.scan.problems.push(ScanProblem { path, line, message });
            }
        }
        self.devices.insert(path.to_owned(), metadata.dev());
        self.entries(folder, path, depth);
        self.ignores.leave();
    }

    fn entries(&mut self, folder: &Path, path: &str, depth: usize) {
        let ignores = &self.ignores;
        let is_ignored = |name: &str, kind: FileType| ignores.is_ignored(&join(path, name), kind.is_dir());
        let (entries, left_out) = match entries(folder, is_ignored) {
            Ok(entries) => entries,
            Err(error) => return self.closed(path, &error),
        };
        for (name, kind) in entries {
            if self.is_full {
                return;
            }
            let Some(name) = name.to_str() else {
                let message = format!("a name in it is not UTF-8: {}", name.to_string_lossy());
                self.scan.missed(path, Incomplete::NameUnreadable, message);
                continue;
            };
            self.entry(&folder.join(name), &join(path, name), kind, depth);
        }
        if let Some(name) = left_out {
            let name = name.to_string_lossy();
            self.full(&join(path, &name), if name::is_manifest(&name) { "manifests" } else { "folders" });
        }
    }

    fn closed(&mut self, path: &str, error: &std::io::Error) {
        let reason = if path.is_empty() { Incomplete::RootUnreadable } else { Incomplete::FolderUnreadable };
        self.scan.missed(path, reason, lower(error));
    }

    /// Too many are a mistake of another kind, such as a wrong root: the first are read, and one problem names the rest.
    fn full(&mut self, path: &str, what: &str) {
        if !self.is_full {
            self.is_full = true;
            let message = format!("more than {FILES_MAX} {what}, the rest was not read");
            self.scan.missed(path, Incomplete::TooManyFiles, message);
        }
    }

    fn entry(&mut self, place: &Path, path: &str, kind: FileType, depth: usize) {
        let (real, metadata) = match resolve(place, kind) {
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
        if kind.is_symlink() && (metadata.is_dir() || name::is_manifest(path)) {
            self.links.0.push((place.to_owned(), real.clone()));
        }
        if metadata.is_dir() {
            if self.seen.insert(identity(&metadata)) {
                self.folder(&real, path, &metadata, depth + 1);
            }
        } else if name::is_manifest(path) && self.seen.insert(identity(&metadata)) {
            self.manifest(&real, path, &metadata);
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

    fn manifest(&mut self, real: &Path, path: &str, metadata: &Metadata) {
        if self.scan.files.len() >= FILES_MAX {
            return self.full(path, "manifests");
        }
        if !metadata.is_file() {
            return self.scan.unread(path, "it is not a regular file");
        }
        if let Some(file) = self.shelf.unchanged(path, metadata)
            && file.bytes.len() as u64 <= self.bytes_left
        {
            self.bytes_left -= file.bytes.len() as u64;
            return self.scan.files.push(file);
        }
        match read(real, self.bytes_left.min(FILE_BYTES_MAX), &mut self.patience) {
            Ok(content) => {
                self.bytes_left -= content.bytes.len() as u64;
                self.scan.files.push(self.shelf.put(path, content));
            }
            Err(Unread::NotAFile) => self.scan.unread(path, "it is not a regular file"),
            Err(Unread::KeptChanging) => self.scan.unread(path, "it kept changing while it was read"),
            Err(Unread::Refused(error)) => self.scan.unread(path, lower(&error)),
            Err(Unread::TooLarge) if self.bytes_left >= FILE_BYTES_MAX => {
                self.scan.unread(path, format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
            }
            Err(Unread::TooLarge) => {
                let message = format!("with it the manifests exceed {} MiB", TREE_BYTES_MAX >> 20);
                self.scan.unread(path, message);
                self.scan.incomplete.get_or_insert(Incomplete::TooManyBytes);
            }
        }
    }
}

/// Returns what may matter in a folder, in the order of the names. Of too many it keeps the first and returns the
/// name after those, because a million names are more than anybody wants in memory. All names are passed, because the
/// first ones may come last, and the same ones are to be read every time; what is behind is not looked at.
fn entries(
    folder: &Path,
    is_ignored: impl Fn(&str, FileType) -> bool,
) -> std::io::Result<(BTreeMap<OsString, FileType>, Option<OsString>)> {
    let mut entries = BTreeMap::new();
    let mut left_out: Option<OsString> = None;
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        if left_out.as_ref().is_some_and(|left_out| name >= *left_out) {
            continue;
        }
        let kind = entry.file_type()?;
        let text = name.to_string_lossy();
        let may_matter = kind.is_dir() || kind.is_symlink() || name::is_manifest(&text);
        if name::is_ignored(&text) || !may_matter || is_ignored(&text, kind) {
            continue;
        }
        entries.insert(name, kind);
        if entries.len() > FILES_MAX {
            let last = entries.pop_last().map(|(name, _)| name);
            left_out = last.into_iter().chain(left_out).min();
        }
    }
    Ok((entries, left_out))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
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
