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
    rules::{Moment, Rules, Selectors, Side, When},
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
    /// The destinations that each selector selects at either moment, sorted.
    selected: BTreeMap<u32, Vec<usize>>,
    /// The destinations that other selectors select now.
    moved: Vec<usize>,
}

/// An end, at both moments.
pub(crate) struct Ends<'a> {
    pub end: End,
    before: Vec<Party<'a>>,
    after: Vec<Party<'a>>,
}

/// How much of a network is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Whole,
    /// Ends between which another flow may pass than before.
    Change,
}

/// Ends that the same selectors select at both moments.
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

/// The selectors that select each address of an end, by family; empty when it is not there.
pub(crate) type Meets = BTreeSet<(bool, Selectors)>;

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
        Self::prepare(pair, network, counts, when, Scope::Whole)
    }

    /// Prepares what of a network has changed: the ends that rules are about which have come or gone. Where an end is
    /// somebody else than before, that is the whole.
    pub(crate) fn of_change(
        pair: Pair<'a>,
        network: &'a NetworkId,
        counts: &dyn Fn(&End) -> bool,
        when: When,
    ) -> Self {
        Self::prepare(pair, network, counts, when, Scope::Change)
    }

    fn prepare(
        pair: Pair<'a>,
        network: &'a NetworkId,
        counts: &dyn Fn(&End) -> bool,
        when: When,
        scope: Scope,
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
        let touch = rules.touch();
        // Whoever is somebody else than before may have lost anybody, and be lost to anybody.
        let is_whole = scope == Scope::Whole || ends.iter().any(Ends::has_moved);
        let is_in =
            |ends: &Ends<'_>, side| is_whole || ends.after.iter().any(|party| touch.is_about(party, side));
        let is_source = |ends: &Ends<'_>| ends.end.kind() != EndKind::Server && is_in(ends, Side::From);
        let sources = classes(&ends, is_source, |party| rules.selecting(party, Side::From));
        let destinations =
            classes(&ends, |ends| is_in(ends, Side::To), |party| rules.selecting(party, Side::To));
        let sources: Vec<_> = sources.into_iter().map(|class| Class { is_source: true, ..class }).collect();
        let first = sources.len();
        let numbered = |class: Class| Class { number: first + class.number, ..class };
        let destinations: Vec<_> = destinations.into_iter().map(numbered).collect();
        let (selected, moved) = select(&destinations);
        Self { network, rules, ends, sources, destinations, selected, moved }
    }

    /// Calls `visit` with every pair of classes between which something changed, until it has looked at
    /// `pairs_max`. Returns whether that was all.
    pub(crate) fn deltas(&self, pairs_max: usize, mut visit: impl FnMut(&Delta<'_>)) -> bool {
        let mut left = pairs_max;
        for source in &self.sources {
            for destination in self.candidates(source) {
                let Some(rest) = left.checked_sub(1) else { return false };
                left = rest;
                if !can_talk(source, destination) {
                    continue;
                }
                let before = self.flows(&source.before, &destination.before, Moment::Before);
                let after = self.flows(&source.after, &destination.after, Moment::After);
                if before != after {
                    let (gained, lost) = (after.minus(&before), before.minus(&after));
                    visit(&Delta { source, destination, gained, lost });
                }
            }
        }
        true
    }

    /// Returns the destinations to which another flow may pass than before: one of the two is somebody else, or a rule
    /// that both meet has come or gone.
    pub(crate) fn candidates<'s>(&'s self, source: &'s Class) -> Box<dyn Iterator<Item = &'s Class> + 's> {
        if source.has_moved() {
            return Box::new(self.destinations.iter());
        }
        let changed = source.before.iter().flat_map(|(_, from)| self.rules.changed(from, Side::From));
        let changed: BTreeSet<usize> = changed.collect();
        let selectors = changed.into_iter().flat_map(|number| self.rules.selectors(number, Side::To));
        let selectors: BTreeSet<&u32> = selectors.collect();
        let met = selectors.into_iter().filter_map(|selector| self.selected.get(selector)).flatten();
        let numbers: BTreeSet<usize> = met.chain(&self.moved).copied().collect();
        Box::new(numbers.into_iter().map(|number| &self.destinations[number]))
    }

    /// Returns what passes between two ends by what their addresses meet at a moment.
    pub(crate) fn flows(&self, from: &Meets, to: &Meets, moment: Moment) -> Flows {
        let mut flows = Flows::default();
        for (is_ipv4, from) in from {
            for (_, to) in to.iter().filter(|(family, _)| family == is_ipv4) {
                flows = flows.union(&self.rules.flows(from, to, moment));
            }
        }
        flows
    }
}

/// Returns which destinations each selector selects, and those that others select now.
fn select(destinations: &[Class]) -> (BTreeMap<u32, Vec<usize>>, Vec<usize>) {
    let mut selected: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (number, class) in destinations.iter().enumerate() {
        let selectors: BTreeSet<u32> =
            class.before.iter().chain(&class.after).flat_map(|(_, selectors)| selectors).copied().collect();
        for selector in selectors {
            selected.entry(selector).or_default().push(number);
        }
    }
    let moved = destinations.iter().enumerate().filter(|(_, class)| class.has_moved());
    (selected, moved.map(|(number, _)| number).collect())
}

impl Class {
    /// Returns whether other selectors select its ends now.
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
    /// Returns whether it is somebody else than before, or elsewhere.
    fn has_moved(&self) -> bool {
        let is_same = |(one, other): (&Party<'_>, &Party<'_>)| {
            let is_same_who = match (one.who, other.who) {
                (Who::Device(one), Who::Device(other)) => one == other,
                (Who::Server(one), Who::Server(other)) => one == other,
                (Who::Host, Who::Host) => true,
                (Who::Device(_) | Who::Server(_) | Who::Host, _) => false,
            };
            is_same_who && one.address == other.address
        };
        self.before.len() != self.after.len() || !self.before.iter().zip(&self.after).all(is_same)
    }

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
    selecting: impl Fn(&Party<'a>) -> Selectors,
) -> Vec<Class> {
    let mut classes: BTreeMap<(EndKind, Meets, Meets), Vec<usize>> = BTreeMap::new();
    for (number, end) in ends.iter().enumerate().filter(|(_, end)| is_in(end)) {
        let meets = |moment| -> Meets {
            let parties = end.parties(moment).iter();
            parties.map(|party| (party.address.is_ipv4(), selecting(party))).collect()
        };
        let before = meets(Moment::Before);
        let after = if end.has_moved() { meets(Moment::After) } else { before.clone() };
        classes.entry((end.end.kind(), before, after)).or_default().push(number);
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
    let pieces = Pieces::new(pieces);
    pieces.own_addresses().collect()
}

/// Prefixes in the order of their first addresses, the larger first: what lies in one follows it.
struct Pieces(Vec<IpNet>);

impl Pieces {
    fn new(prefixes: BTreeSet<IpNet>) -> Self {
        let mut prefixes: Vec<_> = prefixes.into_iter().collect();
        prefixes.sort_unstable_by_key(|prefix| (prefix.network(), prefix.prefix_len()));
        Self(prefixes)
    }

    /// Returns every piece that has an address in no smaller one, with the first such address.
    fn own_addresses(&self) -> impl Iterator<Item = (IpNet, IpAddr)> {
        let numbered = self.0.iter().enumerate();
        numbered.filter_map(|(number, piece)| Some((*piece, self.own_address(number, piece)?)))
    }

    fn own_address(&self, number: usize, piece: &IpNet) -> Option<IpAddr> {
        let mut address = piece.network();
        let mut next = number + 1;
        while let Some(inner) = self.0.get(next).filter(|inner| inner.network() <= address) {
            if inner.broadcast() >= address {
                address = following(inner.broadcast()).filter(|address| piece.contains(address))?;
            }
            next += 1;
        }
        Some(address)
    }
}

/// Returns the next address, of the same family.
pub(crate) fn following(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|next| IpAddr::V6(next.into())),
    }
}
