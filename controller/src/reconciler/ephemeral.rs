//! Ephemeral devices: forgotten when they sign out, or when nobody has heard of them for long.
//!
//! Only what a login made is forgotten: what somebody wrote is theirs to delete. The key of a device that is gone may
//! do nothing, as ever, until the same device enrols again.

use horizon_api::{
    key::PublicKey,
    resource::ObjectKey,
    wire::{Refusal, RefusalCode},
};
use horizon_node::clock;
use horizon_planner::compile::{API_SOURCE, EffectiveDevice, is_login};
use serde_json::json;
use tracing::{debug, info};

use super::{Reconciler, state::State};
use crate::{event::SignOutRequest, store::Severity};

/// A grant's life and as long again: by then it is not asleep, or moving from one network to the next.
pub(super) const AWAY_MS: i64 = 2 * 3600 * 1000;

impl Reconciler {
    /// A device says that it leaves. Whoever was not let in, or is not known any more, is gone already.
    pub(super) async fn sign_out(&mut self, request: &SignOutRequest) -> Result<(), Refusal> {
        self.check_awake()?;
        let devices = self.state.compiled.effective.devices.iter();
        let mut known = devices.filter(|(_, device)| device.public_key == Some(request.device));
        let Some((key, is_forgotten)) =
            known.next().map(|(key, device)| (key.clone(), self.state.may_forget(key, device)))
        else {
            let hint = "nothing is to be done";
            return Err(Refusal::new(
                RefusalCode::NotEnrolled,
                "the controller does not know this device",
                hint,
            ));
        };
        let reason = if is_forgotten { "it signed out, and is forgotten" } else { "it signed out" };
        let detail = json!({ "reason": reason, "node": request.device.to_string() });
        self.record("DeviceSignedOut", Severity::Info, key.to_string(), Some(request.remote), detail).await;
        if is_forgotten {
            self.forget(vec![key]).await;
            self.check_awake()?;
        }
        Ok(())
    }

    /// Forgets the ephemeral devices that have been away for too long.
    pub(super) async fn forget_away(&mut self) {
        let now_ms = clock::unix_ms();
        let devices = self.state.compiled.effective.devices.iter();
        let away = devices.filter(|(key, device)| {
            let heard_ms = || self.state.heard_at_ms(key, device.public_key);
            self.state.may_forget(key, device) && is_away(heard_ms(), now_ms)
        });
        let away: Vec<_> = away.map(|(key, _)| key.clone()).collect();
        if !away.is_empty() && self.state.has_read_all {
            self.forget(away).await;
        }
    }

    async fn forget(&mut self, devices: Vec<ObjectKey>) {
        info!(count = devices.len(), "ephemeral devices are forgotten");
        for key in devices {
            debug!(device = %key, "a device is forgotten");
            self.state.api_objects.remove(&key);
        }
        self.view_is_due = true;
        self.recompile_or_log("forget").await;
    }
}

impl State {
    fn may_forget(&self, key: &ObjectKey, device: &EffectiveDevice) -> bool {
        let made = || self.api_objects.get(key).is_some_and(|object| is_login(API_SOURCE, &object.origin));
        device.is_ephemeral && made()
    }

    /// Returns when a device was last heard of. Nobody is away for the time that the controller itself was.
    fn heard_at_ms(&self, key: &ObjectKey, node: Option<PublicKey>) -> i64 {
        let seen = node.and_then(|node| self.last_seen.of(&node)).unwrap_or(0);
        let made = self.ledger.get(key).map_or(0, |uid| uid.created_at_ms);
        seen.max(made).max(self.started_at_ms)
    }
}

fn is_away(heard_at_ms: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(heard_at_ms) >= AWAY_MS
}
