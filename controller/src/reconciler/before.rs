//! What was in force before a change that must be confirmed: enough to put it back as it was.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::resource::ObjectKey;
use serde::{Deserialize, Serialize};

use super::change::Change;
use crate::store;

/// The `before` column of the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    /// Objects as they were; changed or removed since.
    pub(super) objects: BTreeMap<ObjectKey, OldObject>,
    /// Objects that were not there.
    pub(super) added: BTreeSet<ObjectKey>,
    /// Addresses that were given back: network, owner, address.
    pub(super) released: BTreeSet<(String, ObjectKey, std::net::IpAddr)>,
}

/// An object as the store had it, with what goes with it when it is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct OldObject {
    pub(super) uid: String,
    pub(super) source: String,
    pub(super) locator: String,
    /// The `spec` column.
    pub(super) text: String,
    pub(super) created_at_ms: i64,
    binding: Option<OldBinding>,
    token: Option<OldToken>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OldBinding {
    is_server: bool,
    public_key: Vec<u8>,
    bound_at: i64,
    last_seen_at: i64,
    evidence: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OldToken {
    digest: Vec<u8>,
    uses: i64,
}

impl Before {
    /// Takes in what another change of the same window did: what was first stays first.
    pub(super) fn extend(
        &mut self,
        stored: &store::Stored,
        change: &Change,
        is_declared: impl Fn(&ObjectKey) -> bool,
    ) {
        let old: BTreeMap<ObjectKey, &store::Object> = stored
            .objects
            .iter()
            .filter_map(|object| {
                let kind = object.kind.parse().ok()?;
                Some((ObjectKey::new(kind, &object.namespace, &object.name), object))
            })
            .collect();
        for key in change.touched().filter(|key| is_declared(key)) {
            if self.objects.contains_key(key) || self.added.contains(key) {
                continue;
            }
            match old.get(key) {
                Some(object) => {
                    self.objects.insert(key.clone(), OldObject::of(object, stored));
                }
                None => {
                    self.added.insert(key.clone());
                }
            }
        }
        let released = change.released.iter();
        self.released.extend(released.map(|one| (one.network.clone(), one.owner.clone(), one.address)));
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys().chain(&self.added)
    }

    /// Returns what the store lost of the objects that are not there any more.
    pub(super) fn restored(&self, is_deleted: impl Fn(&ObjectKey) -> bool) -> store::Restored {
        let mut restored = store::Restored::default();
        for (_, object) in self.objects.iter().filter(|(key, _)| is_deleted(key)) {
            restored.bindings.extend(object.binding.as_ref().map(|binding| store::Binding {
                owner: object.uid.clone(),
                kind: if binding.is_server { store::NodeKind::Server } else { store::NodeKind::Device },
                public_key: binding.public_key.clone(),
                bound_at: binding.bound_at,
                last_seen_at: binding.last_seen_at,
                evidence: binding.evidence.clone(),
            }));
            if let Some(OldToken { digest, uses }) = object.token.clone() {
                restored
                    .issued_keys
                    .push(store::IssuedKey { uid: object.uid.clone(), digest: digest.clone() });
                restored.token_uses.push(store::TokenUses { digest, uses });
            }
        }
        restored
    }
}

impl OldObject {
    fn of(object: &store::Object, stored: &store::Stored) -> Self {
        let binding = stored.bindings.iter().find(|binding| binding.owner == object.uid);
        let token = stored.issued_keys.iter().find(|key| key.uid == object.uid).map(|key| {
            let uses = stored.token_uses.iter().find(|uses| uses.digest == key.digest);
            OldToken { digest: key.digest.clone(), uses: uses.map_or(0, |uses| uses.uses) }
        });
        Self {
            uid: object.uid.clone(),
            source: object.source.clone(),
            locator: object.locator.clone(),
            text: object.spec.clone(),
            created_at_ms: object.created_at,
            binding: binding.map(|binding| OldBinding {
                is_server: binding.kind == store::NodeKind::Server,
                public_key: binding.public_key.clone(),
                bound_at: binding.bound_at,
                last_seen_at: binding.last_seen_at,
                evidence: binding.evidence.clone(),
            }),
            token,
        }
    }
}
