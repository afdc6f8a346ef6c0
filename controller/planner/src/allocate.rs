//! Addresses: who has one keeps it, who asked for one gets it, everybody else gets the lowest that is free.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use horizon_api::{
    resource::{AddressPool, NetworkSpec, ObjectKey, Reference, ResourceSpec},
    section::NetworkId,
};
use ipnet::IpNet;

/// Which server or device has which addresses in which network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocations(BTreeMap<NetworkId, BTreeMap<ObjectKey, Vec<IpAddr>>>);

/// A server or device that needs addresses in a network.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub owner: &'a ObjectKey,
    /// Addresses that its resource says, of whichever network.
    pub wanted: &'a [IpAddr],
}

/// Nothing is left of one family of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    pub network: NetworkId,
    pub owner: ObjectKey,
    pub is_ipv4: bool,
}

impl Allocations {
    /// Gives an owner these addresses in a network.
    pub fn insert(&mut self, network: NetworkId, owner: ObjectKey, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            self.0.entry(network).or_default().insert(owner, addresses);
        }
    }

    /// Returns the addresses of an owner in a network; IPv4 first.
    pub fn of(&self, network: &NetworkId, owner: &ObjectKey) -> &[IpAddr] {
        self.0.get(network).and_then(|owners| owners.get(owner)).map_or(&[], Vec::as_slice)
    }

    /// Returns all addresses with their owners.
    pub fn iter(&self) -> impl Iterator<Item = (&NetworkId, &ObjectKey, &[IpAddr])> {
        self.0.iter().flat_map(|(network, owners)| {
            owners.iter().map(move |(owner, addresses)| (network, owner, addresses.as_slice()))
        })
    }

    /// Returns all addresses of a network with their owners.
    pub fn in_network(&self, network: &NetworkId) -> impl Iterator<Item = (&ObjectKey, &[IpAddr])> {
        self.0.get(network).into_iter().flatten().map(|(owner, addresses)| (owner, addresses.as_slice()))
    }

    /// Gives every claim of a network its addresses, one of each family that the network has.
    /// Claims are served in their order; nobody has two.
    pub(crate) fn allocate(
        &mut self,
        network: &NetworkId,
        spec: &NetworkSpec,
        claims: &[Claim<'_>],
        previous: &Self,
    ) -> Vec<Exhausted> {
        let mut desk = Desk::new(&spec.address_pools);
        let mut given: Vec<Vec<IpAddr>> = Vec::with_capacity(claims.len());
        for claim in claims {
            given.push(claim.wanted.iter().filter(|address| desk.take(**address)).copied().collect());
        }
        for (claim, addresses) in claims.iter().zip(&mut given) {
            for address in previous.of(network, claim.owner) {
                let has_family = addresses.iter().any(|known| known.is_ipv4() == address.is_ipv4());
                if !has_family && desk.take(*address) {
                    addresses.push(*address);
                }
            }
        }
        let mut exhausted = Vec::new();
        let families = desk.families();
        for (claim, addresses) in claims.iter().zip(&mut given) {
            for is_ipv4 in families.iter().copied() {
                if addresses.iter().any(|address| address.is_ipv4() == is_ipv4) {
                    continue;
                }
                match desk.next(is_ipv4) {
                    Some(address) => addresses.push(address),
                    None => {
                        let (network, owner) = (network.clone(), claim.owner.clone());
                        exhausted.push(Exhausted { network, owner, is_ipv4 });
                    }
                }
            }
        }
        let owners = claims.iter().zip(given).filter(|(_, addresses)| !addresses.is_empty());
        let owners: BTreeMap<_, _> = owners
            .map(|(claim, mut addresses)| {
                addresses.sort_unstable();
                (claim.owner.clone(), addresses)
            })
            .collect();
        if !owners.is_empty() {
            self.0.insert(network.clone(), owners);
        }
        exhausted
    }
}

/// Returns the networks that a server or device is in and the addresses that it asks for; nothing for other kinds.
pub(crate) fn wants(spec: &ResourceSpec) -> Option<(&[Reference], &[IpAddr])> {
    match spec {
        ResourceSpec::Server(spec) => Some((&spec.network_refs, &[])),
        ResourceSpec::Device(spec) => Some((&spec.network_refs, &spec.addresses)),
        ResourceSpec::Network(_)
        | ResourceSpec::RegistrationKey(_)
        | ResourceSpec::User(_)
        | ResourceSpec::PersonalKey(_)
        | ResourceSpec::AccessPolicy(_)
        | ResourceSpec::AccessTest(_)
        | ResourceSpec::ConnectionProfile(_)
        | ResourceSpec::Admin(_)
        | ResourceSpec::AlertRule(_) => None,
    }
}

/// Returns the pool that an address may be given from, if it is not reserved.
pub(crate) fn pool_of<'a>(pools: &'a [AddressPool], address: &IpAddr) -> Option<&'a AddressPool> {
    pools.iter().find(|pool| {
        let (first, last) = usable(&pool.cidr);
        let number = number(*address);
        pool.cidr.contains(address) && (first..=last).contains(&number) && !pool.reserved.contains(address)
    })
}

/// The pools of one network while addresses are given out.
struct Desk<'a> {
    pools: &'a [AddressPool],
    /// Where to look next in each pool: everything before is taken.
    cursors: Vec<u128>,
    taken: BTreeSet<IpAddr>,
}

impl<'a> Desk<'a> {
    fn new(pools: &'a [AddressPool]) -> Self {
        let cursors = pools.iter().map(|pool| usable(&pool.cidr).0).collect();
        let taken = pools.iter().flat_map(|pool| pool.reserved.iter().copied()).collect();
        Self { pools, cursors, taken }
    }

    fn families(&self) -> Vec<bool> {
        let has = |is_ipv4: bool| self.pools.iter().any(|pool| pool.cidr.addr().is_ipv4() == is_ipv4);
        [true, false].into_iter().filter(|is_ipv4| has(*is_ipv4)).collect()
    }

    fn take(&mut self, address: IpAddr) -> bool {
        pool_of(self.pools, &address).is_some() && self.taken.insert(address)
    }

    fn next(&mut self, is_ipv4: bool) -> Option<IpAddr> {
        for (pool, cursor) in self.pools.iter().zip(&mut self.cursors) {
            if pool.cidr.addr().is_ipv4() != is_ipv4 {
                continue;
            }
            let (_, last) = usable(&pool.cidr);
            while *cursor <= last {
                let address = address(*cursor, is_ipv4);
                *cursor += 1;
                if self.taken.insert(address) {
                    return Some(address);
                }
            }
        }
        None
    }
}

/// Returns the first and the last address for hosts. The first of all is the subnet's own name (IPv4) or the
/// routers' anycast (RFC 4291 §2.6.1), the last of IPv4 is broadcast.
fn usable(cidr: &IpNet) -> (u128, u128) {
    let (first, last) = (number(cidr.network()), number(cidr.broadcast()));
    if cidr.addr().is_ipv4() { (first + 1, last - 1) } else { (first + 1, last) }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn address(number: u128, is_ipv4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_ipv4 => IpAddr::V4(number.into()),
        Ok(_) | Err(_) => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;

    use super::*;

    fn network() -> NetworkId {
        NetworkId::new("default", "office")
    }

    fn spec(pools: &[&str], reserved: &[&str]) -> NetworkSpec {
        let pools: Vec<_> =
            pools.iter().map(|cidr| serde_json::json!({"cidr": cidr, "reserved": reserved})).collect();
        serde_json::from_value(serde_json::json!({"addressPools": pools})).expect("a network")
    }

    fn keys(names: &[&str]) -> Vec<ObjectKey> {
        names.iter().map(|name| ObjectKey::new(Kind::Device, "default", *name)).collect()
    }

    fn run(
        spec: &NetworkSpec,
        owners: &[ObjectKey],
        wanted: &[IpAddr],
        previous: &Allocations,
    ) -> (Allocations, usize) {
        let claims: Vec<_> = owners
            .iter()
            .enumerate()
            .map(|(index, owner)| Claim { owner, wanted: if index == 0 { wanted } else { &[] } })
            .collect();
        let mut allocations = Allocations::default();
        let exhausted = allocations.allocate(&network(), spec, &claims, previous).len();
        (allocations, exhausted)
    }

    fn shown(allocations: &Allocations, owner: &ObjectKey) -> String {
        let addresses = allocations.of(&network(), owner);
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_family_gives_its_lowest_free_address() {
        let owners = keys(&["a", "b"]);

        let (given, exhausted) =
            run(&spec(&["10.77.0.0/24", "fd77:1::/64"], &[]), &owners, &[], &Allocations::default());

        assert_eq!(shown(&given, &owners[0]), "10.77.0.1 fd77:1::1");
        assert_eq!(shown(&given, &owners[1]), "10.77.0.2 fd77:1::2");
        assert_eq!(exhausted, 0);
    }

    #[test]
    fn static_addresses_come_first_and_reserved_ones_never() {
        let owners = keys(&["b", "a"]);
        let wanted = ["10.77.0.1".parse().expect("an address")];

        let (given, _) =
            run(&spec(&["10.77.0.0/24"], &["10.77.0.2"]), &owners, &wanted, &Allocations::default());

        assert_eq!(shown(&given, &owners[0]), "10.77.0.1");
        assert_eq!(shown(&given, &owners[1]), "10.77.0.3");
    }

    #[test]
    fn who_has_an_address_keeps_it() {
        let owners = keys(&["a", "b", "c"]);
        let (before, _) = run(&spec(&["10.77.0.0/24"], &[]), &owners[1..], &[], &Allocations::default());

        let (after, _) = run(&spec(&["10.77.0.0/24"], &[]), &owners, &[], &before);

        for owner in &owners[1..] {
            assert_eq!(shown(&after, owner), shown(&before, owner));
        }
        assert_eq!(shown(&after, &owners[0]), "10.77.0.3");
    }

    #[test]
    fn an_exhausted_pool_says_for_whom() {
        let owners = keys(&["a", "b", "c"]);

        let (given, exhausted) = run(&spec(&["10.77.0.0/30"], &[]), &owners, &[], &Allocations::default());

        assert_eq!(shown(&given, &owners[2]), "");
        assert_eq!(exhausted, 1);
    }

    #[test]
    fn the_next_pool_of_the_family_follows() {
        let owners = keys(&["a", "b", "c"]);

        let (given, exhausted) =
            run(&spec(&["10.77.0.0/30", "10.78.0.0/24"], &[]), &owners, &[], &Allocations::default());

        assert_eq!(shown(&given, &owners[2]), "10.78.0.1");
        assert_eq!(exhausted, 0);
    }
}
