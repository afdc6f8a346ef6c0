//! Texts that were read before: a file that is as it was need not be read again, and a text that is as it was need not
//! be kept twice.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::sync::Arc;

use super::ManifestFile;
use super::read::{Content, Stamp};

/// The files of the last look, by path.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    files: BTreeMap<String, Shelved>,
    /// The times of a file are believed; otherwise it is read, and its content decides.
    trusts_times: bool,
}

#[derive(Debug)]
struct Shelved {
    bytes: Arc<[u8]>,
    stamp: Option<Stamp>,
    is_used: bool,
}

impl Shelf {
    /// Begins another look.
    pub(super) fn begin(&mut self, trusts_times: bool) {
        self.trusts_times = trusts_times;
        self.files.values_mut().for_each(|file| file.is_used = false);
    }

    /// Forgets what the look did not find.
    pub(super) fn end(&mut self) {
        self.files.retain(|_, file| file.is_used);
    }

    /// Returns the text of a file that nobody touched since it was read.
    pub(super) fn unchanged(&mut self, path: &str, metadata: &Metadata) -> Option<ManifestFile> {
        let shelved = self.files.get_mut(path)?;
        if !self.trusts_times || shelved.stamp != Some(Stamp::of(metadata)) {
            return None;
        }
        shelved.is_used = true;
        Some(ManifestFile { path: path.to_owned(), bytes: Arc::clone(&shelved.bytes) })
    }

    /// Keeps what was read. The same text stays the same allocation.
    pub(super) fn put(&mut self, path: &str, content: Content) -> ManifestFile {
        let known = self.files.get(path).map(|shelved| &shelved.bytes);
        let bytes = known.filter(|known| ***known == *content.bytes).cloned();
        let bytes = bytes.unwrap_or_else(|| content.bytes.into());
        let shelved = Shelved { bytes: Arc::clone(&bytes), stamp: content.stamp, is_used: true };
        self.files.insert(path.to_owned(), shelved);
        ManifestFile { path: path.to_owned(), bytes }
    }
}
