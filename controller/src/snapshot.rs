//! What the reconciler publishes: everything that sessions need to answer without asking.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{key::PublicKey, section::ContentHash, signed::Signed};

/// One committed revision, as sessions see it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The root's word for the controller's online key.
    pub delegation: Signed,
    pub gateways: BTreeMap<PublicKey, Arc<GatewaySnapshot>>,
}

/// What one gateway must run: shared, so that an offer that waits for its answer keeps it whole.
#[derive(Clone, Debug)]
pub struct GatewaySnapshot {
    pub assignment: Signed,
    pub hash: ContentHash,
    pub sections: BTreeMap<ContentHash, Arc<[u8]>>,
}
