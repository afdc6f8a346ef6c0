//! Whose turn it is, as a Lease of the cluster says it.
//!
//! Clocks of two hosts differ, so nobody's moment is compared with ours: a holder is gone when its word has not changed
//! for as long as it said that it would be good, by our own clock.

use std::time::Duration;

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Empty: whoever had it gave it back.
    pub(crate) holder: String,
    /// When it was renewed last, as the holder wrote it.
    pub(crate) renewed: String,
    pub(crate) good_for: Duration,
}

/// Somebody who wants to hold it.
#[derive(Debug)]
pub(crate) struct Candidate {
    me: String,
    /// The last word of another one, and when it was first seen.
    heard: Option<(Word, Duration)>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Take it, or renew it. `was_given_back`: whoever had it stopped in order.
    Mine {
        was_given_back: bool,
    },
    Theirs {
        holder: String,
    },
}

impl Candidate {
    pub(crate) fn new(me: String) -> Self {
        Self { me, heard: None }
    }

    pub(crate) fn me(&self) -> &str {
        &self.me
    }

    /// Looks at what the Lease says at a moment of a clock that only goes on.
    pub(crate) fn handle(&mut self, word: Option<&Word>, now: Duration) -> Turn {
        let Some(word) = word.filter(|word| !word.holder.is_empty()) else {
            return Turn::Mine { was_given_back: true };
        };
        // It was an earlier process of this very place, which ended without a word.
        if word.holder == self.me {
            return Turn::Mine { was_given_back: false };
        }
        let since = match &self.heard {
            Some((heard, since)) if heard == word => *since,
            _ => now,
        };
        self.heard = Some((word.clone(), since));
        if now.saturating_sub(since) >= word.good_for {
            return Turn::Mine { was_given_back: false };
        }
        Turn::Theirs { holder: word.holder.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn word(holder: &str, renewed: &str) -> Word {
        Word { holder: holder.into(), renewed: renewed.into(), good_for: 15 * S }
    }

    fn theirs() -> Turn {
        Turn::Theirs { holder: "other".into() }
    }

    #[test]
    fn what_nobody_holds_is_ours_at_once() {
        let mut candidate = Candidate::new("me".into());

        assert_eq!(candidate.handle(None, S), Turn::Mine { was_given_back: true });
        assert_eq!(candidate.handle(Some(&word("", "t1")), S), Turn::Mine { was_given_back: true });
        assert_eq!(candidate.handle(Some(&word("me", "t1")), S), Turn::Mine { was_given_back: false });
    }

    #[test]
    fn a_holder_who_is_silent_for_long_enough_is_gone() {
        let mut candidate = Candidate::new("me".into());

        assert_eq!(candidate.handle(Some(&word("other", "t1")), 100 * S), theirs());
        assert_eq!(candidate.handle(Some(&word("other", "t1")), 114 * S), theirs());
        assert_eq!(
            candidate.handle(Some(&word("other", "t1")), 115 * S),
            Turn::Mine { was_given_back: false }
        );
    }

    #[test]
    fn every_word_of_the_holder_begins_the_time_anew() {
        let mut candidate = Candidate::new("me".into());

        for (renewed, at) in [("t1", 100), ("t2", 110), ("t3", 120)] {
            assert_eq!(candidate.handle(Some(&word("other", renewed)), at * S), theirs());
        }
        assert_eq!(candidate.handle(Some(&word("other", "t3")), 134 * S), theirs());
        assert_eq!(
            candidate.handle(Some(&word("other", "t3")), 135 * S),
            Turn::Mine { was_given_back: false }
        );
    }
}
