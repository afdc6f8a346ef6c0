//! A configuration that was checked, and whom it keeps out.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    assignment::{GatewayConfig, VerifiedAssignment},
    delegation::Trust,
    key::PublicKey,
    section::ContentHash,
    signed::Signed,
};

/// A configuration that was checked, whole.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) trust: Trust,
    pub(crate) delegation: Signed,
    pub(crate) signed: Signed,
    pub(crate) verified: VerifiedAssignment,
    pub(crate) config: GatewayConfig,
    /// Revoked by a configuration that came after this one and does not run; `config` has them as well.
    revoked_later: BTreeSet<PublicKey>,
}

/// Sections by their hash.
pub(crate) type Sections = BTreeMap<ContentHash, Vec<u8>>;

impl Running {
    pub(crate) fn new(
        trust: Trust,
        delegation: Signed,
        signed: Signed,
        verified: VerifiedAssignment,
        config: GatewayConfig,
    ) -> Self {
        Self { trust, delegation, signed, verified, config, revoked_later: BTreeSet::new() }
    }

    /// Keeps out whom a later configuration revokes, whatever becomes of the rest of it: revocations are never rolled
    /// back. The latest word counts, so that somebody who was let in again is not kept out by one before it.
    pub(crate) fn revoke_later(&mut self, latest: &BTreeSet<PublicKey>) {
        let (config, later) = (&mut self.config, &mut self.revoked_later);
        config.revoked.retain(|key| !later.contains(key));
        *later = latest.difference(&config.revoked).copied().collect();
        config.revoked.extend(&*later);
    }

    /// Keeps out these keys too, as a word says that came after this configuration. Returns whether one of them was not
    /// kept out yet.
    pub(crate) fn revoke_also(&mut self, keys: &[PublicKey]) -> bool {
        let before = self.config.revoked.len();
        let later = self.revoked_later.iter().chain(keys).copied().collect();
        self.revoke_later(&later);
        self.config.revoked.len() > before
    }

    pub(crate) fn revoked_later(&self) -> &BTreeSet<PublicKey> {
        &self.revoked_later
    }

    /// Says whether it holds only until somebody confirms it.
    pub(crate) fn is_provisional(&self) -> bool {
        self.verified.provisional().is_some()
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::{
        testing::{key, running},
        *,
    };

    fn keys(seeds: &[u8]) -> BTreeSet<PublicKey> {
        seeds.iter().map(|seed| key(*seed).public()).collect()
    }

    #[test]
    fn the_latest_word_keeps_people_out_beside_the_configurations_own() {
        let (mut running, _) = running(7);
        assert_eq!(running.config.revoked, keys(&[7]));

        running.revoke_later(&keys(&[7, 8]));
        assert_eq!((&running.config.revoked, &running.revoked_later), (&keys(&[7, 8]), &keys(&[8])));
        running.revoke_later(&keys(&[9]));
        assert_eq!((&running.config.revoked, &running.revoked_later), (&keys(&[7, 9]), &keys(&[9])));
    }

    #[test]
    fn news_adds_to_what_is_kept_out() {
        let (mut running, _) = running(7);

        assert!(running.revoke_also(&[key(8).public()]) && running.revoke_also(&[key(9).public()]));
        assert!(!running.revoke_also(&[key(7).public(), key(8).public()]), "they are out already");

        assert_eq!((&running.config.revoked, &running.revoked_later), (&keys(&[7, 8, 9]), &keys(&[8, 9])));
    }
}
