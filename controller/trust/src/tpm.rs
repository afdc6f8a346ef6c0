//! The TPM of one server: the first one that is seen is its own from then on, until the host joins again with another
//! token.

use horizon_api::tpm::AttestationKey;
use serde::{Deserialize, Serialize};

use crate::{
    finding::Finding,
    quote::{Facts, Pcrs, Quoted, State},
};

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tpm {
    pub(crate) key: AttestationKey,
    /// Unix milliseconds.
    pub(crate) since_ms: i64,
    /// The registers as they were then, or when somebody released the server last.
    accepted: Pcrs,
    newest: State,
    /// Whether what came last proves that it is there.
    pub(crate) is_shown: bool,
}

/// Takes what came beside evidence, and returns what is not as it should be.
pub(crate) fn handle_quoted(tpm: &mut Option<Tpm>, quoted: Quoted, now_ms: i64) -> Option<Finding> {
    let Some(known) = tpm else {
        return match quoted {
            Quoted::Absent => None,
            Quoted::Wrong(error) => {
                Some(Finding::QuoteWrong { reason: error.to_string(), is_expected: false })
            }
            Quoted::Genuine(facts) => {
                let key = facts.key.short();
                *tpm = Some(Tpm::pinned(*facts, now_ms));
                Some(Finding::TpmSeen { key })
            }
        };
    };
    known.is_shown = false;
    match quoted {
        Quoted::Absent => Some(Finding::QuoteMissing),
        Quoted::Wrong(error) => Some(Finding::QuoteWrong { reason: error.to_string(), is_expected: true }),
        Quoted::Genuine(facts) if facts.key != known.key => {
            Some(Finding::AnotherTpm { known: known.key.short(), found: facts.key.short() })
        }
        Quoted::Genuine(facts) => known.handle_state(facts.state),
    }
}

impl Tpm {
    fn pinned(facts: Facts, now_ms: i64) -> Self {
        let Facts { key, state } = facts;
        Self { key, since_ms: now_ms, accepted: state.pcrs, newest: state, is_shown: true }
    }

    /// Each change is told once: what it changed to is what comes next is compared with.
    fn handle_state(&mut self, state: State) -> Option<Finding> {
        self.is_shown = true;
        let before = std::mem::replace(&mut self.newest, state);
        let (from, to) = (before.clock, self.newest.clock);
        if to < from {
            return Some(Finding::TpmWentBack { from, to });
        }
        let changed = changed(&before.pcrs, &self.newest.pcrs);
        (!changed.is_empty()).then_some(Finding::PlatformChanged { registers: changed })
    }

    /// Somebody released the server: as it is started now is how it is to be.
    pub(crate) fn handle_released(&mut self) {
        self.accepted = self.newest.pcrs;
    }

    /// Returns what is not as it was accepted, in words.
    pub(crate) fn difference(&self) -> Option<String> {
        let changed = changed(&self.accepted, &self.newest.pcrs);
        (!changed.is_empty()).then(|| format!("another state of the host by {}", named(&changed)))
    }

    pub(crate) fn resets(&self) -> u32 {
        self.newest.clock.resets
    }
}

fn changed(before: &Pcrs, after: &Pcrs) -> Vec<usize> {
    (0..before.len()).filter(|place| before[*place] != after[*place]).collect()
}

/// Returns registers by their numbers.
pub(crate) fn named(registers: &[usize]) -> String {
    let numbers: Vec<_> = registers.iter().map(ToString::to_string).collect();
    format!("PCR {}", numbers.join(", "))
}
