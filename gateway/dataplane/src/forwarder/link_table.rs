//! Which link has which address, and who is behind it.

use horizon_api::section::NetworkId;
use horizon_api::verdict::Identity;
use rustc_hash::FxHashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Names a link within a shard; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// The links of a shard by their addresses.
///
/// Addresses are given out by the controller, so nobody can choose them to collide.
#[derive(Debug, Default)]
pub struct LinkTable {
    members_v4: FxHashMap<u32, Member>,
    members_v6: FxHashMap<u128, Member>,
    /// Every network that a link ever had, so that members are compared by a number and not by a name.
    networks: Vec<NetworkId>,
    addresses: FxHashMap<LinkId, Vec<IpAddr>>,
    stamps: u64,
}

/// Stands for a network within one [`LinkTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NetworkNumber(u32);

/// Who has an address.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) link: LinkId,
    pub(super) network: NetworkNumber,
    pub(super) identity: Arc<Identity>,
    /// Another for every insertion, so that what was decided about a former member is not remembered for this one.
    pub(super) stamp: u64,
}

impl LinkTable {
    /// Gives a link its addresses in its network, instead of those that it had; again when the grant changes. The newest
    /// link of an address has it: a device that comes back takes over from its former link.
    pub fn insert(
        &mut self,
        link: LinkId,
        network: &NetworkId,
        identity: &Arc<Identity>,
        addresses: &[IpAddr],
    ) {
        let network = self.number(network);
        let former = self.addresses.insert(link, addresses.to_vec()).unwrap_or_default();
        for address in former.into_iter().filter(|address| !addresses.contains(address)) {
            self.take_from(link, address);
        }
        for &address in addresses {
            self.stamps += 1;
            let member = Member { link, network, identity: Arc::clone(identity), stamp: self.stamps };
            match address {
                IpAddr::V4(address) => self.members_v4.insert(address.to_bits(), member),
                IpAddr::V6(address) => self.members_v6.insert(address.to_bits(), member),
            };
        }
    }

    /// Takes all addresses from a link, but those that a newer link took over.
    pub fn remove(&mut self, link: LinkId) {
        for address in self.addresses.remove(&link).unwrap_or_default() {
            self.take_from(link, address);
        }
    }

    fn take_from(&mut self, link: LinkId, address: IpAddr) {
        if self.link_of(address) == Some(link) {
            match address {
                IpAddr::V4(address) => self.members_v4.remove(&address.to_bits()),
                IpAddr::V6(address) => self.members_v6.remove(&address.to_bits()),
            };
        }
    }

    /// Returns the link that has an address.
    pub fn link_of(&self, address: IpAddr) -> Option<LinkId> {
        self.member(address).map(|member| member.link)
    }

    /// Returns how many addresses are in use.
    pub fn len(&self) -> usize {
        self.members_v4.len() + self.members_v6.len()
    }

    /// Tells whether no address is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn member(&self, address: IpAddr) -> Option<&Member> {
        match address {
            IpAddr::V4(address) => self.members_v4.get(&address.to_bits()),
            IpAddr::V6(address) => self.members_v6.get(&address.to_bits()),
        }
    }

    /// Returns the network of a number.
    #[inline]
    pub(super) fn network(&self, number: NetworkNumber) -> Option<&NetworkId> {
        self.networks.get(number.0 as usize)
    }

    fn number(&mut self, network: &NetworkId) -> NetworkNumber {
        let place = self.networks.iter().position(|known| known == network).unwrap_or_else(|| {
            self.networks.push(network.clone());
            self.networks.len() - 1
        });
        NetworkNumber(place as u32)
    }
}
