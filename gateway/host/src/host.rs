//! The owner of a host's changes: it journals, makes, repairs and takes them back.
//!
//! Stopping takes all back; a restart just drops the [`Host`], and the next one adopts what stands.
//! One `Host` a data folder: the daemon locks the folder.

use std::path::Path;

use horizon_dataplane::apply::{Action, HostState, diff, guarded, unwanted};

use crate::journal::{Journal, JournalError};
use crate::{ExecuteError, Executor};

/// A host, what we changed on it, and what we want of it.
pub struct Host<E> {
    executor: E,
    journal: Journal,
    wanted: HostState,
}

/// What to do with the changes of an earlier process.
#[derive(Clone, Copy, Debug)]
pub enum Leftovers<'a> {
    /// Takes all of them back.
    Undo,
    /// Keeps those that this state contains, and takes the rest back.
    Adopt(&'a HostState),
}

/// Why a host is not as wanted.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("look at the host{}", fix_of(source))]
    Observe { source: ExecuteError },
    #[error("{action}{}", fix_of(source))]
    Execute { action: Box<Action>, source: ExecuteError },
    #[error("{action}: made, and gone at once; find out what else manages this host's network")]
    Unstable { action: Box<Action> },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl HostError {
    /// Returns whether only somebody at this host can mend it.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        match self {
            Self::Observe { source } | Self::Execute { source, .. } => source.is_of_host(),
            Self::Journal(_) => true,
            Self::Unstable { .. } => false,
        }
    }
}

impl<E: Executor> Host<E> {
    /// Opens the journal in a data folder. Nothing is changed before [`Host::recover`] or [`Host::converge`].
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn open(data: &Path, executor: E) -> Result<Self, JournalError> {
        Ok(Self { executor, journal: Journal::open(data)?, wanted: HostState::default() })
    }

    /// Deals with what an earlier process left, and returns how many changes were taken back.
    ///
    /// # Errors
    /// The first change that could not be taken back; the others were, and it stays in the journal.
    pub async fn recover(&mut self, leftovers: Leftovers<'_>) -> Result<usize, HostError> {
        let actions = match leftovers {
            Leftovers::Undo => self.journal.applied().undo(),
            Leftovers::Adopt(wanted) => unwanted(self.journal.applied(), wanted),
        };
        let count = actions.len();
        self.take_back(actions).await?;
        Ok(count)
    }

    /// Makes the host as wanted, and returns how many changes it took.
    ///
    /// # Errors
    /// The change that failed, with its fix; then all changes of this call are taken back,
    /// and what was wanted before stays wanted.
    pub async fn converge(&mut self, wanted: &HostState) -> Result<usize, HostError> {
        let mut made = Vec::new();
        match self.settle(wanted, &mut made).await {
            Ok(()) => {
                self.wanted = wanted.clone();
                Ok(made.len())
            }
            Err(error) => {
                let back = made.iter().rev().map(Action::undo).collect();
                if let Err(second) = self.take_back(back).await {
                    tracing::warn!(error = %second, "a change stays until the next start takes it back");
                }
                Err(error)
            }
        }
    }

    /// Makes again what somebody took away since, and returns how many changes it took.
    ///
    /// # Errors
    /// The first change that could not be made; those before it stand.
    pub async fn reassert(&mut self) -> Result<usize, HostError> {
        let wanted = self.wanted.clone();
        let mut made = Vec::new();
        self.settle(&wanted, &mut made).await?;
        for action in &made {
            tracing::warn!(%action, "made again: somebody took it away");
        }
        Ok(made.len())
    }

    /// Takes all of our changes back.
    ///
    /// # Errors
    /// As [`Host::recover`].
    pub async fn undo_all(&mut self) -> Result<usize, HostError> {
        self.wanted = HostState::default();
        self.recover(Leftovers::Undo).await
    }

    /// Returns the executor.
    pub fn executor(&self) -> &E {
        &self.executor
    }

    /// Returns what is wanted of the host.
    pub fn wanted(&self) -> &HostState {
        &self.wanted
    }

    /// Changes and looks again until nothing is left to change: removing an address may take others with it,
    /// and a link that comes up brings routes.
    async fn settle(&mut self, wanted: &HostState, made: &mut Vec<Action>) -> Result<(), HostError> {
        for _ in 0..ROUNDS_MAX {
            let actions = self.missing(wanted).await?;
            if actions.is_empty() {
                return Ok(());
            }
            for action in actions {
                // Before it is made: one that fails halfway is taken back as well.
                made.push(action.clone());
                self.make(action).await?;
            }
        }
        match self.missing(wanted).await?.into_iter().next() {
            Some(action) => Err(HostError::Unstable { action: Box::new(action) }),
            None => Ok(()),
        }
    }

    async fn missing(&mut self, wanted: &HostState) -> Result<Vec<Action>, HostError> {
        let observed = self.executor.observe(wanted).await.map_err(|source| HostError::Observe { source })?;
        let wanted = guarded(self.journal.applied(), &observed, wanted);
        Ok(diff(self.journal.applied(), &observed, &wanted))
    }

    async fn make(&mut self, action: Action) -> Result<(), HostError> {
        let id = self.journal.begin(&action)?;
        match self.executor.execute(&action).await {
            Ok(()) => Ok(self.journal.done(id)?),
            Err(source) => {
                self.journal.abandon(id);
                Err(HostError::Execute { action: Box::new(action), source })
            }
        }
    }

    /// Makes each of these undoing changes, whatever becomes of the others.
    async fn take_back(&mut self, actions: Vec<Action>) -> Result<(), HostError> {
        let mut first = Ok(());
        for action in actions {
            let taken = self.take_back_one(action).await;
            first = first.and(taken);
        }
        first
    }

    /// A journal that takes no line is no reason to leave a change on the host:
    /// the ledger has it already, and to take it back twice does no harm.
    async fn take_back_one(&mut self, action: Action) -> Result<(), HostError> {
        let begun = self.journal.begin(&action);
        match self.executor.execute(&action).await {
            Err(source) if !source.is_gone() => {
                begun.into_iter().for_each(|id| self.journal.abandon(id));
                Err(HostError::Execute { action: Box::new(action), source })
            }
            Ok(()) | Err(_) => Ok(self.journal.done(begun?)?),
        }
    }
}

fn fix_of(error: &ExecuteError) -> String {
    error.fix().map(|fix| format!(" ({fix})")).unwrap_or_default()
}

/// One round changes, the next finds nothing; a third is for what the first took along.
const ROUNDS_MAX: usize = 3;

#[cfg(test)]
mod tests;
