//! The challenges of one session: when one is due, what its answer is worth, and when there is none.

use std::time::{Duration, Instant};

use horizon_api::{
    key::PublicKey,
    signed::Signed,
    tpm::Quote,
    wire::{Attestation, Evidence},
};

use crate::{
    pace::Pace,
    quote::{self, Quoted},
};

/// The state of one session's challenges. One waits for its answer at a time.
#[derive(Debug)]
pub struct Challenger {
    pace: Pace,
    due: Instant,
    waiting: Option<Waiting>,
    /// The number of the last challenge that was not answered in time: its answer is late, and not wrong.
    given_up: Option<[u8; 32]>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    nonce: [u8; 32],
    since: Instant,
}

/// What became of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    pub outcome: Outcome,
    /// From the challenge to its answer, or to the end of the wait.
    pub latency: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Signed by the session's key for this connection and this challenge, in time, and what a TPM signed beside it.
    Verified(Box<Evidence>, Quoted),
    /// Nothing came in time.
    Silent,
    /// What came proves nothing.
    Wrong(String),
}

/// Whose answers count, and for which connection.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub peer: &'a PublicKey,
    pub exporter: &'a [u8; 32],
}

/// A gateway that applies a configuration answers after it. That takes not so long, and whoever never ends is asked all
/// the same.
const BUSY_MAX: Duration = Duration::from_secs(90);

impl Challenger {
    /// Begins with a session that has just proved its key.
    pub fn new(pace: Pace, now: Instant, seed: [u8; 4]) -> Self {
        Self { pace, due: now + pace.wait(seed), waiting: None, given_up: None }
    }

    /// Returns the challenge to send, if one is due. `is_busy`: the gateway has a configuration to apply first.
    pub fn poll_challenge(&mut self, now: Instant, is_busy: bool, nonce: [u8; 32]) -> Option<[u8; 32]> {
        let postponed = if is_busy { BUSY_MAX } else { Duration::ZERO };
        if self.waiting.is_some() || now < self.due + postponed {
            return None;
        }
        self.waiting = Some(Waiting { nonce, since: now });
        Some(nonce)
    }

    /// Takes an answer. One that comes too late for its challenge says nothing any more.
    pub fn handle_answer(
        &mut self,
        (answer, quote): (&Signed, Option<&Quote>),
        link: Link<'_>,
        now: Instant,
        seed: [u8; 4],
    ) -> Option<Verification> {
        let Some(waiting) = self.waiting else {
            let late = self.given_up.take();
            let is_late = late.is_some_and(|nonce| check(answer, link, &nonce).is_ok());
            let reason = "it answers a challenge that was not made".to_owned();
            return (!is_late)
                .then_some(Verification { outcome: Outcome::Wrong(reason), latency: Duration::ZERO });
        };
        let checked = check(answer, link, &waiting.nonce);
        if checked.is_err() && self.given_up.take().is_some_and(|nonce| check(answer, link, &nonce).is_ok()) {
            return None;
        }
        self.go_on(now, seed);
        let verified = |evidence| Outcome::Verified(Box::new(evidence), quote::check(quote, answer));
        let outcome = checked.map_or_else(Outcome::Wrong, verified);
        Some(Verification { outcome, latency: now - waiting.since })
    }

    /// Says that nothing came in time, once.
    pub fn poll_silence(&mut self, now: Instant, seed: [u8; 4]) -> Option<Verification> {
        let waiting = self.waiting.filter(|waiting| now - waiting.since >= self.pace.patience())?;
        self.go_on(now, seed);
        self.given_up = Some(waiting.nonce);
        Some(Verification { outcome: Outcome::Silent, latency: now - waiting.since })
    }

    /// Returns when to ask again for what is due.
    pub fn deadline(&self, is_busy: bool) -> Instant {
        match self.waiting {
            Some(waiting) => waiting.since + self.pace.patience(),
            None if is_busy => self.due + BUSY_MAX,
            None => self.due,
        }
    }

    fn go_on(&mut self, now: Instant, seed: [u8; 4]) {
        self.waiting = None;
        self.due = now + self.pace.wait(seed);
    }
}

fn check(answer: &Signed, link: Link<'_>, nonce: &[u8; 32]) -> Result<Evidence, String> {
    Attestation::check(answer, link.peer, link.exporter, nonce).map_err(|refusal| refusal.message)
}

#[cfg(test)]
mod tests {
    use horizon_api::key::SecretKey;

    use super::*;

    const EXPORTER: [u8; 32] = [9; 32];
    const SEED: [u8; 4] = [0; 4];
    const SECOND: Duration = Duration::from_secs(1);

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn answer(by: u8, exporter: [u8; 32], nonce: [u8; 32]) -> Signed {
        let evidence = Evidence { version: "1".into(), ..Evidence::default() };
        Signed::new(&Attestation { exporter, nonce, evidence, seal: None }, &key(by))
    }

    /// A session of the gateway with key 1 whose first challenge, number 7, was just made.
    struct Asked {
        challenger: Challenger,
        at: Instant,
    }

    impl Asked {
        fn new() -> Self {
            let start = Instant::now();
            let mut challenger = Challenger::new(Pace::new(20 * SECOND).expect("a pace"), start, SEED);
            let at = start + 10 * SECOND;
            assert_eq!(challenger.poll_challenge(at - SECOND, false, [7; 32]), None);
            assert_eq!(challenger.poll_challenge(at, false, [7; 32]), Some([7; 32]));
            assert_eq!(challenger.poll_challenge(at, false, [8; 32]), None, "one at a time");
            Self { challenger, at }
        }

        fn take(&mut self, answer: &Signed, after: Duration) -> Option<Verification> {
            let (peer, exporter) = (&key(1).public(), &EXPORTER);
            self.challenger.handle_answer((answer, None), Link { peer, exporter }, self.at + after, SEED)
        }

        fn wrong(&mut self, answer: &Signed) -> String {
            match self.take(answer, SECOND).map(|verification| verification.outcome) {
                Some(Outcome::Wrong(reason)) => reason,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_answer_in_time_is_believed_and_the_next_challenge_comes_later() {
        let mut asked = Asked::new();

        let verification = asked.take(&answer(1, EXPORTER, [7; 32]), SECOND).expect("it was asked for");

        let evidence = Evidence { version: "1".into(), ..Evidence::default() };
        assert_eq!(
            verification,
            Verification { outcome: Outcome::Verified(Box::new(evidence), Quoted::Absent), latency: SECOND }
        );
        assert_eq!(asked.challenger.deadline(false), asked.at + 11 * SECOND);
    }

    #[test]
    fn what_another_key_connection_or_challenge_made_is_wrong() {
        assert!(Asked::new().wrong(&answer(2, EXPORTER, [7; 32])).contains("not signed"));
        assert!(Asked::new().wrong(&answer(1, [0; 32], [7; 32])).contains("another connection"));
        assert!(Asked::new().wrong(&answer(1, EXPORTER, [6; 32])).contains("another connection"));
    }

    #[test]
    fn an_answer_is_good_for_one_challenge() {
        let mut asked = Asked::new();
        let good = answer(1, EXPORTER, [7; 32]);
        asked.take(&good, SECOND).expect("it was asked for");

        assert_eq!(asked.wrong(&good), "it answers a challenge that was not made");
    }

    #[test]
    fn silence_is_said_once_and_a_late_answer_is_neither_good_nor_wrong() {
        let mut asked = Asked::new();
        assert_eq!(asked.challenger.poll_silence(asked.at + 9 * SECOND, SEED), None);

        let silence = asked.challenger.poll_silence(asked.at + 10 * SECOND, SEED);
        let again = asked.challenger.poll_silence(asked.at + 11 * SECOND, SEED);
        let late = asked.take(&answer(1, EXPORTER, [7; 32]), 12 * SECOND);

        assert_eq!(silence, Some(Verification { outcome: Outcome::Silent, latency: 10 * SECOND }));
        assert_eq!((again, late), (None, None));
        assert!(asked.challenger.poll_challenge(asked.at + 20 * SECOND, false, [8; 32]).is_some());
    }

    #[test]
    fn a_late_answer_does_not_spoil_the_next_challenge() {
        let mut asked = Asked::new();
        asked.challenger.poll_silence(asked.at + 10 * SECOND, SEED);
        asked.challenger.poll_challenge(asked.at + 20 * SECOND, false, [8; 32]);

        let late = asked.take(&answer(1, EXPORTER, [7; 32]), 21 * SECOND);
        let good = asked.take(&answer(1, EXPORTER, [8; 32]), 22 * SECOND);

        assert_eq!(late, None);
        assert!(matches!(good.map(|good| good.outcome), Some(Outcome::Verified(..))));
    }

    #[test]
    fn a_gateway_that_applies_a_configuration_is_asked_after_it_and_not_never() {
        let start = Instant::now();
        let mut challenger = Challenger::new(Pace::new(20 * SECOND).expect("a pace"), start, SEED);

        let busy = challenger.poll_challenge(start + 60 * SECOND, true, [7; 32]);
        let for_ever = challenger.poll_challenge(start + 100 * SECOND, true, [7; 32]);

        assert_eq!((busy, for_ever), (None, Some([7; 32])));
    }
}
