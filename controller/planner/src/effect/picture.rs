//! One state of everything, as far as access goes: what two of them differ in is what a change does.

use std::collections::BTreeMap;

use horizon_api::{
    resource::{Kind, ObjectKey, ResourceSpec},
    section::NetworkId,
};

use super::stage::End;
use crate::{
    compile::{Access, Compiled, Effective, Standing},
    manifest::Origin,
};

/// Borrowed from a compilation, or from a draft of one.
pub(crate) struct Picture<'a> {
    pub access: &'a Access,
    pub effective: &'a Effective,
    pub objects: BTreeMap<&'a ObjectKey, (&'a ResourceSpec, &'a Origin)>,
}

/// Before and after.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub before: &'a Picture<'a>,
    pub after: &'a Picture<'a>,
}

impl<'a> Picture<'a> {
    pub(crate) fn of(compiled: &'a Compiled) -> Self {
        let objects = compiled.objects.iter();
        Self {
            access: &compiled.access,
            effective: &compiled.effective,
            objects: objects.map(|(key, object)| (key, (&object.spec, &object.owner.origin))).collect(),
        }
    }
}

impl Pair<'_> {
    /// Returns where an object stands, or stood before it disappeared.
    pub(crate) fn origin_of(&self, key: &ObjectKey) -> Origin {
        let found = self.after.objects.get(key).or_else(|| self.before.objects.get(key));
        found.map_or_else(
            || Origin { file: Default::default(), place: Default::default() },
            |(_, o)| (*o).clone(),
        )
    }

    /// Returns the object because of which an end is another one than before, or meets other rules.
    pub(crate) fn blame(&self, network: &NetworkId, end: &End) -> ObjectKey {
        match end {
            End::Device(key) => self.blame_for_device(network, key),
            End::Server(key) => self.first_changed([key.clone()], network).unwrap_or_else(|| key.clone()),
            End::Host(prefix) => {
                let servers = [self.before, self.after].into_iter().flat_map(|picture| {
                    let access = picture.access.networks.get(network).into_iter();
                    let around = access.flat_map(|access| access.prefixes.iter());
                    around
                        .filter(|(route, _)| route.contains(prefix))
                        .flat_map(|(_, servers)| servers.clone())
                });
                let servers: Vec<_> = servers.collect();
                let first = servers.first().cloned();
                self.first_changed(servers, network).or(first).unwrap_or_else(|| network_key(network))
            }
        }
    }

    fn blame_for_device(&self, network: &NetworkId, key: &ObjectKey) -> ObjectKey {
        let (before, after) = (self.before.effective.devices.get(key), self.after.effective.devices.get(key));
        let Some(device) = after.or(before) else { return key.clone() };
        if let Some(changed) = [key].into_iter().chain(&device.user).find(|key| self.differs(key)) {
            return changed.clone();
        }
        match (before.map(|device| device.standing), after.map(|device| device.standing)) {
            (Some(old), Some(new)) if old != new => {
                let is_users = [old, new].into_iter().any(Standing::is_of_user);
                device.user.as_ref().filter(|_| is_users).unwrap_or(key).clone()
            }
            (Some(_) | None, Some(_) | None) => {
                let carriers = [self.before, self.after].into_iter().flat_map(|picture| {
                    let access = picture.access.networks.get(network).into_iter();
                    access.flat_map(|access| access.servers.keys().cloned())
                });
                self.first_changed(carriers.collect::<Vec<_>>(), network).unwrap_or_else(|| key.clone())
            }
        }
    }

    fn first_changed(
        &self,
        keys: impl IntoIterator<Item = ObjectKey>,
        network: &NetworkId,
    ) -> Option<ObjectKey> {
        keys.into_iter().chain([network_key(network)]).find(|key| self.differs(key))
    }

    fn differs(&self, key: &ObjectKey) -> bool {
        let [before, after] = [self.before, self.after].map(|picture| picture.objects.get(key));
        before.map(|(spec, _)| spec) != after.map(|(spec, _)| spec)
    }
}

/// Returns the object that a network's id names.
pub(crate) fn network_key(network: &NetworkId) -> ObjectKey {
    let (namespace, name) = network.as_str().split_once('/').unwrap_or(("", network.as_str()));
    ObjectKey::new(Kind::Network, namespace, name)
}
