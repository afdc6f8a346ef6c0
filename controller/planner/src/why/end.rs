//! One end of a way: who it is, where it is, and what keeps it away.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use horizon_api::{
    resource::{Kind, NetworkSpec, ObjectKey, ResourceSpec},
    section::NetworkId,
    verdict::{Identity, Who, is_forwardable},
};

use super::{Owners, Scene};
use crate::{compile::Standing, conflict::network_id};

/// Somebody who may begin something, or be what is reached.
#[derive(Clone, Debug)]
pub(crate) struct End<'a> {
    /// For people, such as `device laptop of alice`.
    pub label: String,
    pub being: Being<'a>,
    /// Its addresses in each network.
    pub places: BTreeMap<NetworkId, Vec<IpAddr>>,
    /// Why nothing comes from it and nothing gets there.
    pub off: Option<String>,
    /// The unix second at which that may be another.
    pub until: Option<i64>,
}

/// Who is at an end.
#[derive(Clone, Debug)]
pub(crate) enum Being<'a> {
    Device(Cow<'a, Identity>),
    Server(&'a str),
    Host,
}

impl End<'_> {
    /// Returns whether it has an address in any network.
    pub(super) fn is_somewhere(&self) -> bool {
        !self.places.is_empty()
    }

    /// Returns whether both have an address.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let has =
            |id: &NetworkId, address: &IpAddr| other.places.get(id).is_some_and(|o| o.contains(address));
        self.places.iter().any(|(id, addresses)| addresses.iter().any(|address| has(id, address)))
    }
}

impl Being<'_> {
    /// Returns what it is.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Server(_) => "server",
            Self::Host => "host",
        }
    }

    pub(crate) fn who(&self) -> Who<'_> {
        match self {
            Self::Device(identity) => Who::Device(identity),
            Self::Server(name) => Who::Server(name),
            Self::Host => Who::Host,
        }
    }
}

impl<'a> Scene<'a> {
    pub(super) fn device(&self, key: &'a ObjectKey, at: i64) -> Option<End<'a>> {
        let device = self.effective.devices.get(key)?;
        let (standing, until) = match &device.user {
            Some(user) => self.standing_at(device.standing, user, at),
            None => (device.standing, None),
        };
        let owner = if device.user.is_some() { device.identity.user.as_str() } else { "nobody" };
        let label = format!("device {} of {owner}", device.identity.device);
        let off = if standing != Standing::Active {
            Some(format!("{label} cannot connect, because {}", standing.sentence()))
        } else if device.networks.is_empty() {
            Some(format!("{label} has an address in no network"))
        } else {
            None
        };
        let places = device.networks.iter().map(|grant| (grant.network.clone(), grant.addresses.clone()));
        Some(End {
            label,
            being: Being::Device(Cow::Borrowed(&device.identity)),
            places: places.collect(),
            off,
            until,
        })
    }

    /// Returns a device that a user does not have yet.
    pub(super) fn imagined_of_user(&self, user: &ObjectKey, identity: Identity, at: i64) -> End<'a> {
        let mut end = self.imagined(&user.namespace, identity, format!("a device of {}", user.name));
        let of_user = self.effective.users.get(user).map(|user| user.standing);
        let (standing, until) = self.standing_at(Standing::Active.under(of_user), user, at);
        if standing != Standing::Active {
            end.off = Some(format!("{} could not connect, because {}", end.label, standing.sentence()));
        }
        End { until, ..end }
    }

    /// Returns the standing of a device at a moment, and when time alone changes it: the one that was compiled is as
    /// of the compilation.
    fn standing_at(&self, compiled: Standing, user: &ObjectKey, at: i64) -> (Standing, Option<i64>) {
        let expires_at = match self.objects.get(user) {
            Some((ResourceSpec::User(spec), _)) => spec.expires_at.map(|end| end.as_second()),
            Some(_) | None => None,
        };
        let standing = match (compiled, expires_at) {
            (Standing::Active | Standing::UserExpired, Some(end)) if end <= at => Standing::UserExpired,
            (Standing::UserExpired, Some(_)) => Standing::Active,
            (other, _) => other,
        };
        (standing, expires_at.filter(|end| *end > at))
    }

    pub(super) fn server(&self, key: &'a ObjectKey) -> Option<End<'a>> {
        let standing = self.effective.servers.get(key)?.standing;
        let networks = self.access.networks.iter();
        let places: BTreeMap<_, _> = networks
            .filter_map(|(id, network)| Some((id.clone(), network.servers.get(key)?.clone())))
            .collect();
        let label = format!("server {}", key.name);
        let off = if standing != Standing::Active {
            Some(format!("{label} carries nothing, because {}", standing.sentence()))
        } else if places.is_empty() {
            Some(format!("{label} has an address in no network"))
        } else {
            None
        };
        Some(End { label, being: Being::Server(&key.name), places, off, until: None })
    }

    /// Returns a device that nobody has, somewhere in every network of a namespace.
    pub(super) fn imagined(&self, namespace: &str, identity: Identity, label: String) -> End<'a> {
        let networks = self.networks().filter(|(key, _)| key.namespace == namespace);
        // No device ever gets the first address of a pool, so no rule about one address means this one.
        let places = networks.map(|(key, spec)| {
            let first = spec.address_pools.iter().map(|pool| pool.cidr.network());
            (network_id(key), first.collect())
        });
        let being = Being::Device(Cow::Owned(identity));
        End { label, being, places: places.collect(), off: None, until: None }
    }

    /// Returns who has an address: a member of each network that has it, and hosts behind gateways.
    pub(super) fn at_address(&self, address: IpAddr, at: i64) -> Vec<End<'a>> {
        let owners = self.owners().get(&address).into_iter().flatten();
        let mut ends: Vec<_> = owners
            .filter_map(|(network, key)| {
                let owner = if key.kind == Kind::Device { self.device(key, at) } else { self.server(key) }?;
                let places = BTreeMap::from([((*network).clone(), vec![address])]);
                Some(End { label: format!("{address} ({})", owner.label), places, ..owner })
            })
            .collect();
        let host = self.host(address);
        if ends.is_empty() || host.is_somewhere() {
            ends.push(host);
        }
        ends
    }

    /// Returns the host behind gateways that has an address.
    fn host(&self, address: IpAddr) -> End<'a> {
        let mut end = End {
            label: address.to_string(),
            being: Being::Host,
            places: BTreeMap::new(),
            off: None,
            until: None,
        };
        if !is_forwardable(address) {
            end.off = Some(format!("{address} is no address that gateways forward"));
            return end;
        }
        let mut servers = BTreeSet::new();
        for (id, network) in &self.access.networks {
            let behind = network.prefixes.iter().filter(|(prefix, _)| prefix.contains(&address));
            let behind: BTreeSet<_> = behind.flat_map(|(_, servers)| servers).collect();
            if !behind.is_empty() && self.pool_of(id, address).is_none() {
                end.places.insert(id.clone(), vec![address]);
                servers.extend(behind.into_iter().map(|key| key.name.as_str()));
            }
        }
        if !servers.is_empty() {
            let servers: Vec<_> = servers.into_iter().collect();
            end.label = format!("{address} behind {}", servers.join(" and "));
        } else if let Some((key, _)) = self.networks().find(|(_, spec)| has_pool(spec, address)) {
            end.off = Some(format!("no device or server has {address} of network {}", key.name));
        }
        end
    }

    /// Returns the owner of every address that was given out.
    pub(super) fn owners(&self) -> &Owners<'a> {
        self.owners.get_or_init(|| {
            let devices = self.effective.devices.iter().flat_map(|(key, device)| {
                device.networks.iter().flat_map(move |grant| {
                    grant.addresses.iter().map(move |address| (*address, (&grant.network, key)))
                })
            });
            let servers = self.access.networks.iter().flat_map(|(id, network)| {
                network.servers.iter().flat_map(move |(key, addresses)| {
                    addresses.iter().map(move |address| (*address, (id, key)))
                })
            });
            let mut owners: Owners<'a> = BTreeMap::new();
            for (address, owner) in devices.chain(servers) {
                owners.entry(address).or_default().push(owner);
            }
            owners
        })
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = (&'a ObjectKey, &'a NetworkSpec)> {
        let first = ObjectKey::new(Kind::Network, "", "");
        let networks = self.objects.range::<ObjectKey, _>(&first..).map_while(|(key, (spec, _))| {
            let ResourceSpec::Network(spec) = spec else { return None };
            Some((*key, &**spec))
        });
        networks.collect::<Vec<_>>().into_iter()
    }

    fn pool_of(&self, id: &NetworkId, address: IpAddr) -> Option<&'a ObjectKey> {
        let mut networks = self.networks();
        networks.find(|(key, spec)| network_id(key) == *id && has_pool(spec, address)).map(|(key, _)| key)
    }
}

fn has_pool(spec: &NetworkSpec, address: IpAddr) -> bool {
    spec.address_pools.iter().any(|pool| pool.cidr.contains(&address))
}
