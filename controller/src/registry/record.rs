//! Who keeps an object, and what was last shown of it.

use smol_str::SmolStr;

/// What is known of an object beside what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) uid: SmolStr,
    pub(super) keeper: Keeper,
    /// Of what is shown, apart from its version.
    pub(super) hash: blake3::Hash,
}

/// Where the text of an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// A client of the resource API wrote it.
    Client { author: SmolStr },
    /// A login or an invitation made it. Whoever writes it makes it theirs.
    Login,
    /// A source of manifests, and where in it.
    Source { source: SmolStr, place: SmolStr },
}

impl Record {
    /// Returns whether its text is stored with what is shown.
    pub(super) fn author(&self) -> Option<&str> {
        match &self.keeper {
            Keeper::Client { author } => Some(author),
            Keeper::Login | Keeper::Source { .. } => None,
        }
    }
}
