//! What the reconciler publishes: everything that sessions need to answer without asking.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{assignment::Version, key::PublicKey, section::ContentHash, signed::Signed};

/// One committed revision, as sessions see it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub version: Version,
    /// The root's word for the controller's online key.
    pub delegation: Signed,
    pub gateways: BTreeMap<PublicKey, GatewaySnapshot>,
}

/// What one gateway must run.
#[derive(Clone, Debug)]
pub struct GatewaySnapshot {
    pub assignment: Signed,
    pub hash: ContentHash,
    pub sections: BTreeMap<ContentHash, Arc<[u8]>>,
}

impl Snapshot {
    pub fn assignment_hash(&self, gateway: &PublicKey) -> Option<ContentHash> {
        self.gateways.get(gateway).map(|g| g.hash)
    }
}
