//! An interface as the kernel describes it.

use horizon_dataplane::apply::Link;
use rtnetlink::packet_core::{Emitable, Nla};
use rtnetlink::packet_route::link::{InfoData, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

/// An interface that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkSeen {
    pub(crate) index: u32,
    pub(crate) link: Link,
    pub(crate) kind: LinkKind,
}

/// Whether an interface can be one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// A TUN with the flags that we always set, and how many queues are open.
    OwnTun { queues: usize },
    /// Anything else.
    Foreign,
}

impl From<&LinkMessage> for LinkSeen {
    fn from(message: &LinkMessage) -> Self {
        let is_up = message.header.flags.contains(LinkFlags::Up);
        let mut link = Link { mtu: 0, queue_packets: 0, is_up };
        let mut kind = LinkKind::Foreign;
        for attribute in &message.attributes {
            if let LinkAttribute::Mtu(mtu) = attribute {
                link.mtu = *mtu;
            } else if let LinkAttribute::TxQueueLen(packets) = attribute {
                link.queue_packets = *packets;
            } else if let LinkAttribute::LinkInfo(parts) = attribute {
                kind = kind_of(parts);
            }
        }
        Self { index: message.header.index, link, kind }
    }
}

fn kind_of(parts: &[LinkInfo]) -> LinkKind {
    for part in parts {
        if let LinkInfo::Data(InfoData::Tun(facts)) = part {
            return tun_kind(facts);
        }
    }
    LinkKind::Foreign
}

fn tun_kind(facts: &[InfoTun]) -> LinkKind {
    let fact = |kind| facts.iter().find(|fact| fact.kind() == kind).map(number);
    let is_tun = fact(IFLA_TUN_TYPE) == Some(IFF_TUN);
    let has_information = fact(IFLA_TUN_PI) == Some(1);
    let has_our_flags = fact(IFLA_TUN_VNET_HDR) == Some(1) && fact(IFLA_TUN_MULTI_QUEUE) == Some(1);
    if is_tun && has_our_flags && !has_information {
        LinkKind::OwnTun { queues: fact(IFLA_TUN_NUM_QUEUES).map_or(0, |count| count as usize) }
    } else {
        LinkKind::Foreign
    }
}

/// The value of an attribute of one or four bytes.
fn number(fact: &InfoTun) -> u32 {
    let mut bytes = vec![0; fact.buffer_len()];
    fact.emit(&mut bytes);
    let mut value = [0; 4];
    // Four bytes of length and kind go before the value.
    for (to, from) in value.iter_mut().zip(bytes.iter().skip(4).take(fact.value_len())) {
        *to = *from;
    }
    u32::from_ne_bytes(value)
}

// From `linux/if_link.h`: the netlink crate leaves the attributes of a TUN unnamed.
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_PI: u16 = 4;
const IFLA_TUN_VNET_HDR: u16 = 5;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFLA_TUN_NUM_QUEUES: u16 = 8;
/// From `linux/if_tun.h`.
const IFF_TUN: u32 = 1;
