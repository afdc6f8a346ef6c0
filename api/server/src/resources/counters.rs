//! Numbers in tables that change without their object: devices of somebody, uses of a key, addresses of a network.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use horizon_api::resource::{Kind, ObjectKey};
use horizon_machinery::{
    collection::Collection,
    negotiate::{Form, View},
    resource::Resource,
    selector::Selectable,
};
use tokio::sync::watch;

use super::{Counts, Keeper};

/// Where what is counted for one client comes from; nothing where nothing of it is shown.
pub(super) enum Counters {
    None,
    Devices(watch::Receiver<Arc<Collection>>),
    Kept(Kind, watch::Receiver<Arc<Counts>>),
}

impl Counters {
    pub(super) fn of(keeper: &Keeper, form: Form, resource: &Resource) -> Self {
        if !matches!(form.view, View::Table(_)) {
            return Self::None;
        }
        let kind = Kind::ALL.into_iter().find(|kind| std::ptr::eq(resource, Resource::of(*kind)));
        match kind {
            Some(Kind::User) => {
                let devices = keeper.shelves.get(&Resource::of(Kind::Device).qualified());
                devices.cloned().map_or(Self::None, Self::Devices)
            }
            Some(kind @ (Kind::Network | Kind::RegistrationKey)) => Self::Kept(kind, keeper.counts.clone()),
            Some(_) | None => Self::None,
        }
    }

    /// Counts, and returns what a table asks with: by namespace, name and the counter's name.
    pub(super) fn counter(&self) -> impl Fn(&str, &str, &str) -> Option<u64> + use<> {
        let counted = match self {
            Self::None => None,
            Self::Devices(devices) => Some((Kind::User, count(&devices.borrow()))),
            Self::Kept(kind, counts) => Some((*kind, kept(*kind, &counts.borrow()))),
        };
        move |namespace, name, counter| {
            let (kind, counted) = counted.as_ref()?;
            let is_known = matches!(
                (kind, counter),
                (Kind::User, "Devices") | (Kind::Network, "Allocated") | (Kind::RegistrationKey, "Uses")
            );
            let key = ObjectKey::new(*kind, namespace, name);
            is_known.then(|| counted.get(&key).copied().unwrap_or_default())
        }
    }
}

fn kept(kind: Kind, counts: &Counts) -> BTreeMap<ObjectKey, u64> {
    if kind == Kind::Network { counts.allocated.clone() } else { counts.uses.clone() }
}

/// Counts the devices of everybody.
fn count(devices: &Collection) -> BTreeMap<ObjectKey, u64> {
    let mut counted = BTreeMap::new();
    for device in devices.state_at(devices.version(), Bound::Unbounded) {
        let (namespace, _) = device.key().split_once('/').unwrap_or_default();
        let user = ObjectKey::new(Kind::User, namespace, device.field("spec.userRef.name"));
        *counted.entry(user).or_default() += 1;
    }
    counted
}
