//! Devices: a personal key signs one in, which binds a declared Device or makes an API-owned one.

use std::sync::Arc;

use horizon_api::{
    key::PublicKey,
    name::Name,
    resource::{DeviceSpec, Kind, ObjectKey, Reference, ResourceSpec},
    token::TokenKind,
    wire::{Refusal, RefusalCode, dev::Granted},
};
use horizon_node::clock;
use horizon_planner::{compile::EffectivePersonalKey, manifest::Manifest};
use tracing::{debug, error, info};
use uuid::Uuid;

use super::{
    Reconciler,
    enrol::{self, Found},
    grants,
    state::Uid,
};
use crate::{
    event::LoginRequest,
    store::{Named, NodeKind, UseKey, UseOutcome},
};

/// The Device that a login is for.
struct Target {
    key: ObjectKey,
    uid: Uid,
    /// Set when the login makes it.
    draft: Option<Manifest>,
}

impl Reconciler {
    pub(super) async fn login(&mut self, request: LoginRequest) -> Result<Granted, Refusal> {
        self.check_awake()?;
        let digest = match self.token_digest(request.token.reveal(), TokenKind::Personal) {
            Ok(digest) => digest,
            Err(refusal) => return Err(self.refused(refusal, None, request.remote, &request.device).await),
        };
        let keys = self.state.compiled.effective.personal_keys.iter();
        let declared = keys.map(|(key, effective)| (key, effective.hash.as_ref().map(|h| h.digest())));
        let Some(found) = self.find_key(&digest, declared) else {
            let refusal = enrol::unknown_key();
            return Err(self.refused(refusal, None, request.remote, &request.device).await);
        };
        let effective = self.state.compiled.effective.personal_keys[&found.key].clone();
        let target = match self.decide_login(&found, &effective, &request) {
            Ok(target) => target,
            Err(refusal) => {
                return Err(self.refused(refusal, Some(&found.key), request.remote, &request.device).await);
            }
        };
        let outcome = self.use_for_device(&found, &effective, &target, &request).await?;
        self.finish_login(&found, target, &request, outcome).await
    }

    fn decide_login(
        &self,
        found: &Found,
        effective: &EffectivePersonalKey,
        request: &LoginRequest,
    ) -> Result<Target, Refusal> {
        enrol::check_standing(effective.standing)?;
        enrol::check_source(&effective.source_cidrs, request.remote)?;
        if let Some(target) = self.known_device(&effective.user, &request.device)? {
            return Ok(target);
        }
        let user = self.state.compiled.effective.users.get(&effective.user);
        if let Some(user) = user.filter(|user| user.devices >= user.spec.max_devices) {
            let message = format!("{} has {} devices already", effective.user, user.spec.max_devices);
            let hint = "raise spec.maxDevices of the user, or remove a Device of theirs from the manifests";
            return Err(Refusal::new(RefusalCode::TooManyDevices, message, hint));
        }
        self.check_networks(found, effective)?;
        let name: Name = request.device_name.parse().map_err(|e| {
            let message = format!("the device name `{}` {e}", request.device_name.escape_debug());
            Refusal::new(RefusalCode::Protocol, message, "give another with `horizon login LINK --name NAME`")
        })?;
        let wanted = ObjectKey::new(Kind::Device, found.key.namespace.clone(), name.as_str());
        let key = self.free_name(&wanted);
        let user_ref = effective.user.name.parse().map(|name| Reference { name });
        let spec = DeviceSpec {
            user_ref: user_ref.map_err(|_| enrol::not_ready())?,
            public_key: Some(request.device),
            network_refs: effective.networks.iter().map(|name| Reference { name: name.clone() }).collect(),
            addresses: vec![],
            tags: vec![],
            disabled: false,
        };
        let drafted = self.draft(&key, ResourceSpec::Device(Arc::new(spec)), &found.key.to_string());
        let (draft, uid) = drafted.map_err(|problem| {
            let message = format!("the device cannot be made: {}", problem.message);
            Refusal::new(RefusalCode::Protocol, message, problem.fix.clone())
        })?;
        Ok(Target { key, uid, draft: Some(draft) })
    }

    /// Refuses before the key is used when the device could go nowhere with it.
    fn check_networks(&self, found: &Found, effective: &EffectivePersonalKey) -> Result<(), Refusal> {
        let mut networks =
            effective.networks.iter().map(|name| found.key.sibling(Kind::Network, name.as_str()));
        if networks.any(|network| self.state.compiled.objects.contains_key(&network)) {
            return Ok(());
        }
        let message = format!("no network of {} exists", found.key);
        Err(Refusal::new(RefusalCode::NotReady, message, "ask an administrator to declare one"))
    }

    /// Returns the Device that has this public key already, if it is this person's.
    fn known_device(&self, user: &ObjectKey, device: &PublicKey) -> Result<Option<Target>, Refusal> {
        let devices = self.state.compiled.effective.devices.iter();
        let known = devices.clone().find(|(_, known)| known.public_key == Some(*device));
        match known {
            None => Ok(None),
            Some((key, known)) if known.user == *user => {
                grants::check_standing(known)?;
                let uid = self.state.uids.get(key).cloned().ok_or_else(enrol::not_ready)?;
                Ok(Some(Target { key: key.clone(), uid, draft: None }))
            }
            Some(_) => Err(Refusal::new(
                RefusalCode::AlreadyBound,
                "this device belongs to somebody else",
                "ask its owner; or give this one another key: stop its agent, remove `device.key` from the agent's data folder, and sign in again",
            )),
        }
    }

    async fn use_for_device(
        &self,
        found: &Found,
        effective: &EffectivePersonalKey,
        target: &Target,
        request: &LoginRequest,
    ) -> Result<UseOutcome, Refusal> {
        let key = self.state.uids.get(&found.key).ok_or_else(enrol::not_ready)?;
        let creates = target.draft.as_ref().map(|draft| self.stored_draft(draft, &target.uid)).transpose();
        let creates = creates.map_err(|error| {
            error!(reason = %format!("{error:#}"), "a device cannot be written");
            enrol::not_ready()
        })?;
        let use_key = UseKey {
            key: Named { uid: key.uid.clone(), name: found.key.to_string() },
            digest: found.digest.clone(),
            uses_max: effective.max_uses.map(i64::from),
            owner: Named { uid: target.uid.uid.clone(), name: target.key.to_string() },
            owner_kind: NodeKind::Device,
            creates,
            public_key: request.device.as_bytes().to_vec(),
            evidence: enrol::evidence_json(&request.evidence),
            remote: request.remote.to_string(),
            event_id: Uuid::now_v7().to_string(),
            now: clock::unix_ms(),
        };
        self.store.use_key(use_key).await.map_err(|error| enrol::store_refuses(&error))
    }

    async fn finish_login(
        &mut self,
        found: &Found,
        target: Target,
        request: &LoginRequest,
        outcome: UseOutcome,
    ) -> Result<Granted, Refusal> {
        match outcome {
            UseOutcome::Bound => {
                self.state.count_use(&found.digest);
                if let Some(draft) = target.draft {
                    self.keep(draft, target.uid);
                }
            }
            UseOutcome::AlreadyBound { .. } => {}
            UseOutcome::Exhausted
            | UseOutcome::OwnerAlreadyBound
            | UseOutcome::PublicKeyTaken { .. }
            | UseOutcome::Revoked => {
                let refusal = enrol::refusal_of(&outcome);
                return Err(self.refused(refusal, Some(&found.key), request.remote, &request.device).await);
            }
        }
        self.read_events().await;
        info!(key = %request.device.short(), "device signed in");
        debug!(device = %target.key, key = %request.device.short(), "device's name");
        self.recompile_or_log("login").await;
        self.grant(&request.device)
    }
}
