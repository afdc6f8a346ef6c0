//! Grants: what a device may do, signed, with the servers where it may do it.

use std::collections::BTreeSet;

use horizon_api::{
    grant::Grant,
    key::PublicKey,
    resource::{Kind, ObjectKey, ResourceSpec},
    section::NetworkId,
    signed::Signed,
    wire::{
        Refusal, RefusalCode,
        dev::{Granted, NetworkOffer, ServerOffer},
    },
};
use horizon_node::{clock, random};
use horizon_planner::compile::{EffectiveDevice, EffectiveServer, Standing};
use ipnet::IpNet;

use super::Reconciler;
use crate::event::RefreshRequest;

/// How long a grant is good for; a device asks for the next one at half of it.
pub(super) const GRANT_S: i64 = 3600;

impl Reconciler {
    /// The handshake has proved the device's key; nothing else is needed.
    pub(super) async fn refresh(&mut self, request: &RefreshRequest) -> Result<Granted, Refusal> {
        self.note_statement(&request.device, request.evidence.as_ref()).await;
        let granted = self.grant(&request.device, request.seal.as_ref())?;
        self.state.last_seen.handle_seen(request.device, clock::unix_ms());
        Ok(granted)
    }

    /// Returns the device with this key, if it may connect.
    pub(super) fn device_in_force(&self, device: &PublicKey) -> Result<&EffectiveDevice, Refusal> {
        let devices = self.state.compiled.effective.devices.values();
        let found = devices.filter(|d| d.public_key == Some(*device)).min_by_key(|d| d.standing);
        let Some(found) = found else {
            self.check_awake()?;
            return Err(Refusal::new(
                RefusalCode::NotEnrolled,
                "the controller does not know this device",
                "sign in with `horizon login LINK`",
            ));
        };
        check_standing(found)?;
        Ok(found)
    }

    /// Signs a grant for a device that may connect, and a card for each network in which packets are sealed, if the
    /// device says with which key.
    pub(super) fn grant(&self, device: &PublicKey, seal: Option<&Signed>) -> Result<Granted, Refusal> {
        let found = self.device_in_force(device)?;
        if !found.is_granted {
            return Err(key_revoked(
                "this device gets no new grant: the key that it signed in with was revoked",
            ));
        }
        if found.networks.is_empty() {
            let message = "no network has an address for this device";
            let hint = "ask an administrator: a pool may be exhausted, or its networks are gone";
            return Err(Refusal::new(RefusalCode::NotReady, message, hint));
        }
        let now = clock::unix_s();
        let grant = Grant {
            id: random::bytes(),
            epoch: self.state.version.epoch,
            device: *device,
            identity: found.identity.clone(),
            audience: self.state.compiled.effective.audience(&found.networks),
            networks: found.networks.iter().map(|network| self.with_scope(network)).collect(),
            issued_at: now,
            not_before: now,
            expires_at: now + GRANT_S,
        };
        let networks = found.networks.iter().map(|n| n.network.clone()).collect();
        let cards = seal.map(|word| self.cards(&grant, word)).unwrap_or_default();
        Ok(Granted { grant: grant.sign(self.identity.online()), servers: self.offers(&networks), cards })
    }

    fn offers(&self, networks: &BTreeSet<NetworkId>) -> Vec<ServerOffer> {
        let servers = self.state.compiled.effective.servers.iter();
        servers.filter_map(|(server, effective)| self.offer(server, effective, networks)).collect()
    }

    fn offer(
        &self,
        server: &ObjectKey,
        effective: &EffectiveServer,
        networks: &BTreeSet<NetworkId>,
    ) -> Option<ServerOffer> {
        let is_offered = effective.standing == Standing::Active && effective.is_granted;
        let key = effective.public_key.filter(|_| is_offered)?;
        let carried: Vec<_> = effective.networks.iter().filter(|id| networks.contains(id)).collect();
        if carried.is_empty() {
            return None;
        }
        let keys = self.state.keys_of(server);
        let gateway = self.state.gateway_of(Some(key));
        let links = gateway.and_then(|g| g.heartbeat.as_ref()).map_or(0, |h| h.links.len());
        Some(ServerOffer {
            name: server.name.to_string(),
            key,
            next: keys.next,
            previous: keys.previous,
            endpoints: effective.endpoints.clone(),
            networks: carried
                .into_iter()
                .map(|network| NetworkOffer {
                    network: network.clone(),
                    routes: self.routes(server, network),
                })
                .collect(),
            is_connected: gateway.is_some_and(super::gateways::Gateway::is_connected),
            links: u32::try_from(links).unwrap_or(u32::MAX),
        })
    }

    /// The network's pools, and what lies behind this server for it.
    fn routes(&self, server: &ObjectKey, network: &NetworkId) -> Vec<IpNet> {
        let Some((namespace, name)) = network.as_str().split_once('/') else { return vec![] };
        let key = ObjectKey::new(Kind::Network, namespace, name);
        let objects = &self.state.committed;
        let pools = match objects.get(&key).map(|object| &object.spec) {
            Some(ResourceSpec::Network(spec)) => spec.address_pools.iter().map(|pool| pool.cidr).collect(),
            _ => vec![],
        };
        let behind = match objects.get(server).map(|object| &object.spec) {
            Some(ResourceSpec::Server(spec)) => spec
                .subnet_routes
                .iter()
                .filter(|route| route.network_ref.as_ref().is_none_or(|r| r.name.as_str() == name))
                .map(|route| route.cidr)
                .collect(),
            _ => vec![],
        };
        [pools, behind].concat()
    }
}

/// Refuses a device that may not connect.
pub(super) fn check_standing(device: &EffectiveDevice) -> Result<(), Refusal> {
    match device.standing {
        Standing::Active => Ok(()),
        Standing::AwaitingApproval => {
            let message = "this device waits for an admin's approval";
            let hint = format!(
                "it goes on by itself once `horizon-controller approve Device/{}` was run",
                device.identity.device
            );
            Err(Refusal::new(RefusalCode::AwaitingApproval, message, hint))
        }
        Standing::KeyRevoked => {
            Err(key_revoked("this device may not connect: the key that it signed in with was revoked"))
        }
        Standing::Disabled
        | Standing::Held
        | Standing::Expired
        | Standing::Exhausted
        | Standing::NoUser
        | Standing::UserDisabled
        | Standing::UserHeld
        | Standing::UserExpired
        | Standing::KeyFollowed => {
            let message = format!("this device may not connect: {}", device.standing.sentence());
            Err(Refusal::new(RefusalCode::Revoked, message, "ask an administrator of this network"))
        }
    }
}

fn key_revoked(message: &str) -> Refusal {
    let hint = "sign in again with another link, or ask an administrator of this network";
    Refusal::new(RefusalCode::Revoked, message, hint)
}
