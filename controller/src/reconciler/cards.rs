//! Cards: with which key packets for a device are sealed, signed for the others of its networks.

use horizon_api::{
    card::Card,
    grant::{Grant, NetworkGrant, SealScope},
    resource::{EndToEnd, Kind, NetworkSpec, ObjectKey, ResourceSpec},
    section::NetworkId,
    signed::Signed,
    wire::dev::IssuedCard,
};

use super::Reconciler;

impl Reconciler {
    /// Adds where packets are sealed, if they are.
    pub(super) fn with_scope(&self, network: &NetworkGrant) -> NetworkGrant {
        NetworkGrant { sealed: self.seal_scope(&network.network), ..network.clone() }
    }

    /// Signs the cards of a device: each is good as long as its grant may be used.
    pub(super) fn cards(&self, grant: &Grant, word: &Signed) -> Vec<IssuedCard> {
        let sealed = grant.networks.iter().filter(|network| network.sealed.is_some());
        let issue = |network: &NetworkGrant| {
            let grace_s =
                self.network_spec(&network.network).map_or(0, |spec| spec.offline_grace.as_seconds());
            let card = Card {
                epoch: grant.epoch,
                network: network.network.clone(),
                device: grant.device,
                name: grant.identity.device.clone(),
                addresses: network.addresses.clone(),
                word: word.clone(),
                issued_at: grant.issued_at,
                expires_at: grant.expires_at.saturating_add(i64::from(grace_s)),
            };
            IssuedCard { network: network.network.clone(), card: card.sign(self.identity.online()) }
        };
        sealed.map(issue).collect()
    }

    fn seal_scope(&self, network: &NetworkId) -> Option<SealScope> {
        let spec = self.network_spec(network).filter(|spec| spec.e2e == EndToEnd::Required)?;
        let servers = self.state.compiled.effective.servers.keys();
        let gateways = servers.flat_map(|server| self.state.allocations.of(network, server)).copied();
        let pools = spec.address_pools.iter().map(|pool| pool.cidr).collect();
        Some(SealScope { pools, gateways: gateways.collect() })
    }

    fn network_spec(&self, network: &NetworkId) -> Option<&NetworkSpec> {
        let (namespace, name) = network.as_str().split_once('/')?;
        let key = ObjectKey::new(Kind::Network, namespace, name);
        match self.state.committed.get(&key).map(|object| &object.spec) {
            Some(ResourceSpec::Network(spec)) => Some(spec),
            _ => None,
        }
    }
}
