//! The challenges of one session: the clock and the randomness for [`Challenger`].

use std::time::Instant;

use horizon_api::{
    signed::Signed,
    tpm::Quote,
    wire::cfg::{CHALLENGE, Challenge},
};
use horizon_node::random;
use horizon_trust::{
    challenge::{Challenger, Link, Outcome, Verification},
    pace::Pace,
};

use super::{Peer, bounds};

/// Nothing where the gateway says that it answers none.
pub(super) struct Trial<'a> {
    peer: &'a Peer,
    challenger: Option<Challenger>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(peer: &'a Peer, pace: Pace) -> Self {
        let begin = || Challenger::new(pace, Instant::now(), random::bytes());
        Self { peer, challenger: peer.knows(CHALLENGE).then(begin) }
    }

    pub(super) fn poll_challenge(&mut self, is_busy: bool) -> Option<Challenge> {
        let challenger = self.challenger.as_mut()?;
        let nonce = challenger.poll_challenge(Instant::now(), is_busy, random::bytes())?;
        Some(Challenge { nonce })
    }

    pub(super) fn poll_silence(&mut self) -> Option<Verification> {
        self.challenger.as_mut()?.poll_silence(Instant::now(), random::bytes())
    }

    /// What is kept and shown of an answer is cut to its bounds.
    pub(super) fn handle_answer(&mut self, signed: &Signed, quote: Option<&Quote>) -> Option<Verification> {
        let link = Link { peer: &self.peer.key, exporter: &self.peer.exporter };
        let challenger = self.challenger.as_mut()?;
        let verification =
            challenger.handle_answer((signed, quote), link, Instant::now(), random::bytes())?;
        let outcome = match verification.outcome {
            Outcome::Verified(evidence, quoted) => {
                Outcome::Verified(Box::new(bounds::evidence(&evidence)), quoted)
            }
            outcome @ (Outcome::Silent | Outcome::Wrong(_)) => outcome,
        };
        Some(Verification { outcome, ..verification })
    }

    /// Waits until something is due.
    pub(super) async fn wait(&self, is_busy: bool) {
        match &self.challenger {
            Some(challenger) => tokio::time::sleep_until(challenger.deadline(is_busy).into()).await,
            None => std::future::pending().await,
        }
    }
}
