//! What we changed on this host, on disk before it is changed.
//!
//! An append-only file of JSON lines: a header, then `Begin` (flushed to the disk before the change is made)
//! and `Done`. After a `kill -9` it tells what is to be taken back. A change without its `Done` was perhaps
//! made; to take it back does no harm. A torn last line was never acted on. Opening rewrites the file,
//! so that it holds only what stands.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use horizon_dataplane::apply::{Action, Applied};

use crate::disk::{DiskAction, Header, Line, VERSION};
use crate::system;

/// The open journal of one host.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines: what lies behind them is the half of a line that a full disk did not take.
    whole_bytes: u64,
    header: Header,
    applied: Applied,
    begun: BTreeMap<ChangeId, Action>,
    next_id: u64,
    appended_lines: usize,
}

/// The number of a change in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId(u64);

/// Why a journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{step} {}; make the data folder writable and leave it some space", path.display())]
    File { step: &'static str, path: PathBuf, source: io::Error },
    #[error("tell this boot and network namespace from others; Linux 5.14 or later with /proc is needed")]
    Here { source: io::Error },
    #[error("{}:{line}: not a line of the journal ({reason}); restart the host or undo the changes by hand, then remove the file", path.display())]
    Corrupt { path: PathBuf, line: usize, reason: String },
    #[error("{} was written by a later version ({version}, this one knows {VERSION}); stop that version cleanly first", path.display())]
    Version { path: PathBuf, version: u32 },
}

impl Journal {
    /// Opens the journal in a data folder, with what an earlier process left.
    ///
    /// A journal of an earlier boot or of another network namespace is dropped: what it tells of is gone.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds what no version of ours wrote.
    pub fn open(data: &Path) -> Result<Self, JournalError> {
        let path = data.join("host-journal");
        Self::open_at(path, here().map_err(|source| JournalError::Here { source })?)
    }

    fn open_at(path: PathBuf, header: Header) -> Result<Self, JournalError> {
        let applied = match fs::read_to_string(&path) {
            Ok(text) => read(&path, &text, &header)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Applied::default(),
            Err(source) => return Err(JournalError::File { step: "read", path, source }),
        };
        let (lines, next_id) = standing(&header, &applied, 0).map_err(|source| JournalError::File {
            step: "write",
            path: path.clone(),
            source,
        })?;
        let file = replace(&path, &lines).map_err(|source| JournalError::File {
            step: "write",
            path: path.clone(),
            source,
        })?;
        let whole_bytes = length_of(&lines);
        let begun = BTreeMap::new();
        Ok(Self { path, file, whole_bytes, header, applied, begun, next_id, appended_lines: 0 })
    }

    /// Notes on disk that a change is about to be made.
    ///
    /// # Errors
    /// When the disk does not take it; then the change must not be made.
    pub fn begin(&mut self, action: &Action) -> Result<ChangeId, JournalError> {
        if self.appended_lines >= LINES_MAX {
            self.compact()?;
        }
        let id = ChangeId(self.next_id);
        self.append(&Line::Begin { id: id.0, action: action.into() })?;
        self.or_file(self.file.sync_data())?;
        self.next_id += 1;
        self.applied.suspect(action.clone());
        self.begun.insert(id, action.clone());
        Ok(id)
    }

    /// Notes that the change was made. Not flushed: a mark that is lost costs a harmless undo.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn done(&mut self, id: ChangeId) -> Result<(), JournalError> {
        let Some(action) = self.begun.remove(&id) else { return Ok(()) };
        self.applied.record(action);
        self.append(&Line::Done { id: id.0 })
    }

    /// Forgets how the change ended: it stays in the ledger as perhaps made.
    pub fn abandon(&mut self, id: ChangeId) {
        self.begun.remove(&id);
    }

    /// Returns the changes of ours that stand, or perhaps stand.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Rewrites the file. One change is made at a time, so none is under way.
    fn compact(&mut self) -> Result<(), JournalError> {
        let (lines, next_id) = self.or_file(standing(&self.header, &self.applied, self.next_id))?;
        self.file = self.or_file(replace(&self.path, &lines))?;
        self.whole_bytes = length_of(&lines);
        self.begun.clear();
        self.next_id = next_id;
        self.appended_lines = 0;
        Ok(())
    }

    /// A line that is written in part would swallow the next one, so what is left of it goes first.
    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let bytes = self.or_file(encode(line))?;
        self.or_file(self.file.set_len(self.whole_bytes))?;
        let written = self.file.write_all(&bytes);
        self.or_file(written)?;
        self.whole_bytes += length_of(&bytes);
        self.appended_lines += 1;
        Ok(())
    }

    fn or_file<T>(&self, answer: io::Result<T>) -> Result<T, JournalError> {
        answer.map_err(|source| JournalError::File { step: "write", path: self.path.clone(), source })
    }
}

/// The changes that the text leaves standing on the host that `here` describes.
fn read(path: &Path, text: &str, here: &Header) -> Result<Applied, JournalError> {
    let corrupt = |line: usize, reason: String| JournalError::Corrupt { path: path.to_owned(), line, reason };
    let mut lines = text.split_inclusive('\n').enumerate();
    let Some((_, first)) = lines.next() else { return Ok(Applied::default()) };
    let header: Header = serde_json::from_str(first).map_err(|error| corrupt(1, error.to_string()))?;
    if header.version != VERSION {
        return Err(JournalError::Version { path: path.to_owned(), version: header.version });
    }
    if header != *here {
        tracing::info!(path = %path.display(), "journal of an earlier boot or namespace dropped");
        return Ok(Applied::default());
    }
    let mut applied = Applied::default();
    let mut begun = BTreeMap::new();
    for (index, text) in lines {
        let line = match serde_json::from_str(text) {
            Ok(line) => line,
            // Only the last line lacks its end, and only when the write was cut short.
            Err(_) if !text.ends_with('\n') => break,
            Err(error) => return Err(corrupt(index + 1, error.to_string())),
        };
        match line {
            Line::Begin { id, action } => {
                let action =
                    Action::try_from(action).map_err(|error| corrupt(index + 1, error.to_string()))?;
                applied.suspect(action.clone());
                begun.insert(id, action);
            }
            Line::Done { id } => {
                let action = begun.remove(&id);
                applied.record(action.ok_or_else(|| corrupt(index + 1, format!("no change {id}")))?);
            }
        }
    }
    Ok(applied)
}

/// The lines of a journal that holds only what stands, and the number after its last.
fn standing(header: &Header, applied: &Applied, first_id: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut lines = encode(header)?;
    let mut id = first_id;
    for action in applied.actions() {
        lines.extend(encode(&Line::Begin { id, action: DiskAction::from(action) })?);
        lines.extend(encode(&Line::Done { id })?);
        id += 1;
    }
    Ok((lines, id))
}

/// Replaces the file by one with these lines, and opens it to append.
fn replace(path: &Path, lines: &[u8]) -> io::Result<File> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(lines)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    OpenOptions::new().append(true).open(path)
}

fn encode(line: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn length_of(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

fn here() -> io::Result<Header> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(Header { version: VERSION, boot, namespace: system::namespace_cookie()? })
}

/// A change is about 200 bytes: the file stays near a hundred kilobytes.
const LINES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { version: VERSION, boot: "boot".to_owned(), namespace: 7 }
    }

    fn open(path: &Path) -> Journal {
        Journal::open_at(path.to_owned(), header()).unwrap()
    }

    fn actions() -> Vec<Action> {
        let name = || "hzn0".parse().unwrap();
        let link = horizon_dataplane::apply::Link { mtu: 1400, queue_packets: 32, is_up: true };
        let setting = horizon_dataplane::apply::Setting {
            value: "0".to_owned(),
            beside: BTreeMap::from([("net.ipv4.conf.eth0.forwarding".parse().unwrap(), "1".to_owned())]),
        };
        let firewall = horizon_dataplane::apply::Firewall {
            tuns: [name()].into(),
            masquerades: [horizon_dataplane::apply::Masquerade::new(
                "10.7.0.0/24".parse().unwrap(),
                "192.168.1.0/24".parse().unwrap(),
            )
            .unwrap()]
            .into(),
            guards: ["net.ipv4.ip_forward".parse().unwrap()].into(),
        };
        let route = horizon_dataplane::apply::Route::new("fd00::/64".parse().unwrap(), name());
        vec![
            Action::AddTun { name: name() },
            Action::SetFirewall { was: None, value: Some(firewall) },
            Action::SetSysctl {
                key: "net.ipv4.ip_forward".parse().unwrap(),
                was: setting,
                value: "1".into(),
            },
            Action::SetLink { name: name(), was: horizon_dataplane::apply::Link::NEW_TUN, value: link },
            Action::AddAddress { name: name(), address: "10.7.0.1/24".parse().unwrap() },
            Action::AddRoute(route.with_metric(Some(7)).with_source(Some("fd00::1".parse().unwrap()))),
        ]
    }

    #[test]
    fn every_change_comes_back_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        let mut journal = open(&path);
        for action in actions() {
            let id = journal.begin(&action).unwrap();
            journal.done(id).unwrap();
        }
        drop(journal);

        let once: Vec<Action> = open(&path).applied().actions().cloned().collect();
        let twice: Vec<Action> = open(&path).applied().actions().cloned().collect();

        assert_eq!(once, actions());
        assert_eq!(twice, actions());
    }

    #[test]
    fn a_change_without_its_mark_counts_as_made_and_an_undo_without_it_as_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        let [first, second, ..] = &actions()[..] else { panic!("two actions") };
        let mut journal = open(&path);
        let id = journal.begin(first).unwrap();
        journal.done(id).unwrap();
        journal.begin(&first.undo()).unwrap();
        journal.begin(second).unwrap();
        drop(journal);

        let mut journal = open(&path);
        assert_eq!(journal.applied().undo(), [second.undo(), first.undo()]);
        let id = journal.begin(&first.undo()).unwrap();
        journal.done(id).unwrap();
        drop(journal);

        assert_eq!(open(&path).applied().undo(), [second.undo()]);
    }

    #[test]
    fn a_journal_cut_anywhere_reads_as_a_prefix_of_the_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        let mut journal = open(&path);
        for action in actions() {
            let id = journal.begin(&action).unwrap();
            journal.done(id).unwrap();
        }
        let whole = fs::read_to_string(&path).unwrap();
        let first_line = whole.find('\n').unwrap();

        for length in first_line..=whole.len() {
            let applied = read(&path, &whole[..length], &header()).unwrap();
            let left: Vec<Action> = applied.actions().cloned().collect();
            // A change counts from its `Begin` on, whose text may come without the end of the line.
            let begun = begins(&whole[..length]);
            assert_eq!(left, actions()[..begun], "cut at {length}");
        }
        assert_eq!(begins(&whole), actions().len());
    }

    /// Counts the whole lines that begin a change.
    fn begins(text: &str) -> usize {
        let is_begin = |line: &&str| matches!(serde_json::from_str(line), Ok(Line::Begin { .. }));
        text.lines().filter(is_begin).count()
    }

    #[test]
    fn what_a_full_disk_left_of_a_line_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        let [first, second, ..] = &actions()[..] else { panic!("two actions") };
        let mut journal = open(&path);
        let id = journal.begin(first).unwrap();
        // As a short write leaves it: no `Done` yet, and half of one on disk.
        journal.file.write_all(b"{\"Done\":{\"i").unwrap();

        journal.done(id).unwrap();
        journal.file.write_all(b"{\"Begin").unwrap();
        journal.begin(second).unwrap();
        drop(journal);

        let left: Vec<Action> = open(&path).applied().actions().cloned().collect();
        assert_eq!(left, actions()[..2]);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        let mut journal = open(&path);
        journal.begin(&actions()[0]).unwrap();
        let text = fs::read_to_string(&path).unwrap() + "garbage\n";
        fs::write(&path, text).unwrap();

        let error = Journal::open_at(path, header()).err().unwrap();

        assert!(matches!(error, JournalError::Corrupt { line: 3, .. }), "{error}");
    }

    #[test]
    fn a_later_version_is_refused_and_an_earlier_boot_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        open(&path).begin(&actions()[0]).unwrap();

        let rebooted = Header { boot: "another".to_owned(), ..header() };
        let elsewhere = Header { namespace: 8, ..header() };
        let text = fs::read_to_string(&path).unwrap();
        for other in [rebooted, elsewhere] {
            fs::write(&path, &text).unwrap();
            assert!(Journal::open_at(path.clone(), other).unwrap().applied().is_empty());
        }
        fs::write(&path, text.replace("\"version\":1", "\"version\":2")).unwrap();
        let error = Journal::open_at(path, header()).err().unwrap();

        assert!(matches!(error, JournalError::Version { version: 2, .. }), "{error}");
    }

    #[test]
    fn the_file_does_not_grow_without_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-journal");
        let mut journal = open(&path);
        let action = &actions()[0];
        for _ in 0..LINES_MAX {
            let id = journal.begin(action).unwrap();
            journal.done(id).unwrap();
        }

        assert!(fs::read_to_string(&path).unwrap().lines().count() <= LINES_MAX + 4);
        assert_eq!(open(&path).applied().undo(), [action.undo()]);
    }
}
