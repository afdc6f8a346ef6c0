//! What a compilation changes against what is in force, and whether that is worth a revision.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use horizon_api::{
    assignment::{Assignment, Provisional, Version},
    key::PublicKey,
    resource::ObjectKey,
    section::{ContentHash, EncodedSection},
};
use horizon_planner::{
    allocate::Allocations,
    compile::{Committed, Compiled},
};

use super::{
    compile::stored_object,
    ledger::Uids,
    state::{Assigned, State},
};
use crate::{identity::ControllerIdentity, snapshot::GatewaySnapshot, store};

/// What a compilation changes against what is in force.
pub(super) struct Change {
    changed: Vec<ObjectKey>,
    /// Those of them that say something else, and do not only stand elsewhere.
    pub(super) edited: BTreeSet<ObjectKey>,
    pub(super) deleted: Vec<ObjectKey>,
    /// Keys whose token is not made here any more: the one that was made is void.
    pub(super) withdrawn: Vec<ObjectKey>,
    pub(super) allocated: Vec<OwnedAddress>,
    pub(super) released: Vec<OwnedAddress>,
    /// Servers that must run something else, or the same for good.
    assigned: Vec<Wanted>,
    pub(super) unassigned: Vec<ObjectKey>,
    /// Something else is to be remembered of the keys that enrolled nodes.
    reenrols: bool,
    /// Keys of devices that are gone, and of devices that are there again.
    pub(super) revoked: Vec<PublicKey>,
    pub(super) lifted: Vec<PublicKey>,
}

/// What a server must run.
struct Wanted {
    server: ObjectKey,
    gateway: PublicKey,
    sections: Vec<EncodedSection>,
    /// What its gateway goes back to, where this must be confirmed.
    previous: Option<ContentHash>,
    /// The revision since which it carries its networks; `None` is the one that is signed.
    carries_since: Option<u64>,
}

pub(super) struct OwnedAddress {
    pub(super) network: String,
    pub(super) owner: ObjectKey,
    pub(super) address: IpAddr,
}

impl Change {
    /// Compares. Where `keeps_provisional`, what must be confirmed may stay so.
    pub(super) fn between(
        state: &State,
        compiled: &Compiled,
        identity: &ControllerIdentity,
        keeps_provisional: bool,
    ) -> Self {
        let (mut changed, mut edited, mut deleted) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (key, old, new) in joined(&state.committed, &compiled.objects) {
            match (old, new) {
                (Some(old), Some(new)) if is_same(old, new) => {}
                (old, Some(new)) => {
                    changed.push(key.clone());
                    if old.is_none_or(|old| old.spec != new.spec) {
                        edited.insert(key.clone());
                    }
                }
                (_, None) => deleted.push(key.clone()),
            }
        }
        let has_made = |key: &ObjectKey| {
            state.ledger.get(key).is_some_and(|uid| state.digests.contains_key(uid.uid.as_str()))
        };
        let declared = compiled.effective.token_digests().filter(|(_, hash)| hash.is_some());
        let withdrawn = declared.map(|(key, _)| key).filter(|key| has_made(key));
        let known = Uids { known: &state.ledger, new: &BTreeMap::new() };
        let mut change = Self {
            changed,
            edited,
            deleted,
            withdrawn: withdrawn.cloned().collect(),
            allocated: only_in(&compiled.allocations, &state.allocations),
            released: only_in(&state.allocations, &compiled.allocations),
            assigned: vec![],
            unassigned: vec![],
            reenrols: !state.reenrolled(compiled, known).is_empty(),
            revoked: state.newly_revoked(compiled, keeps_provisional),
            lifted: state.newly_lifted(compiled),
        };
        change.compare_assignments(state, compiled, identity, keeps_provisional);
        change
    }

    /// An assignment is made again only when its sections differ: a changed object re-sends what it touches.
    fn compare_assignments(
        &mut self,
        state: &State,
        compiled: &Compiled,
        identity: &ControllerIdentity,
        keeps_provisional: bool,
    ) {
        let online = identity.online().public();
        let signers: Vec<_> = identity.ring().ring.keys().iter().map(|key| key.public).collect();
        for (server, effective) in &compiled.effective.servers {
            // A disabled Server has empty sections: its gateway must hear so, or it serves on from its cache.
            let Some(gateway) = effective.public_key else { continue };
            let sections = compiled.sections.get(server).cloned().unwrap_or_default();
            let headers: Vec<_> = sections.iter().map(|section| section.header.clone()).collect();
            let old = state.assignments.get(server).and_then(|assigned| {
                let bytes = &assigned.snapshot.assignment;
                let (signer, signed) =
                    signers.iter().find_map(|key| Some((key, bytes.verify::<Assignment>(key).ok()?)))?;
                Some((signed, assigned.snapshot.hash, *signer == online))
            });
            let is_same = old.as_ref().is_some_and(|(old, _, is_by_current)| {
                *is_by_current
                    && old.gateway == gateway
                    && old.sections == headers
                    && old.epoch == state.version.epoch
                    && (keeps_provisional || old.provisional.is_none())
            });
            if !is_same {
                // What a gateway goes back to is what was confirmed last, however many changes came since.
                let previous = old
                    .filter(|(old, _, _)| old.gateway == gateway)
                    .map(|(old, hash, _)| old.provisional.map_or(hash, |provisional| provisional.previous));
                let carries_since = state.carries_since(server, effective);
                self.assigned.push(Wanted {
                    server: server.clone(),
                    gateway,
                    sections,
                    previous,
                    carries_since,
                });
            }
        }
        let has_gateway = |server: &&ObjectKey| {
            compiled.effective.servers.get(*server).is_some_and(|s| s.public_key.is_some())
        };
        self.unassigned = state.assignments.keys().filter(|server| !has_gateway(server)).cloned().collect();
    }

    /// Returns every object that it adds, changes or removes.
    pub(super) fn touched(&self) -> impl Iterator<Item = &ObjectKey> {
        self.changed.iter().chain(&self.deleted)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
            && self.deleted.is_empty()
            && self.withdrawn.is_empty()
            && self.allocated.is_empty()
            && self.released.is_empty()
            && self.assigned.is_empty()
            && self.unassigned.is_empty()
            && !self.reenrols
            && self.revoked.is_empty()
            && self.lifted.is_empty()
    }

    pub(super) fn summary(&self) -> String {
        let (changed, deleted) = (self.changed.len(), self.deleted.len());
        format!("{changed} objects changed, {deleted} removed, {} gateways to program", self.assigned.len())
    }

    pub(super) fn sign(
        &self,
        version: Version,
        identity: &ControllerIdentity,
        revert_at_ms: Option<i64>,
    ) -> BTreeMap<ObjectKey, Assigned> {
        let sign = |wanted: &Wanted| {
            let Wanted { server, gateway, sections, previous, carries_since } = wanted;
            let provisional = revert_at_ms.zip(*previous);
            let assignment = Assignment {
                epoch: version.epoch,
                revision: version.revision,
                gateway: *gateway,
                sections: sections.iter().map(|section| section.header.clone()).collect(),
                provisional: provisional
                    .map(|(revert_at_ms, previous)| Provisional { revert_at_ms, previous }),
            };
            let signed = assignment.sign(identity.online());
            let hash = ContentHash::from_bytes(signed.hash());
            let sections = sections.iter().map(|s| (s.header.hash, Arc::from(s.bytes.as_slice()))).collect();
            let snapshot = Arc::new(GatewaySnapshot { assignment: signed, hash, sections });
            let (gateway, revision) = (*gateway, version.revision);
            let carries_since = carries_since.unwrap_or(revision);
            (server.clone(), Assigned { gateway, revision, carries_since, snapshot })
        };
        self.assigned.iter().map(sign).collect()
    }

    /// Writes the objects with the conditions that they had: what gateways say of a change is known later.
    pub(super) fn objects(
        &self,
        state: &State,
        compiled: &Compiled,
        uids: Uids<'_>,
        version: Version,
    ) -> anyhow::Result<Vec<store::Object>> {
        let changed = self.changed.iter();
        let objects = changed.filter_map(|key| Some((compiled.objects.get(key)?, uids.get(key)?)));
        let stored = objects.map(|(object, uid)| {
            let known = state.ledger.get(&object.key).filter(|entry| entry.revision > 0);
            let conditions = known.map_or(&object.conditions, |entry| &entry.conditions);
            let last = known.filter(|_| !self.edited.contains(&object.key));
            let revision = last.map_or(version.revision, |entry| entry.revision);
            stored_object(object, conditions, uid, Version { revision, ..version })
        });
        stored.collect()
    }

    pub(super) fn sections(&self) -> Vec<store::Section> {
        let all = self.assigned.iter().flat_map(|wanted| &wanted.sections);
        let by_hash: BTreeMap<_, _> = all.map(|s| (s.header.hash, s.bytes.clone())).collect();
        by_hash
            .into_iter()
            .map(|(hash, bytes)| store::Section { hash: hash.as_bytes().to_vec(), bytes })
            .collect()
    }
}

/// Returns every key of two maps, with what each has under it.
fn joined<'a, K: Ord, V>(
    one: &'a BTreeMap<K, V>,
    other: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (one.peek(), other.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        let old = if order.is_le() { one.next() } else { None };
        let new = if order.is_ge() { other.next() } else { None };
        let (key, _) = old.or(new)?;
        Some((key, old.map(|(_, value)| value), new.map(|(_, value)| value)))
    })
}

/// Conditions and staleness are no change of the object.
fn is_same(old: &Arc<Committed>, new: &Arc<Committed>) -> bool {
    Arc::ptr_eq(old, new)
        || (old.spec == new.spec
            && old.metadata == new.metadata
            && old.owner == new.owner
            && old.generation == new.generation)
}

/// Returns the addresses that are in one and not in the other.
fn only_in(one: &Allocations, other: &Allocations) -> Vec<OwnedAddress> {
    let mut only = Vec::new();
    if one == other {
        return only;
    }
    for (network, owner, addresses) in one.iter() {
        let others = other.of(network, owner);
        for address in addresses.iter().filter(|address| !others.contains(address)) {
            only.push(OwnedAddress {
                network: network.as_str().to_owned(),
                owner: owner.clone(),
                address: *address,
            });
        }
    }
    only
}
