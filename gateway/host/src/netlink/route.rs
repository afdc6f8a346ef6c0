//! A route as a netlink message, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use horizon_dataplane::apply::{InterfaceName, Route};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteScope, RouteType,
};

pub(super) fn message(route: &Route, index: u32) -> RouteMessage {
    let mut message = match route.destination() {
        IpNet::V4(to) => v4_message(to, index),
        IpNet::V6(to) => v6_message(to, index),
    };
    if let Some(metric) = route.metric() {
        message.attributes.push(RouteAttribute::Priority(metric));
    }
    if let Some(source) = route.source() {
        message.attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    message
}

/// The route that a message of the main table describes, if it leads into the interface.
pub(super) fn parse(message: &RouteMessage, name: &InterfaceName, index: u32) -> Option<Route> {
    let mut destination = if message.header.address_family == AddressFamily::Inet {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let mut table = u32::from(message.header.table);
    let (mut out, mut metric, mut source) = (None, None, None);
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute {
            destination = ip_of(address)?;
        } else if let RouteAttribute::Oif(index) = attribute {
            out = Some(*index);
        } else if let RouteAttribute::Priority(number) = attribute {
            metric = Some(*number);
        } else if let RouteAttribute::PrefSource(address) = attribute {
            source = ip_of(address);
        } else if let RouteAttribute::Table(number) = attribute {
            table = *number;
        }
    }
    let is_plain =
        table == u32::from(RouteHeader::RT_TABLE_MAIN) && message.header.kind == RouteType::Unicast;
    if !is_plain || out != Some(index) {
        return None;
    }
    let destination = IpNet::new(destination, message.header.destination_prefix_length).ok()?;
    Some(Route::new(destination, name.clone()).with_metric(metric).with_source(source))
}

fn v4_message(to: Ipv4Net, index: u32) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .output_interface(index)
        .scope(RouteScope::Link)
        .build()
}

fn v6_message(to: Ipv6Net, index: u32) -> RouteMessage {
    RouteMessageBuilder::<Ipv6Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .output_interface(index)
        .build()
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(address) = address {
        Some(IpAddr::V4(*address))
    } else if let RouteAddress::Inet6(address) = address {
        Some(IpAddr::V6(*address))
    } else {
        None
    }
}
