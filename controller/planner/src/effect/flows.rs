//! Which flows pass between two ends: protocols and destination ports as one set of intervals.

use std::{fmt, ops::RangeInclusive};

use horizon_api::verdict::{Action, Protocol, Rule};

/// A set of flows. Intervals are sorted, apart from each other, and not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flows(Vec<(u32, u32)>);

// One axis for all: the ports of TCP, the ports of UDP, ICMP, and every other protocol.
const UDP: u32 = 1 << 16;
const ICMP: u32 = 1 << 17;
const OTHER: u32 = ICMP + 1;

impl Flows {
    /// Returns the flows that a rule is about, between the ends that it is about.
    pub fn of(rule: &Rule) -> Self {
        let ports = |base: u32| -> Vec<(u32, u32)> {
            let all = [0..=u16::MAX];
            let ranges = if rule.ports.is_empty() { all.as_slice() } else { rule.ports.as_slice() };
            let shift = |range: &RangeInclusive<u16>| {
                (base + u32::from(*range.start()), base + u32::from(*range.end()))
            };
            ranges.iter().map(shift).collect()
        };
        // What shows no port could be part of a flow with one: it meets a deny rule with ports, never an allow rule.
        let has_portless = rule.ports.is_empty() || rule.action == Action::Deny;
        let portless = |from: u32, to: u32| if has_portless { vec![(from, to)] } else { vec![] };
        match rule.protocol {
            Protocol::Any => Self::from_intervals([ports(0), ports(UDP), portless(ICMP, OTHER)].concat()),
            Protocol::Tcp => Self::from_intervals(ports(0)),
            Protocol::Udp => Self::from_intervals(ports(UDP)),
            Protocol::Icmp => Self::from_intervals(portless(ICMP, ICMP)),
        }
    }

    fn from_intervals(mut intervals: Vec<(u32, u32)>) -> Self {
        intervals.retain(|(first, last)| first <= last);
        intervals.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(intervals.len());
        for (first, last) in intervals {
            match merged.last_mut() {
                // Neighbours on the axis that are of two protocols merge too: the set is the same.
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the flows of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::from_intervals([self.0.as_slice(), &other.0].concat())
    }

    /// Returns the flows that are not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for &(first, last) in &self.0 {
            let mut next = first;
            for &(hole, end) in other.0.iter().filter(|(hole, end)| *end >= first && *hole <= last) {
                if hole > next {
                    left.push((next, hole - 1));
                }
                next = next.max(end + 1);
            }
            if next <= last {
                left.push((next, last));
            }
        }
        Self(left)
    }

    /// Returns the flows that are in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        self.minus(&self.minus(other))
    }

    /// Returns whether a flow is among them, by its protocol number and destination port.
    pub fn contains(&self, protocol: u8, port: u16) -> bool {
        let point = match protocol {
            6 => u32::from(port),
            17 => UDP + u32::from(port),
            1 | 58 => ICMP,
            _ => OTHER,
        };
        self.0.iter().any(|(first, last)| (first..=last).contains(&&point))
    }
}

/// `tcp/22, udp/5000-5010`, `everything` when it is all.
impl fmt::Display for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == [(0, OTHER)] {
            return f.write_str("everything");
        }
        let axis =
            [("tcp", 0, UDP - 1), ("udp", UDP, ICMP - 1), ("icmp", ICMP, ICMP), ("others", OTHER, OTHER)];
        let mut shown = Vec::new();
        for (name, begin, end) in axis {
            for (first, last) in &self.0 {
                let (first, last) = ((*first).max(begin), (*last).min(end));
                if first > last {
                    continue;
                }
                shown.push(match (first == begin && last == end, first == last) {
                    (true, _) => name.to_owned(),
                    (false, true) => format!("{name}/{}", first - begin),
                    (false, false) => format!("{name}/{}-{}", first - begin, last - begin),
                });
            }
        }
        let more = shown.len().saturating_sub(SHOWN_MAX);
        shown.truncate(SHOWN_MAX);
        f.write_str(&shown.join(", "))?;
        if more > 0 { write!(f, ", and {more} more") } else { Ok(()) }
    }
}

/// What a person reads in one line.
const SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, protocol: Protocol, ports: &[RangeInclusive<u16>]) -> Rule {
        Rule {
            id: "p#0".into(),
            action,
            from: vec![],
            to: vec![],
            protocol,
            ports: ports.to_vec(),
            valid_until: None,
            windows: vec![],
        }
    }

    fn allow(protocol: Protocol, ports: &[RangeInclusive<u16>]) -> Flows {
        Flows::of(&rule(Action::Allow, protocol, ports))
    }

    #[test]
    fn flows_read_as_people_write_them() {
        let check = |flows: Flows, expected: &str| assert_eq!(flows.to_string(), expected);

        check(allow(Protocol::Any, &[]), "everything");
        check(allow(Protocol::Tcp, &[]), "tcp");
        check(allow(Protocol::Tcp, &[22..=22]), "tcp/22");
        check(allow(Protocol::Udp, &[1..=9, 53..=53]), "udp/1-9, udp/53");
        check(allow(Protocol::Icmp, &[]), "icmp");
        check(allow(Protocol::Any, &[80..=80]), "tcp/80, udp/80");
        check(
            allow(Protocol::Any, &[]).minus(&allow(Protocol::Tcp, &[22..=22])),
            "tcp/0-21, tcp/23-65535, udp, icmp, others",
        );
    }

    #[test]
    fn sets_do_what_sets_do() {
        let all = allow(Protocol::Any, &[]);
        let ssh = allow(Protocol::Tcp, &[22..=22]);
        let low = allow(Protocol::Tcp, &[0..=1023]);

        assert!(all.minus(&all).is_empty());
        assert_eq!(low.both(&ssh), ssh);
        assert_eq!(all.minus(&ssh).union(&ssh), all);
        assert!(ssh.contains(6, 22) && !ssh.contains(6, 23) && !ssh.contains(17, 22));
        assert!(all.contains(58, 0) && all.contains(47, 0));
    }

    #[test]
    fn a_deny_with_ports_meets_what_shows_none() {
        let deny = Flows::of(&rule(Action::Deny, Protocol::Any, &[22..=22]));

        assert!(deny.contains(1, 0) && deny.contains(47, 0));
    }
}
