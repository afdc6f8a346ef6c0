//! The other end of a link: what a device sends into its network, and what it takes from there.
//!
//! Policy is the gateway's. A device only sees to it that nobody speaks for others.

use super::Verdict;
use crate::drop_reason::DropReason;
use crate::forwarder::LinkId;
use crate::packet::Packet;
use horizon_api::verdict::is_forwardable;
use ipnet::IpNet;
use std::net::IpAddr;

/// Addresses and routes of a device in its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceForwarder {
    addresses: Vec<IpAddr>,
    routes: Vec<IpNet>,
}

impl DeviceForwarder {
    /// Builds it from what the gateway accepted: the device's addresses and the prefixes behind the link.
    pub const fn new(addresses: Vec<IpAddr>, routes: Vec<IpNet>) -> Self {
        Self { addresses, routes }
    }

    /// Decides about a packet from the gateway.
    #[inline]
    pub fn from_link(&self, packet: &Packet) -> Verdict {
        if !is_forwardable(packet.source) || packet.is_link_scoped() {
            Verdict::Drop(DropReason::NotForwardable)
        } else if self.is_own(packet.source) || !self.is_routed(packet.source) {
            Verdict::Drop(DropReason::SourceMismatch)
        } else if self.is_own(packet.destination) {
            Verdict::ToTun
        } else {
            Verdict::Drop(DropReason::NoRoute)
        }
    }

    /// Decides about a packet from the device's kernel; `uplink` is the link that is up.
    #[inline]
    pub fn from_tun(&self, packet: &Packet, uplink: Option<LinkId>) -> Verdict {
        if !is_forwardable(packet.destination) || packet.is_link_scoped() {
            Verdict::Drop(DropReason::NotForwardable)
        } else if !self.is_own(packet.source) {
            Verdict::Drop(DropReason::SourceMismatch)
        } else if !self.is_routed(packet.destination) {
            Verdict::Drop(DropReason::NoRoute)
        } else {
            uplink.map_or(Verdict::Drop(DropReason::LinkDown), Verdict::ToLink)
        }
    }

    #[inline]
    fn is_own(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    #[inline]
    fn is_routed(&self, address: IpAddr) -> bool {
        self.routes.iter().any(|route| route.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::udp;

    fn device() -> DeviceForwarder {
        DeviceForwarder::new(
            vec!["10.0.0.2".parse().unwrap()],
            vec!["10.0.0.0/24".parse().unwrap(), "192.168.7.0/24".parse().unwrap()],
        )
    }

    fn packet(source: &str, destination: &str) -> Packet {
        Packet::parse(&udp(&format!("{source}:1"), &format!("{destination}:2"), b"")).unwrap()
    }

    #[test]
    fn device_takes_only_what_is_for_it() {
        let cases = [
            ("192.168.7.1", "10.0.0.2", Verdict::ToTun),
            ("192.168.7.1", "10.0.0.3", Verdict::Drop(DropReason::NoRoute)),
            ("10.0.0.2", "10.0.0.2", Verdict::Drop(DropReason::SourceMismatch)),
            ("1.1.1.1", "10.0.0.2", Verdict::Drop(DropReason::SourceMismatch)),
            ("127.0.0.1", "10.0.0.2", Verdict::Drop(DropReason::NotForwardable)),
        ];
        for (source, destination, verdict) in cases {
            assert_eq!(device().from_link(&packet(source, destination)), verdict, "{source} {destination}");
        }
    }

    #[test]
    fn device_sends_as_itself_where_routes_lead() {
        let up = Some(LinkId(1));
        let cases = [
            ("10.0.0.2", "192.168.7.1", up, Verdict::ToLink(LinkId(1))),
            ("10.0.0.2", "192.168.7.1", None, Verdict::Drop(DropReason::LinkDown)),
            ("10.0.0.3", "192.168.7.1", up, Verdict::Drop(DropReason::SourceMismatch)),
            ("10.0.0.2", "1.1.1.1", up, Verdict::Drop(DropReason::NoRoute)),
            ("10.0.0.2", "239.0.0.1", up, Verdict::Drop(DropReason::NotForwardable)),
        ];
        for (source, destination, uplink, verdict) in cases {
            assert_eq!(device().from_tun(&packet(source, destination), uplink), verdict, "{destination}");
        }
    }
}
