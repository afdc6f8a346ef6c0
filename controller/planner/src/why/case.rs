//! A case of an AccessTest: what is tried, what comes of it, and which rule decides.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    http::{ApiError, RuleView},
    name::Name,
    resource::{self, AccessCase, CaseDestination, CaseSource, Expectation, Kind, ObjectKey},
    section::NetworkId,
    verdict::{Party, Protocol, Table},
};

use super::{
    Flow, Scene, Subject,
    answer::{reason, rule_view},
    end::End,
    judge::{Judged, check_work, judge_pair},
};
use crate::effect::rules::{Rules, Side};

/// What comes of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    pub passes: bool,
    /// One sentence, of the pair that spoils it where there is one:
    /// `device laptop of alice to device nas of bob, tcp 445: allowed by staff-to-files#0 (policy.yaml:12)`.
    pub sentence: String,
    /// The rule that decides, if one does.
    pub rule: Option<RuleView>,
}

impl Scene<'_> {
    /// Tries a case of a test of a network, at its own moment or else `now` (unix seconds). Whether somebody may
    /// connect at all is left aside: that is not what policies say, and it is never held back by a test.
    ///
    /// # Errors
    /// When the case names what is not there, or more than can be tried.
    pub fn try_case(&self, network: &ObjectKey, case: &AccessCase, now: i64) -> Result<CaseResult, ApiError> {
        let at = case.at.map_or(now, |at| at.as_second());
        let id = NetworkId::new(&network.namespace, &network.name);
        let sides = [source(&case.from, &network.namespace), destination(&case.to, &network.namespace)];
        let [Some(from), Some(to)] = sides else {
            return Err(ApiError::new(
                "NoSelector",
                "the case names nobody",
                "name one in `from` and in `to`",
            ));
        };
        let rules = self.rules(&id, at);
        let (ends_from, ends_to) =
            (self.tried(&from, &id, case.expect, at)?, self.tried(&to, &id, case.expect, at)?);
        let sources = Kinds::of(&ends_from, &id, &rules, Side::From);
        let destinations = Kinds::of(&ends_to, &id, &rules, Side::To);
        let flows = flows(case, self.access.networks.get(&id).map(|network| &network.table));
        let pairs = sources.0.len().saturating_mul(destinations.0.len());
        check_work(self, pairs, flows.len())?;
        Ok(self.try_pairs([&sources, &destinations], &flows, case.expect, at))
    }

    /// Returns who is tried: everybody who is meant and is in the network, and, where something must never be, whoever
    /// else could come.
    fn tried(
        &self,
        subject: &Subject,
        network: &NetworkId,
        expect: Expectation,
        at: i64,
    ) -> Result<Vec<End<'_>>, ApiError> {
        let mut ends = self.ends(subject, at)?;
        if expect == Expectation::Deny {
            ends.extend(self.imagined_of(subject));
        }
        for end in &mut ends {
            end.places.retain(|id, _| id == network);
            if end.is_somewhere() {
                end.off = None;
            }
        }
        // Somebody's other device, in another network, is nobody here.
        if ends.iter().any(End::is_somewhere) {
            ends.retain(End::is_somewhere);
        }
        Ok(ends)
    }

    fn try_pairs(
        &self,
        [sources, destinations]: [&Kinds<'_>; 2],
        flows: &[Flow],
        expect: Expectation,
        at: i64,
    ) -> CaseResult {
        let is_as_expected = |judged: &Judged<'_>| match expect {
            Expectation::Allow => judged.is_allowed(),
            Expectation::Deny => !judged.is_allowed(),
        };
        let mut shown = None;
        for (source, destination) in
            sources.0.iter().flat_map(|s| destinations.0.iter().filter_map(|d| two_of(s, d)))
        {
            for flow in flows {
                let judged = judge_pair(self, source, destination, *flow, at);
                if matches!(&judged.outcome, Err(no_path) if no_path.code == "Same") {
                    continue;
                }
                if !is_as_expected(&judged) {
                    return self.result(&judged, *flow, false);
                }
                shown.get_or_insert((judged, *flow));
            }
        }
        match shown {
            Some((judged, flow)) => self.result(&judged, flow, true),
            None => CaseResult {
                passes: false,
                sentence: "it tries nothing: both ends are the same device".to_owned(),
                rule: None,
            },
        }
    }

    fn result(&self, judged: &Judged<'_>, flow: Flow, passes: bool) -> CaseResult {
        let (_, reason) = reason(self, judged);
        let sentence = format!("{} to {}, {flow}: {reason}", judged.source.label, judged.destination.label);
        let path = judged.outcome.as_ref().ok();
        let rule = path.and_then(|path| rule_view(self, path.id, path.rule()?));
        CaseResult { passes, sentence, rule }
    }
}

/// Ends by what rules can tell apart: of a thousand devices of one group, two say everything.
struct Kinds<'e>(Vec<Vec<&'e End<'e>>>);

impl<'e> Kinds<'e> {
    fn of(ends: &'e [End<'e>], network: &NetworkId, rules: &Rules<'_>, side: Side) -> Self {
        let mut kinds: BTreeMap<_, Vec<&End<'_>>> = BTreeMap::new();
        for end in ends {
            let addresses = end.places.get(network).into_iter().flatten();
            let selecting = addresses.map(|address| {
                let party = Party { who: end.being.who(), address: *address };
                (address.is_ipv4(), rules.selecting(&party, side))
            });
            let kind = (end.being.name(), end.off.is_some(), selecting.collect::<BTreeSet<_>>());
            kinds.entry(kind).or_default().push(end);
        }
        Self(kinds.into_values().collect())
    }
}

/// Returns one of each that are not the same, where there are.
fn two_of<'e>(sources: &[&'e End<'e>], destinations: &[&'e End<'e>]) -> Option<(&'e End<'e>, &'e End<'e>)> {
    let (source, destination) = (*sources.first()?, *destinations.first()?);
    if !source.meets(destination) {
        return Some((source, destination));
    }
    let other = destinations.iter().find(|other| !source.meets(other)).map(|other| (source, *other));
    let another =
        || sources.iter().find(|other| !other.meets(destination)).map(|other| (*other, destination));
    Some(other.or_else(another).unwrap_or((source, destination)))
}

/// Returns what is tried: one flow, or where the protocol is any one of each kind that the rules tell apart.
fn flows(case: &AccessCase, table: Option<&Table>) -> Vec<Flow> {
    let protocol = match case.protocol {
        resource::Protocol::Tcp => Protocol::Tcp,
        resource::Protocol::Udp => Protocol::Udp,
        resource::Protocol::Icmp => return vec![Flow { protocol: Protocol::Icmp, port: None }],
        resource::Protocol::Any => {
            let bare = [Protocol::Icmp, Protocol::Any].map(|protocol| Flow { protocol, port: None });
            let ports = ports(table);
            let with_port = [Protocol::Tcp, Protocol::Udp]
                .into_iter()
                .flat_map(|protocol| ports.iter().map(move |port| Flow { protocol, port: Some(*port) }));
            return bare.into_iter().chain(with_port).collect();
        }
    };
    let ports = case.port.map_or_else(|| ports(table), |port| [port].into());
    ports.into_iter().map(|port| Flow { protocol, port: Some(port) }).collect()
}

/// Returns ports of which every other one has the verdict of one.
fn ports(table: Option<&Table>) -> BTreeSet<u16> {
    let ranges = table.into_iter().flat_map(|table| table.rules.iter().flat_map(|rule| &rule.ports));
    let edges = ranges.flat_map(|range| [Some(*range.start()), range.end().checked_add(1)]);
    edges.flatten().chain([1]).collect()
}

fn source(selector: &CaseSource, namespace: &str) -> Option<Subject> {
    let CaseSource { user, group, tag, device, cidr } = selector;
    let key = |kind, name: &Name| ObjectKey::new(kind, namespace, name.as_str());
    let word = |name: &Name| (namespace.to_owned(), name.to_string());
    let named = [
        user.as_ref().map(|name| Subject::User(key(Kind::User, name))),
        device.as_ref().map(|name| Subject::Device(key(Kind::Device, name))),
        group.as_ref().map(word).map(|(namespace, name)| Subject::Group { namespace, name }),
        tag.as_ref().map(word).map(|(namespace, name)| Subject::Tag { namespace, name }),
        cidr.map(|prefix| Subject::Prefix(prefix.trunc())),
    ];
    named.into_iter().flatten().next()
}

fn destination(selector: &CaseDestination, namespace: &str) -> Option<Subject> {
    let CaseDestination { user, group, tag, device, cidr, server } = selector.clone();
    let server = server.map(|name| Subject::Server(ObjectKey::new(Kind::Server, namespace, name.as_str())));
    source(&CaseSource { user, group, tag, device, cidr }, namespace).or(server)
}
