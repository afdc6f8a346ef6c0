//! Which gateways may still let somebody in who was revoked, and for how long at most.

use horizon_api::{
    problem::Problem,
    resource::{Kind, ObjectKey, ResourceSpec},
    section::NetworkId,
};
use horizon_planner::compile::{EffectiveServer, Standing};

use jiff::Timestamp;

use super::{grants::GRANT_S, state::State};

/// The code of the warning that a gateway may not know of a revocation.
const REVOCATION: &str = "Revocation";
/// A gateway that can be reached knows within this time.
const PUSH_MS: i64 = 2_000;

/// When what gateways must keep out was changed last. After a start it is taken to be then: a bound that is too late is
/// a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct RevocationsChange {
    pub(super) revision: u64,
    pub(super) at_ms: i64,
}

impl State {
    /// Returns a warning for each, once it has had the time that a push takes.
    pub(super) fn lacking(&self, now_ms: i64) -> Vec<Problem> {
        let change = self.revocations_changed;
        if self.compiled.revoked.is_empty() || now_ms - change.at_ms < PUSH_MS {
            return vec![];
        }
        let servers = self.compiled.effective.servers.iter();
        let lacking = servers.filter(|(_, server)| self.is_lacking(server));
        lacking.map(|(key, server)| self.warning(key, server)).collect()
    }

    fn warning(&self, key: &ObjectKey, server: &EffectiveServer) -> Problem {
        let grace_s = server.networks.iter().filter_map(|network| self.offline_grace_s(network)).max();
        let life_ms = (GRANT_S + grace_s.unwrap_or(0)).saturating_mul(1000);
        let until = self.revocations_changed.at_ms.saturating_add(life_ms);
        let until = Timestamp::from_millisecond(until).unwrap_or(Timestamp::MAX);
        let message = format!(
            "{key} may not know of a revocation yet: who is revoked may be let in there until {until} at most"
        );
        Problem::error("", REVOCATION, message)
            .fix("bring its gateway back, or stop it; devices that reach both carry the revocation to it")
            .warning()
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
