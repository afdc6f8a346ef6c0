//! What changes in tables without their object: devices of somebody, uses of a key, addresses of a network.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use horizon_api::resource::{Kind, ObjectKey};
use horizon_machinery::{
    collection::Collection,
    negotiate::{Form, View},
    resource::Resource,
    selector::Selectable,
};
use serde_json::Value;
use tokio::sync::watch;

use super::Counts;
use crate::Shared;

/// Where what is counted for one client comes from; nothing where nothing of it is shown.
pub(super) enum Counters {
    None,
    Devices(Arc<DeviceCounts>, watch::Receiver<Arc<Collection>>),
    Kept(Kind, watch::Receiver<Arc<Counts>>),
}

/// What was counted.
enum Counted {
    Nothing,
    Devices(Arc<Devices>),
    Kept(Kind, Arc<Counts>),
}

/// How many devices everybody has: counted once for each state of the devices, whoever asks.
#[derive(Default)]
pub(super) struct DeviceCounts {
    newest: Mutex<Option<Arc<Devices>>>,
}

/// Devices by the namespace and name of their user.
struct Devices {
    version: u64,
    by_user: BTreeMap<Box<str>, BTreeMap<Box<str>, u64>>,
}

impl Counters {
    pub(super) fn of(shared: &Shared, form: Form, resource: &Resource) -> Self {
        let keeper = &shared.state.keeper;
        if !matches!(form.view, View::Table(_)) {
            return Self::None;
        }
        let kind = Kind::ALL.into_iter().find(|kind| std::ptr::eq(resource, Resource::of(*kind)));
        match kind {
            Some(Kind::User) => {
                let devices = keeper.shelves.get(&Resource::of(Kind::Device).qualified()).cloned();
                let counts = || Arc::clone(&shared.desk.device_counts);
                devices.map_or(Self::None, |devices| Self::Devices(counts(), devices))
            }
            Some(kind @ (Kind::Network | Kind::RegistrationKey | Kind::PersonalKey)) => {
                Self::Kept(kind, keeper.counts.clone())
            }
            Some(_) | None => Self::None,
        }
    }

    /// Counts, and returns what a table asks with: by namespace, name and the counter's name.
    pub(super) fn counter(&self) -> impl Fn(&str, &str, &str) -> Option<Value> + use<> {
        let counted = match self {
            Self::None => Counted::Nothing,
            Self::Devices(counts, devices) => {
                let devices = Arc::clone(&devices.borrow());
                Counted::Devices(counts.of(&devices))
            }
            Self::Kept(kind, counts) => Counted::Kept(*kind, Arc::clone(&counts.borrow())),
        };
        move |namespace, name, counter| {
            let of_object = |kind, counts: &BTreeMap<ObjectKey, u64>| {
                counts.get(&ObjectKey::new(kind, namespace, name)).copied().unwrap_or_default()
            };
            let last_use =
                |kind, counts: &Counts| counts.last_uses.get(&ObjectKey::new(kind, namespace, name)).cloned();
            match (&counted, counter) {
                (Counted::Devices(devices), "Devices") => Some(devices.of(namespace, name).into()),
                (Counted::Kept(kind, counts), "Allocated") => {
                    Some(of_object(*kind, &counts.allocated).into())
                }
                (Counted::Kept(kind, counts), "Uses") => Some(of_object(*kind, &counts.uses).into()),
                (Counted::Kept(kind, counts), "Last-Used") => Some(last_use(*kind, counts)?.0.into()),
                (Counted::Kept(kind, counts), "From") => Some(last_use(*kind, counts)?.1.into()),
                (Counted::Nothing | Counted::Devices(_) | Counted::Kept(..), _) => None,
            }
        }
    }
}

impl DeviceCounts {
    /// Returns what there is in a state of the devices or, if somebody has counted a newer one, in that. Those who ask
    /// at the same time wait for the one who counts.
    fn of(&self, collection: &Collection) -> Arc<Devices> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = newest.take().filter(|known| known.version >= collection.version());
        let counted = known.unwrap_or_else(|| Arc::new(Devices::count(collection)));
        *newest = Some(Arc::clone(&counted));
        counted
    }
}

impl Devices {
    fn count(collection: &Collection) -> Self {
        let version = collection.version();
        let mut by_user = BTreeMap::<Box<str>, BTreeMap<Box<str>, u64>>::new();
        for device in collection.state_at(version, Bound::Unbounded) {
            let (namespace, name) = (device.field("metadata.namespace"), device.field("spec.userRef.name"));
            let users = entry(&mut by_user, namespace);
            *entry(users, name) += 1;
        }
        Self { version, by_user }
    }

    fn of(&self, namespace: &str, name: &str) -> u64 {
        self.by_user.get(namespace).and_then(|users| users.get(name)).copied().unwrap_or_default()
    }
}

/// Finds a place by its name, which is copied where there is none yet.
fn entry<'m, T: Default>(map: &'m mut BTreeMap<Box<str>, T>, name: &str) -> &'m mut T {
    if !map.contains_key(name) {
        map.insert(name.into(), T::default());
    }
    map.get_mut(name).expect("it was there, or has been put there")
}

#[cfg(test)]
mod tests {
    use horizon_machinery::{collection::Limits, stored::Stored};
    use serde_json::json;

    use super::*;

    fn devices(version: u64, count: usize) -> Collection {
        let device = |number: usize| {
            let user = if number.is_multiple_of(2) { "alice" } else { "bob" };
            let object = json!({
                "metadata": { "name": format!("d{number}"), "namespace": "default" },
                "spec": { "userRef": { "name": user } },
            });
            Stored::new(&object, 1, &["spec.userRef.name".to_owned()])
        };
        Collection::new((0..count).map(device), version, version, Limits { changes_max: 1, bytes_max: 1 })
    }

    #[test]
    fn devices_are_counted_once_for_each_state() {
        let counts = DeviceCounts::default();

        let first = counts.of(&devices(7, 3));
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|user| first.of("default", user));

        assert_eq!((alice, bob, carol, first.of("other", "alice")), (2, 1, 0, 0));
        assert!(Arc::ptr_eq(&first, &counts.of(&devices(7, 3))), "it was counted again");
        assert_eq!(counts.of(&devices(8, 4)).of("default", "bob"), 2);
        assert_eq!(counts.of(&devices(7, 3)).of("default", "bob"), 2);
    }
}
