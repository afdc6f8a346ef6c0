//! What the manifests mean, worked out the plain way: no table, no edges, no index, and times read off a calendar.

use std::{collections::BTreeMap, net::IpAddr};

use horizon_api::{
    resource::{Kind, ObjectKey},
    section::NetworkId,
};
use horizon_planner::allocate::Allocations;
use ipnet::IpNet;
use jiff::{Timestamp, tz::TimeZone};

use crate::realm::{Protocol, Realm, Rule, Said, Selector, Wanted, Window};

/// A realm with the addresses that were given out, which are the only thing taken from what is tested.
pub(crate) struct Reference<'a> {
    pub(crate) realm: &'a Realm,
    addresses: BTreeMap<(Kind, usize, usize), Vec<IpAddr>>,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Device(usize),
    Server(usize),
    /// A device that a user does not have.
    Imagined(usize),
    Host,
}

/// What is begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(realm: &'a Realm, allocations: &Allocations) -> Self {
        let mut addresses = BTreeMap::new();
        for network in 0..realm.networks.len() {
            let id = NetworkId::new(&realm.namespace, &format!("n{network}"));
            for (kind, letter, count) in
                [(Kind::Device, 'd', realm.devices.len()), (Kind::Server, 's', realm.servers.len())]
            {
                for index in 0..count {
                    let key = ObjectKey::new(kind, &realm.namespace, format!("{letter}{index}"));
                    addresses.insert((kind, index, network), allocations.of(&id, &key).to_vec());
                }
            }
        }
        Self { realm, addresses }
    }

    pub(crate) fn addresses(&self, end: End, network: usize) -> Vec<IpAddr> {
        match end {
            End::Device(index) => self.addresses[&(Kind::Device, index, network)].clone(),
            End::Server(index) => self.addresses[&(Kind::Server, index, network)].clone(),
            End::Imagined(_) => {
                let pools = &self.realm.networks[network].pools;
                pools.iter().map(|pool| pool.parse::<IpNet>().unwrap().network()).collect()
            }
            End::Host => vec![],
        }
    }

    /// Who has an address in a network.
    pub(crate) fn owner(&self, address: IpAddr, network: usize) -> Option<End> {
        let found = self.addresses.iter().find(|((_, _, n), all)| *n == network && all.contains(&address));
        found.map(
            |((kind, index, _), _)| {
                if *kind == Kind::Device { End::Device(*index) } else { End::Server(*index) }
            },
        )
    }

    /// Says whether policies let a flow begin.
    pub(crate) fn may(
        &self,
        network: usize,
        [source, destination]: [(End, IpAddr); 2],
        flow: Flow,
        at: i64,
    ) -> bool {
        let mut is_allowed = false;
        for policy in self.realm.policies.iter().filter(|policy| policy.network == network) {
            let is_over = policy.valid_until.is_some_and(|end| at >= end);
            let is_open =
                policy.windows.is_empty() || policy.windows.iter().any(|window| is_open(window, at));
            let is_from = policy.from.iter().any(|selector| self.selects(selector, source, policy.is_deny));
            let is_about = |rule: &Rule| {
                rule.to.iter().any(|selector| self.selects(selector, destination, policy.is_deny))
                    && covers(rule, flow)
            };
            if is_over || !is_open || !is_from || !policy.rules.iter().any(is_about) {
                continue;
            }
            if policy.is_deny {
                return false;
            }
            is_allowed = true;
        }
        is_allowed
    }

    fn selects(&self, selector: &Selector, (end, address): (End, IpAddr), is_deny: bool) -> bool {
        if let Selector::Stated(who, wanted) = selector {
            let said = match end {
                End::Device(index) => self.realm.devices[index].said.as_ref(),
                End::Server(_) | End::Imagined(_) | End::Host => None,
            };
            return self.selects(who, (end, address), is_deny) && fits(wanted, said, is_deny);
        }
        let user = match end {
            End::Device(index) => Some(self.realm.devices[index].user),
            End::Imagined(user) => Some(user),
            End::Server(_) | End::Host => None,
        };
        match selector {
            Selector::Any => true,
            Selector::Service | Selector::Stated(..) => false,
            Selector::User(wanted) => user == Some(*wanted),
            Selector::Group(group) => user.is_some_and(|user| self.realm.users[user].groups.contains(group)),
            Selector::Tag(tag) => {
                matches!(end, End::Device(index) if self.realm.devices[index].tags.contains(tag))
            }
            Selector::Device(index) => end == End::Device(*index),
            Selector::Server(index) => end == End::Server(*index),
            Selector::Network => end != End::Host,
            Selector::Cidr(prefix) => prefix.parse::<IpNet>().unwrap().contains(&address),
        }
    }

    /// Says whether somebody may connect at all.
    pub(crate) fn is_on(&self, end: End, at: i64) -> bool {
        let user_is_on = |user: usize| {
            let user = &self.realm.users[user];
            !user.is_disabled && user.expires_at.is_none_or(|end| at < end)
        };
        match end {
            End::Device(index) => {
                let device = &self.realm.devices[index];
                !device.is_disabled && user_is_on(device.user)
            }
            End::Imagined(user) => user_is_on(user),
            End::Server(index) => !self.realm.servers[index].is_disabled,
            End::Host => true,
        }
    }

    /// Says whether any server carries a network.
    pub(crate) fn is_carried(&self, network: usize) -> bool {
        self.realm.servers.iter().any(|server| !server.is_disabled && server.networks.contains(&network))
    }

    /// Says whether an address lies behind a server, for a network.
    pub(crate) fn is_behind(&self, server: usize, address: IpAddr, network: usize) -> bool {
        let server = &self.realm.servers[server];
        let is_routed = server
            .routes
            .iter()
            .any(|(prefix, to)| *to == network && prefix.parse::<IpNet>().unwrap().contains(&address));
        !server.is_disabled && is_routed
    }
}

/// What is not known is no yes for who allows, and no no for who denies.
fn fits(wanted: &Wanted, said: Option<&Said>, is_deny: bool) -> bool {
    let mut answers: Vec<Option<bool>> = vec![];
    if !wanted.systems.is_empty() {
        answers.push(said.and_then(|said| said.system).map(|system| wanted.systems.contains(&system)));
    }
    if let Some(least) = wanted.version_least {
        answers.push(said.and_then(|said| said.version).map(|version| version >= least));
    }
    if let Some(is_encrypted) = wanted.is_encrypted {
        answers.push(said.and_then(|said| said.is_encrypted).map(|known| known == is_encrypted));
    }
    if is_deny { !answers.contains(&Some(false)) } else { answers.iter().all(|answer| *answer == Some(true)) }
}

fn covers(rule: &Rule, flow: Flow) -> bool {
    let is_protocol = rule.protocol == Protocol::Any || rule.protocol == flow.protocol;
    let is_port = |(start, end): &(u16, u16)| (*start..=*end).contains(&flow.port);
    is_protocol && (rule.ports.is_empty() || rule.ports.iter().any(is_port))
}

fn is_open(window: &Window, at: i64) -> bool {
    let shown = Timestamp::from_second(at).unwrap().to_zoned(TimeZone::get(window.zone).unwrap());
    let minute = shown.hour() as u32 * 60 + shown.minute() as u32;
    let starts_on = |day: jiff::civil::Weekday| {
        window.days.is_empty() || window.days.contains(&(day.to_monday_zero_offset() as usize))
    };
    let (today, yesterday) = (shown.weekday(), shown.weekday().previous());
    if window.end_min > window.start_min {
        return starts_on(today) && (window.start_min..window.end_min).contains(&minute);
    }
    (starts_on(today) && minute >= window.start_min) || (starts_on(yesterday) && minute < window.end_min)
}
