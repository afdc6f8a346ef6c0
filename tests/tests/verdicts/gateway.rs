//! A gateway with every device of its networks connected: what it runs is decoded from the bytes of its sections.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{
    section::{Network, NetworkId, Policy, Section, SubnetRoute},
    verdict::Table,
};
use horizon_dataplane::{
    flow::{FlowTable, Moment},
    forwarder::{Forwarder, LinkId, LinkTable, Reject, Verdict},
    packet::Packet,
};
use horizon_planner::compile::Compiled;

use crate::{
    realm::Protocol,
    reference::{End, Flow},
};

pub(crate) struct Gateway {
    pub(crate) tables: BTreeMap<NetworkId, Table>,
    forwarder: Forwarder,
    links: LinkTable,
    link_of: BTreeMap<IpAddr, LinkId>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Passed,
    Denied,
    /// Something else than policy.
    Lost(Verdict),
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

impl Gateway {
    pub(crate) fn new(compiled: &Compiled, namespace: &str, server: usize) -> Self {
        let key = format!("Server/{namespace}/s{server}").parse().unwrap();
        let (mut networks, mut policies, mut routes) =
            (Vec::<Network>::new(), vec![], Vec::<SubnetRoute>::new());
        for section in &compiled.sections[&key] {
            match Section::decode(&section.bytes).unwrap() {
                Section::Networks(of_server) => networks = of_server,
                Section::Policy(policy) => policies.push(policy),
                Section::Routes(of_server) => routes = of_server,
                Section::Identity(_) | Section::Revocations(_) => {}
            }
        }
        let (mut links, mut link_of) = (LinkTable::default(), BTreeMap::new());
        let mut number = 0;
        for device in compiled.effective.devices.values() {
            for grant in device.networks.iter().filter(|g| networks.iter().any(|n| n.id == g.network)) {
                number += 1;
                let identity = Arc::new(device.identity.clone());
                links.insert(LinkId(number), &grant.network, &identity, &grant.addresses);
                link_of.extend(grant.addresses.iter().map(|address| (*address, LinkId(number))));
            }
        }
        let forwarder = Forwarder::new(1, &format!("s{server}"), &networks, &policies, &routes);
        let tables = policies.into_iter().map(|Policy { network, table }| (network, table)).collect();
        Self { tables, forwarder, links, link_of }
    }

    /// Sends the first packet of a flow now, and later an answer and the next packet.
    pub(crate) fn carry(&self, ends: [(End, IpAddr); 2], flow: Flow, [now, later]: [i64; 2]) -> [Fate; 3] {
        let mut flows = FlowTable::new(16, 7);
        let start = Instant::now();
        let mut send = |[from, to]: [(End, IpAddr); 2], part, unix_s: i64| {
            let moment = Moment { now: start + Duration::from_secs(u64::from(unix_s != now)), unix_s };
            let bytes = packet([from.1, to.1], flow, part);
            let packet = Packet::parse(&bytes).unwrap();
            let verdict = match from.0 {
                End::Device(_) => {
                    let link = self.link_of[&from.1];
                    self.forwarder.from_link(link, &packet, &bytes, &self.links, &mut flows, moment)
                }
                End::Server(_) | End::Host | End::Imagined(_) => {
                    self.forwarder.from_tun(&packet, &bytes, &self.links, &mut flows, moment)
                }
            };
            match verdict {
                Verdict::ToTun if !matches!(to.0, End::Device(_)) => Fate::Passed,
                Verdict::ToLink(link) if self.link_of.get(&to.1) == Some(&link) => Fate::Passed,
                Verdict::Reject(Reject::Prohibited) => Fate::Denied,
                other @ (Verdict::ToTun | Verdict::ToLink(_) | Verdict::Reject(_) | Verdict::Drop(_)) => {
                    Fate::Lost(other)
                }
            }
        };
        let [source, destination] = ends;
        [
            send(ends, Part::First, now),
            send([destination, source], Part::Answer, later),
            send(ends, Part::Next, later),
        ]
    }
}

/// The port that every flow of TCP and UDP comes from.
pub(crate) const SOURCE_PORT: u16 = 40_000;

/// What a packet is within its flow.
#[derive(Clone, Copy)]
enum Part {
    First,
    Answer,
    Next,
}

/// Returns a packet of a flow. Nobody on the way looks at its checksums.
fn packet([from, to]: [IpAddr; 2], flow: Flow, part: Part) -> Vec<u8> {
    let ports = match part {
        Part::First | Part::Next => [SOURCE_PORT, flow.port],
        Part::Answer => [flow.port, SOURCE_PORT],
    };
    let ports = ports.map(u16::to_be_bytes).concat();
    let flags = if matches!(part, Part::First) { SYN } else { ACK };
    let payload = match flow.protocol {
        Protocol::Tcp => [&ports[..], &[0; 8], &[0x50, flags, 1, 0, 0, 0, 0, 0]].concat(),
        Protocol::Udp => [&ports[..], &[0, 8, 0, 0]].concat(),
        Protocol::Icmp | Protocol::Any => {
            let kind = match (from.is_ipv4(), part) {
                (true, Part::Answer) => 0,
                (true, Part::First | Part::Next) => 8,
                (false, Part::Answer) => 129,
                (false, Part::First | Part::Next) => 128,
            };
            vec![kind, 0, 0, 0, 0, 1, 0, 1]
        }
    };
    let length = u16::try_from(payload.len()).unwrap();
    let header = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = (20 + length).to_be_bytes();
            let start = [0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, number(flow.protocol, true), 0, 0];
            [&start[..], &from.octets(), &to.octets()].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = length.to_be_bytes();
            let start = [0x60, 0, 0, 0, length[0], length[1], number(flow.protocol, false), 64];
            [&start[..], &from.octets(), &to.octets()].concat()
        }
        _ => panic!("addresses of two families"),
    };
    [header, payload].concat()
}

/// Returns the number in the IP header.
pub(crate) fn number(protocol: Protocol, is_ipv4: bool) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Icmp | Protocol::Any if is_ipv4 => 1,
        Protocol::Icmp | Protocol::Any => 58,
    }
}
