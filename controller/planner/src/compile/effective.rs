//! What the objects come to: who may enrol, sign in and connect, as which identity, with which addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    grant::NetworkGrant,
    key::PublicKey,
    name::Name,
    resource::{
        AdminState, DeviceSpec, Grants, Kind, ObjectKey, OnRevoke, OnSuspicion, PersonalKeySpec, Reference,
        RegistrationKeySpec, RegistrationRole, ResourceSpec, ServerSpec, TokenHash, UserSpec,
    },
    section::{Endpoint, NetworkId},
    token::TokenDigest,
    verdict::Identity,
};
use ipnet::IpNet;
use smol_str::SmolStr;

use super::{Facts, Standing, gateway};
use crate::{allocate::Allocations, conflict::network_id, world::World};

/// The summary that enrolment, logins and grants are decided by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    pub servers: BTreeMap<ObjectKey, EffectiveServer>,
    pub users: BTreeMap<ObjectKey, EffectiveUser>,
    pub devices: BTreeMap<ObjectKey, EffectiveDevice>,
    pub registration_keys: BTreeMap<ObjectKey, EffectiveRegistrationKey>,
    pub personal_keys: BTreeMap<ObjectKey, EffectivePersonalKey>,
    /// Moments at which something expires (unix seconds).
    expiries: BTreeSet<i64>,
}

/// A Server as enrolment, grants and gateways see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveServer {
    /// Declared, or bound when it joined.
    pub public_key: Option<PublicKey>,
    /// The key that binds it, when it has no public key yet.
    pub registration_key: Option<ObjectKey>,
    pub endpoints: Vec<Endpoint>,
    /// Empty when it is disabled.
    pub networks: Vec<NetworkId>,
    /// From where it may connect to the controller: from everywhere when empty.
    pub source_cidrs: Vec<IpNet>,
    pub on_failure: OnSuspicion,
    pub standing: Standing,
    /// Grants name it. Not once the key that enrolled it was revoked with `onRevoke: Expire`.
    pub is_granted: bool,
}

/// A User with what counts for their devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveUser {
    pub spec: Arc<UserSpec>,
    /// How many devices there are.
    pub devices: u32,
    pub standing: Standing,
}

/// A Device as its grant says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveDevice {
    pub public_key: Option<PublicKey>,
    /// `None` is nobody.
    pub user: Option<ObjectKey>,
    /// What a grant says.
    pub identity: Identity,
    /// Networks that exist and gave it an address.
    pub networks: Vec<NetworkGrant>,
    /// It is forgotten when it goes.
    pub is_ephemeral: bool,
    pub standing: Standing,
    /// It gets grants. Not once the key that enrolled it was revoked with `onRevoke: Expire`.
    pub is_granted: bool,
}

/// A RegistrationKey as a join or a device's login is judged by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveRegistrationKey {
    pub role: RegistrationRole,
    /// `None` when the controller makes the token.
    pub hash: Option<TokenHash>,
    pub max_uses: u32,
    /// From everywhere when empty.
    pub source_cidrs: Vec<IpNet>,
    /// What a device gets that it enrols.
    pub grants: Grants,
    pub is_ephemeral: bool,
    pub on_revoke: OnRevoke,
    pub standing: Standing,
}

/// A PersonalKey as a login is judged by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePersonalKey {
    pub user: ObjectKey,
    pub networks: Vec<Name>,
    /// The controller makes the token.
    pub is_generated: bool,
    pub hash: Option<TokenHash>,
    /// The public half of a key pair, in place of a token.
    pub public_key: Option<PublicKey>,
    pub max_uses: Option<u32>,
    /// From everywhere when empty.
    pub source_cidrs: Vec<IpNet>,
    pub on_revoke: OnRevoke,
    pub standing: Standing,
}

impl Effective {
    /// Returns the keys of the gateways that carry any of these networks: whom a grant is for.
    pub fn audience(&self, networks: &[NetworkGrant]) -> BTreeSet<PublicKey> {
        let carries = |server: &&EffectiveServer| {
            server.is_granted
                && server.networks.iter().any(|id| networks.iter().any(|network| network.network == *id))
        };
        self.servers.values().filter(carries).filter_map(|server| server.public_key).collect()
    }

    /// Returns every object that can be out of effect, with its standing.
    pub fn standings(&self) -> impl Iterator<Item = (&ObjectKey, Standing)> {
        let servers = self.servers.iter().map(|(key, server)| (key, server.standing));
        let users = self.users.iter().map(|(key, user)| (key, user.standing));
        let devices = self.devices.iter().map(|(key, device)| (key, device.standing));
        let registration_keys = self.registration_keys.iter().map(|(key, k)| (key, k.standing));
        let personal_keys = self.personal_keys.iter().map(|(key, k)| (key, k.standing));
        servers.chain(users).chain(devices).chain(registration_keys).chain(personal_keys)
    }

    /// Returns the servers and devices that live on what was granted before.
    pub fn grantless(&self) -> impl Iterator<Item = &ObjectKey> {
        let servers = self.servers.iter().filter(|(_, server)| !server.is_granted).map(|(key, _)| key);
        servers.chain(self.devices.iter().filter(|(_, device)| !device.is_granted).map(|(key, _)| key))
    }

    /// Returns the standing of a RegistrationKey or PersonalKey, and nothing for other kinds.
    pub(super) fn standing_of_key(&self, key: &ObjectKey) -> Option<Standing> {
        match key.kind {
            Kind::RegistrationKey => self.registration_keys.get(key).map(|key| key.standing),
            Kind::PersonalKey => self.personal_keys.get(key).map(|key| key.standing),
            Kind::Network
            | Kind::Server
            | Kind::User
            | Kind::Device
            | Kind::AccessPolicy
            | Kind::AccessTest
            | Kind::ConnectionProfile
            | Kind::Admin
            | Kind::AlertRule => None,
        }
    }

    /// Returns every key with the digest of its token, which is absent where the controller makes the token.
    pub fn token_digests(&self) -> impl Iterator<Item = (&ObjectKey, Option<TokenDigest>)> {
        let registration_keys = self.registration_keys.iter().map(|(key, k)| (key, k.declared()));
        let personal_keys = self.personal_keys.iter().map(|(key, k)| (key, k.declared()));
        registration_keys.chain(personal_keys)
    }

    /// Returns what a key says of its revocation.
    pub fn on_revoke(&self, key: &ObjectKey) -> Option<OnRevoke> {
        let registration_key = || self.registration_keys.get(key).map(|key| key.on_revoke);
        self.personal_keys.get(key).map(|key| key.on_revoke).or_else(registration_key)
    }

    pub(super) fn next_wake(&self, now: i64) -> Option<i64> {
        self.expiries.range(now + 1..).next().copied()
    }
}

impl EffectiveRegistrationKey {
    /// Returns the digest of the token that is declared.
    pub fn declared(&self) -> Option<TokenDigest> {
        self.hash.as_ref().map(TokenHash::digest)
    }
}

impl EffectivePersonalKey {
    /// Returns the digest of the token that is declared, or what stands for it.
    pub fn declared(&self) -> Option<TokenDigest> {
        let of_key = || self.public_key.as_ref().map(TokenDigest::of_public_key);
        self.hash.as_ref().map(TokenHash::digest).or_else(of_key)
    }
}

impl EffectiveUser {
    /// Returns what policies know the user by.
    pub fn groups(&self) -> BTreeSet<SmolStr> {
        self.spec.groups.iter().map(|group| group.text().clone()).collect()
    }
}

pub(super) fn effective(world: &World<'_>, facts: &Facts, allocations: &Allocations, now: i64) -> Effective {
    let mut builder = Builder {
        expiries: world.holds.values().map(|hold| hold.until).collect(),
        users: BTreeMap::new(),
        servers: Vec::new(),
        devices: Vec::new(),
        registration_keys: Vec::new(),
        personal_keys: Vec::new(),
        world,
        facts,
        allocations,
        now,
    };
    // Users come first, because the standing of the others depends on theirs.
    let users = world.members.iter().filter_map(|(key, member)| {
        let ResourceSpec::User(spec) = member.spec else { return None };
        Some(((*key).clone(), builder.user(key, spec)))
    });
    builder.users = users.collect();
    for (key, member) in &world.members {
        match member.spec {
            ResourceSpec::Server(spec) => builder.server(key, spec),
            ResourceSpec::Device(spec) => builder.device(key, spec),
            ResourceSpec::RegistrationKey(spec) => builder.registration_key(key, spec),
            ResourceSpec::PersonalKey(spec) => builder.personal_key(key, spec),
            ResourceSpec::User(_)
            | ResourceSpec::Network(_)
            | ResourceSpec::AccessPolicy(_)
            | ResourceSpec::AccessTest(_)
            | ResourceSpec::ConnectionProfile(_)
            | ResourceSpec::Admin(_)
            | ResourceSpec::AlertRule(_) => {}
        }
    }
    Effective {
        servers: builder.servers.into_iter().collect(),
        users: builder.users,
        devices: builder.devices.into_iter().collect(),
        registration_keys: builder.registration_keys.into_iter().collect(),
        personal_keys: builder.personal_keys.into_iter().collect(),
        expiries: builder.expiries.into_iter().collect(),
    }
}

/// What comes in the order of the keys is put into a map at the end, which is quicker than one by one.
struct Builder<'a> {
    expiries: Vec<i64>,
    users: BTreeMap<ObjectKey, EffectiveUser>,
    servers: Vec<(ObjectKey, EffectiveServer)>,
    devices: Vec<(ObjectKey, EffectiveDevice)>,
    registration_keys: Vec<(ObjectKey, EffectiveRegistrationKey)>,
    personal_keys: Vec<(ObjectKey, EffectivePersonalKey)>,
    world: &'a World<'a>,
    facts: &'a Facts,
    allocations: &'a Allocations,
    now: i64,
}

impl Builder<'_> {
    fn user(&mut self, key: &ObjectKey, spec: &Arc<UserSpec>) -> EffectiveUser {
        self.expiries.extend(spec.expires_at.map(|end| end.as_second()));
        EffectiveUser {
            spec: Arc::clone(spec),
            devices: 0,
            standing: Standing::of(spec.disabled, spec.expires_at, self.now)
                .with_hold(self.world.is_held(key)),
        }
    }

    fn server(&mut self, key: &ObjectKey, spec: &ServerSpec) {
        let registration_key = spec.identity.registration_key_ref.as_ref();
        let is_disabled = spec.admin_state == AdminState::Disabled;
        // What is declared is that of the host that joined, or was before another key followed it.
        let public_key = self.facts.servers.get(key).copied().or(spec.identity.public_key);
        let fate = self.fate(public_key);
        let standing = Standing::of(is_disabled, None, self.now)
            .with_hold(self.world.is_held(key))
            .with_revoked_key(fate == OnRevoke::Disconnect);
        let server = EffectiveServer {
            public_key,
            registration_key: registration_key.map(|r| key.sibling(Kind::RegistrationKey, r.name.as_str())),
            endpoints: gateway::endpoints(spec),
            networks: if standing == Standing::Active {
                self.networks(key, &spec.network_refs)
            } else {
                vec![]
            },
            source_cidrs: spec.identity.source_cidrs.clone(),
            on_failure: spec.verification.unwrap_or_default().on_failure,
            standing,
            is_granted: fate == OnRevoke::Keep,
        };
        self.servers.push((key.clone(), server));
    }

    fn device(&mut self, key: &ObjectKey, spec: &DeviceSpec) {
        let user_key = user_of(key, spec.user_ref.as_ref());
        let user = user_key.as_ref().and_then(|user_key| self.users.get_mut(user_key));
        let groups = user.as_ref().map(|user| user.groups()).unwrap_or_default();
        let user_standing = user.as_ref().map(|user| user.standing);
        if let Some(user) = user {
            user.devices += 1;
        }
        let own = Standing::of(spec.disabled, None, self.now)
            .with_hold(self.world.is_held(key))
            .with_approval(spec.approved);
        let networks = self.networks(key, &spec.network_refs).into_iter().filter_map(|network| {
            let addresses = self.allocations.of(&network, key).to_vec();
            (!addresses.is_empty()).then_some(NetworkGrant { network, addresses, sealed: None })
        });
        let standing = if user_key.is_some() { own.under(user_standing) } else { own };
        let fate = self.fate(spec.public_key);
        let device = EffectiveDevice {
            public_key: spec.public_key,
            identity: Identity {
                device: key.name.clone(),
                user: user_key.as_ref().map(|user_key| user_key.name.clone()).unwrap_or_default(),
                groups,
                tags: spec.tags.iter().map(|tag| tag.text().clone()).collect(),
                posture: spec
                    .public_key
                    .and_then(|node| self.facts.postures.get(&node))
                    .map(|posture| Box::new((**posture).clone())),
            },
            networks: networks.collect(),
            is_ephemeral: spec.ephemeral,
            standing: standing
                .with_followed_key(spec.public_key.is_some_and(|key| self.facts.followed.contains(&key)))
                .with_revoked_key(fate == OnRevoke::Disconnect),
            user: user_key,
            is_granted: fate == OnRevoke::Keep,
        };
        self.devices.push((key.clone(), device));
    }

    fn registration_key(&mut self, key: &ObjectKey, spec: &RegistrationKeySpec) {
        self.expiries.extend(spec.expires_at.map(|end| end.as_second()));
        let standing =
            Standing::of(spec.disabled, spec.expires_at, self.now).with_hold(self.world.is_held(key));
        let user = user_of(key, spec.grants.as_ref().and_then(|grants| grants.user_ref.as_ref()));
        let standing = match user {
            Some(user) => standing.under(self.users.get(&user).map(|user| user.standing)),
            None => standing,
        };
        let registration_key = EffectiveRegistrationKey {
            role: spec.role,
            hash: spec.hash.clone(),
            max_uses: spec.max_uses,
            source_cidrs: spec.source_cidrs.clone(),
            grants: spec.grants.clone().unwrap_or_default(),
            is_ephemeral: spec.ephemeral,
            on_revoke: spec.on_revoke,
            standing: self.exhaustible(key, standing, Some(spec.max_uses)),
        };
        self.registration_keys.push((key.clone(), registration_key));
    }

    fn personal_key(&mut self, key: &ObjectKey, spec: &PersonalKeySpec) {
        self.expiries.extend(spec.expires_at.map(|end| end.as_second()));
        let user = key.sibling(Kind::User, spec.user_ref.name.as_str());
        let user_standing = self.users.get(&user).map(|user| user.standing);
        let standing = Standing::of(spec.disabled, spec.expires_at, self.now)
            .with_hold(self.world.is_held(key))
            .under(user_standing);
        let personal_key = EffectivePersonalKey {
            user,
            networks: spec.network_refs.iter().map(|network| network.name.clone()).collect(),
            is_generated: spec.generate.is_some(),
            public_key: spec.public_key,
            hash: spec.hash.clone(),
            max_uses: spec.max_uses,
            source_cidrs: spec.source_cidrs.clone(),
            on_revoke: spec.on_revoke,
            standing: self.exhaustible(key, standing, spec.max_uses),
        };
        self.personal_keys.push((key.clone(), personal_key));
    }

    /// Returns what the revocation of the key that enrolled a node does to it.
    fn fate(&self, node: Option<PublicKey>) -> OnRevoke {
        let enrolled = node.and_then(|node| self.facts.enrolled.get(&node));
        enrolled.map_or(OnRevoke::Keep, |enrolled| enrolled.fate(self.world))
    }

    fn exhaustible(&self, key: &ObjectKey, standing: Standing, max_uses: Option<u32>) -> Standing {
        let uses = self.facts.uses.get(key).copied().unwrap_or(0);
        let is_exhausted = max_uses.is_some_and(|max| uses >= max);
        if standing == Standing::Active && is_exhausted { Standing::Exhausted } else { standing }
    }

    /// Returns the networks that exist and that nobody holds.
    fn networks(&self, key: &ObjectKey, references: &[Reference]) -> Vec<NetworkId> {
        let networks = references.iter().map(|network| key.sibling(Kind::Network, network.name.as_str()));
        let existing = networks
            .filter(|network| self.world.members.contains_key(network) && !self.world.is_held(network));
        existing.map(|network| network_id(&network)).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn user_of(key: &ObjectKey, user: Option<&Reference>) -> Option<ObjectKey> {
    user.map(|user| key.sibling(Kind::User, user.name.as_str()))
}
