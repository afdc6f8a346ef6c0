//! What the reconciler publishes: everything that sessions need to answer without asking.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use horizon_api::{
    assignment::Version, delegation::Delegation, key::PublicKey, section::ContentHash, signed::Signed,
    wire::cfg::name_of,
};
use ipnet::IpNet;

/// One committed revision, as sessions see it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The root's words for the controller's online keys.
    pub delegations: Arc<Delegations>,
    pub epoch: u64,
    /// What the backup held that the store was made from, if it was.
    pub restored_from: Option<Version>,
    pub gateways: BTreeMap<PublicKey, Arc<GatewaySnapshot>>,
    /// From where gateways may connect, where that is not everywhere.
    pub sources: BTreeMap<PublicKey, Vec<IpNet>>,
}

/// The root's words for every online key that is believed, the one that signs first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegations {
    pub words: Vec<Signed>,
    /// What a gateway names them by that has them on disk.
    pub name: ContentHash,
}

impl Delegations {
    pub fn new(words: Vec<Signed>) -> Self {
        let name = name_of(&words);
        Self { words, name }
    }

    /// Returns the key that signs.
    pub fn signer(&self) -> Option<PublicKey> {
        self.words.first()?.read_own::<Delegation>().ok().map(|word| word.online)
    }
}

impl Snapshot {
    /// Says whether a gateway may be where it is.
    pub fn is_allowed(&self, gateway: &PublicKey, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let ranges = self.sources.get(gateway);
        ranges.is_none_or(|ranges| ranges.iter().any(|range| range.contains(&address)))
    }

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
