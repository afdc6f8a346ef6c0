//! Who may talk to what: the compiled table and the one function that reads it.
//!
//! The planner uses it for effects and *why*, the dataplane for every new flow.
//! Default is deny, a deny always wins, and the order of rules never matters.

mod posture;
mod window;

use std::{collections::BTreeSet, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
pub use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use self::{
    posture::{Demand, DiskEncryption, Fit, Posture, Stated},
    window::{UnknownZone, Window, WindowError, Zone},
};
use crate::assignment::{POSTURE, TIME_WINDOWS};

/// The rules of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub rules: Vec<Rule>,
}

/// One rule of one AccessPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `policy#index`, for people: which rule gave a verdict.
    pub id: String,
    pub action: Action,
    pub from: Vec<Selector>,
    pub to: Vec<Selector>,
    pub protocol: Protocol,
    /// Empty: all ports.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The unix second from which on the rule has no effect.
    pub valid_until: Option<i64>,
    /// When the rule has effect: while any of them is open, always if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

/// What happens to a packet that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    Allow,
    Deny,
}

/// What a rule may say about one end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Selector {
    Any,
    User(SmolStr),
    Group(SmolStr),
    Tag(SmolStr),
    Device(SmolStr),
    Cidr(IpNet),
    /// A gateway itself.
    Server(SmolStr),
    /// Every member of the network: its devices and its gateways, but not what lies behind them.
    Members,
    /// Those of another selector who state something of themselves.
    Stated(Box<Stated>),
}

/// Which packets a rule is about, by what their IP header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    Any,
    Tcp,
    Udp,
    /// ICMP, and ICMPv6 too.
    Icmp,
}

/// Who a device is, as its grant says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub device: SmolStr,
    pub user: SmolStr,
    pub groups: BTreeSet<SmolStr>,
    pub tags: BTreeSet<SmolStr>,
    /// What it says of itself, if it says anything: self-reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<Box<Posture>>,
}

/// What is known about one end of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    Device(&'a Identity),
    Server(&'a str),
    /// A host behind a gateway, known by its address only.
    Host,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    pub who: Who<'a>,
    pub address: IpAddr,
}

impl Party<'_> {
    /// Returns what it says of itself; only devices do.
    pub fn posture(&self) -> Option<&Posture> {
        match self.who {
            Who::Device(identity) => identity.posture.as_deref(),
            Who::Server(_) | Who::Host => None,
        }
    }
}

/// What is asked: may the first packet of this flow pass?
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub source: Party<'a>,
    pub destination: Party<'a>,
    /// IP protocol number.
    pub protocol: u8,
    /// Destination port of TCP and UDP. `None` where a packet shows none: then no rule with ports allows it.
    pub port: Option<u16>,
}

/// The answer, with what gave it and how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub action: Action,
    /// Index of the rule in the table; `None` is the default.
    pub rule: Option<usize>,
    /// The unix second from which on it must be asked again, because time alone may have changed the answer.
    pub holds_until: Option<i64>,
}

/// Decides about a flow. `now` is unix seconds.
pub fn evaluate(table: &Table, query: &Query<'_>, now: i64) -> Decision {
    let mut decision = Decision { action: Action::Deny, rule: None, holds_until: None };
    for (index, rule) in table.matching(query) {
        let Effect { is_on, until } = rule.effect(now);
        decision.holds_until = [decision.holds_until, until].into_iter().flatten().min();
        let is_stronger = decision.rule.is_none() || decision.action < rule.action;
        if is_on && is_stronger {
            (decision.action, decision.rule) = (rule.action, Some(index));
        }
    }
    decision
}

/// Returns whether an address is one that packets are routed by: unicast, and of more than one subnet. Gateways drop
/// what comes from others or goes there, whatever a policy says.
#[inline]
pub const fn is_forwardable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let first = address.octets()[0];
            // 0/8 is "this network", 240/4 reserved and the limited broadcast.
            first != 0
                && first < 240
                && !address.is_loopback()
                && !address.is_multicast()
                && !address.is_link_local()
        }
        IpAddr::V6(address) => {
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && !address.is_unicast_link_local()
                && address.to_ipv4_mapped().is_none()
        }
    }
}

/// Whether a rule counts at a moment.
struct Effect {
    is_on: bool,
    /// The second at which that may be another.
    until: Option<i64>,
}

impl Table {
    /// Returns what a gateway must know to read it rightly, beside what every gateway knows.
    pub(crate) fn requires(&self) -> Vec<String> {
        let has_windows = self.rules.iter().any(|rule| !rule.windows.is_empty());
        let is_stated = |selector: &Selector| matches!(selector, Selector::Stated(_));
        let has_posture = self.rules.iter().any(|rule| rule.from.iter().any(is_stated));
        let windows = has_windows.then(|| TIME_WINDOWS.to_owned());
        windows.into_iter().chain(has_posture.then(|| POSTURE.to_owned())).collect()
    }

    /// Returns the rules that are about a flow, whether or not their time has come.
    pub fn matching(&self, query: &Query<'_>) -> impl Iterator<Item = (usize, &Rule)> {
        self.rules.iter().enumerate().filter(|(_, rule)| rule.matches(query))
    }
}

impl Rule {
    /// Returns whether it is in force at a moment (unix seconds).
    pub fn is_valid(&self, now: i64) -> bool {
        self.effect(now).is_on
    }

    fn effect(&self, now: i64) -> Effect {
        if self.valid_until.is_some_and(|end| end <= now) {
            return Effect { is_on: false, until: None };
        }
        let mut effect = Effect { is_on: self.windows.is_empty(), until: self.valid_until };
        for window in &self.windows {
            let (is_open, until) = window.at(now);
            effect.is_on |= is_open;
            effect.until = Some(effect.until.map_or(until, |earlier| earlier.min(until)));
        }
        effect
    }

    fn matches(&self, query: &Query<'_>) -> bool {
        self.protocol.covers(query.protocol)
            && self.covers_port(query.port)
            && self.selects([&query.source, &query.destination])
    }

    /// Returns whether it is about two ends, whatever passes between them.
    pub fn selects(&self, [source, destination]: [&Party<'_>; 2]) -> bool {
        self.from.iter().any(|selector| selector.selects(source, self.action))
            && self.to.iter().any(|selector| selector.selects(destination, self.action))
    }

    /// A packet without a port meets a deny rule with ports (it could be part of such a flow), never an allow rule.
    fn covers_port(&self, port: Option<u16>) -> bool {
        self.ports.is_empty()
            || port.map_or(self.action == Action::Deny, |port| {
                self.ports.iter().any(|range| range.contains(&port))
            })
    }
}

impl Protocol {
    /// IP protocol numbers: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6.
    fn covers(self, number: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Tcp => number == 6,
            Self::Udp => number == 17,
            Self::Icmp => number == 1 || number == 58,
        }
    }
}

impl Selector {
    /// Returns whether it is about a party, in a rule with this action: what a device does not say of itself opens
    /// nothing, so that it meets every Deny and no Allow.
    pub fn selects(&self, party: &Party<'_>, action: Action) -> bool {
        match (self, party.who) {
            (Self::Stated(stated), _) => {
                stated.who.selects(party, action) && stated.demand.concerns(party.posture(), action)
            }
            (Self::Any, _) | (Self::Members, Who::Device(_) | Who::Server(_)) => true,
            (Self::Cidr(prefix), _) => prefix.contains(&party.address),
            (Self::User(name), Who::Device(identity)) => identity.user == *name,
            (Self::Group(name), Who::Device(identity)) => identity.groups.contains(name),
            (Self::Tag(name), Who::Device(identity)) => identity.tags.contains(name),
            (Self::Device(name), Who::Device(identity)) => identity.device == *name,
            (Self::Server(name), Who::Server(server)) => server == name,
            (Self::User(_) | Self::Group(_) | Self::Tag(_) | Self::Device(_), Who::Server(_) | Who::Host)
            | (Self::Server(_), Who::Device(_) | Who::Host)
            | (Self::Members, Who::Host) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Identity {
        Identity {
            device: "laptop".into(),
            user: "alice".into(),
            groups: ["staff".into()].into(),
            tags: ["mobile".into()].into(),
            posture: None,
        }
    }

    fn allow(from: Selector, to: Selector) -> Rule {
        Rule {
            id: "p#0".into(),
            action: Action::Allow,
            from: vec![from],
            to: vec![to],
            protocol: Protocol::Any,
            ports: vec![],
            valid_until: None,
            windows: vec![],
        }
    }

    fn web() -> Selector {
        Selector::Cidr("198.51.100.0/24".parse().expect("a prefix"))
    }

    fn decide(rules: Vec<Rule>, protocol: u8, port: Option<u16>, now: i64) -> Decision {
        let identity = alice();
        let source = Party { who: Who::Device(&identity), address: [10, 77, 0, 2].into() };
        let destination = Party { who: Who::Host, address: [198, 51, 100, 7].into() };
        evaluate(&Table { rules }, &Query { source, destination, protocol, port }, now)
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let decision = decide(vec![], 6, Some(80), 0);

        assert_eq!(decision, Decision { action: Action::Deny, rule: None, holds_until: None });
    }

    #[test]
    fn each_selector_selects_what_it_names() {
        let named = [
            (Selector::Any, true),
            (Selector::User("alice".into()), true),
            (Selector::User("bob".into()), false),
            (Selector::Group("staff".into()), true),
            (Selector::Group("ops".into()), false),
            (Selector::Tag("mobile".into()), true),
            (Selector::Tag("staff".into()), false),
            (Selector::Device("laptop".into()), true),
            (Selector::Server("laptop".into()), false),
            (Selector::Members, true),
            (Selector::Cidr("10.77.0.2/32".parse().expect("a prefix")), true),
            (Selector::Cidr("10.77.0.3/32".parse().expect("a prefix")), false),
        ];
        for (from, expected) in named {
            let decision = decide(vec![allow(from.clone(), web())], 6, Some(80), 0);

            assert_eq!(decision.action == Action::Allow, expected, "{from:?}");
        }
    }

    #[test]
    fn rule_by_posture_is_about_who_states_it_and_an_open_question_closes() {
        let encrypted = Demand { disk_encrypted: Some(true), ..Demand::default() };
        let stated = |who| Selector::Stated(Box::new(Stated { who, demand: encrypted.clone() }));
        let with = |rule: &Rule, disk: Option<DiskEncryption>| {
            let posture = disk.map(|disk| Box::new(Posture { disk, ..Posture::default() }));
            let identity = Identity { posture, ..alice() };
            let source = Party { who: Who::Device(&identity), address: [10, 77, 0, 2].into() };
            let destination = Party { who: Who::Host, address: [198, 51, 100, 7].into() };
            let rules = vec![
                rule.clone(),
                Rule { action: Action::Allow, ..allow(Selector::Device("x".into()), web()) },
            ];
            let query = Query { source, destination, protocol: 6, port: Some(80) };
            evaluate(&Table { rules }, &query, 0).rule == Some(0)
        };
        let allowing = allow(stated(Selector::Group("staff".into())), web());
        let denying = Rule { action: Action::Deny, ..allow(stated(Selector::Any), web()) };
        let foreign = allow(stated(Selector::Group("ops".into())), web());

        let disks = [
            None,
            Some(DiskEncryption::Unknown),
            Some(DiskEncryption::Unencrypted),
            Some(DiskEncryption::Encrypted),
        ];

        assert_eq!(disks.map(|disk| with(&allowing, disk)), [false, false, false, true]);
        assert_eq!(disks.map(|disk| with(&denying, disk)), [true, true, false, true]);
        assert_eq!(disks.map(|disk| with(&foreign, disk)), [false; 4]);
    }

    #[test]
    fn identity_without_posture_has_the_bytes_that_it_always_had() {
        let bytes = crate::cbor::encode(&alice());

        assert!(!bytes.windows(7).any(|word| word == b"posture"));
    }

    #[test]
    fn hosts_behind_a_gateway_are_not_members() {
        assert_eq!(
            decide(vec![allow(Selector::Any, Selector::Members)], 6, Some(80), 0).action,
            Action::Deny
        );
    }

    #[test]
    fn deny_wins_wherever_it_stands() {
        let deny = Rule { action: Action::Deny, ..allow(Selector::Any, web()) };
        let allow = allow(Selector::Any, Selector::Any);

        for rules in [vec![deny.clone(), allow.clone()], vec![allow, deny]] {
            assert_eq!(decide(rules, 6, Some(80), 0).action, Action::Deny);
        }
    }

    #[test]
    fn ports_and_protocols_are_exact() {
        let rule = Rule {
            protocol: Protocol::Tcp,
            ports: vec![80..=80, 8000..=8010],
            ..allow(Selector::Any, web())
        };
        let cases = [
            (6, Some(80), Action::Allow),
            (6, Some(8010), Action::Allow),
            (6, Some(8011), Action::Deny),
            (17, Some(80), Action::Deny),
            (6, None, Action::Deny),
        ];
        for (protocol, port, expected) in cases {
            assert_eq!(decide(vec![rule.clone()], protocol, port, 0).action, expected, "{protocol} {port:?}");
        }
    }

    #[test]
    fn a_packet_without_ports_meets_a_deny_rule_with_ports() {
        let deny = Rule {
            action: Action::Deny,
            protocol: Protocol::Tcp,
            ports: vec![22..=22],
            ..allow(Selector::Any, Selector::Any)
        };

        let decision = decide(vec![allow(Selector::Any, Selector::Any), deny], 6, None, 0);

        assert_eq!(decision.action, Action::Deny);
    }

    #[test]
    fn a_rule_ends_at_its_time_and_says_so() {
        let rule = Rule { valid_until: Some(100), ..allow(Selector::Any, Selector::Any) };

        let before = decide(vec![rule.clone()], 6, Some(80), 99);
        let after = decide(vec![rule], 6, Some(80), 100);

        assert_eq!((before.action, before.holds_until), (Action::Allow, Some(100)));
        assert_eq!((after.action, after.holds_until), (Action::Deny, None));
    }

    /// Thursday, 1970-01-01, from one minute to another.
    fn thursday(start_min: u16, end_min: u16) -> Window {
        let zone = "UTC".parse().expect("a zone");
        Window::new(&[Weekday::Thursday], start_min, end_min, zone).expect("a window")
    }

    #[test]
    fn a_rule_has_effect_inside_any_of_its_windows() {
        let rule =
            Rule { windows: vec![thursday(1, 2), thursday(4, 5)], ..allow(Selector::Any, Selector::Any) };
        let cases = [
            (0, Action::Deny, 60),
            (60, Action::Allow, 120),
            (120, Action::Deny, 240),
            (299, Action::Allow, 300),
            (300, Action::Deny, 604_860),
        ];
        for (now, action, until) in cases {
            let decision = decide(vec![rule.clone()], 6, Some(80), now);

            assert_eq!((decision.action, decision.holds_until), (action, Some(until)), "{now}");
        }
    }

    #[test]
    fn a_deny_that_will_begin_bounds_what_is_allowed_until_then() {
        let deny = Rule {
            action: Action::Deny,
            windows: vec![thursday(1, 2)],
            valid_until: Some(90),
            ..allow(Selector::Any, web())
        };
        let rules = vec![allow(Selector::Any, Selector::Any), deny];
        let at = |now| decide(rules.clone(), 6, Some(80), now);

        assert_eq!(at(0), Decision { action: Action::Allow, rule: Some(0), holds_until: Some(60) });
        assert_eq!(at(60), Decision { action: Action::Deny, rule: Some(1), holds_until: Some(90) });
        assert_eq!(at(90), Decision { action: Action::Allow, rule: Some(0), holds_until: None });
    }

    #[test]
    fn a_rule_without_windows_has_the_bytes_that_it_always_had() {
        let bytes = crate::cbor::encode(&allow(Selector::Any, Selector::Any));

        assert!(!bytes.windows(7).any(|word| word == b"windows"));
    }
}
