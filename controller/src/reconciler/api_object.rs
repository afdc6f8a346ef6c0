//! Objects that the API owns: what logins and invitations make.

use std::sync::Arc;

use horizon_api::{
    problem::Problem,
    resource::{API_VERSION, Metadata, ObjectKey, ResourceSpec},
};
use horizon_planner::{
    compile::{API_SOURCE, Committed, Owner},
    manifest::{Manifest, parse_folder},
};
use serde_json::json;

use super::{
    Reconciler,
    compile::{new_uid, stored_object},
    ledger::Entry,
};
use crate::store::Object;

impl Reconciler {
    /// Prepares an object. It is in force with the next compilation, if it stays.
    ///
    /// # Errors
    /// The first reason why a manifest that says the same would be refused.
    pub(super) fn draft(
        &self,
        key: &ObjectKey,
        spec: ResourceSpec,
        by: &str,
    ) -> Result<(Manifest, Entry), Box<Problem>> {
        check(key, &spec)?;
        let metadata =
            Metadata { name: key.name.clone(), namespace: key.namespace.clone(), ..Metadata::default() };
        Ok((Manifest::without_file(metadata, spec, by), new_uid()))
    }

    /// Takes a draft in.
    pub(super) fn keep(&mut self, draft: Manifest, uid: Entry) {
        self.state.ledger.insert(draft.key.clone(), uid);
        self.state.api_objects.insert(draft.key.clone(), Arc::new(draft));
    }

    /// Writes a draft as the store keeps it before a revision has taken it in.
    pub(super) fn stored_draft(&self, draft: &Manifest, uid: &Entry) -> anyhow::Result<Object> {
        let committed = Committed {
            key: draft.key.clone(),
            metadata: draft.metadata.clone(),
            spec: draft.spec.clone(),
            owner: Owner { source: API_SOURCE.into(), origin: draft.origin.clone() },
            generation: 1,
            conditions: Arc::default(),
            stale: None,
        };
        let before_any = horizon_api::assignment::Version::default();
        stored_object(&committed, &[], uid, before_any)
    }

    /// Returns a name that nothing has: the wanted one, or with a number behind it.
    pub(super) fn free_name(&self, wanted: &ObjectKey) -> ObjectKey {
        let is_free = |key: &ObjectKey| {
            !self.state.committed.contains_key(key)
                && !self.state.api_objects.contains_key(key)
                && !self.state.cluster.declared.contains_key(key)
        };
        let numbered = (2..).map(|number| {
            // A name has 63 characters at most.
            let stem: String = wanted.name.chars().take(56).collect();
            ObjectKey::new(wanted.kind, wanted.namespace.clone(), format!("{stem}-{number}"))
        });
        std::iter::once(wanted.clone()).chain(numbered).find(is_free).unwrap_or_else(|| wanted.clone())
    }
}

/// One verdict for every door: what no manifest may say, the API does not make either.
fn check(key: &ObjectKey, spec: &ResourceSpec) -> Result<(), Box<Problem>> {
    let text = json!({
        "apiVersion": API_VERSION,
        "kind": key.kind.to_string(),
        "metadata": { "name": key.name, "namespace": key.namespace },
        "spec": spec,
    });
    // JSON is YAML.
    let parsed = parse_folder(&[("api", text.to_string().as_bytes())]);
    parsed.problems.into_iter().find(Problem::is_error).map_or(Ok(()), |problem| Err(problem.into()))
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::{Generate, Kind, OnRevoke, PersonalKeySpec, Reference};

    use super::*;

    fn key(networks: usize) -> ResourceSpec {
        let reference = |number: usize| Reference { name: format!("n{number}").parse().unwrap() };
        ResourceSpec::PersonalKey(Arc::new(PersonalKeySpec {
            user_ref: Reference { name: "alice".parse().unwrap() },
            network_refs: (0..networks).map(reference).collect(),
            hash: None,
            generate: Some(Generate {}),
            expires_at: jiff::Timestamp::from_second(1_800_000_000).ok(),
            source_cidrs: vec![],
            max_uses: Some(1),
            public_key: None,
            profile_refs: vec![],
            on_revoke: OnRevoke::Keep,
            disabled: false,
        }))
    }

    #[test]
    fn draft_is_checked_as_a_manifest_is() {
        let named = |name: &str| ObjectKey::new(Kind::PersonalKey, "default", name);

        assert_eq!(check(&named("alice-invitation"), &key(1)), Ok(()));
        assert_eq!(check(&named("alice-invitation"), &key(16)), Ok(()));
        assert!(check(&named("alice-invitation"), &key(0)).is_err());
        assert!(check(&named("alice-invitation"), &key(17)).is_err());
        assert!(check(&named(&"a".repeat(64)), &key(1)).is_err());
    }
}
