//! The delegation as it is kept beside the online key: signed while the root key is at hand, read while it is not.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::Context;
use horizon_api::{
    cbor,
    delegation::{Delegation, Pin, Role, Trust},
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::Signed,
};
use horizon_node::{durable, failure::Failure, secret_file};

use super::ROOT;

const DAY_S: i64 = 24 * 3600;
/// How long a delegation lives: long enough for a root key that is fetched from a safe once a quarter.
const LIFE_S: i64 = 90 * DAY_S;
/// With less than this left and no root key, an operator must act.
const WARN_S: i64 = 14 * DAY_S;
const ROLES: [Role; 3] = [Role::Link, Role::Config, Role::Grant];

/// Where a delegation is kept, and for whom it must be.
#[derive(Clone, Debug)]
pub struct DelegationFile {
    path: PathBuf,
    root_path: PathBuf,
    online: PublicKey,
    epoch: u64,
}

/// A delegation that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelegation {
    pub signed: Signed,
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

impl DelegationFile {
    pub(super) fn new(data: &Path, online: PublicKey, epoch: u64) -> Self {
        Self { path: data.join("delegation"), root_path: data.join(ROOT), online, epoch }
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Returns the delegation that holds now: the stored one, or one that is signed and stored for it when it
    /// is a day old and the root key is at hand. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read or written, or when none holds and the root key is away.
    pub fn current(&self, now_s: i64) -> anyhow::Result<StoredDelegation> {
        let root = secret_file::load(&self.root_path).context("load the root key")?;
        let root = root.map(|seed| SecretKey::from_seed(&seed));
        let stored = match self.read()? {
            Some((_, document)) if root.as_ref().is_some_and(|root| root.public() != document.root) => {
                return Err(self.foreign_root().into());
            }
            stored => stored.filter(|(signed, document)| self.holds(signed, document, now_s)),
        };
        let decision = decide(stored.as_ref().map(|(_, document)| document), root.is_some(), now_s);
        match (decision, stored, root) {
            (Decision::Keep, Some((signed, document)), root) => {
                Ok(StoredDelegation { signed, document, can_be_renewed: root.is_some() })
            }
            (Decision::Sign, _, Some(root)) => self.sign(&root, now_s),
            (Decision::Keep | Decision::Sign | Decision::Refuse, _, _) => Err(self.refusal().into()),
        }
    }

    /// Returns what is stored. What no root has signed is as good as absent.
    fn read(&self) -> anyhow::Result<Option<(Signed, Delegation)>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", self.path.display())),
        };
        Ok(cbor::decode::<Signed>(&bytes).ok().and_then(|signed| {
            let claimed: Delegation = signed.read_own().ok()?;
            let document = signed.verify(&claimed.root).ok()?;
            Some((signed, document))
        }))
    }

    /// Says whether nodes of this controller would believe it, for all that it is for.
    fn holds(&self, signed: &Signed, document: &Delegation, now_s: i64) -> bool {
        let pin = Pin { root: RootFingerprint::of(&document.root), epoch: self.epoch };
        let is_believed =
            Trust::establish(signed, &pin, now_s).is_ok_and(|trust| trust.check_peer(&self.online).is_ok());
        is_believed && document.epoch == self.epoch && ROLES.iter().all(|role| document.roles.contains(role))
    }

    fn sign(&self, root: &SecretKey, now_s: i64) -> anyhow::Result<StoredDelegation> {
        let document = Delegation {
            root: root.public(),
            online: self.online,
            roles: ROLES.to_vec(),
            epoch: self.epoch,
            not_after: now_s + LIFE_S,
        };
        let signed = document.sign(root);
        durable::write(&self.path, &cbor::encode(&signed))
            .with_context(|| format!("write {}", self.path.display()))?;
        Ok(StoredDelegation { signed, document, can_be_renewed: true })
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

impl StoredDelegation {
    /// Returns what an operator must know: that it ends soon, and that the root key is away.
    pub fn warning(&self, now_s: i64) -> Option<String> {
        let left_s = self.document.not_after - now_s;
        (!self.can_be_renewed && left_s < WARN_S).then(|| {
            let days = left_s.max(0) / DAY_S;
            format!("the delegation of the online key ends in {days} days and {ROOT} is not here to renew it")
        })
    }
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
        Delegation { root: key, online: key, roles: ROLES.to_vec(), epoch: 1, not_after }
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
            StoredDelegation { signed: document.sign(&key), document, can_be_renewed }
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
        let file = DelegationFile::new(folder.path(), key(2), 1);
        let first = file.current(NOW).unwrap();

        let same = file.current(NOW + 60).unwrap();
        let other_epoch = DelegationFile { epoch: 2, ..file.clone() }.current(NOW).unwrap();
        let other_key = DelegationFile { online: key(3), ..file.clone() }.current(NOW).unwrap();
        write_root(9);
        let other_root = file.current(NOW).unwrap_err();

        assert_eq!(same, first);
        assert_eq!(other_epoch.document.epoch, 2);
        assert_eq!(other_key.document.online, key(3));
        assert!(format!("{other_root:#}").contains("is not the root key"), "{other_root:#}");
    }
}
