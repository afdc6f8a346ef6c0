//! Texts of a source to objects: on all processors, and only those texts that are not known yet.
//!
//! The content decides whether a text is known, never its times. What a file says depends on nothing but the file.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use horizon_planner::manifest::{Parsed, parse_file};

use super::files::ManifestFile;

/// What the files of a source said when they were last read.
#[derive(Debug, Default)]
pub struct Reader {
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    bytes: Arc<[u8]>,
    parsed: Arc<Parsed>,
}

impl Reader {
    /// Returns what the files, in the order of their paths, say together. Blocks.
    pub fn read(&mut self, files: &[ManifestFile]) -> Parsed {
        let mut known = std::mem::take(&mut self.known);
        let mut still_known = |file: &ManifestFile| {
            known.remove(&file.path).filter(|known| known.bytes == file.bytes).map(|known| known.parsed)
        };
        let parsed: Vec<_> = files.iter().map(&mut still_known).collect();
        let unknown = files.iter().zip(&parsed).filter(|(_, parsed)| parsed.is_none());
        let unknown: Vec<_> = unknown.map(|(file, _)| file).collect();
        let mut new = parse_all(&unknown).into_iter();
        for (file, parsed) in files.iter().zip(parsed) {
            let Some(parsed) = parsed.or_else(|| new.next()) else { continue };
            let bytes = Arc::clone(&file.bytes);
            self.known.insert(file.path.clone(), Known { bytes, parsed });
        }
        Parsed::merge(files.iter().filter_map(|file| Some(self.known.get(&file.path)?.parsed.as_ref())))
    }
}

/// Parses files, and returns the results in their order.
fn parse_all(files: &[&ManifestFile]) -> Vec<Arc<Parsed>> {
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if bytes < WORTH_A_THREAD { 1 } else { processors.min(files.len()) };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else { return done };
            done.push((index, Arc::new(parse_file(&file.path, &file.bytes))));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, parsed)| parsed).collect()
}

/// A thread begins in some ten microseconds, in which a thousand bytes are parsed.
const WORTH_A_THREAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use horizon_planner::manifest::{Manifest, parse_folder};

    use super::*;

    fn file(number: usize, name: &str) -> ManifestFile {
        // A comment makes the text long enough for several threads.
        let text = format!(
            "# {}\napiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{groups: [a]}}\n",
            "x".repeat(2_000)
        );
        ManifestFile { path: format!("{number:03}.yaml"), bytes: text.into_bytes().into() }
    }

    fn names(parsed: &Parsed) -> Vec<&str> {
        parsed.manifests.iter().map(|manifest| manifest.metadata.name.as_str()).collect()
    }

    #[test]
    fn many_threads_say_what_one_does() {
        let files: Vec<_> = (0..200).map(|number| file(number, &format!("u{}", number % 150))).collect();
        let borrowed: Vec<_> = files.iter().map(|file| (file.path.as_str(), &*file.bytes)).collect();

        let parsed = Reader::default().read(&files);

        let alone = parse_folder(&borrowed);
        assert_eq!(names(&parsed), names(&alone));
        assert_eq!((parsed.files, parsed.problems), (200, alone.problems));
    }

    #[test]
    fn only_what_changed_is_parsed_again() {
        let mut files: Vec<_> = (0..100).map(|number| file(number, &format!("u{number}"))).collect();
        let mut reader = Reader::default();
        let before = reader.read(&files);

        // The same text in another allocation, another text, and a file that is gone.
        files[3] = file(3, "u3");
        files[4] = file(4, "other");
        files.remove(5);
        let after = reader.read(&files);

        assert_eq!((names(&after)[4], after.manifests.len()), ("other", 99));
        let is_kept = |old: &Arc<Manifest>| after.manifests.iter().any(|new| Arc::ptr_eq(old, new));
        let parsed_again: Vec<_> = before.manifests.iter().filter(|old| !is_kept(old)).collect();
        assert_eq!(
            parsed_again.iter().map(|old| old.metadata.name.as_str()).collect::<Vec<_>>(),
            ["u4", "u5"]
        );
    }
}
