//! A store that was restored from a backup learns from gateways whom it has forgotten to keep out.
//!
//! A revoked device is not let in again because the store forgot: a key that belongs to nothing is revoked for good, a
//! Device that is declared, or that the backup brought back, is held, so that a person decides.

use std::collections::BTreeSet;

use horizon_api::{assignment::Version, kept::Kept, key::PublicKey, resource::ObjectKey};
use horizon_node::clock;
use horizon_planner::hold::Hold;
use serde_json::json;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{Reconciler, state::State, verb::HOLD_MAX_S};
use crate::store::{AuditEntry, Severity};

/// Who holds what a restored store would let in.
const RESTORE: &str = "restore";

/// What is to be done about keys that were revoked since the backup.
#[derive(Debug, Default, PartialEq, Eq)]
struct Forgotten {
    revoke: Vec<PublicKey>,
    hold: Vec<ObjectKey>,
}

impl Reconciler {
    /// Takes in whom a gateway kept out when it last heard of this controller.
    pub(super) async fn take_kept(&mut self, gateway: &PublicKey, kept: &Kept, done: oneshot::Sender<()>) {
        self.recall(gateway, kept).await;
        // Who asked may have gone.
        let _ = done.send(());
    }

    async fn recall(&mut self, gateway: &PublicKey, kept: &Kept) {
        let server = self.state.server_of(gateway);
        let keys = server.map_or_else(|| vec![*gateway], |server| self.state.names_of(&server, *gateway));
        let (version, revoked) = match kept.verify(self.identity.root_fingerprint(), &keys) {
            Ok(verified) => verified,
            Err(error) => return warn!(%error, "what a gateway kept is not believed"),
        };
        let forgotten = self.state.forgotten(version, &revoked);
        if forgotten == Forgotten::default() {
            return;
        }
        let (revoke, hold) = (forgotten.revoke.len(), forgotten.hold.len());
        if let Err(error) = self.remember(forgotten, version).await {
            warn!(%error, "revocations of before the restore are not stored");
            return;
        }
        info!(
            revoke,
            hold,
            revision = version.revision,
            "a gateway told whom the restored store had forgotten"
        );
        let reason = format!(
            "a gateway runs revision {} (epoch {}), which the restored backup does not know: {revoke} keys are revoked again, {hold} devices are held",
            version.revision, version.epoch
        );
        let server = self.state.server_of(gateway).map(|server| server.to_string()).unwrap_or_default();
        self.record("RevocationsRecalled", Severity::Medium, server, None, json!({ "reason": reason })).await;
        self.recompile_or_log("restore").await;
    }

    async fn remember(
        &mut self,
        forgotten: Forgotten,
        version: Version,
    ) -> Result<(), crate::store::StoreError> {
        let now_ms = clock::unix_ms();
        let entry = |object: String| AuditEntry {
            at: now_ms,
            actor: RESTORE.to_owned(),
            action: "hold".to_owned(),
            object,
            detail: json!({ "revision": version.revision, "epoch": version.epoch }),
        };
        let guard = self.state.guard.to_stored().map_err(|error| {
            crate::store::StoreError::Misuse(format!("the guard cannot be written: {error:#}"))
        })?;
        self.store.set_guard(guard, self.state.revoke(&forgotten.revoke), vec![]).await?;
        self.state.facts.revoked.extend(forgotten.revoke);
        for key in forgotten.hold {
            let hold = Hold {
                reason: "it was revoked after the backup that the store was restored from".to_owned(),
                until: now_ms / 1000 + i64::try_from(HOLD_MAX_S).unwrap_or(i64::MAX / 2),
                by: RESTORE.to_owned(),
            };
            self.put_hold(key.clone(), hold, entry(key.to_string())).await?;
        }
        Ok(())
    }
}

impl State {
    fn forgotten(&self, version: Version, revoked: &BTreeSet<PublicKey>) -> Forgotten {
        let mut forgotten = Forgotten::default();
        if self.restored_from.is_none_or(|backup| version <= backup) || version.epoch >= self.version.epoch {
            return forgotten;
        }
        let devices = &self.compiled.effective.devices;
        for key in revoked.difference(&self.facts.revoked) {
            match devices.iter().find(|(_, device)| device.public_key == Some(*key)) {
                Some((device, _)) if self.holds.contains_key(device) => {}
                Some((device, _)) => forgotten.hold.push(device.clone()),
                None => forgotten.revoke.push(*key),
            }
        }
        forgotten
    }
}
