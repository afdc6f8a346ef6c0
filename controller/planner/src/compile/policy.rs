//! AccessPolicies of a network to the one table that its gateways evaluate.

use std::collections::BTreeMap;

use horizon_api::{
    resource::{
        AccessPolicySpec, Action, Day, DestinationSelector, Kind, ObjectKey, PolicyRule, PostureSelector,
        Protocol, ResourceSpec, SourceSelector, Window,
    },
    section::{EncodedSection, NetworkId, Policy, Section},
    verdict::{self, Demand, Rule, Selector, Stated, Table, Weekday, WindowError},
};
use jiff::Timestamp;
use smol_str::SmolStr;

use super::{Access, NetworkAccess};
use crate::{conflict::network_id, world::World};

/// Returns the policy section of every network; a network without policies has an empty one.
pub(super) fn sections(access: &Access) -> BTreeMap<NetworkId, EncodedSection> {
    let section = |(network, access): (&NetworkId, &NetworkAccess)| {
        let policy = Policy { network: network.clone(), table: access.table.clone() };
        (network.clone(), Section::Policy(policy).encode())
    };
    access.networks.iter().map(section).collect()
}

/// Returns the table of every network. A policy that an admin holds is not in it, unless it denies.
pub(super) fn tables(world: &World<'_>) -> BTreeMap<NetworkId, Table> {
    let networks = world.members.keys().filter(|key| key.kind == Kind::Network);
    let mut tables: BTreeMap<_, _> = networks.map(|key| (network_id(key), Table::default())).collect();
    for (key, member) in &world.members {
        let ResourceSpec::AccessPolicy(spec) = member.spec else { continue };
        if spec.action == Action::Allow && world.is_held(key) {
            continue;
        }
        let network = network_id(&key.sibling(Kind::Network, spec.network_ref.name.as_str()));
        if let Some(table) = tables.get_mut(&network) {
            table.rules.extend(rules(key, spec));
        }
    }
    tables
}

fn rules(key: &ObjectKey, spec: &AccessPolicySpec) -> Vec<Rule> {
    let from: Vec<_> = spec.from.iter().filter_map(source).collect();
    let windows: Result<Vec<_>, _> = spec.windows.iter().map(window).collect();
    let windows = match (windows, spec.action) {
        (Ok(windows), _) => windows,
        // Only what was accepted by a version with other zones gets here. Nobody gains anything by it.
        (Err(_), Action::Deny) => vec![],
        (Err(_), Action::Allow) => return vec![],
    };
    let rule = |(index, rule): (usize, &PolicyRule)| Rule {
        id: format!("{}#{index}", key.name),
        action: match spec.action {
            Action::Allow => verdict::Action::Allow,
            Action::Deny => verdict::Action::Deny,
        },
        from: from.clone(),
        to: rule.to.iter().filter_map(destination).collect(),
        protocol: protocol(rule),
        ports: rule.ports.iter().map(|range| range.ports()).collect(),
        valid_until: spec.valid_until.map(end_of),
        windows: windows.clone(),
    };
    spec.rules.iter().enumerate().map(rule).collect()
}

/// Reads a window; the rules of the kind refuse with their place whatever this refuses.
pub(crate) fn window(window: &Window) -> Result<verdict::Window, WindowError> {
    let Window { days, start, end, time_zone } = window;
    let days: Vec<_> =
        if days.is_empty() { EVERY_DAY.to_vec() } else { days.iter().copied().map(weekday).collect() };
    verdict::Window::new(&days, start.minutes(), end.minutes(), time_zone.parse()?)
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

const EVERY_DAY: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// Returns the first whole second at which a moment has come.
fn end_of(moment: Timestamp) -> i64 {
    moment.as_second() + i64::from(moment.subsec_nanosecond() > 0)
}

fn protocol(rule: &PolicyRule) -> verdict::Protocol {
    match rule.protocol {
        Protocol::Any => verdict::Protocol::Any,
        Protocol::Tcp => verdict::Protocol::Tcp,
        Protocol::Udp => verdict::Protocol::Udp,
        Protocol::Icmp => verdict::Protocol::Icmp,
    }
}

fn source(selector: &SourceSelector) -> Option<Selector> {
    let SourceSelector { user, group, tag, device, cidr, any, posture } = selector;
    let named = [
        user.as_ref().map(|name| Selector::User(name.text().clone())),
        group.as_ref().map(|name| Selector::Group(name.text().clone())),
        tag.as_ref().map(|name| Selector::Tag(name.text().clone())),
        device.as_ref().map(|name| Selector::Device(name.text().clone())),
        cidr.map(Selector::Cidr),
        any.filter(|any| *any).map(|_| Selector::Any),
    ];
    let who = named.into_iter().flatten().next()?;
    Some(match posture {
        Some(posture) => Selector::Stated(Box::new(Stated { who, demand: demand(posture) })),
        None => who,
    })
}

fn demand(posture: &PostureSelector) -> Demand {
    let PostureSelector { os, os_version_at_least, disk_encrypted } = posture;
    Demand {
        os: os.iter().map(SmolStr::new).collect(),
        os_version_at_least: os_version_at_least.as_ref().map(SmolStr::new),
        disk_encrypted: *disk_encrypted,
    }
}

fn destination(selector: &DestinationSelector) -> Option<Selector> {
    // No service is advertised yet: it selects nothing.
    let DestinationSelector { user, group, tag, device, cidr, server, network, service: _, any } =
        selector.clone();
    let server = server.map(|name| Selector::Server(name.text().clone()));
    let network = network.map(|_| Selector::Members);
    source(&SourceSelector { user, group, tag, device, cidr, any, posture: None }).or(server).or(network)
}
