//! What two objects may not both have: pools, public keys, addresses. The established one stays.

mod names;
mod sealed;

use std::{collections::BTreeMap, net::IpAddr};

use horizon_api::{
    key::PublicKey,
    problem::Problem,
    resource::{Kind, NetworkSpec, ObjectKey, Reference, ResourceSpec},
    section::NetworkId,
};
use ipnet::IpNet;
use smol_str::SmolStr;

use self::names::Names;
use crate::{
    allocate::{pool_of, wants},
    compile::{Facts, Input},
    world::{Member, World},
};

/// Each round refuses at least one object more; a chain that is longer than this is nobody's mistake.
const ROUNDS_MAX: usize = 16;

/// Refuses whatever collides with something older. What falls back on its last good is the older one then, so that
/// everybody is looked at again.
pub(crate) fn settle<'a>(world: &mut World<'a>, input: &'a Input) {
    for _ in 0..ROUNDS_MAX {
        if !settle_round(world, input) {
            return;
        }
    }
}

/// Returns whether something was refused.
fn settle_round<'a>(world: &mut World<'a>, input: &'a Input) -> bool {
    let mut claimed = Claimed::default();
    let mut names = Names::default();
    let mut has_refused = settle_kinds(world, &[Kind::Network], |key, member| claimed.network(key, member));
    claimed.seed(world, input);
    has_refused |= settle_kinds(world, &[Kind::Server, Kind::Device], |key, member| {
        claimed.endpoint(key, member, &input.facts)
    });
    has_refused |= settle_kinds(world, &[Kind::User, Kind::Admin], |key, member| names.claim(key, member));
    sealed::settle(world) || has_refused
}

/// Claims for every object of these kinds, those first that were there first; where that fails, for its last good, which
/// stays whatever happens. Returns whether something was refused.
fn settle_kinds<'a>(
    world: &mut World<'a>,
    kinds: &[Kind],
    mut claim: impl FnMut(&'a ObjectKey, &Member<'a>) -> Result<(), Box<Problem>>,
) -> bool {
    let (mut refused, mut complaints) = (Vec::new(), Vec::new());
    for (key, member) in in_seniority(world, kinds) {
        let Err(problem) = claim(key, member) else { continue };
        if member.manifest.is_none() {
            complaints.push(*problem);
            continue;
        }
        if let Some(Err(problem)) = member.last_good.map(|committed| claim(key, &Member::of(committed))) {
            complaints.push(*problem);
        }
        refused.push((key, *problem));
    }
    let has_refused = !refused.is_empty();
    world.problems.extend(complaints);
    refused.into_iter().for_each(|(key, problem)| world.refuse(key, problem));
    has_refused
}

fn in_seniority<'w, 'a>(world: &'w World<'a>, kinds: &[Kind]) -> Vec<(&'a ObjectKey, &'w Member<'a>)> {
    let members = world.members.iter().filter(|(key, _)| kinds.contains(&key.kind));
    let mut members: Vec<_> = members.map(|(key, member)| (*key, member)).collect();
    // They are in the order of their keys.
    members.sort_by_key(|(_, member)| member.seniority());
    members
}

/// What is taken so far, and by whom.
#[derive(Default)]
struct Claimed<'a> {
    pools: BTreeMap<SmolStr, Vec<(IpNet, &'a ObjectKey)>>,
    keys: BTreeMap<PublicKey, &'a ObjectKey>,
    addresses: BTreeMap<(NetworkId, IpAddr), &'a ObjectKey>,
    networks: BTreeMap<&'a ObjectKey, &'a NetworkSpec>,
    /// How many devices each user may have, and has.
    devices: BTreeMap<&'a ObjectKey, (u32, u32)>,
}

impl<'a> Claimed<'a> {
    fn network(&mut self, key: &'a ObjectKey, member: &Member<'_>) -> Result<(), Box<Problem>> {
        let ResourceSpec::Network(spec) = member.spec else { return Ok(()) };
        let pools = self.pools.entry(key.namespace.clone()).or_default();
        for (index, pool) in spec.address_pools.iter().enumerate() {
            if let Some((cidr, other)) = pools.iter().find(|(cidr, _)| overlap(cidr, &pool.cidr)) {
                let message = format!("overlaps with {cidr} of {other}");
                let path = format!("spec.addressPools[{index}].cidr");
                return Err(member
                    .problem(key, &path, "Overlap", message)
                    .fix("choose another range")
                    .into());
            }
        }
        pools.extend(spec.address_pools.iter().map(|pool| (pool.cidr, key)));
        Ok(())
    }

    /// Takes over the networks as they are settled, and the addresses that objects have already.
    fn seed(&mut self, world: &World<'a>, input: &'a Input) {
        for (key, member) in &world.members {
            if let ResourceSpec::Network(spec) = member.spec {
                self.networks.insert(key, spec);
            }
            if let ResourceSpec::User(spec) = member.spec {
                self.devices.insert(key, (spec.max_devices, 0));
            }
        }
        for (network, owner, addresses) in input.allocations.iter() {
            let Some(member) = world.members.get(owner) else { continue };
            for address in addresses {
                if self.keeps(owner, member, network, address) {
                    self.addresses.insert((network.clone(), *address), owner);
                }
            }
        }
        for (server, public_key) in &input.facts.servers {
            if world.members.contains_key(server) {
                self.keys.insert(*public_key, server);
            }
        }
    }

    /// Returns whether an address stays its owner's: still in the network, and asking for no other one of the family.
    fn keeps(&self, owner: &ObjectKey, member: &Member<'_>, network: &NetworkId, address: &IpAddr) -> bool {
        let Some((references, wanted)) = wants(member.spec) else { return false };
        let is_meant = |reference: &&Reference| network.is_of(&owner.namespace, reference.name.as_str());
        let Some(reference) = references.iter().find(is_meant) else { return false };
        let key = owner.sibling(Kind::Network, reference.name.as_str());
        let Some(spec) = self.networks.get(&key) else { return false };
        let is_of_family = |other: &&IpAddr| {
            other.is_ipv4() == address.is_ipv4() && pool_of(&spec.address_pools, other).is_some()
        };
        wanted.contains(address) || !wanted.iter().any(|other| is_of_family(&other))
    }

    fn endpoint(
        &mut self,
        key: &'a ObjectKey,
        member: &Member<'_>,
        facts: &Facts,
    ) -> Result<(), Box<Problem>> {
        let (path, public_key) = match member.spec {
            ResourceSpec::Server(spec) => ("spec.identity.publicKey", spec.identity.public_key),
            ResourceSpec::Device(spec) => ("spec.publicKey", spec.public_key),
            ResourceSpec::Network(_)
            | ResourceSpec::RegistrationKey(_)
            | ResourceSpec::User(_)
            | ResourceSpec::PersonalKey(_)
            | ResourceSpec::AccessPolicy(_)
            | ResourceSpec::AccessTest(_)
            | ResourceSpec::ConnectionProfile(_)
            | ResourceSpec::Admin(_)
            | ResourceSpec::AlertRule(_) => return Ok(()),
        };
        let other =
            public_key.and_then(|public_key| self.keys.get(&public_key)).filter(|other| **other != key);
        if let Some(other) = other {
            let message = format!("is the key of {other} already");
            let fix = "every host has a key of its own; if this one was copied, rotate it";
            return Err(member.problem(key, path, "DuplicateKey", message).fix(fix).into());
        }
        if let (Some(declared), Some(bound)) = (public_key, facts.servers.get(key))
            && declared != *bound
            && !facts.rotated.get(key).is_some_and(|keys| keys.contains(&declared))
        {
            let message = format!("the server is bound to {bound} since it joined");
            return Err(member
                .problem(key, path, "KeyChanged", message)
                .fix("declare that key, or use another name")
                .into());
        }
        let addresses = self.static_addresses(key, member)?;
        self.device_of_user(key, member)?;
        self.keys.extend(public_key.map(|public_key| (public_key, key)));
        self.addresses.extend(addresses.into_iter().map(|address| (address, key)));
        Ok(())
    }

    /// Counts the device; whoever has more than allowed keeps them, and gets no other.
    fn device_of_user(&mut self, key: &ObjectKey, member: &Member<'_>) -> Result<(), Box<Problem>> {
        let ResourceSpec::Device(spec) = member.spec else { return Ok(()) };
        let Some(user) = &spec.user_ref else { return Ok(()) };
        let user = key.sibling(Kind::User, user.name.as_str());
        let Some((most, devices)) = self.devices.get_mut(&user) else { return Ok(()) };
        let is_theirs = member.last_good.is_some_and(
            |committed| matches!(&committed.spec, ResourceSpec::Device(old) if old.user_ref == spec.user_ref),
        );
        if !is_theirs && *devices >= *most {
            let message =
                format!("{user} has as many devices as `maxDevices` allows already, which is {most}");
            let fix = "remove one of them, or raise it";
            return Err(member.problem(key, "spec.userRef", "TooManyDevices", message).fix(fix).into());
        }
        *devices += 1;
        Ok(())
    }

    fn static_addresses(
        &self,
        key: &ObjectKey,
        member: &Member<'_>,
    ) -> Result<Vec<(NetworkId, IpAddr)>, Box<Problem>> {
        let ResourceSpec::Device(spec) = member.spec else { return Ok(vec![]) };
        let networks: Vec<_> = spec
            .network_refs
            .iter()
            .filter_map(|network| {
                let network = key.sibling(Kind::Network, network.name.as_str());
                self.networks.get(&network).map(|spec| (network_id(&network), *spec))
            })
            .collect();
        // A network that is missing is a missing reference, and whether an address is in it is not known yet.
        let is_whole = networks.len() == spec.network_refs.len();
        let mut found = Vec::new();
        for (index, address) in spec.addresses.iter().enumerate() {
            let path = format!("spec.addresses[{index}]");
            let holder = networks.iter().find(|(_, spec)| pool_of(&spec.address_pools, address).is_some());
            match holder {
                Some((network, _)) => {
                    let slot = (network.clone(), *address);
                    if let Some(other) = self.addresses.get(&slot).filter(|other| **other != key) {
                        let message = format!("{address} is the address of {other} already");
                        return Err(member
                            .problem(key, &path, "AddressTaken", message)
                            .fix("choose another")
                            .into());
                    }
                    found.push(slot);
                }
                None if is_whole => {
                    let message =
                        format!("{address} is in no pool of the device's networks, or is reserved there");
                    return Err(member
                        .problem(key, &path, "OutsidePool", message)
                        .fix("choose another")
                        .into());
                }
                None => {}
            }
        }
        Ok(found)
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

pub(crate) fn network_id(key: &ObjectKey) -> NetworkId {
    NetworkId::new(&key.namespace, &key.name)
}
