//! The key that a device presents: a person's, or a registration key for devices that have nobody in front of them.

use std::net::IpAddr;

use horizon_api::{
    key::PublicKey,
    name::Name,
    resource::{Kind, ObjectKey, RegistrationRole},
    token::{Token, TokenDigest, TokenKind},
    wire::{Refusal, RefusalCode},
};
use horizon_planner::compile::{EffectivePersonalKey, EffectiveRegistrationKey};

use super::{
    Reconciler,
    enrol::{self, Found},
};
use crate::event::LoginRequest;

/// What a key makes of the device that presents it.
pub(super) struct Terms {
    /// `None` is nobody.
    pub(super) user: Option<ObjectKey>,
    pub(super) networks: Vec<Name>,
    pub(super) tags: Vec<Name>,
    pub(super) uses_max: Option<u32>,
    pub(super) is_ephemeral: bool,
}

/// A key with what it gives, or why it may not be used from here.
type Known = Result<(Found, Terms), (Refusal, Option<ObjectKey>)>;

impl Reconciler {
    /// Finds the key of a token that signs devices in, and says what it gives; or why it may not be used from here.
    pub(super) fn login_key(&self, request: &LoginRequest) -> Known {
        let remote = request.remote;
        if let Some(person) = &request.person {
            let digest = TokenDigest::of_public_key(person);
            return self.personal_key(&digest, remote).unwrap_or_else(|| Err((unknown_person(person), None)));
        }
        let unknown = || (enrol::unknown_key(), None);
        let token: Token = request.token.reveal().parse().map_err(|_| unknown())?;
        match token.kind() {
            TokenKind::Personal => {
                self.personal_key(&token.digest(), remote).unwrap_or_else(|| Err(unknown()))
            }
            TokenKind::Api => Err(unknown()),
            TokenKind::Registration => {
                let keys = self.state.compiled.effective.registration_keys.iter();
                let declared = keys.map(|(key, k)| (key, k.declared()));
                let found = self.find_key(&token.digest(), declared).ok_or_else(unknown)?;
                let key = &self.state.compiled.effective.registration_keys[&found.key];
                let terms = of_registration(&found.key, key, remote)
                    .map_err(|refusal| (refusal, Some(found.key.clone())))?;
                Ok((found, terms))
            }
        }
    }
}

impl Reconciler {
    /// Finds a key of a person; nothing where there is none.
    fn personal_key(&self, digest: &TokenDigest, remote: IpAddr) -> Option<Known> {
        let keys = self.state.compiled.effective.personal_keys.iter();
        let found = self.find_key(digest, keys.map(|(key, k)| (key, k.declared())))?;
        let terms = of_person(&self.state.compiled.effective.personal_keys[&found.key], remote);
        Some(match terms {
            Ok(terms) => Ok((found, terms)),
            Err(refusal) => Err((refusal, Some(found.key))),
        })
    }
}

fn of_person(key: &EffectivePersonalKey, remote: IpAddr) -> Result<Terms, Refusal> {
    enrol::check_standing(key.standing)?;
    enrol::check_source(&key.source_cidrs, remote)?;
    Ok(Terms {
        user: Some(key.user.clone()),
        networks: key.networks.clone(),
        tags: vec![],
        uses_max: key.max_uses,
        is_ephemeral: false,
    })
}

fn of_registration(
    name: &ObjectKey,
    key: &EffectiveRegistrationKey,
    remote: IpAddr,
) -> Result<Terms, Refusal> {
    match key.role {
        RegistrationRole::Device => {}
        RegistrationRole::Server => {
            return Err(Refusal::new(
                RefusalCode::NoCandidate,
                "this registration key enrols servers, not devices",
                "run `horizon-gateway join` with it, or use a RegistrationKey with `role: Device`",
            ));
        }
    }
    enrol::check_standing(key.standing)?;
    enrol::check_source(&key.source_cidrs, remote)?;
    let user = key.grants.user_ref.as_ref();
    Ok(Terms {
        user: user.map(|user| name.sibling(Kind::User, user.name.as_str())),
        networks: key.grants.network_refs.iter().map(|network| network.name.clone()).collect(),
        tags: key.grants.tags.clone(),
        uses_max: Some(key.max_uses),
        is_ephemeral: key.is_ephemeral,
    })
}

fn unknown_person(person: &PublicKey) -> Refusal {
    let message = format!("no PersonalKey is declared with the public key {person}");
    let hint = "ask an administrator to declare it as spec.publicKey of a PersonalKey of yours";
    Refusal::new(RefusalCode::UnknownKey, message, hint)
}
