//! The ring of online keys as it is kept beside them: the root's words are signed while the root key is at hand, and
//! read while it is not.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context;
use horizon_api::{
    cbor,
    delegation::Delegation,
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::Signed,
};
use horizon_node::{durable, failure::Failure, secret_file};

use super::{
    ROOT,
    ring::{self, Expected, ROLES, Ring, Stage},
};

const DAY_S: i64 = 24 * 3600;
/// How long a delegation lives: long enough for a root key that is fetched from a safe once a quarter.
pub const LIFE_S: i64 = 90 * DAY_S;
/// With less than this left and no root key, an operator must act.
const WARN_S: i64 = 14 * DAY_S;

/// Where the ring is kept, and in which epoch it must hold.
#[derive(Clone, Debug)]
pub struct RingFile {
    path: PathBuf,
    root_path: PathBuf,
    epoch: u64,
}

/// A ring whose current key is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRing {
    pub ring: Ring,
    /// What the root says of the current key.
    pub document: Delegation,
    /// Whether the root key was at hand when it was looked at.
    pub can_be_renewed: bool,
}

/// What to do about a delegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Keep,
    Sign,
    /// It does not hold, and nobody here can sign another.
    Refuse,
}

impl RingFile {
    pub(super) fn new(data: &Path, epoch: u64) -> Self {
        Self { path: data.join("delegation"), root_path: data.join(ROOT), epoch }
    }

    /// Returns the ring in which this online key signs and is believed now: the stored one, or the same with words that
    /// are signed and stored for it when they are a day old and the root key is at hand. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read or written, or when no word holds and the root key is away.
    pub fn current(&self, stored: Option<Ring>, online: PublicKey, now_s: i64) -> anyhow::Result<StoredRing> {
        let root = self.root()?;
        let claimed = stored.as_ref().and_then(|ring| signed_by_itself(&ring.current().word));
        if let (Some(claimed), Some(root)) = (&claimed, &root)
            && claimed.root != root.public()
        {
            return Err(self.foreign_root().into());
        }
        let holding = stored.as_ref().and_then(|ring| self.holding(ring, online, now_s));
        let is_whole = stored.as_ref().is_some_and(|ring| {
            let own = |root| Expected { root, epoch: self.epoch, now_s };
            let root = holding.as_ref().map(|word| RootFingerprint::of(&word.root));
            root.is_some_and(|root| ring.live().all(|key| ring::check(&key.word, own(root)).is_ok()))
        });
        let decision = match decide(holding.as_ref(), root.is_some(), now_s) {
            Decision::Keep if !is_whole && root.is_some() => Decision::Sign,
            decision @ (Decision::Keep | Decision::Sign | Decision::Refuse) => decision,
        };
        match (decision, stored, holding, root) {
            (Decision::Keep, Some(ring), Some(document), root) => {
                Ok(StoredRing { ring, document, can_be_renewed: root.is_some() })
            }
            (Decision::Sign, stored, _, Some(root)) => self.sign(stored, online, &root, now_s),
            (Decision::Keep | Decision::Sign | Decision::Refuse, _, _, _) => Err(self.refusal().into()),
        }
    }

    /// Returns what is stored. What no root has signed is as good as absent.
    ///
    /// # Errors
    /// When it cannot be read, or a later program wrote it.
    pub fn read(&self) -> anyhow::Result<Option<Ring>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", self.path.display())),
        };
        if let Ok(ring) = cbor::decode::<Ring>(&bytes) {
            anyhow::ensure!(
                ring.is_known(),
                "{} was written by a later program: upgrade this one",
                self.path.display()
            );
            return Ok(signed_by_itself(&ring.current().word).map(|_| ring));
        }
        // A delegation alone, as it was kept before keys followed each other.
        Ok(cbor::decode::<Signed>(&bytes).ok().and_then(|signed| {
            let document = signed_by_itself(&signed)?;
            Some(Ring::first(document.online, signed, document.not_after - LIFE_S))
        }))
    }

    /// Makes a ring the one that counts: all of it, or nothing. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, ring: Ring) -> anyhow::Result<StoredRing> {
        let document =
            signed_by_itself(&ring.current().word).context("the root has not signed for the current key")?;
        durable::write(&self.path, &cbor::encode(&ring))
            .with_context(|| format!("write {}", self.path.display()))?;
        Ok(StoredRing { ring, document, can_be_renewed: self.root_path.exists() })
    }

    /// Returns the root key, if it is here.
    ///
    /// # Errors
    /// When its file cannot be used.
    pub fn root(&self) -> anyhow::Result<Option<SecretKey>> {
        let root = secret_file::load(&self.root_path).context("load the root key")?;
        Ok(root.map(|seed| SecretKey::from_seed(&seed)))
    }

    /// Returns where and when the root's words must hold.
    pub fn expected(&self, root: PublicKey, now_s: i64) -> Expected {
        Expected { root: RootFingerprint::of(&root), epoch: self.epoch, now_s }
    }

    /// Returns what the root says of the current key, if nodes would believe it for all that it is for.
    fn holding(&self, ring: &Ring, online: PublicKey, now_s: i64) -> Option<Delegation> {
        let claimed = signed_by_itself(&ring.current().word)?;
        let document = ring::check(&ring.current().word, self.expected(claimed.root, now_s)).ok()?;
        (document.online == online).then_some(document)
    }

    fn sign(
        &self,
        stored: Option<Ring>,
        online: PublicKey,
        root: &SecretKey,
        now_s: i64,
    ) -> anyhow::Result<StoredRing> {
        let not_after = now_s + LIFE_S;
        let ring = match stored {
            Some(mut ring) => {
                ring.put_current(online);
                ring.signed_again(root, self.epoch, not_after)
            }
            None => {
                let (root_key, roles, epoch) = (root.public(), ROLES.to_vec(), self.epoch);
                let (serial, floor) = (0, 0);
                let word = Delegation { root: root_key, online, roles, epoch, serial, floor, not_after };
                Ring::first(online, word.sign(root), now_s)
            }
        };
        self.store(ring)
    }

    fn foreign_root(&self) -> Failure {
        let (root, delegation) = (self.root_path.display(), self.path.display());
        Failure::Failed(format!(
            "{root} is not the root key that signed {delegation}, which gateways and devices trust: put the right one back, or move it away"
        ))
    }

    fn refusal(&self) -> Failure {
        let (root, delegation) = (self.root_path.display(), self.path.display());
        Failure::Failed(format!(
            "{root} is missing, and {delegation} is missing, over, or for another key or epoch: put {root} back, from where it is kept or from a backup; a new one would shut out every gateway and device"
        ))
    }
}

impl StoredRing {
    /// Returns what an operator must know: that it ends soon, and that the root key is away.
    pub fn warning(&self, now_s: i64) -> Option<String> {
        let left_s = self.document.not_after - now_s;
        let is_rotating = self.ring.at(Stage::Next).is_some();
        (!self.can_be_renewed && !is_rotating && left_s < WARN_S).then(|| {
            let days = left_s.max(0) / DAY_S;
            format!(
                "the delegation of the online key ends in {days} days and {ROOT} is not here to renew it; run `horizon-controller keys request`"
            )
        })
    }

    /// Returns the root's words for every key that is believed, the one that signs first.
    pub fn words(&self) -> Vec<Signed> {
        self.ring.live().map(|key| key.word.clone()).collect()
    }
}

/// Reads a delegation if the root that it claims has signed it.
fn signed_by_itself(signed: &Signed) -> Option<Delegation> {
    let claimed: Delegation = signed.read_own().ok()?;
    signed.verify(&claimed.root).ok()
}

/// `stored` is one that holds. A day's use is as good as a whole life; more left than a whole life means that the
/// clock was wrong when it was signed.
fn decide(stored: Option<&Delegation>, has_root: bool, now_s: i64) -> Decision {
    let is_young =
        stored.is_some_and(|stored| (LIFE_S - DAY_S..=LIFE_S).contains(&(stored.not_after - now_s)));
    match (stored, has_root) {
        (Some(_), _) if is_young => Decision::Keep,
        (_, true) => Decision::Sign,
        (Some(_), false) => Decision::Keep,
        (None, false) => Decision::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn delegation(not_after: i64) -> Delegation {
        let key = SecretKey::from_seed(&[1; 32]).public();
        Delegation { root: key, online: key, roles: ROLES.to_vec(), epoch: 1, serial: 0, floor: 0, not_after }
    }

    #[track_caller]
    fn check(left_s: Option<i64>, has_root: bool, expected: Decision) {
        let stored = left_s.map(|left_s| delegation(NOW + left_s));
        assert_eq!(decide(stored.as_ref(), has_root, NOW), expected, "{left_s:?} {has_root}");
    }

    #[test]
    fn delegation_is_renewed_once_a_day_while_the_root_key_is_at_hand() {
        check(Some(LIFE_S), true, Decision::Keep);
        check(Some(LIFE_S - DAY_S), true, Decision::Keep);
        check(Some(LIFE_S - DAY_S - 1), true, Decision::Sign);
        check(Some(1), true, Decision::Sign);
        check(Some(LIFE_S + 1), true, Decision::Sign);
        check(None, true, Decision::Sign);
    }

    #[test]
    fn without_the_root_key_the_stored_one_serves_to_its_end() {
        check(Some(LIFE_S), false, Decision::Keep);
        check(Some(1), false, Decision::Keep);
        check(None, false, Decision::Refuse);
    }

    #[test]
    fn end_in_sight_is_told_only_when_the_root_key_is_away() {
        let key = SecretKey::from_seed(&[1; 32]);
        let stored = |left_s, can_be_renewed| {
            let document = delegation(NOW + left_s);
            let ring = Ring::first(key.public(), document.sign(&key), NOW);
            StoredRing { ring, document, can_be_renewed }
        };

        assert_eq!(stored(WARN_S, false).warning(NOW), None);
        assert_eq!(stored(DAY_S, true).warning(NOW), None);
        assert!(stored(DAY_S, false).warning(NOW).is_some_and(|text| text.contains("1 days")));
    }

    #[test]
    fn delegation_of_another_key_or_epoch_does_not_hold_and_another_root_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
        let write_root = |seed: u8| durable::write(&folder.path().join(ROOT), &[seed; 32]).unwrap();
        write_root(1);
        let file = RingFile::new(folder.path(), 1);
        let look = |file: &RingFile, seed, now| file.current(file.read().unwrap(), key(seed), now);
        let first = look(&file, 2, NOW).unwrap();

        let same = look(&file, 2, NOW + 60).unwrap();
        let other_epoch = look(&RingFile { epoch: 2, ..file.clone() }, 2, NOW).unwrap();
        let other_key = look(&file, 3, NOW).unwrap();
        write_root(9);
        let other_root = look(&file, 3, NOW).unwrap_err();

        assert_eq!(same, first);
        assert_eq!(other_epoch.document.epoch, 2);
        assert_eq!(other_key.document.online, key(3));
        assert!(format!("{other_root:#}").contains("is not the root key"), "{other_root:#}");
    }

    #[test]
    fn a_delegation_that_was_kept_alone_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (root, online) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]).public());
        let document = Delegation { root: root.public(), online, ..delegation(NOW + DAY_S) };
        durable::write(&folder.path().join("delegation"), &cbor::encode(&document.sign(&root))).unwrap();
        let file = RingFile::new(folder.path(), 1);

        let stored = file.current(file.read().unwrap(), online, NOW).unwrap();

        assert_eq!((stored.document, stored.ring.current().serial), (document, 0));
    }
}
