//! The keys of this gateway: the one that it has, the one that is to follow, and the one before.
//!
//! A key is on disk before anybody hears of it. It is announced to the controller, which tells devices of it; after the
//! overlap links are answered with it, and the link to the controller is made with it; once the controller has let this
//! gateway in so, it is the gateway's. After a crash at any point, one of the two keys opens the controller.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use horizon_api::{
    key::{PublicKey, SecretKey},
    signed::Signed,
    wire::{
        Refusal,
        rotation::{SUCCESSIONS_MAX, Succession},
    },
};
use horizon_node::{data_folder::DataFolder, durable};
use tracing::warn;

use crate::{
    disk::{Following, KeyRecord},
    identity::{self, Identity},
};

#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) key: Arc<SecretKey>,
    pub(crate) is_sealed: bool,
    pub(crate) next: Option<Next>,
    previous: Option<PublicKey>,
    /// What the keys before said of the one that follows, the newest last: for a controller that was restored.
    pub(crate) follows: Vec<Signed>,
}

/// The key that is to follow.
#[derive(Clone)]
pub(crate) struct Next {
    pub(crate) key: Arc<SecretKey>,
    overlap_s: u32,
    /// Unix milliseconds since when the controller tells devices of it.
    known_since_ms: Option<i64>,
    /// Links are answered with it, so that the controller may hear of it as this gateway's.
    answers: bool,
    /// Why the controller does not take it.
    refusal: Option<Refusal>,
}

/// Where they are on disk.
#[derive(Clone, Debug)]
pub(crate) struct KeyFiles {
    key: PathBuf,
    next: PathBuf,
    record: PathBuf,
    tpm: Option<PathBuf>,
}

impl Keys {
    /// The controller tells devices of the next key, since so long.
    pub(crate) fn handle_known(&mut self, public: &PublicKey, known_s: u32, now_ms: i64) {
        if let Some(next) = self.next.as_mut().filter(|next| next.key.public() == *public) {
            next.known_since_ms = Some(now_ms - i64::from(known_s) * 1000);
            next.refusal = None;
        }
    }

    pub(crate) fn handle_refused(&mut self, refusal: Refusal) {
        if let Some(next) = &mut self.next {
            next.refusal = Some(refusal);
        }
    }

    /// Answers links with the next key once its time has come. Returns whether it does so from here on.
    pub(crate) fn handle_time(&mut self, now_ms: i64) -> bool {
        let is_due = self.due_ms().is_some_and(|due_ms| due_ms <= now_ms);
        let turns = self.next.as_mut().filter(|next| is_due && !next.answers);
        turns.map(|next| next.answers = true).is_some()
    }

    /// Returns when the next key is taken up (unix milliseconds), where the controller knows it.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        let next = self.next.as_ref()?;
        Some(next.known_since_ms? + i64::from(next.overlap_s) * 1000)
    }

    /// Returns the key that links are answered with.
    pub(crate) fn answering(&self) -> &SecretKey {
        self.next.as_ref().filter(|next| next.answers).map_or(&self.key, |next| &next.key)
    }

    /// Returns the keys that the controller may know this gateway by, the likelier first.
    pub(crate) fn to_try(&self) -> Vec<Arc<SecretKey>> {
        let Some(next) = &self.next else { return vec![Arc::clone(&self.key)] };
        let (first, second) = if next.answers { (&next.key, &self.key) } else { (&self.key, &next.key) };
        vec![Arc::clone(first), Arc::clone(second)]
    }

    /// Returns every key that this gateway goes by, in assignments and grants.
    pub(crate) fn names(&self) -> Vec<PublicKey> {
        let next = self.next.as_ref().map(|next| next.key.public());
        [Some(self.key.public()), next, self.previous].into_iter().flatten().collect()
    }

    /// Returns the key that is to follow another one.
    pub(crate) fn follower_of(&self, key: &SecretKey) -> Option<&Arc<SecretKey>> {
        self.next.as_ref().map(|next| &next.key).filter(|next| next.public() != key.public())
    }

    /// Returns why the next key is not taken up yet, where it is not only a matter of time.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let next = self.next.as_ref()?;
        match (&next.refusal, next.known_since_ms) {
            (Some(refusal), _) => Some(refusal.to_string()),
            (None, None) => Some("the controller has to hear of it first".to_owned()),
            (None, Some(_)) => None,
        }
    }

    fn record(&self) -> KeyRecord {
        let following = |next: &Next| Following {
            key: next.key.public(),
            overlap_s: next.overlap_s,
            known_since_ms: next.known_since_ms,
        };
        KeyRecord::new(self.next.as_ref().map(following), self.previous, self.follows.clone())
    }
}

impl KeyFiles {
    pub(crate) fn new(data: &DataFolder, tpm: Option<PathBuf>) -> Self {
        let [key, next, record] = [identity::FILE, identity::NEXT, "keys"].map(|name| data.file(name));
        Self { key, next, record, tpm }
    }

    /// Reads the keys; the first start makes one.
    pub(crate) fn load(&self) -> anyhow::Result<Keys> {
        let Identity { key, is_sealed } = identity::load(&self.key, self.tpm())?;
        let record = self.read_record();
        let following = record.next.filter(|next| next.key != key.public());
        let next = following.map(|following| self.load_next(following)).transpose()?.flatten();
        let previous = record.previous.filter(|previous| *previous != key.public());
        Ok(Keys { key: key.into(), is_sealed, next, previous, follows: record.follows })
    }

    /// Makes the key that is to follow, on disk before anybody hears of it; one that is there already is kept.
    pub(crate) fn make_next(&self, keys: &Keys, overlap_s: u32) -> anyhow::Result<Keys> {
        let mut keys = keys.clone();
        match &mut keys.next {
            Some(next) => next.overlap_s = overlap_s,
            None => {
                let made = identity::make(&self.next, self.tpm(), keys.is_sealed)?;
                let next = Next {
                    key: made.key.into(),
                    overlap_s,
                    known_since_ms: None,
                    answers: false,
                    refusal: None,
                };
                keys.next = Some(next);
            }
        }
        self.note(&keys)?;
        Ok(keys)
    }

    /// Remembers what is known of the next key and of the one before.
    pub(crate) fn note(&self, keys: &Keys) -> anyhow::Result<()> {
        durable::write(&self.record, &keys.record().to_bytes())
            .with_context(|| format!("write {}", self.record.display()))
    }

    /// Makes the next key this gateway's. The one before is removed from the disk, but for its name.
    pub(crate) fn take_up(&self, keys: &Keys) -> anyhow::Result<Keys> {
        let next = keys.next.as_ref().context("no key is to follow")?;
        let previous = Some(keys.key.public());
        let mut follows = keys.follows.clone();
        follows.push(Succession::sign(&keys.key, &next.key.public()));
        follows.drain(..follows.len().saturating_sub(SUCCESSIONS_MAX));
        let before = Keys { previous, follows, ..keys.clone() };
        self.note(&before)?;
        let (from, to) = (&self.next, &self.key);
        durable::rename(from, to)
            .with_context(|| format!("rename {} to {}", from.display(), to.display()))?;
        let taken = Keys { key: Arc::clone(&next.key), next: None, ..before };
        self.note(&taken)?;
        Ok(taken)
    }

    /// Forgets the key that was to follow: this host joins anew with the one that it has.
    pub(crate) fn forget_next(&self) -> anyhow::Result<()> {
        for path in [&self.next, &self.record] {
            if path.exists() {
                fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn load_next(&self, following: Following) -> anyhow::Result<Option<Next>> {
        if !self.next.exists() {
            warn!(path = %self.next.display(), "the key that was to follow is gone; `rotate-key` makes another");
            return Ok(None);
        }
        let Following { key: public, overlap_s, known_since_ms } = following;
        let key = identity::load(&self.next, self.tpm())?.key;
        let next = Next { key: key.into(), overlap_s, known_since_ms, answers: false, refusal: None };
        Ok((next.key.public() == public).then_some(next))
    }

    fn read_record(&self) -> KeyRecord {
        let Ok(bytes) = fs::read(&self.record) else { return KeyRecord::default() };
        KeyRecord::read(&bytes).unwrap_or_else(|error| {
            warn!(path = %self.record.display(), reason = %error, "a rotation of the key begins anew");
            KeyRecord::default()
        })
    }

    fn tpm(&self) -> Option<&Path> {
        self.tpm.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::wire::RefusalCode;

    use super::*;

    fn files() -> (tempfile::TempDir, KeyFiles) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(&folder.path().join("data")).expect("free");
        let files = KeyFiles::new(&data, None);
        (folder, files)
    }

    #[test]
    fn a_key_that_is_to_follow_waits_for_the_controller_and_for_the_overlap() {
        let (_folder, files) = files();
        let mut keys = files.make_next(&files.load().expect("made"), 60).expect("made");
        let (old, next) = (keys.key.public(), keys.next.as_ref().expect("there").key.public());

        assert!(!keys.handle_time(i64::MAX), "nobody knows it");
        assert!(keys.waits_for().is_some());
        keys.handle_known(&old, 0, 1_000);
        assert_eq!(keys.due_ms(), None, "another key");
        keys.handle_known(&next, 20, 100_000);
        assert_eq!((keys.due_ms(), keys.waits_for()), (Some(140_000), None));

        assert!(!keys.handle_time(139_999) && keys.answering().public() == old);
        assert!(keys.handle_time(140_000) && keys.answering().public() == next);
        assert!(!keys.handle_time(140_001), "it answers already");
        assert_eq!(keys.to_try().iter().map(|key| key.public()).collect::<Vec<_>>(), [next, old]);
    }

    #[test]
    fn a_crash_at_any_point_leaves_one_of_the_two_keys() {
        let (_folder, files) = files();
        let first = files.load().expect("made");
        let keys = files.make_next(&first, 60).expect("made");
        let (old, next) = (first.key.public(), keys.next.as_ref().expect("there").key.public());
        let check = |expected: (PublicKey, Option<PublicKey>, Vec<PublicKey>)| {
            let keys = files.load().expect("readable");
            let next = keys.next.as_ref().map(|next| next.key.public());
            assert_eq!((keys.key.public(), next, keys.names()), expected);
        };

        check((old, Some(next), vec![old, next]));
        // The record says already which key will have been the one before.
        files.note(&Keys { previous: Some(old), ..keys.clone() }).expect("written");
        check((old, Some(next), vec![old, next]));
        // The key is taken up, the record is as before.
        durable::rename(&files.next, &files.key).expect("renamed");
        check((next, None, vec![next, old]));
    }

    #[test]
    fn what_is_known_of_a_rotation_outlives_a_restart_and_a_key_that_is_there_is_kept() {
        let (_folder, files) = files();
        let mut keys = files.make_next(&files.load().expect("made"), 60).expect("made");
        let next = keys.next.as_ref().expect("there").key.public();
        keys.handle_known(&next, 0, 5_000);
        files.note(&keys).expect("written");

        let again = files.make_next(&files.load().expect("readable"), 10).expect("kept");

        assert_eq!((again.next.as_ref().expect("there").key.public(), again.due_ms()), (next, Some(15_000)));
        let taken = files.take_up(&again).expect("taken up");
        assert_eq!((taken.key.public(), taken.names().len()), (next, 2));
        let before = Succession::predecessor(&taken.follows, &next, |_| true);
        assert_eq!(before, Some(keys.key.public()), "the key before says which one follows");
        assert_eq!(files.load().expect("readable").follows, taken.follows);
        assert_eq!(files.load().expect("readable").names(), taken.names());
        files.forget_next().expect("forgotten");
        assert_eq!(files.load().expect("readable").names(), [next]);
    }

    #[test]
    fn a_refusal_is_told_until_the_controller_takes_the_key() {
        let (_folder, files) = files();
        let mut keys = files.make_next(&files.load().expect("made"), 60).expect("made");
        let next = keys.next.as_ref().expect("there").key.public();

        keys.handle_refused(Refusal::new(RefusalCode::AlreadyBound, "declared", "write it there"));
        assert!(keys.waits_for().is_some_and(|reason| reason.contains("write it there")));
        keys.handle_known(&next, 0, 0);

        assert_eq!(keys.waits_for(), None);
    }
}
