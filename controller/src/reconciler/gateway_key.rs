//! A gateway takes another key: announced with the one that it has, named to devices beside it, and taken up when the
//! gateway attaches with it. The one before is revoked in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    http::GatewayKeyView,
    key::PublicKey,
    resource::ObjectKey,
    wire::{Refusal, RefusalCode, rotation::Succession},
};
use horizon_node::clock;
use horizon_planner::compile::Standing;
use tracing::info;
use uuid::Uuid;

use super::{
    Reconciler, enrol,
    state::{State, public_key},
    trust,
};
use crate::{
    event::{AttachRequest, NextKeyRequest},
    store::{self, Changed, NextKey, RotateKey},
};

/// Keys of a gateway beside the one that it is bound by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GatewayKeys {
    pub(super) next: Option<PublicKey>,
    pub(super) announced_at_ms: i64,
    pub(super) previous: Option<PublicKey>,
}

impl Reconciler {
    /// The handshake has proved the key that it has, and both keys have signed that one follows the other. Returns
    /// since when that is known.
    pub(super) async fn announce_key(&mut self, request: &NextKeyRequest) -> Result<i64, Refusal> {
        self.check_awake()?;
        let NextKeyRequest { gateway, next, remote } = request;
        let server = self.state.server_of(gateway).ok_or_else(enrol::not_ready)?;
        self.check_may_follow(&server, gateway, next)?;
        let uid = self.state.uid_of(&server)?;
        let known = self.state.gateway_keys.get(&uid).copied().unwrap_or_default();
        if known.next == Some(*next) {
            return Ok(known.announced_at_ms);
        }
        // Only what was announced is ever taken up.
        let now = clock::unix_ms();
        self.state.rotation_pace.check(&server, now)?;
        let announced = NextKey {
            owner: uid.clone(),
            name: server.to_string(),
            next: next.as_bytes().to_vec(),
            remote: remote.to_string(),
            event_id: Uuid::now_v7().to_string(),
            now,
        };
        if self.store.announce_key(announced).await.map_err(|error| enrol::store_refuses(&error))? {
            return Err(taken());
        }
        self.state.rotation_pace.handle_taken(&server, now);
        let keys = GatewayKeys { next: Some(*next), announced_at_ms: now, ..known };
        self.state.gateway_keys.insert(uid, keys);
        self.read_events().await;
        self.view_is_due = true;
        info!(%server, key = %next.short(), "another key is to follow a gateway's");
        Ok(now)
    }

    /// A gateway attaches with the key that was to follow, or that followed what a restored store knows: it has that one
    /// from here on. Returns its Server.
    pub(super) async fn take_up_key(
        &mut self,
        request: &AttachRequest,
    ) -> Result<Option<ObjectKey>, Refusal> {
        let next = request.gateway;
        let awaited = self.state.awaits(&next).or_else(|| self.state.has_forgotten_key(request));
        let Some((server, old)) = awaited else { return Ok(None) };
        self.check_awake()?;
        self.check_place(&server, request.remote)?;
        self.check_may_follow(&server, &old, &next)?;
        if self.state.guard.provisional().is_some() {
            // What is put back if nobody confirms it holds keys as well.
            let message = "a change waits for its confirmation";
            return Err(Refusal::new(RefusalCode::Busy, message, "the gateway tries again by itself"));
        }
        let uid = self.state.uid_of(&server)?;
        let trust = self.state.trust.rotated(&server, &old, next);
        let record = trust.as_ref().map(|trust| store::Trust {
            owner: uid.clone(),
            record: trust.record(),
            challenges: vec![],
        });
        let rotation = RotateKey {
            owner: uid.clone(),
            name: server.to_string(),
            with: Changed::Server(record, trust::kept()),
            old: old.as_bytes().to_vec(),
            next: next.as_bytes().to_vec(),
            remote: request.remote.to_string(),
            event_id: Uuid::now_v7().to_string(),
            now: clock::unix_ms(),
        };
        if self.store.rotate_key(rotation).await.map_err(|error| enrol::store_refuses(&error))? {
            return Err(taken());
        }
        self.state.trust.replace(&server, trust);
        self.state.take_up(&server, uid, old, next);
        info!(%server, old = %old.short(), key = %next.short(), "a gateway has another key");
        self.read_events().await;
        self.recompile_or_log("gateway key").await;
        Ok(Some(server))
    }

    /// Refuses where another key may not follow, now or ever.
    fn check_may_follow(&self, server: &ObjectKey, old: &PublicKey, next: &PublicKey) -> Result<(), Refusal> {
        if self.state.facts.servers.get(server) != Some(old) {
            let origin = self.state.committed.get(server).map(|object| object.owner.origin.to_string());
            let message = format!(
                "the key of this gateway is declared in {}",
                origin.unwrap_or_else(|| server.to_string())
            );
            let hint = format!(
                "write `spec.identity.publicKey: \"{next}\"` there; the gateway takes it up by itself, and devices ask the controller for it"
            );
            return Err(Refusal::new(RefusalCode::AlreadyBound, message, hint));
        }
        let effective = &self.state.compiled.effective;
        if let Some(known) = effective.servers.get(server).filter(|known| known.standing != Standing::Active)
        {
            let message = format!("this server cannot take another key: {}", known.standing.sentence());
            return Err(Refusal::new(RefusalCode::KeyDisabled, message, "release or enable it first"));
        }
        let devices = effective.devices.values().map(|device| device.public_key);
        let servers = effective.servers.values().map(|server| server.public_key);
        if devices.chain(servers).any(|node| node == Some(*next)) || self.state.facts.revoked.contains(next) {
            return Err(taken());
        }
        Ok(())
    }
}

impl State {
    /// Returns the Server whose gateway is to have this key, and the key that it has.
    fn awaits(&self, next: &PublicKey) -> Option<(ObjectKey, PublicKey)> {
        let servers = self.facts.servers.iter();
        let mut awaiting = servers.filter(|(server, _)| self.keys_of(server).next == Some(*next));
        awaiting.next().map(|(server, old)| (server.clone(), *old))
    }

    /// As [`State::awaits`], where the store was restored and may be of before the key followed: then the keys before it
    /// say so. Whoever has the one that is known could attach with that as well.
    fn has_forgotten_key(&self, request: &AttachRequest) -> Option<(ObjectKey, PublicKey)> {
        self.restored_from?;
        let server_of = |key: &PublicKey| self.facts.servers.iter().find(|(_, bound)| *bound == key);
        let old =
            Succession::predecessor(&request.follows, &request.gateway, |key| server_of(key).is_some())?;
        server_of(&old).map(|(server, _)| (server.clone(), old))
    }

    /// Returns the keys of a gateway beside the one that it has.
    pub(super) fn keys_of(&self, server: &ObjectKey) -> GatewayKeys {
        let uid = self.ledger.get(server).map(|entry| entry.uid.as_str());
        uid.and_then(|uid| self.gateway_keys.get(uid)).copied().unwrap_or_default()
    }

    /// Returns the gateways that are to have another key.
    pub(super) fn gateways_with_a_next_key(&self) -> Vec<GatewayKeyView> {
        let view = |(server, key): (&ObjectKey, &PublicKey)| {
            let keys = self.keys_of(server);
            let (server, key, next) = (server.to_string(), key.to_string(), keys.next?.to_string());
            Some(GatewayKeyView {
                server,
                key,
                next,
                since: u64::try_from(keys.announced_at_ms).unwrap_or(0),
            })
        };
        self.facts.servers.iter().filter_map(view).collect()
    }

    /// Returns every key that a gateway goes by, the one that it has first.
    pub(super) fn names_of(&self, server: &ObjectKey, key: PublicKey) -> Vec<PublicKey> {
        let GatewayKeys { next, previous, .. } = self.keys_of(server);
        [Some(key), next, previous].into_iter().flatten().collect()
    }

    /// Returns the keys that a Server's text may say beside the one that its gateway has.
    pub(super) fn rotated_keys(&self) -> BTreeMap<ObjectKey, BTreeSet<PublicKey>> {
        let keys = |server: &ObjectKey| {
            let GatewayKeys { next, previous, .. } = self.keys_of(server);
            let others: BTreeSet<_> = next.into_iter().chain(previous).collect();
            (!others.is_empty()).then(|| (server.clone(), others))
        };
        self.facts.servers.keys().filter_map(keys).collect()
    }

    pub(super) fn take_gateway_keys(&mut self, stored: Vec<store::GatewayKeys>) {
        let keys = |keys: store::GatewayKeys| {
            let [next, previous] = [keys.next, keys.previous].map(|key| public_key(&key?));
            (keys.owner, GatewayKeys { next, announced_at_ms: keys.announced_at, previous })
        };
        self.gateway_keys = stored.into_iter().map(keys).collect();
    }

    fn uid_of(&self, server: &ObjectKey) -> Result<String, Refusal> {
        self.ledger.get(server).map(|entry| entry.uid.to_string()).ok_or_else(enrol::not_ready)
    }

    /// Does to what is in memory what was done to the store. It is the same gateway: what is known of it stays.
    fn take_up(&mut self, server: &ObjectKey, uid: String, old: PublicKey, next: PublicKey) {
        self.gateway_keys.insert(uid, GatewayKeys { previous: Some(old), ..GatewayKeys::default() });
        self.facts.servers.insert(server.clone(), next);
        self.facts.revoked.insert(old);
        self.facts.followed.insert(old);
        if let Some(enrolment) = self.enrolments.remove(&old) {
            self.enrolments.insert(next, enrolment);
        }
        if let Some(gateway) = self.gateways.remove(&old) {
            self.gateways.insert(next, gateway);
        }
        self.last_seen.handle_seen(next, clock::unix_ms());
    }
}

fn taken() -> Refusal {
    let message = "the key that is to follow is somebody's already, or was revoked";
    let hint =
        "remove `node.key.next` from the gateway's data folder, and run `horizon-gateway rotate-key` again";
    Refusal::new(RefusalCode::AlreadyBound, message, hint)
}
