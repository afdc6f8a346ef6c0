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
    /// It was taken, and renewed since.
    is_held: bool,
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
        Self { me, is_held: false, heard: None }
    }

    pub(crate) fn me(&self) -> &str {
        &self.me
    }

    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// The Lease says from here on that it is ours.
    pub(crate) fn handle_taken(&mut self) {
        self.is_held = true;
    }

    /// Looks at what the Lease says at a moment of a clock that only goes on.
    pub(crate) fn handle(&mut self, word: Option<&Word>, now: Duration) -> Turn {
        if let Some(word) = word.filter(|word| self.is_held && word.holder != self.me) {
            // It was somebody else's meanwhile, who may have begun another epoch: it is never taken back.
            let holder = if word.holder.is_empty() { "nobody any more" } else { &word.holder };
            return Turn::Theirs { holder: holder.to_owned() };
        }
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

/// How long a start waits for an API server that does not answer.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    has_heard_of_another: bool,
    silent_since: Option<Duration>,
}

impl Wait {
    /// The API server answered; another one holds the Lease, or was faster with it.
    pub(crate) fn handle_another(&mut self) {
        (self.has_heard_of_another, self.silent_since) = (true, None);
    }

    /// The API server does not answer. Returns whether to go on without it: never where another one was heard of, who may
    /// hold the Lease still.
    pub(crate) fn handle_silence(&mut self, now: Duration, patience: Duration) -> bool {
        let since = *self.silent_since.get_or_insert(now);
        !self.has_heard_of_another && now.saturating_sub(since) >= patience
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

    #[test]
    fn what_was_somebody_elses_meanwhile_is_never_taken_back() {
        let mut candidate = Candidate::new("me".into());
        candidate.handle_taken();

        assert_eq!(candidate.handle(Some(&word("me", "t1")), S), Turn::Mine { was_given_back: false });
        for holder in ["other", ""] {
            let turn = candidate.handle(Some(&word(holder, "t2")), 100 * S);
            assert!(matches!(turn, Turn::Theirs { .. }), "{turn:?}");
        }
        // One that somebody deleted was nobody's.
        assert_eq!(candidate.handle(None, S), Turn::Mine { was_given_back: true });
    }

    #[test]
    fn a_start_goes_on_without_an_api_server_that_is_silent_for_long_enough() {
        let mut wait = Wait::default();

        assert!(!wait.handle_silence(100 * S, 10 * S));
        assert!(!wait.handle_silence(109 * S, 10 * S));
        assert!(wait.handle_silence(110 * S, 10 * S));
    }

    #[test]
    fn who_waits_behind_another_one_waits_on_whatever_is_silent() {
        let mut wait = Wait::default();

        assert!(!wait.handle_silence(100 * S, 10 * S));
        wait.handle_another();
        assert!(!wait.handle_silence(120 * S, 10 * S));
        assert!(!wait.handle_silence(1_000 * S, 10 * S));
    }
}
