//! What tells the controller, on one connection, which key is to follow this gateway's.

use std::{sync::Arc, time::Duration};

use horizon_api::{
    key::{PublicKey, SecretKey},
    wire::rotation::{NEXT_KEY, RotationProof},
};
use horizon_node::controller::{Meeting, Prover};
use tokio::time::Instant;

use crate::keys::Keys;

pub(super) struct Announcer {
    /// The key of the session.
    key: Arc<SecretKey>,
    /// Nothing where the controller understands no such proof.
    prover: Option<Prover>,
    /// What it was told last, and when.
    told: Option<(PublicKey, Instant)>,
    /// It tells devices of that key.
    is_known: bool,
}

/// A key that was refused, or a word that was lost: what kept it out may be over.
const TELL_AGAIN: Duration = Duration::from_secs(30);

impl Announcer {
    pub(super) fn new(meeting: &Meeting, key: Arc<SecretKey>) -> anyhow::Result<Self> {
        let prover = meeting.knows(NEXT_KEY).then(|| meeting.prover()).transpose()?;
        Ok(Self { key, prover, told: None, is_known: false })
    }

    /// Takes in what the controller answered.
    pub(super) fn handle_known(&mut self, next: &PublicKey) {
        self.is_known = self.told.is_some_and(|(told, _)| told == *next);
    }

    /// Returns what is to be said now, if something is: both keys' word, or nothing where it would not be understood.
    pub(super) fn poll_proof(&mut self, keys: &Keys, now: Instant) -> Option<Option<RotationProof>> {
        let next = keys.follower_of(&self.key)?;
        let is_told = self.told.is_some_and(|(told, at)| {
            told == next.public() && (self.is_known || now.duration_since(at) < TELL_AGAIN)
        });
        if is_told {
            return None;
        }
        self.is_known = false;
        self.told = Some((next.public(), now));
        Some(self.prover.map(|prover| prover.prove(&self.key, next)))
    }
}

#[cfg(test)]
mod tests {
    use horizon_node::data_folder::DataFolder;

    use super::*;
    use crate::keys::KeyFiles;

    #[test]
    fn a_next_key_is_told_once_and_again_until_it_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(&folder.path().join("data")).expect("free");
        let files = KeyFiles::new(&data, None);
        let first = files.load().expect("made");
        let mut announcer =
            Announcer { key: Arc::clone(&first.key), prover: None, told: None, is_known: false };
        let start = Instant::now();
        let tells = |announcer: &mut Announcer, keys: &Keys, after: Duration| {
            announcer.poll_proof(keys, start + after).is_some()
        };
        assert!(!tells(&mut announcer, &first, Duration::ZERO), "no key is to follow");
        let keys = files.make_next(&first, 60).expect("made");
        let next = keys.next.as_ref().expect("there").key.public();

        assert!(tells(&mut announcer, &keys, Duration::ZERO));
        assert!(!tells(&mut announcer, &keys, TELL_AGAIN / 2), "an answer takes its time");
        assert!(tells(&mut announcer, &keys, TELL_AGAIN), "the word was lost, or refused");
        announcer.handle_known(&next);
        assert!(!tells(&mut announcer, &keys, TELL_AGAIN * 9));
    }
}
