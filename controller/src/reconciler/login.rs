//! Devices: a key of a person, or one for devices, signs one in, which binds a declared Device or makes an API-owned one.

use std::sync::Arc;

use horizon_api::{
    key::PublicKey,
    name::Name,
    resource::{DeviceSpec, Kind, NewDevices, ObjectKey, Reference, ResourceSpec},
    wire::{Refusal, RefusalCode, dev::Granted},
};
use horizon_node::clock;
use horizon_planner::{compile::Standing, manifest::Manifest};
use tracing::{debug, error, info};
use uuid::Uuid;

use super::{
    Reconciler,
    enrol::{self, Found},
    grants,
    ledger::Entry,
    login_key::Terms,
};
use crate::{
    event::LoginRequest,
    store::{Named, NodeKind, UseKey, UseOutcome},
};

/// The Device that a login is for.
struct Target {
    key: ObjectKey,
    uid: Entry,
    /// Set when the login makes it.
    draft: Option<Manifest>,
}

impl Reconciler {
    pub(super) async fn login(&mut self, request: LoginRequest) -> Result<Granted, Refusal> {
        self.check_awake()?;
        let (found, terms) = match self.login_key(&request) {
            Ok(known) => known,
            Err((refusal, key)) => {
                return Err(self.refused(refusal, key.as_ref(), request.remote, &request.device).await);
            }
        };
        let target = match self.decide_login(&found, &terms, &request) {
            Ok(target) => target,
            // It asks again, as it was told to: that is no news.
            Err(refusal) if refusal.code == RefusalCode::AwaitingApproval => return Err(refusal),
            Err(refusal) => {
                return Err(self.refused(refusal, Some(&found.key), request.remote, &request.device).await);
            }
        };
        let outcome = self.use_for_device(&found, &terms, &target, &request).await?;
        self.finish_login(&found, target, &request, outcome).await
    }

    fn decide_login(&self, found: &Found, terms: &Terms, request: &LoginRequest) -> Result<Target, Refusal> {
        if let Some(target) = self.known_device(terms.user.as_ref(), &request.device)? {
            return Ok(target);
        }
        self.check_count(terms)?;
        self.check_networks(found, terms)?;
        let name: Name = request.device_name.parse().map_err(|e| {
            let message = format!("the device name `{}` {e}", request.device_name.escape_debug());
            Refusal::new(RefusalCode::Protocol, message, "give another with `horizon login LINK --name NAME`")
        })?;
        let wanted = ObjectKey::new(Kind::Device, found.key.namespace.clone(), name.as_str());
        let key = self.free_name(&wanted);
        let reference = |user: &ObjectKey| user.name.parse().map(|name| Reference { name });
        let user_ref = terms.user.as_ref().map(reference).transpose();
        let spec = DeviceSpec {
            user_ref: user_ref.map_err(|_| enrol::not_ready())?,
            public_key: Some(request.device),
            network_refs: terms.networks.iter().map(|name| Reference { name: name.clone() }).collect(),
            addresses: vec![],
            tags: terms.tags.clone(),
            ephemeral: terms.is_ephemeral,
            approved: !self.must_be_approved(found, terms),
            disabled: false,
        };
        let drafted = self.draft(&key, ResourceSpec::Device(Arc::new(spec)), &found.key.to_string());
        let (draft, uid) = drafted.map_err(|problem| {
            let message = format!("the device cannot be made: {}", problem.message);
            Refusal::new(RefusalCode::Protocol, message, problem.fix.clone())
        })?;
        Ok(Target { key, uid, draft: Some(draft) })
    }

    /// Refuses a device of somebody who has as many as they may.
    fn check_count(&self, terms: &Terms) -> Result<(), Refusal> {
        let users = &self.state.compiled.effective.users;
        let user = terms.user.as_ref().and_then(|key| Some((key, users.get(key)?)));
        match user.filter(|(_, user)| user.devices >= user.spec.max_devices) {
            None => Ok(()),
            Some((key, user)) => {
                let message = format!("{key} has {} devices already", user.spec.max_devices);
                let hint =
                    "raise spec.maxDevices of the user, or remove a Device of theirs from the manifests";
                Err(Refusal::new(RefusalCode::TooManyDevices, message, hint))
            }
        }
    }

    /// Refuses before the key is used when the device could go nowhere with it.
    fn check_networks(&self, found: &Found, terms: &Terms) -> Result<(), Refusal> {
        let mut networks = terms.networks.iter().map(|name| found.key.sibling(Kind::Network, name.as_str()));
        if networks.any(|network| self.state.compiled.objects.contains_key(&network)) {
            return Ok(());
        }
        let message = format!("no network of {} exists", found.key);
        Err(Refusal::new(RefusalCode::NotReady, message, "ask an administrator to declare one"))
    }

    /// Says whether any network that a device would be in lets nobody in who is new.
    fn must_be_approved(&self, found: &Found, terms: &Terms) -> bool {
        let objects = &self.state.compiled.objects;
        terms.networks.iter().any(|name| {
            let network = objects.get(&found.key.sibling(Kind::Network, name.as_str()));
            let spec = network.map(|network| &network.spec);
            matches!(spec, Some(ResourceSpec::Network(spec)) if spec.new_devices == NewDevices::Approve)
        })
    }

    /// Returns the Device that has this public key already, if it is this person's, or nobody's as this one.
    fn known_device(&self, user: Option<&ObjectKey>, device: &PublicKey) -> Result<Option<Target>, Refusal> {
        let devices = self.state.compiled.effective.devices.iter();
        let known = devices.clone().find(|(_, known)| known.public_key == Some(*device));
        match known {
            None => Ok(None),
            Some((key, known)) if known.user.as_ref() == user => {
                // It has another key now, if that one is good.
                if known.standing != Standing::KeyRevoked {
                    grants::check_standing(known)?;
                }
                let uid = self.state.ledger.get(key).cloned().ok_or_else(enrol::not_ready)?;
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
        terms: &Terms,
        target: &Target,
        request: &LoginRequest,
    ) -> Result<UseOutcome, Refusal> {
        let key = self.state.ledger.get(&found.key).ok_or_else(enrol::not_ready)?;
        let creates = target.draft.as_ref().map(|draft| self.stored_draft(draft, &target.uid)).transpose();
        let creates = creates.map_err(|error| {
            error!(reason = %format!("{error:#}"), "a device cannot be written");
            enrol::not_ready()
        })?;
        let use_key = UseKey {
            key: Named { uid: key.uid.to_string(), name: found.key.to_string() },
            digest: found.digest.clone(),
            uses_max: terms.uses_max.map(i64::from),
            on_revoke: self.on_revoke(found).as_str().into(),
            owner: Named { uid: target.uid.uid.to_string(), name: target.key.to_string() },
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
        let device = target.key.clone();
        match outcome {
            UseOutcome::Bound => {
                self.state.count_use(&found.digest);
                if let Some(draft) = target.draft {
                    self.tell_if_it_waits(&draft, request).await;
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
        self.state.enrol(request.device, found, self.on_revoke(found));
        self.state.note_use(found, request.remote, &device);
        self.read_events().await;
        info!(key = %request.device.short(), "device signed in");
        debug!(%device, key = %request.device.short(), "device's name");
        self.recompile_or_log("login").await;
        self.note_statement(&request.device, Some(&request.evidence)).await;
        self.grant(&request.device, request.seal.as_ref())
    }
}
