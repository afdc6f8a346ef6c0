//! One network before and after: its ends, grouped by the rules that they meet, so that ten thousand devices
//! are as many cases as policies can tell apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use horizon_api::{
    resource::ObjectKey,
    section::NetworkId,
    verdict::{Party, Table, Who},
};
use ipnet::IpNet;

use super::{
    flows::Flows,
    picture::{Pair, Picture},
    rules::{Moment, RuleSet, Rules, When},
};
use crate::compile::Standing;

/// Where traffic begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Device(ObjectKey),
    /// A gateway itself.
    Server(ObjectKey),
    /// Hosts behind gateways that no rule tells apart.
    Host(IpNet),
}

/// A network with its ends in classes.
pub(crate) struct Stage<'a> {
    pub network: &'a NetworkId,
    pub rules: Rules<'a>,
    pub ends: Vec<Ends<'a>>,
    pub sources: Vec<Class>,
    pub destinations: Vec<Class>,
}

/// An end, at both moments.
pub(crate) struct Ends<'a> {
    pub end: End,
    before: Vec<Party<'a>>,
    after: Vec<Party<'a>>,
}

/// Ends that meet the same rules at both moments.
pub(crate) struct Class {
    /// Names it among all classes of its network.
    pub number: usize,
    pub is_source: bool,
    pub kind: EndKind,
    pub before: Meets,
    pub after: Meets,
    /// Numbers in [`Stage::ends`].
    pub members: Vec<usize>,
}

/// What kind an end is, as far as traffic between two ends exists at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EndKind {
    Device,
    Server,
    Host,
}

/// The rules that each address of an end meets, by family; empty when it is not there.
pub(crate) type Meets = BTreeSet<(bool, RuleSet)>;

/// What two classes gain and lose between them.
pub(crate) struct Delta<'s> {
    pub source: &'s Class,
    pub destination: &'s Class,
    pub gained: Flows,
    pub lost: Flows,
}

impl<'a> Stage<'a> {
    /// Prepares a network. Devices are those that may connect and that `counts`.
    pub(crate) fn new(
        pair: Pair<'a>,
        network: &'a NetworkId,
        counts: &dyn Fn(&End) -> bool,
        when: When,
    ) -> Self {
        static NOTHING: Table = Table { rules: vec![] };
        let table = |picture: &'a Picture<'a>| {
            picture.access.networks.get(network).map_or(&NOTHING, |access| &access.table)
        };
        let rules = Rules::new(table(pair.before), table(pair.after), when);
        let hosts = hosts(pair, network, &rules);
        let mut ends: BTreeMap<End, Ends<'a>> = BTreeMap::new();
        for (picture, moment) in [(pair.before, Moment::Before), (pair.after, Moment::After)] {
            for (end, parties) in parties(picture, network, &hosts) {
                if counts(&end) {
                    let slot = ends.entry(end.clone()).or_insert_with(|| Ends {
                        end,
                        before: vec![],
                        after: vec![],
                    });
                    match moment {
                        Moment::Before => slot.before = parties,
                        Moment::After => slot.after = parties,
                    }
                }
            }
        }
        let ends: Vec<_> = ends.into_values().collect();
        let is_source = |ends: &Ends<'_>| ends.end.kind() != EndKind::Server;
        let sources = classes(&ends, is_source, |party, moment| rules.from(party, moment));
        let destinations = classes(&ends, |_| true, |party, moment| rules.to(party, moment));
        let sources: Vec<_> = sources.into_iter().map(|class| Class { is_source: true, ..class }).collect();
        let first = sources.len();
        let numbered = |class: Class| Class { number: first + class.number, ..class };
        let destinations = destinations.into_iter().map(numbered).collect();
        Self { network, rules, ends, sources, destinations }
    }

    /// Calls `visit` with every pair of classes between which something changed, until it has looked at
    /// `pairs_max`. Returns whether that was all.
    pub(crate) fn deltas(&self, pairs_max: usize, mut visit: impl FnMut(&Delta<'_>)) -> bool {
        let mut left = pairs_max;
        let moved: Vec<_> = self.destinations.iter().filter(|class| class.has_moved()).collect();
        let all: Vec<_> = self.destinations.iter().collect();
        for source in &self.sources {
            for destination in if source.has_moved() { &all } else { &moved } {
                let Some(rest) = left.checked_sub(1) else { return false };
                left = rest;
                if !can_talk(source, destination) {
                    continue;
                }
                let before = self.flows(&source.before, &destination.before);
                let after = self.flows(&source.after, &destination.after);
                if before != after {
                    let (gained, lost) = (after.minus(&before), before.minus(&after));
                    visit(&Delta { source, destination, gained, lost });
                }
            }
        }
        true
    }

    /// Returns what passes between two ends by what their addresses meet.
    pub(crate) fn flows(&self, from: &Meets, to: &Meets) -> Flows {
        let mut flows = Flows::default();
        for (is_ipv4, from) in from {
            for (_, to) in to.iter().filter(|(family, _)| family == is_ipv4) {
                flows = flows.union(&self.rules.flows(from, to));
            }
        }
        flows
    }
}

impl Class {
    fn has_moved(&self) -> bool {
        self.before != self.after
    }

    pub(crate) fn meets(&self, moment: Moment) -> &Meets {
        match moment {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        }
    }
}

impl<'a> Ends<'a> {
    pub(crate) fn parties(&self, moment: Moment) -> &[Party<'a>] {
        match moment {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        }
    }
}

impl End {
    pub(crate) fn kind(&self) -> EndKind {
        match self {
            Self::Device(_) => EndKind::Device,
            Self::Server(_) => EndKind::Server,
            Self::Host(_) => EndKind::Host,
        }
    }
}

/// Hosts behind gateways talk to devices only: what they say to each other is not the tunnel's.
pub(crate) fn can_talk(source: &Class, destination: &Class) -> bool {
    let is_itself = source.members.len() == 1 && source.members == destination.members;
    !is_itself && (source.kind != EndKind::Host || destination.kind == EndKind::Device)
}

fn classes<'a>(
    ends: &[Ends<'a>],
    is_in: impl Fn(&Ends<'a>) -> bool,
    meets: impl Fn(&Party<'a>, Moment) -> RuleSet,
) -> Vec<Class> {
    let mut classes: BTreeMap<(EndKind, Meets, Meets), Vec<usize>> = BTreeMap::new();
    for (number, end) in ends.iter().enumerate().filter(|(_, end)| is_in(end)) {
        let meets = |moment| -> Meets {
            let parties = end.parties(moment).iter();
            parties.map(|party| (party.address.is_ipv4(), meets(party, moment))).collect()
        };
        let key = (end.end.kind(), meets(Moment::Before), meets(Moment::After));
        classes.entry(key).or_default().push(number);
    }
    let class = |(number, ((kind, before, after), members))| Class {
        number,
        is_source: false,
        kind,
        before,
        after,
        members,
    };
    classes.into_iter().enumerate().map(class).collect()
}

/// Returns who is in a network at one moment. Without a gateway that carries it nobody is.
fn parties<'a>(
    picture: &'a Picture<'a>,
    network: &NetworkId,
    hosts: &BTreeMap<IpNet, IpAddr>,
) -> Vec<(End, Vec<Party<'a>>)> {
    let Some(access) = picture.access.networks.get(network).filter(|access| !access.servers.is_empty())
    else {
        return vec![];
    };
    let mut parties = Vec::new();
    for (key, device) in &picture.effective.devices {
        let is_active = device.standing == Standing::Active;
        let grant = device.networks.iter().find(|grant| grant.network == *network).filter(|_| is_active);
        if let Some(grant) = grant {
            let who = Who::Device(&device.identity);
            parties.push((End::Device(key.clone()), addressed(who, &grant.addresses)));
        }
    }
    for (key, addresses) in &access.servers {
        parties.push((End::Server(key.clone()), addressed(Who::Server(&key.name), addresses)));
    }
    for (prefix, address) in hosts {
        if access.prefixes.keys().any(|route| route.contains(prefix)) {
            parties.push((End::Host(*prefix), addressed(Who::Host, &[*address])));
        }
    }
    parties
}

fn addressed<'a>(who: Who<'a>, addresses: &[IpAddr]) -> Vec<Party<'a>> {
    addresses.iter().map(|address| Party { who, address: *address }).collect()
}

/// Returns what lies behind gateways at either moment, cut along the prefixes that rules name, each piece with
/// an address that is in no smaller piece.
fn hosts(pair: Pair<'_>, network: &NetworkId, rules: &Rules<'_>) -> BTreeMap<IpNet, IpAddr> {
    let routes: BTreeSet<IpNet> = [pair.before, pair.after]
        .into_iter()
        .filter_map(|picture| picture.access.networks.get(network))
        .flat_map(|access| access.prefixes.keys().copied())
        .collect();
    let is_behind = |prefix: &IpNet| routes.iter().any(|route| route.contains(prefix));
    let named = rules.prefixes().map(|prefix| prefix.trunc()).filter(is_behind);
    let pieces: BTreeSet<IpNet> = routes.iter().copied().chain(named).collect();
    pieces.iter().filter_map(|piece| Some((*piece, own_address(piece, &pieces)?))).collect()
}

fn own_address(piece: &IpNet, pieces: &BTreeSet<IpNet>) -> Option<IpAddr> {
    let smaller = |address: &IpAddr| {
        pieces.iter().find(|other| *other != piece && piece.contains(*other) && other.contains(address))
    };
    let mut address = piece.network();
    // Each turn leaves one smaller piece behind, so it ends.
    while let Some(inner) = smaller(&address) {
        address = following(inner.broadcast())?;
        if !piece.contains(&address) {
            return None;
        }
    }
    Some(address)
}

fn following(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|next| IpAddr::V6(next.into())),
    }
}
