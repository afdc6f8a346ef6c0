//! Objects of which somebody has not heard the newest word: the registry, and the cluster where there is one.

use std::collections::BTreeSet;

use horizon_api::resource::ObjectKey;

#[derive(Clone, Debug, Default)]
pub(super) struct Untold {
    registry: BTreeSet<ObjectKey>,
    cluster: Option<BTreeSet<ObjectKey>>,
}

impl Untold {
    /// From here on the cluster is told too, and first of all that was known before.
    pub(super) fn tell_cluster(&mut self) {
        self.cluster.get_or_insert_with(|| self.registry.clone());
    }

    pub(super) fn has_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    pub(super) fn insert(&mut self, key: ObjectKey) {
        self.extend([key]);
    }

    pub(super) fn extend(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        for key in keys {
            self.cluster.iter_mut().for_each(|keys| keys.extend([key.clone()]));
            self.registry.insert(key);
        }
    }

    pub(super) fn is_registry_told(&self) -> bool {
        self.registry.is_empty()
    }

    pub(super) fn is_cluster_told(&self) -> bool {
        self.cluster.as_ref().is_none_or(BTreeSet::is_empty)
    }

    pub(super) fn take_for_registry(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.registry)
    }

    pub(super) fn take_for_cluster(&mut self) -> BTreeSet<ObjectKey> {
        self.cluster.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
