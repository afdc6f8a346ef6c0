//! The controller's own keys: the root that nodes pin, the online key under it, and the pepper of token digests.
//!
//! They are made with the store: a new root would cut off every node, and a pepper is never replaced, but another one
//! laid over it. The root key is read only to sign a delegation, so it may live elsewhere in between.

mod delegation;
pub mod pepper;
pub mod ring;

use std::path::{Path, PathBuf};

use anyhow::Context;
use horizon_api::key::{RootFingerprint, SecretKey};
use horizon_node::{durable, failure::Failure, secret_file};
use tracing::warn;
use zeroize::Zeroizing;

use self::ring::Stage;
pub use delegation::{LIFE_S, RingFile, StoredRing};
pub use pepper::Pepper;

use crate::store::Start;

/// The root key's file.
pub const ROOT: &str = "root.key";

/// Says whether a delegation of another epoch can be signed: the root key is there.
pub fn can_sign_epochs(data: &Path) -> bool {
    data.join(ROOT).exists()
}

/// Who the controller is.
pub struct ControllerIdentity {
    data: PathBuf,
    online: SecretKey,
    pepper: Pepper,
    file: RingFile,
    ring: StoredRing,
}

impl ControllerIdentity {
    /// Reads the keys from the data folder; the first start makes them.
    ///
    /// # Errors
    /// When a file is missing though the store is in use, is damaged or open to others, or cannot be written;
    /// when there is neither a delegation that holds nor a root key to sign one.
    pub fn load(data: &Path, store: &Start, now_s: i64) -> anyhow::Result<Self> {
        let epoch = u64::try_from(store.epoch).context("the store's epoch is negative")?;
        let file = RingFile::new(data, epoch);
        let stored = file.read().context("load the delegation")?;
        let serial = stored.as_ref().map_or(0, |ring| ring.current().serial);
        let online = secret(&online_path(data, serial), store).context("load the online key")?;
        let online = SecretKey::from_seed(&online);
        let pepper = secret(&data.join("pepper"), store).context("load the pepper")?;
        let pepper = Pepper::load(data, pepper, store.peppers)?;
        if store.is_fresh && stored.is_none() {
            secret_file::load_or_create(&data.join(ROOT)).context("load the root key")?;
        }
        let ring = file.current(stored, online.public(), now_s).context("load the delegation")?;
        // A crash may have come between the word that withdrew a key and the end of its secret.
        ring.ring
            .keys()
            .iter()
            .filter(|key| key.stage() == Stage::Withdrawn)
            .for_each(|key| forget(data, key.serial));
        Ok(Self { data: data.to_owned(), online, pepper, file, ring })
    }

    /// Takes in a ring whose words were renewed, or that has another key announced or withdrawn.
    pub fn adopt(&mut self, ring: StoredRing) {
        self.ring = ring;
    }

    /// Takes in a ring in which another key signs.
    pub fn adopt_online(&mut self, ring: StoredRing, online: SecretKey) {
        self.ring = ring;
        self.online = online;
    }

    /// Returns the key that signs.
    pub fn online(&self) -> &SecretKey {
        &self.online
    }

    /// Returns the folder that the keys are in.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Returns the online keys, with what the root says of them.
    pub fn ring(&self) -> &StoredRing {
        &self.ring
    }

    /// Returns where they are kept and renewed.
    pub fn ring_file(&self) -> &RingFile {
        &self.file
    }

    pub fn root_fingerprint(&self) -> RootFingerprint {
        RootFingerprint::of(&self.ring.document.root)
    }
}

/// Removes the secret of a key that is withdrawn. Nobody believes it any more: what stays is told, and tried again at the
/// next start.
pub fn forget(data: &Path, serial: u64) {
    let path = online_path(data, serial);
    if let Err(error) = durable::remove(&path) {
        warn!(path = %path.display(), %error, "the secret of an online key that is withdrawn is still on the disk");
    }
}

/// Returns the file of an online key by its number: `online.key`, `online.key.2`, …
pub fn online_path(data: &Path, serial: u64) -> PathBuf {
    if serial == 0 { data.join("online.key") } else { data.join(format!("online.key.{}", serial + 1)) }
}

/// Reads a secret. It is made only where nothing depends on the one that is missing.
fn secret(path: &Path, store: &Start) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    if store.is_fresh {
        return Ok(secret_file::load_or_create(path)?);
    }
    let found = secret_file::load(path)?;
    found.ok_or_else(|| {
        let path = path.display();
        Failure::Failed(format!(
            "{path} is missing, but the database beside it is in use: restore {path} from a backup; a new one would shut out every gateway and device"
        ))
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AuditState;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 24 * 3600;

    fn store(is_fresh: bool) -> Start {
        Start { number: 1, engine: String::new(), audit: AuditState::Empty, epoch: 1, is_fresh, peppers: 1 }
    }

    #[test]
    fn keys_are_made_with_a_fresh_store_and_read_afterwards() {
        let folder = tempfile::tempdir().unwrap();

        let first = ControllerIdentity::load(folder.path(), &store(true), NOW).unwrap();
        let second = ControllerIdentity::load(folder.path(), &store(false), NOW + 60).unwrap();

        assert_eq!(first.root_fingerprint(), second.root_fingerprint());
        assert_eq!(first.online().public(), second.online().public());
        assert!(first.pepper().keyed_api(&[1; 32]).matches(&second.pepper().keyed_api(&[1; 32])));
        assert_eq!(first.ring(), second.ring());
    }

    #[test]
    fn missing_key_of_a_store_in_use_is_refused_and_not_made() {
        for name in ["online.key", "pepper"] {
            let folder = tempfile::tempdir().unwrap();
            ControllerIdentity::load(folder.path(), &store(true), NOW).unwrap();
            std::fs::remove_file(folder.path().join(name)).unwrap();

            let refused = ControllerIdentity::load(folder.path(), &store(false), NOW).err().unwrap();

            let text = format!("{refused:#}");
            assert!(text.contains(name) && text.contains("restore"), "{text}");
            assert!(!folder.path().join(name).exists());
        }
    }

    #[test]
    fn root_key_may_be_away_while_its_delegation_holds() {
        let folder = tempfile::tempdir().unwrap();
        let first = ControllerIdentity::load(folder.path(), &store(true), NOW).unwrap();
        std::fs::remove_file(folder.path().join(ROOT)).unwrap();

        let later = ControllerIdentity::load(folder.path(), &store(false), NOW + 80 * DAY).unwrap();
        let too_late = ControllerIdentity::load(folder.path(), &store(false), NOW + 91 * DAY).err().unwrap();

        assert_eq!(later.root_fingerprint(), first.root_fingerprint());
        assert!(later.ring().warning(NOW + 80 * DAY).is_some());
        let text = format!("{too_late:#}");
        assert!(text.contains("root.key") && !folder.path().join(ROOT).exists(), "{text}");
    }

    #[test]
    fn a_crash_at_any_step_of_a_rotation_loses_no_key_and_leaves_no_secret_that_was_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let load = || ControllerIdentity::load(folder.path(), &store(false), NOW).unwrap();
        let signs = || load().online().public();
        let first = ControllerIdentity::load(folder.path(), &store(true), NOW).unwrap();
        let [old, new] = [0, 1].map(|serial| online_path(folder.path(), serial));
        let file = first.ring_file();
        let keep = |ring: &ring::Ring| drop(file.store(ring.clone()).unwrap());

        // The next key is made, and nobody has heard of it.
        let next = secret_file::node_key(&new).unwrap();
        assert_eq!(signs(), first.online().public());
        assert_eq!(
            secret_file::node_key(&new).unwrap().public(),
            next.public(),
            "it is used by who tries again"
        );
        let (ring, root) = (&first.ring().ring, file.root().unwrap().unwrap());
        let own = file.expected(root.public(), NOW);
        let words = ring.request(root.public(), next.public(), 1, NOW).sign(&root, NOW + LIFE_S).unwrap();
        let ring = ring.announce(words, next.public(), own, 60).unwrap();
        // It is announced, and does not sign yet.
        keep(&ring);
        assert_eq!((signs(), load().ring().ring.is_rotating()), (first.online().public(), true));
        // It signs, and the key before is believed.
        let ring = ring.switched(NOW);
        keep(&ring);
        assert_eq!((signs(), load().ring().ring.is_rotating()), (next.public(), true));
        assert!(old.exists());
        // The key before is withdrawn, and its secret not removed yet.
        let ring = ring.withdrawn(NOW + 60);
        keep(&ring);
        assert!(old.exists());
        assert_eq!((signs(), load().ring().ring.is_rotating()), (next.public(), false));
        assert!(!old.exists() && new.exists(), "a secret that was withdrawn is kept");
    }

    #[test]
    fn lost_root_and_delegation_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        ControllerIdentity::load(folder.path(), &store(true), NOW).unwrap();
        std::fs::remove_file(folder.path().join(ROOT)).unwrap();
        std::fs::remove_file(folder.path().join("delegation")).unwrap();

        let refused = ControllerIdentity::load(folder.path(), &store(false), NOW).err().unwrap();

        assert!(format!("{refused:#}").contains("root.key"));
        assert!(!folder.path().join(ROOT).exists());
    }
}
