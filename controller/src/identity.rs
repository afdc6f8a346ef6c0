//! The controller's own keys: the root that nodes pin, the online key under it, and the pepper of token digests.

use std::path::Path;

use anyhow::Context;
use horizon_api::{
    delegation::{Delegation, Role},
    key::{RootFingerprint, SecretKey},
    signed::Signed,
};
use horizon_node::secret_file;

/// A delegation lives so long; it is renewed at every start and once a day while the root key is at hand.
const DELEGATION_S: i64 = 90 * 24 * 3600;

/// Who the controller is.
pub struct ControllerIdentity {
    root: SecretKey,
    online: SecretKey,
    pepper: [u8; 32],
}

impl ControllerIdentity {
    /// Reads the keys from the data folder; the first start makes them.
    ///
    /// # Errors
    /// When a file is damaged, open to others, or cannot be written.
    pub fn load(data: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            root: secret_file::node_key(&data.join("root.key")).context("load the root key")?,
            online: secret_file::node_key(&data.join("online.key")).context("load the online key")?,
            pepper: *secret_file::load_or_create(&data.join("pepper")).context("load the pepper")?,
        })
    }

    /// Returns the root's word for the online key in this epoch.
    pub fn delegate(&self, epoch: u64, now_s: i64) -> Signed {
        let delegation = Delegation {
            root: self.root.public(),
            online: self.online.public(),
            roles: vec![Role::Link, Role::Config, Role::Grant],
            epoch,
            not_after: now_s + DELEGATION_S,
        };
        delegation.sign(&self.root)
    }

    pub fn online(&self) -> &SecretKey {
        &self.online
    }

    pub fn pepper(&self) -> &[u8; 32] {
        &self.pepper
    }

    pub fn root_fingerprint(&self) -> RootFingerprint {
        RootFingerprint::of(&self.root.public())
    }
}
