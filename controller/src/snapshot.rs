//! What the reconciler publishes: everything that sessions need to answer without asking.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{assignment::Version, key::PublicKey, section::ContentHash, signed::Signed};

/// One committed revision, as sessions see it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The root's word for the controller's online key.
    pub delegation: Signed,
    pub epoch: u64,
    /// What the backup held that the store was made from, if it was.
    pub restored_from: Option<Version>,
    pub gateways: BTreeMap<PublicKey, Arc<GatewaySnapshot>>,
}

impl Snapshot {
    /// Says whether a gateway that runs this knows more than the store: what was decided since its backup.
    pub fn has_forgotten(&self, running: Version) -> bool {
        running.epoch < self.epoch && self.restored_from.is_some_and(|backup| backup < running)
    }
}

/// What one gateway must run: shared, so that an offer that waits for its answer keeps it whole.
#[derive(Clone, Debug)]
pub struct GatewaySnapshot {
    pub assignment: Signed,
    pub hash: ContentHash,
    pub sections: BTreeMap<ContentHash, Arc<[u8]>>,
}
