//! Numbers in tables that change without their object: how many devices somebody has.

use std::{collections::BTreeMap, ops::Bound, ptr, sync::Arc};

use horizon_api::resource::Kind;
use horizon_machinery::{
    collection::Collection,
    negotiate::{Form, View},
    resource::Resource,
    selector::Selectable,
};
use tokio::sync::watch;

use super::Keeper;

/// What is counted for one client; nothing where nothing of it is shown.
pub(super) struct Counters {
    devices: Option<watch::Receiver<Arc<Collection>>>,
}

impl Counters {
    pub(super) fn of(keeper: &Keeper, form: Form, resource: &Resource) -> Self {
        let is_shown = matches!(form.view, View::Table(_)) && ptr::eq(resource, Resource::of(Kind::User));
        let shelf = || keeper.shelves.get(&Resource::of(Kind::Device).qualified()).cloned();
        Self { devices: if is_shown { shelf() } else { None } }
    }

    /// Counts, and returns what a table asks with: by namespace, name and the counter's name.
    pub(super) fn counter(&self) -> impl Fn(&str, &str, &str) -> Option<u64> + use<> {
        let counted = self.devices.as_ref().map(|devices| count(&devices.borrow()));
        move |namespace, name, counter| {
            let user = (namespace.to_owned(), name.to_owned());
            let counted = counted.as_ref().filter(|_| counter == "Devices")?;
            Some(counted.get(&user).copied().unwrap_or_default())
        }
    }
}

/// Counts the devices of everybody, by namespace and name.
fn count(devices: &Collection) -> BTreeMap<(String, String), u64> {
    let mut counted = BTreeMap::new();
    for device in devices.state_at(devices.version(), Bound::Unbounded) {
        let (namespace, _) = device.key().split_once('/').unwrap_or_default();
        let user = (namespace.to_owned(), device.field("spec.userRef.name").to_owned());
        *counted.entry(user).or_default() += 1;
    }
    counted
}
