//! What becomes of a node when the key that enrolled it is revoked: when the key goes, or is disabled or held.
//!
//! That a key expires or is used up ends its use, and takes nothing back: a one-time key would cut off what it enrolled.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{
    key::PublicKey,
    resource::{ObjectKey, OnRevoke, ResourceSpec},
};

use crate::world::World;

/// The key that enrolled a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The object that is this key now; nothing when the key is gone.
    pub key: Option<ObjectKey>,
    /// What the key said last of its revocation.
    pub on_revoke: OnRevoke,
}

/// The key of every node that enrolled with one.
pub type EnrolledBy = Arc<BTreeMap<PublicKey, Enrolled>>;

impl Enrolled {
    /// Returns what happens to the node: nothing while its key is in force.
    pub(super) fn fate(&self, world: &World<'_>) -> OnRevoke {
        let Some(key) = &self.key else { return self.on_revoke };
        let Some(member) = world.members.get(key) else { return self.on_revoke };
        match revocation(member.spec) {
            Some((is_disabled, on_revoke)) if is_disabled || world.is_held(key) => on_revoke,
            Some(_) => OnRevoke::Keep,
            None => self.on_revoke,
        }
    }
}

/// Returns whether a key is disabled, and what it says of its revocation; nothing for other kinds.
fn revocation(spec: &ResourceSpec) -> Option<(bool, OnRevoke)> {
    match spec {
        ResourceSpec::RegistrationKey(spec) => Some((spec.disabled, spec.on_revoke)),
        ResourceSpec::PersonalKey(spec) => Some((spec.disabled, spec.on_revoke)),
        ResourceSpec::Network(_)
        | ResourceSpec::Server(_)
        | ResourceSpec::User(_)
        | ResourceSpec::Device(_)
        | ResourceSpec::AccessPolicy(_)
        | ResourceSpec::AccessTest(_)
        | ResourceSpec::ConnectionProfile(_)
        | ResourceSpec::Admin(_)
        | ResourceSpec::AlertRule(_) => None,
    }
}
