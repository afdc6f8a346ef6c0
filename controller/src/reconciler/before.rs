//! What was in force before a change that must be confirmed: enough to put it back as it was.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{key::PublicKey, resource::ObjectKey};
use serde::{Deserialize, Serialize};

use super::{
    change::Change,
    state::{State, public_key},
};
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
    /// Keys of devices that are gone, and that are revoked for good when that is confirmed.
    #[serde(default)]
    pub(super) revoked: BTreeSet<PublicKey>,
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
    #[serde(default)]
    enrolment: Option<store::Enrolment>,
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
}

impl State {
    /// Returns what an object had before the change, and has no more: under its uid of now, or the one that it gets
    /// back.
    pub(super) fn lost(&self, before: &Before, key: &ObjectKey, object: &OldObject) -> store::Restored {
        let uid = self.ledger.get(key).map_or(object.uid.as_str(), |uid| uid.uid.as_str());
        let mut lost = store::Restored::default();
        let binding = object.binding.as_ref().filter(|binding| self.is_unbound(before, key, binding));
        lost.bindings.extend(binding.map(|binding| store::Binding {
            owner: uid.to_owned(),
            kind: if binding.is_server { store::NodeKind::Server } else { store::NodeKind::Device },
            public_key: binding.public_key.clone(),
            bound_at: binding.bound_at,
            last_seen_at: binding.last_seen_at,
            evidence: binding.evidence.clone(),
            enrolment: binding.enrolment.clone(),
        }));
        if let Some(OldToken { digest, uses }) =
            object.token.clone().filter(|_| !self.digests.contains_key(uid))
        {
            lost.issued_keys.push(store::IssuedKey { uid: uid.to_owned(), digest: digest.clone() });
            lost.token_uses.push(store::TokenUses { digest, uses });
        }
        lost
    }

    /// Of devices only the store knows; it leaves what is bound as it is.
    fn is_unbound(&self, before: &Before, key: &ObjectKey, binding: &OldBinding) -> bool {
        let Some(public) = public_key(&binding.public_key).filter(|_| binding.is_server) else { return true };
        let mut servers = self.facts.servers.iter();
        // A Server that only the change had goes again, with what is bound to it.
        !servers.any(|(server, bound)| server == key || (*bound == public && !before.added.contains(server)))
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
                enrolment: binding.enrolment.clone(),
            }),
            token,
        }
    }
}
