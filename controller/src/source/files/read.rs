//! Reads a file whole, or not at all.
//!
//! A file's times change when a write begins, by the tick of the kernel's clock, so a write that has just
//! begun cannot be told from one that has ended: a file is believed once it has been left alone for a while.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Since its last write: many ticks of the kernel's clock, and less than what a watch waits anyway.
const LEFT_ALONE: Duration = Duration::from_millis(100);
/// Reads of one file: the last comes well after `LEFT_ALONE`.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);
/// Of one look at the folder: someone who never stops writing must not keep it from ending.
const PAUSES_MAX: u32 = 40;

/// What one look at the folder may still wait.
#[derive(Debug)]
pub(super) struct Patience {
    pauses_left: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pauses_left: PAUSES_MAX }
    }
}

impl Patience {
    fn pause(&mut self) -> bool {
        if self.pauses_left == 0 {
            return false;
        }
        self.pauses_left -= 1;
        std::thread::sleep(PAUSE);
        true
    }
}

/// What a file held, and how to tell that it still does.
#[derive(Debug)]
pub(super) struct Content {
    pub bytes: Vec<u8>,
    /// Nothing for a file whose times tell nothing: they are in the future.
    pub stamp: Option<Stamp>,
}

/// What changes when someone writes, or puts another file in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[derive(Debug)]
pub(super) enum Unread {
    NotAFile,
    TooLarge,
    KeptChanging,
    Refused(std::io::Error),
}

/// Reads a regular file of at most `bytes_max`; one that changes meanwhile is read again.
/// The path's last part is not a link: the caller resolved it.
pub(super) fn read(path: &Path, bytes_max: u64, patience: &mut Patience) -> Result<Content, Unread> {
    for attempt in 0..TRIES {
        if attempt > 0 && !patience.pause() {
            break;
        }
        if let Some(content) = read_once(path, bytes_max)? {
            return Ok(content);
        }
    }
    Err(Unread::KeptChanging)
}

fn read_once(path: &Path, bytes_max: u64) -> Result<Option<Content>, Unread> {
    // Opening a FIFO would wait for its writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(Unread::Refused)?;
    let before = file.metadata().map_err(Unread::Refused)?;
    if !before.is_file() {
        return Err(Unread::NotAFile);
    }
    if before.len() > bytes_max {
        return Err(Unread::TooLarge);
    }
    let bytes = read_bounded(&file, bytes_max)?;
    let after = file.metadata().map_err(Unread::Refused)?;
    let is_whole = Stamp::of(&before) == Stamp::of(&after) && after.len() == bytes.len() as u64;
    let age = age(&before);
    let is_left_alone = age.is_none_or(|age| age >= LEFT_ALONE);
    let stamp = age.map(|_| Stamp::of(&before));
    Ok((is_whole && is_left_alone).then_some(Content { bytes, stamp }))
}

/// Returns how long ago a file was written; nothing if that is in the future.
fn age(metadata: &Metadata) -> Option<Duration> {
    SystemTime::now().duration_since(metadata.modified().ok()?).ok()
}

fn read_bounded(file: &File, bytes_max: u64) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(Unread::Refused)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Unread::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Patience, Unread, read};

    #[test]
    fn file_that_changes_while_it_is_read_is_never_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
        let done = AtomicBool::new(false);

        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..200_u8 {
                    // In place and of the same length: only its times tell.
                    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                    file.write_all(&vec![b'a' + round % 26; 1 << 20]).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            let mut is_last = false;
            while !is_last {
                is_last = done.load(Ordering::Relaxed);
                match read(&path, 2 << 20, &mut Patience::default()) {
                    Ok(content) => {
                        let first = content.bytes[0];
                        assert!(content.bytes.iter().all(|byte| *byte == first), "torn");
                    }
                    Err(unread) => assert!(matches!(unread, Unread::KeptChanging), "{unread:?}"),
                }
            }
        });
    }

    #[test]
    fn file_that_is_always_written_does_not_hold_up_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, "a").unwrap();
        let mut patience = Patience { pauses_left: 0 };

        assert!(matches!(read(&path, 10, &mut patience), Err(Unread::KeptChanging)));
        assert_eq!(read(&path, 10, &mut Patience::default()).unwrap().bytes, b"a");
        assert_eq!(read(&path, 10, &mut patience).unwrap().bytes, b"a");
    }

    #[test]
    fn large_file_is_not_read_to_its_end() {
        let read = |path: &Path, bytes_max| read(path, bytes_max, &mut Patience::default());
        assert!(matches!(read("/dev/zero".as_ref(), 10), Err(Unread::NotAFile)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, [0; 11]).unwrap();

        assert!(matches!(read(&path, 10), Err(Unread::TooLarge)));
        assert_eq!(read(&path, 11).unwrap().bytes.len(), 11);
    }
}
