//! `.horizonignore`: which names of a folder are not for Horizon, in the words of `.gitignore`.
//!
//! Each folder may have one; it is about the folder and what is below, and the nearest one decides.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::read::{Patience, Unread, read};

pub(super) const NAME: &str = ".horizonignore";
/// Some thousand patterns.
const BYTES_MAX: u64 = 64 << 10;

/// The rules of the folders from the root to where the walk is. Paths are those that people see, with links in them.
#[derive(Debug, Default)]
pub(super) struct Ignores {
    folders: Vec<Gitignore>,
}

/// Why the rules of a folder cannot be known.
#[derive(Debug)]
pub(super) enum Unknown {
    /// Nobody knows what is in the folder at all.
    Folder(std::io::Error),
    /// In which line of the rules, or 0 for all of them, and why.
    Rules(u32, String),
}

impl Ignores {
    /// Takes in the rules of a folder, until [`Ignores::leave`].
    ///
    /// # Errors
    /// Why they cannot be known. Nothing was taken in, and nothing of the folder may be read: what somebody wanted
    /// to keep out must not come into force because of a mistake.
    pub(super) fn enter(
        &mut self,
        folder: &Path,
        path: &str,
        patience: &mut Patience,
    ) -> Result<(), Unknown> {
        let file = folder.join(NAME);
        let rules = match file.try_exists() {
            Ok(true) => {
                rules(&file, path, patience).map_err(|(line, reason)| Unknown::Rules(line, reason))?
            }
            Ok(false) => Gitignore::empty(),
            Err(error) => return Err(Unknown::Folder(error)),
        };
        self.folders.push(rules);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.folders.pop();
    }

    pub(super) fn is_ignored(&self, path: &str, is_folder: bool) -> bool {
        let path = absolute(path);
        let matches = self.folders.iter().rev().map(|rules| rules.matched(&path, is_folder));
        matches.into_iter().find(|found| !found.is_none()).is_some_and(|found| found.is_ignore())
    }
}

fn rules(file: &Path, path: &str, patience: &mut Patience) -> Result<Gitignore, (u32, String)> {
    let whole = |reason: String| (0_u32, reason);
    let content = read(file, BYTES_MAX, patience).map_err(|unread| {
        whole(match unread {
            Unread::NotAFile => "it is not a regular file".to_owned(),
            Unread::KeptChanging => "it kept changing while it was read".to_owned(),
            Unread::TooLarge => format!("it is larger than {} KiB", BYTES_MAX >> 10),
            Unread::Refused(error) => error.to_string().to_lowercase(),
        })
    })?;
    let text = String::from_utf8(content.bytes).map_err(|_| whole("it is not UTF-8".to_owned()))?;
    let mut builder = GitignoreBuilder::new(absolute(path));
    for (number, line) in (1_u32..).zip(text.lines()) {
        builder.add_line(None, line).map_err(|error| (number, error.to_string()))?;
    }
    builder.build().map_err(|error| whole(error.to_string()))
}

/// The root of the walk is the root of the paths.
fn absolute(path: &str) -> String {
    format!("/{path}")
}
