//! Whatever two worlds look like, the differences told are those that asking every pair one by one finds.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use horizon_api::{
    grant::NetworkGrant,
    resource::{Kind, ObjectKey},
    section::NetworkId,
    verdict::{
        Action, Demand, DiskEncryption, Identity, Party, Posture, Protocol, Query, Rule, Selector, Stated,
        Table, Weekday, Who, Window, evaluate,
    },
};
use ipnet::IpNet;
use proptest::prelude::*;
use smol_str::{SmolStr, format_smolstr};

use super::{
    Flows, effects, explain,
    picture::{Pair, Picture},
    rules::When,
    stage::{End, Stage},
};
use crate::compile::{
    Access, Compiled, Effective, EffectiveDevice, EffectiveServer, NetworkAccess, Standing,
};

#[derive(Clone, Debug)]
struct World {
    access: Access,
    effective: Effective,
}

fn network() -> NetworkId {
    NetworkId::new("default", "office")
}

fn prefix() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        Just("10.77.0.0/29"),
        Just("10.77.0.4/30"),
        Just("10.0.0.0/8"),
        Just("192.168.0.0/16"),
        Just("192.168.1.0/24"),
        Just("192.168.1.128/25"),
        Just("192.168.1.7/32"),
        Just("fd77::/64"),
        Just("0.0.0.0/0"),
    ]
    .prop_map(|text| text.parse().expect("a prefix"))
}

fn posture() -> impl Strategy<Value = Option<Box<Posture>>> {
    let disk = prop_oneof![
        Just(DiskEncryption::Encrypted),
        Just(DiskEncryption::Unencrypted),
        Just(DiskEncryption::Unknown)
    ];
    proptest::option::of(disk.prop_map(|disk| Box::new(Posture { disk, ..Posture::default() })))
}

/// A selector, some of them by what devices state.
fn source() -> impl Strategy<Value = Selector> {
    (selector(), proptest::option::weighted(0.3, any::<bool>())).prop_map(
        |(who, encrypted)| match encrypted {
            None => who,
            Some(_) => {
                let demand = Demand { disk_encrypted: encrypted, ..Demand::default() };
                Selector::Stated(Box::new(Stated { who, demand }))
            }
        },
    )
}

fn selector() -> impl Strategy<Value = Selector> {
    let name = || prop_oneof![Just("a".into()), Just("b".into()), Just("c".into())];
    prop_oneof![
        Just(Selector::Any),
        Just(Selector::Members),
        name().prop_map(Selector::User),
        name().prop_map(Selector::Group),
        name().prop_map(Selector::Tag),
        (0u8..5).prop_map(|number| Selector::Device(format_smolstr!("d{number}"))),
        Just(Selector::Server("gw".into())),
        prefix().prop_map(Selector::Cidr),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![3 => Just(Action::Allow), 1 => Just(Action::Deny)];
    let protocol =
        prop_oneof![Just(Protocol::Any), Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Icmp)];
    let ports = prop_oneof![Just(vec![]), Just(vec![22..=22]), Just(vec![20..=80, 443..=443])];
    let sources = proptest::collection::vec(source(), 1..3);
    let destinations = proptest::collection::vec(selector(), 1..3);
    let until = prop_oneof![4 => Just(None), 1 => Just(Some(5)), 1 => Just(Some(20))];
    (action, sources, destinations, protocol, ports, until).prop_map(
        |(action, from, to, protocol, ports, valid_until)| Rule {
            id: String::new(),
            action,
            from,
            to,
            protocol,
            ports,
            valid_until,
            windows: vec![],
        },
    )
}

fn device(number: usize) -> impl Strategy<Value = Option<EffectiveDevice>> {
    let name = || "[abc]".prop_map(SmolStr::from);
    let names = || proptest::collection::btree_set(name(), 0..2);
    let device = (name(), names(), names(), 0u8..8, any::<bool>(), 0u8..6, posture()).prop_map(
        move |(user, groups, tags, last, has_ipv6, active, posture)| {
            let mut addresses: Vec<IpAddr> = vec![[10, 77, 0, last].into()];
            if has_ipv6 {
                addresses.push(format!("fd77::{last}").parse().expect("an address"));
            }
            EffectiveDevice {
                public_key: None,
                user: Some(ObjectKey::new(Kind::User, "default", user.clone())),
                is_ephemeral: false,
                identity: Identity { device: format_smolstr!("d{number}"), user, groups, tags, posture },
                networks: vec![NetworkGrant { network: network(), addresses, sealed: None }],
                standing: if active > 0 { Standing::Active } else { Standing::Disabled },
                is_granted: true,
            }
        },
    );
    proptest::option::weighted(0.8, device)
}

fn world(
    devices: Vec<Option<EffectiveDevice>>,
    rules: Vec<Rule>,
    routes: Vec<IpNet>,
    is_served: bool,
) -> World {
    let server = ObjectKey::new(Kind::Server, "default", "gw");
    let rules =
        rules.into_iter().enumerate().map(|(number, rule)| Rule { id: format!("p#{number}"), ..rule });
    let mut access = NetworkAccess { table: Table { rules: rules.collect() }, ..NetworkAccess::default() };
    let mut effective = Effective::default();
    if is_served {
        access.servers.insert(server.clone(), vec![[10, 77, 0, 1].into()]);
        let routes = routes.into_iter().map(|route| (route, BTreeSet::from([server.clone()])));
        access.prefixes = routes.collect();
    }
    for device in devices.into_iter().flatten() {
        let key = ObjectKey::new(Kind::Device, "default", device.identity.device.clone());
        effective.devices.insert(key, device);
    }
    let server_facts = EffectiveServer {
        source_cidrs: vec![],
        on_failure: Default::default(),
        public_key: None,
        registration_key: None,
        endpoints: vec![],
        networks: vec![network()],
        standing: Standing::Active,
        is_granted: true,
    };
    effective.servers.insert(server, server_facts);
    World { access: Access { networks: BTreeMap::from([(network(), access)]) }, effective }
}

/// Two worlds that have much in common, as before and after an edit.
fn worlds() -> impl Strategy<Value = (World, World)> {
    let devices = || (device(0), device(1), device(2), device(3), device(4));
    let rules = || proptest::collection::vec(rule(), 0..4);
    let route = || prop_oneof![Just("192.168.0.0/16"), Just("192.168.1.0/24"), Just("172.16.0.0/30")];
    let routes = move || proptest::collection::vec(route().prop_map(|r| r.parse().expect("a prefix")), 0..3);
    let keeps = proptest::collection::vec(0u8..3, 5);
    let both = (devices(), devices(), keeps);
    let policies = (rules(), rules(), rules());
    let served = (0u8..8, 0u8..8);
    (both, policies, routes(), routes(), served).prop_map(
        |(devices, policies, old_routes, new_routes, served)| {
            let ((a, b, c, d, e), (f, g, h, i, j), keeps) = devices;
            let old = vec![a, b, c, d, e];
            let new = vec![f, g, h, i, j].into_iter().zip(&old).zip(keeps);
            let new = new.map(|((new, old), keep)| if keep > 0 { old.clone() } else { new }).collect();
            let (shared, only_old, only_new) = policies;
            let before = world(old, [only_old, shared.clone()].concat(), old_routes, served.0 > 0);
            let after = world(new, [shared, only_new].concat(), new_routes, served.1 > 0);
            (before, after)
        },
    )
}

fn picture(world: &World) -> Picture<'_> {
    Picture { access: &world.access, effective: &world.effective, objects: BTreeMap::new() }
}

/// Somebody at an address, as the naive way of asking knows them.
struct Somebody {
    end: End,
    address: IpAddr,
}

impl Somebody {
    fn party<'a>(&'a self, world: &'a World) -> Party<'a> {
        let who = match &self.end {
            End::Device(key) => Who::Device(&world.effective.devices[key].identity),
            End::Server(key) => Who::Server(&key.name),
            End::Host(_) => Who::Host,
        };
        Party { who, address: self.address }
    }
}

fn everybody(world: &World, hosts: &[IpAddr], stage: &Stage<'_>) -> Vec<Somebody> {
    let access = &world.access.networks[&network()];
    if access.servers.is_empty() {
        return vec![];
    }
    let mut all = Vec::new();
    for (key, device) in &world.effective.devices {
        if device.standing == Standing::Active {
            let addresses = &device.networks[0].addresses;
            all.extend(addresses.iter().map(|a| Somebody { end: End::Device(key.clone()), address: *a }));
        }
    }
    for (key, addresses) in &access.servers {
        all.extend(addresses.iter().map(|a| Somebody { end: End::Server(key.clone()), address: *a }));
    }
    for host in hosts.iter().filter(|host| access.prefixes.keys().any(|route| route.contains(*host))) {
        // The smallest piece that it is in.
        let pieces = stage.ends.iter().filter_map(|ends| match &ends.end {
            End::Host(piece) if piece.contains(host) => Some(*piece),
            End::Host(_) | End::Device(_) | End::Server(_) => None,
        });
        let piece = pieces.max_by_key(IpNet::prefix_len).expect("every host is in a piece");
        all.push(Somebody { end: End::Host(piece), address: *host });
    }
    all
}

const FLOWS: [(u8, Option<u16>); 9] = [
    (6, Some(0)),
    (6, Some(22)),
    (6, Some(23)),
    (6, Some(80)),
    (6, Some(81)),
    (6, Some(443)),
    (17, Some(22)),
    (1, None),
    (47, None),
];

type Reached = BTreeSet<(End, End, usize)>;

fn reached(world: &World, hosts: &[IpAddr], stage: &Stage<'_>, now: i64) -> Reached {
    let table = &world.access.networks[&network()].table;
    let all = everybody(world, hosts, stage);
    let mut reached = Reached::new();
    for source in all.iter().filter(|s| !matches!(s.end, End::Server(_))) {
        for destination in &all {
            let is_ours = !matches!(source.end, End::Host(_)) || matches!(destination.end, End::Device(_));
            let same_family = source.address.is_ipv4() == destination.address.is_ipv4();
            if source.end == destination.end || !is_ours || !same_family {
                continue;
            }
            for (number, (protocol, port)) in FLOWS.iter().enumerate() {
                let query = Query {
                    source: source.party(world),
                    destination: destination.party(world),
                    protocol: *protocol,
                    port: *port,
                };
                if evaluate(table, &query, now).action == Action::Allow {
                    reached.insert((source.end.clone(), destination.end.clone(), number));
                }
            }
        }
    }
    reached
}

fn points(flows: &Flows) -> Vec<usize> {
    let has = |(protocol, port): &(u8, Option<u16>)| flows.contains(*protocol, port.unwrap_or(0));
    FLOWS.iter().enumerate().filter(|(_, flow)| has(flow)).map(|(number, _)| number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn differences_are_those_that_asking_everybody_finds((old, new) in worlds(), last in any::<u8>()) {
        let (before, after) = (picture(&old), picture(&new));
        let pair = Pair { before: &before, after: &after };
        let id = network();
        let stage = Stage::new(pair, &id, &|_| true, When::At(10));
        let hosts: [IpAddr; 6] = [
            [192, 168, 1, last].into(), [192, 168, 1, 7].into(), [192, 168, 1, 200].into(),
            [192, 168, 2, last].into(), [192, 168, 1, 0].into(), [172, 16, 0, 2].into(),
        ];

        let (mut gained, mut lost) = (Reached::new(), Reached::new());
        let is_whole = stage.deltas(usize::MAX, |delta| {
            for source in &delta.source.members {
                for destination in &delta.destination.members {
                    let (from, to) = (&stage.ends[*source].end, &stage.ends[*destination].end);
                    if from != to {
                        let of = |number| (from.clone(), to.clone(), number);
                        gained.extend(points(&delta.gained).into_iter().map(of));
                        lost.extend(points(&delta.lost).into_iter().map(of));
                    }
                }
            }
        });
        let (was, is) = (reached(&old, &hosts, &stage, 10), reached(&new, &hosts, &stage, 10));
        // Pieces in which none of the hosts is are not asked about.
        let asked: BTreeSet<_> = everybody(&old, &hosts, &stage).into_iter()
            .chain(everybody(&new, &hosts, &stage)).map(|somebody| somebody.end).collect();
        let is_asked = |(from, to, _): &(End, End, usize)| asked.contains(from) && asked.contains(to);
        gained.retain(is_asked);
        lost.retain(is_asked);

        prop_assert!(is_whole);
        prop_assert_eq!(&gained, &is.difference(&was).cloned().collect::<Reached>());
        prop_assert_eq!(&lost, &was.difference(&is).cloned().collect::<Reached>());
        // Whatever somebody gains or loses has a cause.
        let (lines, _) = explain(&stage, pair, usize::MAX);
        prop_assert!(!lines.is_empty() || (gained.is_empty() && lost.is_empty()));
    }
}

#[test]
fn hours_are_looked_at_while_they_are_closed() {
    let utc = "UTC".parse().expect("a zone");
    let window = Window::new(&[Weekday::Monday], 8 * 60, 18 * 60, utc).expect("a window");
    let device = |number: usize| {
        let user = SmolStr::new(["a", "b"][number]);
        Some(EffectiveDevice {
            public_key: None,
            user: Some(ObjectKey::new(Kind::User, "default", user.clone())),
            is_ephemeral: false,
            identity: Identity { device: format_smolstr!("d{number}"), user, ..Identity::default() },
            networks: vec![NetworkGrant {
                network: network(),
                addresses: vec![[10, 77, 0, 2 + u8::try_from(number).expect("small")].into()],
                sealed: None,
            }],
            standing: Standing::Active,
            is_granted: true,
        })
    };
    let rule = Rule {
        id: String::new(),
        action: Action::Allow,
        from: vec![Selector::User("a".into())],
        to: vec![Selector::User("b".into())],
        protocol: Protocol::Tcp,
        ports: vec![22..=22],
        valid_until: None,
        windows: vec![window],
    };
    let compiled = |rules| {
        let World { access, effective } = world(vec![device(0), device(1)], rules, vec![], true);
        Compiled { access, effective, ..Compiled::default() }
    };

    // The first of January 1970 was a Thursday.
    let effects = effects(&compiled(vec![]), &compiled(vec![rule]), &BTreeSet::new(), 0);

    let lines: Vec<_> = effects.lines.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["+ a → b tcp/22 at other hours (1 device gains) []"]);
}
