//! Who may talk to what: the compiled table and the one function that reads it.
//!
//! The planner uses it for effects and *why*, the dataplane for every new flow.
//! Default is deny, a deny always wins, and the order of rules never matters.

use std::{collections::BTreeSet, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

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
    /// Unix seconds after which the rule has no effect.
    pub valid_until: Option<i64>,
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
    User(String),
    Group(String),
    Tag(String),
    Device(String),
    Cidr(IpNet),
    /// A gateway itself.
    Server(String),
    /// Every member of the network: its devices and its gateways, but not what lies behind them.
    Members,
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
    pub device: String,
    pub user: String,
    pub groups: BTreeSet<String>,
    pub tags: BTreeSet<String>,
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
    /// Unix seconds after which it must be asked again.
    pub holds_until: Option<i64>,
}

/// Decides about a flow. `now` is unix seconds.
pub fn evaluate(table: &Table, query: &Query<'_>, now: i64) -> Decision {
    let matching =
        || table.rules.iter().enumerate().filter(|(_, rule)| rule.is_valid(now) && rule.matches(query));
    let given = matching()
        .find(|(_, rule)| rule.action == Action::Deny)
        .or_else(|| matching().find(|(_, rule)| rule.action == Action::Allow));
    Decision {
        action: given.map_or(Action::Deny, |(_, rule)| rule.action),
        rule: given.map(|(index, _)| index),
        holds_until: matching().filter_map(|(_, rule)| rule.valid_until).min(),
    }
}

impl Rule {
    fn is_valid(&self, now: i64) -> bool {
        self.valid_until.is_none_or(|end| now <= end)
    }

    fn matches(&self, query: &Query<'_>) -> bool {
        self.protocol.covers(query.protocol)
            && self.covers_port(query.port)
            && self.from.iter().any(|selector| selector.selects(&query.source))
            && self.to.iter().any(|selector| selector.selects(&query.destination))
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
    fn selects(&self, party: &Party<'_>) -> bool {
        match (self, party.who) {
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
            groups: ["staff".to_owned()].into(),
            tags: ["mobile".to_owned()].into(),
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

        let before = decide(vec![rule.clone()], 6, Some(80), 100);
        let after = decide(vec![rule], 6, Some(80), 101);

        assert_eq!((before.action, before.holds_until), (Action::Allow, Some(100)));
        assert_eq!((after.action, after.holds_until), (Action::Deny, None));
    }
}
