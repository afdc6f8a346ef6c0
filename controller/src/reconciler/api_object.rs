//! Objects that the API owns: what logins and invitations make.

use std::collections::BTreeMap;

use horizon_api::resource::{Metadata, ObjectKey, ResourceSpec};
use horizon_planner::{
    compile::{Committed, Owner},
    manifest::Manifest,
};

use super::{
    Reconciler,
    compile::{new_uid, stored_object},
    state::{API_SOURCE, Uid},
};
use crate::store::Object;

impl Reconciler {
    /// Prepares an object. It is in force with the next compilation, if it stays.
    pub(super) fn draft(&self, key: &ObjectKey, spec: ResourceSpec, by: &str) -> (Manifest, Uid) {
        let metadata = Metadata {
            name: key.name.clone(),
            namespace: key.namespace.clone(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        (Manifest::without_file(metadata, spec, by), new_uid())
    }

    /// Takes a draft in.
    pub(super) fn keep(&mut self, draft: Manifest, uid: Uid) {
        self.state.uids.insert(draft.key.clone(), uid);
        self.state.api_objects.insert(draft.key.clone(), draft);
    }

    /// Writes a draft as the store keeps it before a revision has taken it in.
    pub(super) fn stored_draft(&self, draft: &Manifest, uid: &Uid) -> anyhow::Result<Object> {
        let committed = Committed {
            key: draft.key.clone(),
            metadata: draft.metadata.clone(),
            spec: draft.spec.clone(),
            owner: Owner { source: API_SOURCE.into(), origin: draft.origin.clone() },
            generation: 1,
            conditions: vec![],
            stale: None,
        };
        let before_any = horizon_api::assignment::Version::default();
        stored_object(&committed, uid, before_any)
    }

    /// Returns a name that nothing has: the wanted one, or with a number behind it.
    pub(super) fn free_name(&self, wanted: &ObjectKey) -> ObjectKey {
        let is_free = |key: &ObjectKey| {
            !self.state.committed.contains_key(key) && !self.state.api_objects.contains_key(key)
        };
        let numbered = (2..).map(|number| {
            // A name has 63 characters at most.
            let stem: String = wanted.name.chars().take(56).collect();
            ObjectKey { name: format!("{stem}-{number}"), ..wanted.clone() }
        });
        std::iter::once(wanted.clone()).chain(numbered).find(is_free).unwrap_or_else(|| wanted.clone())
    }
}
