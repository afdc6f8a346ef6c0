//! Which gateways may still let somebody in who was revoked, and for how long at most.

use horizon_api::{
    http::{LackingView, RevocationsView},
    resource::{Kind, ObjectKey, ResourceSpec},
    section::NetworkId,
};
use horizon_planner::compile::{EffectiveServer, Standing};

use super::{grants::GRANT_S, state::State};

/// When what gateways must keep out was changed last. After a start it is taken to be then: a bound that is too late is
/// a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct RevocationsChange {
    pub(super) revision: u64,
    pub(super) at_ms: i64,
}

impl State {
    pub(super) fn revocations(&self) -> RevocationsView {
        let keys = u32::try_from(self.compiled.revoked.len()).unwrap_or(u32::MAX);
        if keys == 0 {
            return RevocationsView::default();
        }
        let servers = self.compiled.effective.servers.iter();
        let lacking = servers.filter(|(_, server)| self.is_lacking(server)).map(|(key, server)| {
            let grace_s = server.networks.iter().filter_map(|network| self.offline_grace_s(network)).max();
            let life_s = GRANT_S + grace_s.unwrap_or(0);
            let until = self.revocations_changed.at_ms.saturating_add(life_s.saturating_mul(1000));
            LackingView { server: key.clone(), until: u64::try_from(until).unwrap_or(0) }
        });
        RevocationsView { keys, lacking: lacking.collect() }
    }

    fn offline_grace_s(&self, network: &NetworkId) -> Option<i64> {
        let (namespace, name) = network.as_str().split_once('/')?;
        let object = self.committed.get(&ObjectKey::new(Kind::Network, namespace, name))?;
        if let ResourceSpec::Network(spec) = &object.spec {
            return Some(i64::from(spec.offline_grace.as_seconds()));
        }
        None
    }

    /// Only a gateway that has a key lets anybody in.
    fn is_lacking(&self, server: &EffectiveServer) -> bool {
        let is_serving = server.public_key.is_some() && server.standing == Standing::Active;
        let knows = self.gateway_of(server.public_key).is_some_and(|gateway| {
            gateway.applied_through(self.version.epoch) >= self.revocations_changed.revision
        });
        is_serving && !knows
    }
}
