//! What a door says of a document.

/// What a door says of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused(Vec<Word>),
    /// Taken at the door, and kept out by the controller, which says the first reason in the object's status.
    KeptOut(Vec<Word>),
    /// A client finds no path to send it to, and says so itself.
    NotSent,
}

/// One thing that is said against a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The cause in one word.
    pub(crate) code: String,
    /// Where in the object; empty where the text says it.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Verdict {
    pub(crate) fn words(&self) -> &[Word] {
        match self {
            Self::Refused(words) | Self::KeptOut(words) => words,
            Self::Accepted | Self::NotSent => &[],
        }
    }

    /// Returns the same without the namespace, which names of objects carry where it is not the default one.
    pub(crate) fn without_realm(mut self, realm: &str) -> Self {
        let in_realm = format!("/{realm}/");
        if let Self::Refused(words) | Self::KeptOut(words) = &mut self {
            words.iter_mut().for_each(|word| word.text = word.text.replace(&in_realm, "/"));
        }
        self
    }

    pub(crate) fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }
}

impl Word {
    pub(crate) fn new(code: impl Into<String>, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), path: path.into(), text: text.into() }
    }
}
