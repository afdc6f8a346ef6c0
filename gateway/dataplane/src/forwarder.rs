//! Where a packet goes, and whether it may: the compiled policy and routes of a gateway, immutable, swapped whole.
//!
//! Links come and go more often than policy, so they are in a [`LinkTable`] beside it; what was decided is remembered in
//! a [`FlowTable`]. A packet from a link must have one of the link's own addresses as its source, before anything else.
//! What nobody allows is denied.

mod device;
mod link_table;
mod network;
mod run;

pub use device::DeviceForwarder;
pub use link_table::{LinkId, LinkTable};
pub use run::Run;

use crate::drop_reason::DropReason;
use crate::envelope;
use crate::flow::{Ask, FlowTable, Moment, Passage, Stamp};
use crate::packet::Packet;
use horizon_api::section::{Network, NetworkId, Policy, SubnetRoute};
use horizon_api::verdict::{Action, Decision, Party, Query, Who, evaluate, is_forwardable};
use link_table::Member;
use network::{Carried, Networks};
use std::net::IpAddr;

/// The answer about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Write it to TUN.
    ToTun,
    /// Send it on a link.
    ToLink(LinkId),
    /// Drop it, and tell its sender by ICMP as far as the limit of such answers goes.
    Reject(Reject),
    /// Drop it.
    Drop(DropReason),
}

/// What a sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// Policy does not allow it.
    Prohibited,
    /// The device that has the address is not connected.
    Unreachable,
    /// The network of the device carries packets of at most `mtu` bytes.
    TooBig { mtu: u16 },
}

impl Reject {
    /// Returns the reason under which the packet is counted.
    pub const fn drop_reason(self) -> DropReason {
        match self {
            Self::Prohibited => DropReason::PolicyDenied,
            Self::Unreachable => DropReason::LinkDown,
            Self::TooBig { .. } => DropReason::TooBig,
        }
    }
}

/// Policy and routes of a gateway.
#[derive(Debug)]
pub struct Forwarder {
    generation: u64,
    server: String,
    networks: Networks,
}

/// One end of a flow, as it is known here.
#[derive(Clone, Copy)]
struct End<'a> {
    party: Party<'a>,
    stamp: u64,
    /// Where packets to it leave.
    exit: Verdict,
}

impl Forwarder {
    /// Builds it from the sections of an assignment. `generation` is another for every assignment; `server` is the name
    /// of the gateway's Server resource.
    pub fn new(
        generation: u64,
        server: &str,
        networks: &[Network],
        policies: &[Policy],
        routes: &[SubnetRoute],
    ) -> Self {
        Self { generation, server: server.to_owned(), networks: Networks::new(networks, policies, routes) }
    }

    /// Decides about a packet (`bytes`, read as `packet`) from a link.
    #[inline]
    pub fn from_link(
        &self,
        link: LinkId,
        packet: &Packet,
        bytes: &[u8],
        links: &LinkTable,
        flows: &mut FlowTable,
        at: Moment,
    ) -> Verdict {
        let Some(sender) = links.member(packet.source).filter(|member| member.link == link) else {
            return Verdict::Drop(DropReason::SourceMismatch);
        };
        if !is_forwardable(packet.destination) || packet.is_link_scoped() {
            return Verdict::Drop(DropReason::NotForwardable);
        }
        let Some(network) = links.network(sender.network).and_then(|id| self.networks.of(id)) else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        let source = End::member(packet.source, sender);
        let destination = self.end(packet.destination, network, links);
        if destination.is_host()
            && let Err(verdict) = network.routes_to(packet.destination)
        {
            return verdict;
        }
        if network.is_sealed && destination.is_device() && packet.protocol != envelope::PROTOCOL {
            return Verdict::Drop(DropReason::NotSealed);
        }
        self.pass(packet, bytes, network, [source, destination], links, flows, at)
    }

    /// Decides about a packet (`bytes`, read as `packet`) that the kernel routed to TUN.
    #[inline]
    pub fn from_tun(
        &self,
        packet: &Packet,
        bytes: &[u8],
        links: &LinkTable,
        flows: &mut FlowTable,
        at: Moment,
    ) -> Verdict {
        let is_carried = is_forwardable(packet.source) && is_forwardable(packet.destination);
        if !is_carried || packet.is_link_scoped() {
            return Verdict::Drop(DropReason::NotForwardable);
        }
        let Some(receiver) = links.member(packet.destination) else {
            return match self.networks.of_pool(packet.destination) {
                Some(_) => Verdict::Reject(Reject::Unreachable),
                None => Verdict::Drop(DropReason::NoRoute),
            };
        };
        let Some(network) = links.network(receiver.network).and_then(|id| self.networks.of(id)) else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        // The address of a device can only come from its link.
        if self.networks.of_pool(packet.source).is_some() && !network.is_own(packet.source) {
            return Verdict::Drop(DropReason::SourceMismatch);
        }
        let source = self.end(packet.source, network, links);
        let destination = End::member(packet.destination, receiver);
        self.pass(packet, bytes, network, [source, destination], links, flows, at)
    }

    /// Returns what is decided about a flow from `source` to `destination` in a network, without memory.
    pub fn decide(
        &self,
        network: &NetworkId,
        [source, destination]: [IpAddr; 2],
        protocol: u8,
        port: Option<u16>,
        links: &LinkTable,
        unix_s: i64,
    ) -> Option<Decision> {
        let network = self.networks.of(network)?;
        let [source, destination] =
            [source, destination].map(|address| self.end(address, network, links).party);
        Some(evaluate(&network.table, &Query { source, destination, protocol, port }, unix_s))
    }

    /// Says whether policy lets one of two members of a network begin to send sealed packets to the other, from any of the
    /// first one's addresses: if not, neither has to know of the other.
    pub fn may_seal(
        &self,
        network: &NetworkId,
        one: &[IpAddr],
        other: IpAddr,
        links: &LinkTable,
        unix_s: i64,
    ) -> bool {
        let is_member =
            |address| links.member(address).and_then(|m| links.network(m.network)) == Some(network);
        let is_allowed = |ends| {
            let decision = self.decide(network, ends, envelope::PROTOCOL, None, links, unix_s);
            decision.is_some_and(|decision| decision.action == Action::Allow)
        };
        is_member(other)
            && (one.iter())
                .filter(|one| one.is_ipv4() == other.is_ipv4() && is_member(**one))
                .any(|one| is_allowed([*one, other]) || is_allowed([other, *one]))
    }

    /// Returns the generation that it was built with.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Looks up one end: a member of the network, the gateway itself, or a host known by its address only.
    #[inline]
    fn end<'a>(&'a self, address: IpAddr, network: &Carried, links: &'a LinkTable) -> End<'a> {
        match links.member(address) {
            Some(member) if links.network(member.network) == Some(&network.id) => {
                End::member(address, member)
            }
            Some(_) | None => {
                let who = if network.is_own(address) { Who::Server(&self.server) } else { Who::Host };
                End { party: Party { who, address }, stamp: 0, exit: Verdict::ToTun }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the two callers pass on what they were given")]
    #[inline]
    fn pass(
        &self,
        packet: &Packet,
        bytes: &[u8],
        network: &Carried,
        ends: [End<'_>; 2],
        links: &LinkTable,
        flows: &mut FlowTable,
        at: Moment,
    ) -> Verdict {
        if packet.is_icmp_error() {
            return self.pass_error(packet, bytes, network, ends, links, flows, at);
        }
        let stamp = self.stamp(ends);
        let decide = |ask| decide(network, packet, ends, ask, at);
        match flows.pass(packet, stamp, at, decide) {
            Passage::Allowed(_) => ends[1].exit,
            Passage::Denied(_) => Verdict::Reject(Reject::Prohibited),
            Passage::Dropped(reason) => Verdict::Drop(reason),
        }
    }

    /// An ICMP error passes if the packet that it quotes belongs to a flow that is allowed, and goes to who sent that.
    #[expect(clippy::too_many_arguments, reason = "the caller passes on what it was given")]
    #[cold]
    fn pass_error(
        &self,
        packet: &Packet,
        bytes: &[u8],
        network: &Carried,
        [_, receiver]: [End<'_>; 2],
        links: &LinkTable,
        flows: &mut FlowTable,
        at: Moment,
    ) -> Verdict {
        let Some(quoted) = packet.quoted(bytes).filter(|quoted| quoted.source == packet.destination) else {
            return Verdict::Drop(DropReason::UnrelatedError);
        };
        let ends = [receiver, self.end(quoted.destination, network, links)];
        let decide = |ask| decide(network, &quoted, ends, ask, at);
        if flows.is_allowed(&quoted, self.stamp(ends), at, decide) {
            receiver.exit
        } else {
            Verdict::Drop(DropReason::UnrelatedError)
        }
    }

    #[inline]
    const fn stamp(&self, ends: [End<'_>; 2]) -> Stamp {
        Stamp { generation: self.generation, ends: [ends[0].stamp, ends[1].stamp] }
    }
}

impl<'a> End<'a> {
    #[inline]
    fn member(address: IpAddr, member: &'a Member) -> Self {
        End {
            party: Party { who: Who::Device(&member.identity), address },
            stamp: member.stamp,
            exit: Verdict::ToLink(member.link),
        }
    }

    const fn is_device(&self) -> bool {
        matches!(self.party.who, Who::Device(_))
    }

    const fn is_host(&self) -> bool {
        matches!(self.party.who, Who::Host)
    }
}

/// Asks the policy about the direction of a packet, or about the other.
fn decide(network: &Carried, packet: &Packet, ends: [End<'_>; 2], ask: Ask, at: Moment) -> Decision {
    let ports = packet.ports();
    let [source, destination] = ends.map(|end| end.party);
    let (source, destination, port) = match ask {
        Ask::Source => (source, destination, ports.map(|(_, destination)| destination)),
        Ask::Destination => (destination, source, ports.map(|(source, _)| source)),
    };
    evaluate(&network.table, &Query { source, destination, protocol: packet.protocol, port }, at.unix_s)
}

#[cfg(test)]
mod tests;
