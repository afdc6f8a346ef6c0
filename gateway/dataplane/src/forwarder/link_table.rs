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
    members: FxHashMap<IpAddr, Member>,
    addresses: FxHashMap<LinkId, Vec<IpAddr>>,
    stamps: u64,
}

/// Who has an address.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) link: LinkId,
    pub(super) network: NetworkId,
    pub(super) identity: Arc<Identity>,
    /// Another for every insertion, so that what was decided about a former member is not remembered for this one.
    pub(super) stamp: u64,
}

impl LinkTable {
    /// Gives a link addresses in a network; to be called once for each network of its grant, and again when the grant
    /// changes. The newest link of an address has it: a device that comes back takes over from its former link.
    pub fn insert(
        &mut self,
        link: LinkId,
        network: &NetworkId,
        identity: &Arc<Identity>,
        addresses: &[IpAddr],
    ) {
        for &address in addresses {
            self.stamps += 1;
            let member =
                Member { link, network: network.clone(), identity: Arc::clone(identity), stamp: self.stamps };
            self.members.insert(address, member);
            let own = self.addresses.entry(link).or_default();
            if !own.contains(&address) {
                own.push(address);
            }
        }
    }

    /// Takes all addresses from a link, but those that a newer link took over.
    pub fn remove(&mut self, link: LinkId) {
        for address in self.addresses.remove(&link).unwrap_or_default() {
            if self.members.get(&address).is_some_and(|member| member.link == link) {
                self.members.remove(&address);
            }
        }
    }

    /// Returns the link that has an address.
    pub fn link_of(&self, address: IpAddr) -> Option<LinkId> {
        self.members.get(&address).map(|member| member.link)
    }

    /// Returns how many addresses are in use.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Tells whether no address is in use.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    #[inline]
    pub(super) fn member(&self, address: IpAddr) -> Option<&Member> {
        self.members.get(&address)
    }
}
