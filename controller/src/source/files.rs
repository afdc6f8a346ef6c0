//! A folder of manifests.
//!
//! [`scan`] looks at the whole folder once, and says what it could not see: an absent or unreadable folder is
//! unknown, not empty, and whoever prunes must know the difference. [`watch`] looks again when something
//! changed, and every so often whatever happens.

mod git;
mod ignore;
mod mounts;
mod name;
mod read;
mod shelf;
mod walk;
mod watch;

#[cfg(test)]
mod facts;

use std::path::Path;
use std::sync::Arc;

use mounts::Mounts;
use shelf::Shelf;
use walk::{Links, Walked};
pub use watch::{Detections, FolderWatch, Watch, watch};

/// Bytes of all manifests together: 100,000 objects with their comments.
const TREE_BYTES_MAX: u64 = 128 << 20;
/// Bytes of one manifest: more than 10,000 documents, after which no more are read anyway.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Manifests, and folders.
const FILES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 32;

/// What a folder held at one look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderScan {
    /// In the order of their paths.
    pub files: Vec<ManifestFile>,
    /// Manifests that are there but could not be read: what they declared before stays as it was.
    pub unreadable: Vec<String>,
    pub problems: Vec<ScanProblem>,
    /// Why more may be there than was seen. Nothing is pruned while this is set.
    pub incomplete: Option<Incomplete>,
    /// The commit that is checked out, if the folder is part of a Git work tree.
    pub commit: Option<String>,
}

/// A manifest as it was read: its path from the root, with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    pub path: String,
    /// The same text is the same allocation for as long as the folder is watched.
    pub bytes: Arc<[u8]>,
}

/// Why something under the root was not read; `path` is empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScanProblem {
    pub path: String,
    /// Counts from 1; 0 if it is about all of it.
    pub line: u32,
    pub message: String,
}

impl ScanProblem {
    /// Returns what is wrong in one sentence, with the line.
    pub fn sentence(&self) -> String {
        if self.line == 0 { self.message.clone() } else { format!("line {}: {}", self.line, self.message) }
    }
}

/// Why a folder was not seen whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomplete {
    RootMissing,
    RootUnreadable,
    RootNotAFolder,
    /// No manifest where there were some.
    SuddenlyEmpty,
    FolderUnreadable,
    /// A `.horizonignore` that cannot be read or understood: nothing of its folder is read.
    IgnoreUnreadable,
    /// A name that is not UTF-8: what is behind it cannot be told apart from what is gone.
    NameUnreadable,
    /// A link to a folder that is not there, or leads out.
    LinkNotFollowed,
    TooManyFiles,
    TooManyBytes,
    TooDeep,
    /// Git has been changing the files for longer than anybody waits.
    GitAtWork,
}

impl FolderScan {
    /// Tells whether absence from this scan means absence from the folder.
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_none()
    }

    fn has_manifests(&self) -> bool {
        !self.files.is_empty() || !self.unreadable.is_empty()
    }

    /// An empty folder that held manifests is a mistake until they are back: a mount that is not there, a
    /// checkout in progress.
    fn doubted(mut self, had_manifests: bool) -> Self {
        if had_manifests && self.is_complete() && !self.has_manifests() {
            self.problem("", "no manifest is left in it, what it declared stays in force");
            self.incomplete = Some(Incomplete::SuddenlyEmpty);
        }
        self
    }

    fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(ScanProblem { path: path.into(), line: 0, message: message.into() });
    }

    /// Keeps the first reason: the others follow from it, or come up once it is gone.
    fn missed(&mut self, path: &str, reason: Incomplete, message: impl Into<String>) {
        self.problem(path, message);
        self.incomplete.get_or_insert(reason);
    }

    fn unread(&mut self, path: &str, message: impl Into<String>) {
        self.problem(path, message);
        self.unreadable.push(path.into());
    }

    fn sort(&mut self) {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.unreadable.sort();
        self.problems.sort();
    }
}

/// Looks at a folder once. `had_manifests`: something is in force that came from it. Blocks.
pub fn scan(root: &Path, had_manifests: bool) -> FolderScan {
    scan_again(root, had_manifests, &mut Memory::default()).0
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
struct Memory {
    shelf: Shelf,
    mounts: Mounts,
}

/// Looks at a folder, and reads what is not on the shelf. The links tell later whether the look was of one moment.
fn scan_again(root: &Path, had_manifests: bool, memory: &mut Memory) -> (FolderScan, Links) {
    let Walked { mut scan, links, devices } = walk::walk(root, &mut memory.shelf);
    memory.mounts.judge(&mut scan, &devices);
    scan.sort();
    (scan.doubted(had_manifests), links)
}
