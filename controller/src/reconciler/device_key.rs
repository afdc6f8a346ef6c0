//! A device takes another key: bound in the place of the one before, which is revoked in the same transaction.

use std::sync::Arc;

use horizon_api::{
    assignment::Version,
    resource::{ObjectKey, ResourceSpec},
    wire::{Refusal, RefusalCode, dev::Granted},
};
use horizon_node::clock;
use horizon_planner::compile::{Committed, is_login};
use tracing::{error, info};
use uuid::Uuid;

use super::{Reconciler, compile::stored_object, enrol, state::State};
use crate::{
    event::RotateDeviceRequest,
    store::{Changed, RotateKey},
};

impl Reconciler {
    /// The handshake has proved the key before, and both keys have signed that one follows the other.
    pub(super) async fn rotate_device(&mut self, request: &RotateDeviceRequest) -> Result<Granted, Refusal> {
        self.check_awake()?;
        // Whoever would get no grant keeps the key that it has.
        self.grant(&request.device, None)?;
        let (key, changed) = self.with_next_key(request)?;
        self.state.rotation_pace.check(&key, clock::unix_ms())?;
        let entry = self.state.ledger.get(&key).ok_or_else(enrol::not_ready)?;
        let version = Version { revision: entry.revision, ..self.state.version };
        let object = stored_object(&changed, &entry.conditions, entry, version).map_err(|error| {
            error!(reason = %format!("{error:#}"), "a device cannot be written");
            enrol::not_ready()
        })?;
        let rotation = RotateKey {
            owner: entry.uid.to_string(),
            name: key.to_string(),
            with: Changed::Device(object),
            old: request.device.as_bytes().to_vec(),
            next: request.next.as_bytes().to_vec(),
            remote: request.remote.to_string(),
            event_id: Uuid::now_v7().to_string(),
            now: clock::unix_ms(),
        };
        let is_taken = self.store.rotate_key(rotation).await.map_err(|error| enrol::store_refuses(&error))?;
        if is_taken {
            return Err(taken());
        }
        self.state.rotation_pace.handle_taken(&key, clock::unix_ms());
        self.state.take_next_key(&key, changed, request);
        info!(old = %request.device.short(), key = %request.next.short(), "a device has another key");
        self.read_events().await;
        self.recompile_or_log("device key").await;
        self.grant(&request.next, None)
    }

    /// Returns the Device as it is with its next key, where the controller may write it.
    fn with_next_key(&self, request: &RotateDeviceRequest) -> Result<(ObjectKey, Committed), Refusal> {
        let devices = self.state.compiled.effective.devices.iter();
        let known = devices.clone().find(|(_, device)| device.public_key == Some(request.device));
        let (key, _) = known.ok_or_else(enrol::not_ready)?;
        let object = self.state.committed.get(key).ok_or_else(enrol::not_ready)?;
        if !is_login(&object.owner.source, &object.owner.origin) {
            let message = format!("the key of this device is declared in {}", object.owner.origin);
            let hint =
                format!("write `publicKey: \"{}\"` there; the device takes it up by itself", request.next);
            return Err(Refusal::new(RefusalCode::AlreadyBound, message, hint));
        }
        if self.state.guard.provisional().is_some() {
            // What is put back if nobody confirms it holds keys as well.
            let message = "a change waits for its confirmation";
            return Err(Refusal::new(RefusalCode::Busy, message, "try again in a few minutes"));
        }
        let servers = self.state.compiled.effective.servers.values();
        let mut nodes = devices.map(|(_, d)| d.public_key).chain(servers.map(|s| s.public_key));
        if nodes.any(|node| node == Some(request.next)) || self.state.facts.revoked.contains(&request.next) {
            return Err(taken());
        }
        let mut changed = Committed::clone(object);
        if let ResourceSpec::Device(spec) = &mut changed.spec {
            Arc::make_mut(spec).public_key = Some(request.next);
        }
        changed.generation += 1;
        Ok((key.clone(), changed))
    }
}

impl State {
    /// Does to what is in memory what was done to the store. It is the same device: nobody gains or loses anything.
    fn take_next_key(&mut self, key: &ObjectKey, changed: Committed, request: &RotateDeviceRequest) {
        let RotateDeviceRequest { device: old, next, .. } = request;
        if let Some(manifest) = self.api_objects.get_mut(key) {
            Arc::make_mut(manifest).spec = changed.spec.clone();
        }
        let changed = Arc::new(changed);
        Arc::make_mut(&mut self.committed).insert(key.clone(), Arc::clone(&changed));
        Arc::make_mut(&mut self.compiled.objects).insert(key.clone(), changed);
        if let Some(device) = self.compiled.effective.devices.get_mut(key) {
            device.public_key = Some(*next);
        }
        if let Some(enrolment) = self.enrolments.remove(old) {
            self.enrolments.insert(*next, enrolment);
        }
        if let Some(posture) = self.facts.postures.remove(old) {
            self.facts.postures.insert(*next, posture);
        }
        self.last_seen.handle_seen(*next, clock::unix_ms());
        self.facts.revoked.insert(*old);
        self.facts.followed.insert(*old);
        self.untold.insert(key.clone());
    }
}

fn taken() -> Refusal {
    let message = "the key that is to follow is somebody's already, or was revoked";
    let hint = "remove `device.key.next` from the agent's data folder, and run `horizon rotate-key` again";
    Refusal::new(RefusalCode::AlreadyBound, message, hint)
}
