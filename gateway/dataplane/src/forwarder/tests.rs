//! Facts about where packets go, and that what is remembered never differs from what policy says.

use super::*;
use crate::testing::{icmp_echo, ip, tcp, udp};
use horizon_api::section::PostQuantum;
use horizon_api::verdict::{Identity, Protocol, Rule, Selector, Table, Weekday, Window};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;

fn rule(action: Action, from: Selector, to: Selector) -> Rule {
    Rule {
        id: "p#0".into(),
        action,
        from: vec![from],
        to: vec![to],
        protocol: Protocol::Any,
        ports: vec![],
        valid_until: None,
        windows: vec![],
    }
}

fn allow(from: &str, to: &str) -> Rule {
    rule(Action::Allow, Selector::Device(from.into()), Selector::Device(to.into()))
}

fn office() -> NetworkId {
    NetworkId::new("default", "office")
}

fn network(id: NetworkId, prefix: &str) -> Network {
    Network {
        id,
        pools: vec![format!("{prefix}.0/24").parse().unwrap(), "fd00::/64".parse().unwrap()],
        addresses: vec![format!("{prefix}.1").parse().unwrap()],
        mtu: 1400,
        pq: PostQuantum::Preferred,
        offline_grace_s: 0,
        is_sealed: false,
    }
}

#[test]
fn in_a_sealed_network_only_sealed_packets_go_from_device_to_device() {
    let mut world = World::new(vec![allow("a", "b"), rule(Action::Allow, Selector::Any, Selector::Any)]);
    let sealed = Network { is_sealed: true, ..network(office(), "10.7.0") };
    let policy = Policy {
        network: office(),
        table: Table { rules: vec![rule(Action::Allow, Selector::Any, Selector::Any)] },
    };
    world.forwarder = Forwarder::new(2, "gw", &[sealed], &[policy], &[]);
    let envelope = |from: &str, to: &str| {
        let mut out = bytes::BytesMut::new();
        envelope::begin(&mut out, from.parse().unwrap(), to.parse().unwrap(), 4);
        out.extend_from_slice(&[0; 4]);
        out[crate::datagram::HEADROOM..].to_vec()
    };
    let mut from_a = |bytes: &[u8]| {
        let packet = Packet::parse(bytes).unwrap();
        let World { forwarder, links, flows, at } = &mut world;
        forwarder.from_link(LinkId(1), &packet, bytes, links, flows, *at)
    };

    let plain = udp("10.7.0.11:1", "10.7.0.12:2", b"plain");
    assert_eq!(from_a(&plain), Verdict::Drop(DropReason::NotSealed));
    assert_eq!(from_a(&envelope("10.7.0.11", "10.7.0.12")), Verdict::ToLink(LinkId(2)));
    assert_eq!(from_a(&udp("10.7.0.11:1", "10.7.0.1:53", b"name")), Verdict::ToTun, "the gateway itself");
    assert_eq!(from_a(&envelope("10.7.0.12", "10.7.0.13")), Verdict::Drop(DropReason::SourceMismatch));
}

#[test]
fn who_may_not_talk_with_a_device_in_either_direction_may_not_know_of_it() {
    let ports = Rule { protocol: Protocol::Tcp, ..allow("c", "a") };
    let world = World::new(vec![allow("a", "b"), ports]);
    let [a, b, c] = [11u8, 12, 13].map(|last| {
        [IpAddr::from([10, 7, 0, last]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)])]
    });
    let may_seal = |one: &[IpAddr], other: IpAddr| {
        world.forwarder.may_seal(&office(), one, other, &world.links, world.at.unix_s)
    };

    assert!(may_seal(&a, b[0]) && may_seal(&a, b[1]));
    assert!(may_seal(&b, a[0]), "it hears of whoever may speak to it");
    assert!(!may_seal(&b, c[0]) && !may_seal(&c, b[1]));
    assert!(!may_seal(&c, a[0]), "no sealed packet passes a rule for one protocol");
    assert!(!may_seal(&a[..1], b[1]), "no packet has addresses of two families");
    assert!(!may_seal(&a, "10.7.0.1".parse().unwrap()), "the gateway has no card");
}

/// A gateway with the devices a (link 1), b (link 2) and c (link 3), and a subnet behind it.
struct World {
    forwarder: Forwarder,
    links: LinkTable,
    flows: FlowTable,
    at: Moment,
}

impl World {
    fn new(rules: Vec<Rule>) -> Self {
        let mut links = LinkTable::default();
        for (number, name) in [(1u8, "a"), (2, "b"), (3, "c")] {
            let identity = Arc::new(Identity { device: name.into(), ..Identity::default() });
            let addresses = [
                IpAddr::from([10, 7, 0, 10 + number]),
                IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 10 + u16::from(number)]),
            ];
            links.insert(LinkId(number.into()), &office(), &identity, &addresses);
        }
        let at = Moment { now: Instant::now(), unix_s: 1000 };
        Self { forwarder: forwarder(1, rules), links, flows: FlowTable::new(1000, 7), at }
    }

    fn link_sends(&mut self, link: u64, bytes: &[u8]) -> Verdict {
        let packet = Packet::parse(bytes).unwrap();
        self.forwarder.from_link(LinkId(link), &packet, bytes, &self.links, &mut self.flows, self.at)
    }

    fn tun_sends(&mut self, bytes: &[u8]) -> Verdict {
        let packet = Packet::parse(bytes).unwrap();
        self.forwarder.from_tun(&packet, bytes, &self.links, &mut self.flows, self.at)
    }

    fn adopt(&mut self, rules: Vec<Rule>) {
        self.forwarder = forwarder(self.forwarder.generation() + 1, rules);
    }
}

fn forwarder(generation: u64, rules: Vec<Rule>) -> Forwarder {
    let policy = Policy { network: office(), table: Table { rules } };
    let route =
        SubnetRoute { network: office(), prefix: "192.168.7.0/24".parse().unwrap(), masquerade: true };
    Forwarder::new(generation, "fra-1", &[network(office(), "10.7.0")], &[policy], &[route])
}

const DENIED: Verdict = Verdict::Reject(Reject::Prohibited);

#[test]
fn nothing_passes_without_a_rule() {
    let mut world = World::new(vec![]);

    assert_eq!(world.link_sends(1, &tcp("10.7.0.11:1", "10.7.0.12:80", SYN, b"")), DENIED);
    assert_eq!(world.link_sends(1, &tcp("10.7.0.11:1", "10.7.0.1:80", SYN, b"")), DENIED);
    assert_eq!(world.tun_sends(&tcp("192.168.7.9:1", "10.7.0.11:80", SYN, b"")), DENIED);
}

#[test]
fn source_of_a_link_is_its_own() {
    let mut world = World::new(vec![rule(Action::Allow, Selector::Any, Selector::Any)]);
    for source in ["10.7.0.12", "10.7.0.1", "192.168.7.1", "0.0.0.0", "255.255.255.255", "1.1.1.1"] {
        let bytes = udp(&format!("{source}:1"), "10.7.0.13:2", b"");
        assert_eq!(world.link_sends(1, &bytes), Verdict::Drop(DropReason::SourceMismatch), "{source}");
    }
    for source in ["10.7.0.12", "10.7.0.99"] {
        let bytes = udp(&format!("{source}:1"), "10.7.0.11:2", b"");
        assert_eq!(world.tun_sends(&bytes), Verdict::Drop(DropReason::SourceMismatch), "{source}");
    }
}

#[test]
fn each_destination_has_its_way() {
    let mut world = World::new(vec![rule(Action::Allow, Selector::Any, Selector::Any)]);
    let cases = [
        ("10.7.0.12", Verdict::ToLink(LinkId(2))),
        ("10.7.0.1", Verdict::ToTun),
        ("192.168.7.9", Verdict::ToTun),
        ("10.7.0.99", Verdict::Reject(Reject::Unreachable)),
        ("10.7.0.255", Verdict::Drop(DropReason::NotForwardable)),
        ("8.8.8.8", Verdict::Drop(DropReason::NoRoute)),
        ("255.255.255.255", Verdict::Drop(DropReason::NotForwardable)),
        ("224.0.0.251", Verdict::Drop(DropReason::NotForwardable)),
        ("127.0.0.1", Verdict::Drop(DropReason::NotForwardable)),
        ("169.254.169.254", Verdict::Drop(DropReason::NotForwardable)),
    ];
    for (destination, verdict) in cases {
        assert_eq!(
            world.link_sends(1, &udp("10.7.0.11:1", &format!("{destination}:2"), b"")),
            verdict,
            "{destination}"
        );
    }
    assert_eq!(world.link_sends(1, &udp("[fd00::b]:1", "[fd00::c]:2", b"")), Verdict::ToLink(LinkId(2)));
    assert_eq!(world.tun_sends(&udp("10.7.0.1:1", "10.7.0.13:2", b"")), Verdict::ToLink(LinkId(3)));
    assert_eq!(world.tun_sends(&udp("10.7.0.1:1", "10.7.0.14:2", b"")), Verdict::Reject(Reject::Unreachable));
}

#[test]
fn members_of_other_networks_are_out_of_reach() {
    let mut world = World::new(vec![]);
    let lab = NetworkId::new("default", "lab");
    let open = |network| Policy {
        network,
        table: Table { rules: vec![rule(Action::Allow, Selector::Any, Selector::Any)] },
    };
    world.forwarder = Forwarder::new(
        2,
        "fra-1",
        &[network(office(), "10.7.0"), network(lab.clone(), "10.8.0")],
        &[open(office()), open(lab.clone())],
        &[],
    );
    world.links.insert(LinkId(9), &lab, &Arc::default(), &["10.8.0.9".parse().unwrap()]);

    for destination in ["10.8.0.9", "10.8.0.1"] {
        let bytes = udp("10.7.0.11:1", &format!("{destination}:2"), b"");
        assert_eq!(world.link_sends(1, &bytes), Verdict::Drop(DropReason::NoRoute));
    }
    assert_eq!(world.tun_sends(&udp("10.8.0.1:1", "10.8.0.9:2", b"")), Verdict::ToLink(LinkId(9)));
}

#[test]
fn only_answers_pass_against_the_direction() {
    let mut world = World::new(vec![allow("a", "b")]);
    let (there, back) = (("10.7.0.11:5", "10.7.0.12:80"), ("10.7.0.12:80", "10.7.0.11:5"));

    assert_eq!(world.link_sends(2, &tcp(back.0, back.1, SYN_ACK, b"")), DENIED);
    assert_eq!(world.link_sends(1, &tcp(there.0, there.1, SYN, b"")), Verdict::ToLink(LinkId(2)));
    assert_eq!(world.link_sends(2, &tcp(back.0, back.1, SYN_ACK, b"")), Verdict::ToLink(LinkId(1)));
    assert_eq!(world.link_sends(2, &tcp(back.0, back.1, SYN, b"")), DENIED);
    assert_eq!(world.link_sends(2, &tcp("10.7.0.12:81", back.1, SYN_ACK, b"")), DENIED);
}

#[test]
fn echo_is_answered_but_not_begun_from_the_other_side() {
    let mut world = World::new(vec![allow("a", "b")]);

    assert_eq!(world.link_sends(2, &icmp_echo("10.7.0.12", "10.7.0.11", 4, true)), DENIED);
    assert_eq!(
        world.link_sends(1, &icmp_echo("10.7.0.11", "10.7.0.12", 4, false)),
        Verdict::ToLink(LinkId(2))
    );
    assert_eq!(
        world.link_sends(2, &icmp_echo("10.7.0.12", "10.7.0.11", 4, true)),
        Verdict::ToLink(LinkId(1))
    );
    assert_eq!(world.link_sends(2, &icmp_echo("10.7.0.12", "10.7.0.11", 4, false)), DENIED);
    assert_eq!(world.link_sends(2, &icmp_echo("10.7.0.12", "10.7.0.11", 5, true)), DENIED);
}

#[test]
fn policy_reaches_live_flows_and_their_answers() {
    let mut world = World::new(vec![allow("a", "b")]);
    let there = tcp("10.7.0.11:5", "10.7.0.12:80", ACK, b"x");
    let back = tcp("10.7.0.12:80", "10.7.0.11:5", ACK, b"x");
    world.link_sends(1, &there);
    assert_eq!(world.link_sends(2, &back), Verdict::ToLink(LinkId(1)));

    world.adopt(vec![]);
    assert_eq!(world.link_sends(2, &back), DENIED);
    assert_eq!(world.link_sends(1, &there), DENIED);

    world.adopt(vec![allow("a", "b")]);
    assert_eq!(world.link_sends(1, &there), Verdict::ToLink(LinkId(2)));
    assert_eq!(world.link_sends(2, &back), Verdict::ToLink(LinkId(1)));
}

#[test]
fn rule_ends_live_flows_at_its_time() {
    let mut world = World::new(vec![Rule { valid_until: Some(1005), ..allow("a", "b") }]);
    let there = udp("10.7.0.11:5", "10.7.0.12:80", b"x");
    let back = udp("10.7.0.12:80", "10.7.0.11:5", b"x");
    world.link_sends(1, &there);
    world.at.unix_s = 1004;
    assert_eq!(world.link_sends(2, &back), Verdict::ToLink(LinkId(1)));
    world.at.unix_s = 1005;
    assert_eq!(world.link_sends(2, &back), DENIED);
    assert_eq!(world.link_sends(1, &there), DENIED);
}

fn window(day: Weekday, start_min: u16, end_min: u16, zone: &str) -> Window {
    Window::new(&[day], start_min, end_min, zone.parse().unwrap()).unwrap()
}

/// 2026-10-25 00:00 UTC. In Berlin it is 02:00 then, 02:00 again an hour later, and 03:00 after another.
const CLOCKS_GO_BACK: i64 = 1_792_886_400;

#[test]
fn window_ends_and_begins_live_flows_across_a_change_of_the_clocks() {
    // 01:30 to 02:30 on the clocks: open until 00:30 UTC, and for half an hour from 01:00 UTC.
    let windows = vec![window(Weekday::Sunday, 90, 150, "Europe/Berlin")];
    let mut world = World::new(vec![Rule { windows, ..allow("a", "b") }]);
    let there = udp("10.7.0.11:5", "10.7.0.12:80", b"x");
    let back = udp("10.7.0.12:80", "10.7.0.11:5", b"x");
    for second in (-3600..7200).step_by(10) {
        world.at.unix_s = CLOCKS_GO_BACK + second;
        world.at.now += Duration::from_secs(10);
        let is_open = (-1800..1800).contains(&second) || (3600..5400).contains(&second);
        let passes = |link| if is_open { Verdict::ToLink(LinkId(link)) } else { DENIED };

        assert_eq!(world.link_sends(1, &there), passes(2), "{second}");
        assert_eq!(world.link_sends(2, &back), passes(1), "{second}");
    }
}

#[test]
fn answer_ends_with_the_permission_of_what_it_answers_though_nobody_asks_again() {
    let windows = vec![window(Weekday::Sunday, 0, 60, "UTC")];
    let mut world = World::new(vec![Rule { windows, ..allow("a", "b") }]);
    world.at.unix_s = CLOCKS_GO_BACK;
    world.link_sends(1, &udp("10.7.0.11:5", "10.7.0.12:80", b"x"));
    let back = udp("10.7.0.12:80", "10.7.0.11:5", b"x");
    for second in (0..3600).step_by(20) {
        world.at.unix_s = CLOCKS_GO_BACK + second;
        assert_eq!(world.link_sends(2, &back), Verdict::ToLink(LinkId(1)), "{second}");
        world.at.now += Duration::from_secs(20);
    }

    world.at.unix_s = CLOCKS_GO_BACK + 3600;
    assert_eq!(world.link_sends(2, &back), DENIED);
}

#[test]
fn clock_that_is_set_back_takes_the_permission_of_the_future_away() {
    let windows = vec![window(Weekday::Sunday, 60, 120, "UTC")];
    let mut world = World::new(vec![Rule { windows, ..allow("a", "b") }]);
    let there = udp("10.7.0.11:5", "10.7.0.12:80", b"x");
    world.at.unix_s = CLOCKS_GO_BACK + 3600;
    assert_eq!(world.link_sends(1, &there), Verdict::ToLink(LinkId(2)));

    world.at.unix_s = CLOCKS_GO_BACK + 3599;

    assert_eq!(world.link_sends(1, &there), DENIED);
}

#[test]
fn clock_that_is_set_back_brings_a_rule_back_that_had_ended() {
    let mut world = World::new(vec![Rule { valid_until: Some(CLOCKS_GO_BACK), ..allow("a", "b") }]);
    let there = udp("10.7.0.11:5", "10.7.0.12:80", b"x");
    world.at.unix_s = CLOCKS_GO_BACK;
    assert_eq!(world.link_sends(1, &there), DENIED);

    world.at.unix_s = CLOCKS_GO_BACK - 1;

    assert_eq!(world.link_sends(1, &there), Verdict::ToLink(LinkId(2)));
}

#[test]
fn another_device_at_an_address_does_not_inherit() {
    let mut world = World::new(vec![allow("a", "b")]);
    let there = udp("10.7.0.11:5", "10.7.0.12:80", b"x");
    assert_eq!(world.link_sends(1, &there), Verdict::ToLink(LinkId(2)));

    world.links.remove(LinkId(1));
    assert_eq!(world.link_sends(1, &there), Verdict::Drop(DropReason::SourceMismatch));
    let stranger = Arc::new(Identity { device: "x".into(), ..Identity::default() });
    world.links.insert(LinkId(8), &office(), &stranger, &["10.7.0.11".parse().unwrap()]);
    assert_eq!(world.link_sends(8, &there), DENIED);
}

#[test]
fn newer_link_keeps_the_address_when_the_older_goes() {
    let mut world = World::new(vec![allow("a", "b")]);
    let identity = Arc::new(Identity { device: "a".into(), ..Identity::default() });
    world.links.insert(LinkId(8), &office(), &identity, &["10.7.0.11".parse().unwrap()]);
    world.links.remove(LinkId(1));

    assert_eq!(world.links.link_of("10.7.0.11".parse().unwrap()), Some(LinkId(8)));
    assert_eq!(world.link_sends(8, &udp("10.7.0.11:5", "10.7.0.12:80", b"x")), Verdict::ToLink(LinkId(2)));
}

#[test]
fn new_terms_take_away_what_they_do_not_name() {
    let mut world = World::new(vec![allow("a", "b")]);
    let identity = Arc::new(Identity { device: "a".into(), ..Identity::default() });
    let packet = udp("[fd00::b]:1", "[fd00::c]:2", b"");
    assert_eq!(world.link_sends(1, &packet), Verdict::ToLink(LinkId(2)));

    world.links.insert(LinkId(1), &office(), &identity, &["10.7.0.11".parse().unwrap()]);

    assert_eq!(world.link_sends(1, &packet), Verdict::Drop(DropReason::SourceMismatch));
}

#[test]
fn icmp_error_passes_for_an_allowed_flow_only() {
    let mut world = World::new(vec![allow("a", "b")]);
    let there = udp("10.7.0.11:5", "10.7.0.12:80", b"x");
    let error = |quoted: &[u8]| {
        let l4 = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &quoted[..28]].concat();
        ip("10.7.0.12".parse().unwrap(), "10.7.0.11".parse().unwrap(), 1, l4, 2)
    };
    let unrelated = Verdict::Drop(DropReason::UnrelatedError);

    assert_eq!(world.link_sends(2, &error(&there)), unrelated);
    world.link_sends(1, &there);
    assert_eq!(world.link_sends(2, &error(&there)), Verdict::ToLink(LinkId(1)));
    assert_eq!(world.link_sends(2, &error(&udp("10.7.0.11:6", "10.7.0.12:80", b"x"))), unrelated);
    assert_eq!(world.link_sends(2, &error(&udp("10.7.0.13:5", "10.7.0.12:80", b"x"))), unrelated);
    world.adopt(vec![]);
    assert_eq!(world.link_sends(2, &error(&there)), unrelated);
}

#[test]
fn fragments_follow_their_first() {
    let ported = Rule { protocol: Protocol::Udp, ports: vec![80..=80], ..allow("a", "b") };
    let mut world = World::new(vec![ported]);
    let mut first = udp("10.7.0.11:5", "10.7.0.12:80", &[0; 64]);
    first[6] = 0x20;
    let mut later = first.clone();
    later[6..8].copy_from_slice(&[0, 9]);

    assert_eq!(world.link_sends(1, &later), Verdict::Drop(DropReason::FragmentWithoutFirst));
    assert_eq!(world.link_sends(1, &first), Verdict::ToLink(LinkId(2)));
    assert_eq!(world.link_sends(1, &later), Verdict::ToLink(LinkId(2)));
    later[5] = 2;
    assert_eq!(world.link_sends(1, &later), Verdict::Drop(DropReason::FragmentWithoutFirst));
    later[5] = 1;
    world.adopt(vec![]);
    assert_eq!(world.link_sends(1, &later), Verdict::Drop(DropReason::FragmentWithoutFirst));
}

#[test]
fn redirects_and_router_advertisements_stay_outside() {
    let mut world = World::new(vec![rule(Action::Allow, Selector::Any, Selector::Any)]);
    for (source, destination, protocol, kind) in
        [("10.7.0.11", "10.7.0.1", 1, 5), ("fd00::b", "fd00::c", 58, 134), ("fd00::b", "fd00::c", 58, 136)]
    {
        let l4 = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        let bytes = ip(source.parse().unwrap(), destination.parse().unwrap(), protocol, l4, 2);
        assert_eq!(world.link_sends(1, &bytes), Verdict::Drop(DropReason::NotForwardable));
    }
}

/// Who sends, to whom, with which ports (both from a few), how, and after which changes.
#[derive(Debug, Clone, Copy)]
struct Step {
    source: u8,
    destination: u8,
    ports: (u16, u16),
    kind: u8,
    change: u8,
}

fn address(end: u8) -> &'static str {
    ["10.7.0.11", "10.7.0.12", "10.7.0.13", "10.7.0.1", "192.168.7.9"][usize::from(end)]
}

fn party(end: u8) -> Selector {
    match end {
        0..=2 => Selector::Device(["a", "b", "c"][usize::from(end)].into()),
        3 => Selector::Server("fra-1".into()),
        4 => Selector::Cidr("192.168.7.0/24".parse().unwrap()),
        5 => Selector::Members,
        _ => Selector::Any,
    }
}

type RawRule = (bool, u8, u8, u8, Option<u16>, Option<i64>, Vec<(u16, u16)>);

fn generated((is_deny, from, to, protocol, port, valid_until, windows): RawRule) -> Rule {
    let berlin = |(start, end): &(u16, u16)| window(Weekday::Sunday, *start, *end, "Europe/Berlin");
    Rule {
        windows: windows.iter().map(berlin).collect(),
        protocol: [Protocol::Any, Protocol::Tcp, Protocol::Udp][usize::from(protocol)],
        ports: port.map(|port| port..=port).into_iter().collect(),
        valid_until,
        ..rule(if is_deny { Action::Deny } else { Action::Allow }, party(from), party(to))
    }
}

fn rules() -> impl proptest::strategy::Strategy<Value = Vec<RawRule>> {
    let port = proptest::option::of(80u16..83);
    let until = proptest::option::weighted(0.3, CLOCKS_GO_BACK..CLOCKS_GO_BACK + 7200);
    let windows = proptest::collection::vec((90u16..210, 90u16..210), 0..3);
    let is_deny = proptest::bool::weighted(0.2);
    proptest::collection::vec((is_deny, 0u8..7, 0u8..7, 0u8..3, port, until, windows), 0..6)
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::strategy::Strategy;
    let step = (0u8..5, 0u8..5, (80u16..83, 80u16..83), 0u8..3, 0u8..12).prop_map(
        |(source, destination, ports, kind, change)| Step { source, destination, ports, kind, change },
    );
    proptest::collection::vec(step, 1..120)
}

proptest::proptest! {
    /// Two worlds get the same packets at one moment; one asks about each, the other about the first of every run.
    #[test]
    fn run_changes_neither_verdicts_nor_memory(
        steps in proptest::collection::vec((1u64..3, 0u8..7, 1u16..3), 1..60), is_open: bool,
    ) {
        let rules = if is_open { vec![allow("a", "b")] } else { vec![] };
        let (mut asking, mut running) = (World::new(rules.clone()), World::new(rules));
        running.at = asking.at;
        let mut run: Option<(u64, Run)> = None;
        for (link, kind, port) in steps {
            let mut ends = [format!("10.7.0.11:{port}"), "10.7.0.12:80".to_owned()];
            if link == 2 {
                ends.reverse();
            }
            let bytes = match [SYN, SYN_ACK, ACK, ACK, 0x11, 0x04].get(usize::from(kind)) {
                Some(flags) => tcp(&ends[0], &ends[1], *flags, b"x"),
                None => udp(&ends[0], &ends[1], b"x"),
            };
            let packet = Packet::parse(&bytes).unwrap();
            let known = run.filter(|(of, _)| *of == link).and_then(|(_, run)| run.verdict(&packet));
            let verdict = known.unwrap_or_else(|| running.link_sends(link, &bytes));
            if known.is_none() {
                run = Run::begin(&packet, verdict).map(|run| (link, run));
            }

            proptest::prop_assert_eq!(verdict, asking.link_sends(link, &bytes));
            proptest::prop_assert_eq!(running.flows.len(), asking.flows.len());
            proptest::prop_assert_eq!(running.flows.poll_timeout(), asking.flows.poll_timeout());
        }
    }

    /// The model has no table: a packet passes if policy lets its source begin the flow, or if it is an answer and
    /// policy lets the other end begin, which it did.
    #[test]
    fn memory_never_differs_from_policy(first in rules(), second in rules(), steps in steps()) {
        let tables = [first, second].map(|all| all.into_iter().map(generated).collect::<Vec<_>>());
        let mut world = World::new(tables[0].clone());
        world.at.unix_s = CLOCKS_GO_BACK - 600;
        let mut current = 0;
        let mut begun = BTreeSet::new();
        for step in steps {
            match step.change {
                0 => {
                    current = 1 - current;
                    world.adopt(tables[current].clone());
                }
                1 => world.at.unix_s += 10,
                2 | 3 => world.at.unix_s += 400,
                4 => world.at.unix_s -= 90,
                _ => {}
            }
            if step.source == step.destination || (step.source > 2 && step.destination > 2) {
                continue;
            }
            let (source, destination) = (
                format!("{}:{}", address(step.source), step.ports.0),
                format!("{}:{}", address(step.destination), step.ports.1),
            );
            let (bytes, protocol) = match step.kind {
                0 => (tcp(&source, &destination, SYN, b""), 6),
                1 => (tcp(&source, &destination, ACK, b"x"), 6),
                _ => (udp(&source, &destination, b"x"), 17),
            };
            let allows = |ends: [u8; 2], port| {
                let ends = ends.map(|end| address(end).parse().unwrap());
                let decision =
                    world.forwarder.decide(&office(), ends, protocol, Some(port), &world.links, world.at.unix_s);
                decision.unwrap().action == Action::Allow
            };
            let own = (protocol, source.clone(), destination.clone());
            let other = (protocol, destination, source);
            let is_begun_here = allows([step.source, step.destination], step.ports.1);
            let is_answer = step.kind != 0
                && begun.contains(&other)
                && allows([step.destination, step.source], step.ports.0);
            if is_begun_here || !is_answer {
                begun.insert(own);
            }
            let verdict = match step.source {
                0..=2 => world.link_sends(u64::from(step.source) + 1, &bytes),
                _ => world.tun_sends(&bytes),
            };
            let exit = match step.destination {
                0..=2 => Verdict::ToLink(LinkId(u64::from(step.destination) + 1)),
                _ => Verdict::ToTun,
            };
            world.at.now += Duration::from_millis(20);
            proptest::prop_assert_eq!(verdict, if is_begun_here || is_answer { exit } else { DENIED }, "{:?}", step);
        }
    }
}
