//! What is known from running: bindings, uses, revocations; and what keeps an object from its purpose.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    key::PublicKey,
    resource::{Kind, ObjectKey},
    verdict::Posture,
};

use super::{Effective, EnrolledBy, Standing};
use crate::{allocate::Exhausted, gate::Failure, world::World};

/// What the store knows beside resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The key with which each server joined.
    pub servers: BTreeMap<ObjectKey, PublicKey>,
    /// Keys of servers that joined, beside those: the one that is to follow, and the one before. What is declared may
    /// say either.
    pub rotated: BTreeMap<ObjectKey, BTreeSet<PublicKey>>,
    /// How often each RegistrationKey and PersonalKey was used.
    pub uses: BTreeMap<ObjectKey, u32>,
    /// The keys that enrolled nodes.
    pub enrolled: EnrolledBy,
    /// Keys that were revoked before, such as those of devices that are gone.
    pub revoked: BTreeSet<PublicKey>,
    /// Those of them that another key of the same node has followed: declaring one again ends nothing.
    pub followed: BTreeSet<PublicKey>,
    /// What devices said of themselves last, by their keys.
    pub postures: BTreeMap<PublicKey, Arc<Posture>>,
}

/// Why an object cannot do what it is for: the reason of `Ready=False`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub reason: String,
    pub message: String,
}

pub(super) fn blocked(
    world: &World<'_>,
    effective: &Effective,
    exhausted: &[Exhausted],
    failures: &[Failure],
) -> BTreeMap<ObjectKey, Blocked> {
    let pools = exhausted.iter().map(|exhausted| {
        let message = format!("no address of {} is left for it", exhausted.network);
        (exhausted.owner.clone(), Blocked { reason: "PoolExhausted".into(), message })
    });
    let standings =
        effective.standings().filter(|(_, standing)| *standing != Standing::Active).map(|(key, standing)| {
            let (reason, message) = (standing.as_str().to_owned(), standing.sentence().to_owned());
            (key.clone(), Blocked { reason, message })
        });
    let holds = world.holds.iter().map(|(key, hold)| {
        ((*key).clone(), Blocked { reason: hold.reason().into(), message: hold.sentence() })
    });
    let tests = failures.iter().rev().map(|failure| {
        (failure.test.clone(), Blocked { reason: "TestsFailed".into(), message: failure.text() })
    });
    let grantless = effective.grantless().map(|key| (key.clone(), no_grant(key)));
    pools.chain(grantless).chain(standings).chain(holds).chain(tests).collect()
}

fn no_grant(key: &ObjectKey) -> Blocked {
    let message = if key.kind == Kind::Server {
        "the key that enrolled it was revoked: no new grant names it"
    } else {
        "the key that enrolled it was revoked: it gets no new grant"
    };
    Blocked { reason: Standing::KeyRevoked.as_str().into(), message: message.into() }
}
