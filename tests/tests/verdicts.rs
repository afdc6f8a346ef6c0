//! Effects are right: in worlds made by chance, around the edges of windows and where clocks are set, three answers
//! agree with a fourth one that is worked out from the manifests without them: the table that a gateway decodes from
//! its section, `policy can`, and what becomes of packets in the flow table of a gateway, answers too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "verdicts/gateway.rs"]
mod gateway;
#[path = "verdicts/realm.rs"]
mod realm;
#[path = "verdicts/reference.rs"]
mod reference;

use std::net::IpAddr;

use horizon_api::{
    resource::{Kind, ObjectKey},
    section::NetworkId,
    verdict::{Action, DiskEncryption, Identity, Party, Posture, Query, Who, evaluate},
};
use horizon_planner::{
    compile::{Compiled, Facts, Input, SourceSnapshot, compile},
    manifest::parse_folder,
    why::{Question, Scene},
};
use horizon_tests::random::Random;

use gateway::{Fate, Gateway, SOURCE_PORT, number};
use realm::{HOSTS, PORTS, Protocol, Realm, SYSTEMS, Said, pick};
use reference::{End, Flow, Reference};

const WORLDS: u64 = 3000;

/// Moments at which clocks are set: Berlin and Casablanca, New York, Lord Howe, in spring and autumn.
const CHANGES: [&str; 8] = [
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
    "2026-03-08T07:00:00Z",
    "2026-11-01T06:00:00Z",
    "2026-04-04T15:00:00Z",
    "2026-10-03T15:30:00Z",
    "2026-02-15T02:00:00Z",
    "2026-06-30T12:00:00Z",
];

#[test]
fn all_doors_give_the_verdict_that_the_manifests_mean() {
    let mut random = Random::start("verdicts");
    let mut counts = Counts::default();
    for _ in 0..WORLDS {
        let change: jiff::Timestamp = pick(&mut random, &CHANGES).parse().unwrap();
        let step = *pick(&mut random, &[0, -1, 1, -1800, 1800, 3600, -3600, 7200]);
        let any = random.below(3 * 86_400) as i64;
        let at = change.as_second() + if random.below(2) == 0 { step } else { any - 86_400 };
        let realms = [("default", 77), ("other", 87)]
            .map(|(namespace, block)| Realm::draw(&mut random, namespace, block, at));
        let compiled = compiled(&realms, at);
        for realm in &realms {
            let world =
                World { realm, reference: Reference::new(realm, &compiled.allocations), compiled: &compiled };
            world.check_gateways(&mut random, at, &mut counts);
            world.check_answers(&mut random, at, &mut counts);
        }
    }
    // A test that only ever sees one answer shows nothing.
    let Counts { allowed, denied, passed, dropped, cut, changes } = counts;
    assert!(allowed > 1000 && denied > 1000, "{allowed} {denied}");
    assert!(passed > 1000 && dropped > 1000 && cut > 100, "{passed} {dropped} {cut}");
    assert!(changes > 1000, "{changes}");
}

#[derive(Default)]
struct Counts {
    allowed: u32,
    denied: u32,
    passed: u32,
    dropped: u32,
    /// Flows that time ended.
    cut: u32,
    changes: u32,
}

struct World<'a> {
    realm: &'a Realm,
    reference: Reference<'a>,
    compiled: &'a Compiled,
}

/// Somebody as a question names them, with everything that is meant.
struct Named {
    text: String,
    ends: Vec<Place>,
}

/// An end, with its addresses in each network.
struct Place {
    end: End,
    addresses: Vec<Vec<IpAddr>>,
}

fn compiled(realms: &[Realm; 2], at: i64) -> Compiled {
    let texts: Vec<_> =
        realms.iter().map(|realm| (format!("{}.yaml", realm.namespace), realm.yaml())).collect();
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let source =
        SourceSnapshot { source: "files".into(), parsed: parse_folder(&files).into(), is_complete: true };
    let postures = realms.iter().flat_map(|realm| {
        let devices = realm.devices.iter().enumerate();
        devices
            .filter_map(|(index, device)| Some((realm.key_of(index), posture(device.said.as_ref()?).into())))
    });
    let facts = Facts { postures: postures.collect(), ..Facts::default() };
    let compiled = compile(&Input { sources: vec![source], facts, ..Input::default() }, at);
    let errors: Vec<_> = compiled.problems.iter().filter(|problem| problem.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{}", texts[0].1);
    compiled
}

fn posture(said: &Said) -> Posture {
    Posture {
        os: said.system.map(|system| SYSTEMS[system].into()).unwrap_or_default(),
        os_version: said.version.map(|version| version.to_string().into()).unwrap_or_default(),
        disk: match said.is_encrypted {
            Some(true) => DiskEncryption::Encrypted,
            Some(false) => DiskEncryption::Unencrypted,
            None => DiskEncryption::Unknown,
        },
        ..Posture::default()
    }
}

impl World<'_> {
    /// Every pair on every gateway: the table from its bytes, and packets through its flow table.
    fn check_gateways(&self, random: &mut Random, at: i64, counts: &mut Counts) {
        for server in 0..self.realm.servers.len() {
            let gateway = Gateway::new(self.compiled, &self.realm.namespace, server);
            for network in 0..self.realm.networks.len() {
                let id = NetworkId::new(&self.realm.namespace, &format!("n{network}"));
                let Some(table) = gateway.tables.get(&id) else {
                    assert!(!self.is_carried_by(server, network));
                    continue;
                };
                assert!(self.is_carried_by(server, network));
                let ends = self.ends_at(server, network);
                for (source, destination) in ends.iter().flat_map(|s| ends.iter().map(move |d| (*s, *d))) {
                    let is_device = [source, destination].map(|(end, _)| matches!(end, End::Device(_)));
                    if source.0 == destination.0
                        || is_device == [false, false]
                        || source.1.is_ipv4() != destination.1.is_ipv4()
                        || random.below(8) > 0
                    {
                        continue;
                    }
                    let (flow, ends) = (flow(random), [source, destination]);
                    let expected = self.reference.may(network, ends, flow, at);
                    let decision = evaluate(table, &self.query(ends, flow, &self.identities(ends)), at);
                    assert_eq!(
                        decision.action == Action::Allow,
                        expected,
                        "{ends:?} {flow:?} at {at}\n{}",
                        self.realm.yaml()
                    );
                    let later = match decision.holds_until {
                        Some(until) if random.below(2) == 0 => *pick(random, &[until - 1, until]),
                        _ => at + random.below(7200) as i64,
                    };
                    self.check_packets(&gateway, network, ends, flow, [at, later], counts);
                }
            }
        }
    }

    fn check_packets(
        &self,
        gateway: &Gateway,
        network: usize,
        ends: [(End, IpAddr); 2],
        flow: Flow,
        [now, later]: [i64; 2],
        counts: &mut Counts,
    ) {
        let may = |ends, flow, at| self.reference.may(network, ends, flow, at);
        let back = Flow { port: SOURCE_PORT, ..flow };
        let begins_later = may(ends, flow, later);
        let other_begins_later = may([ends[1], ends[0]], back, later);
        let expected = [
            may(ends, flow, now),
            begins_later || other_begins_later,
            // Each echo request asks for itself.
            begins_later || (other_begins_later && flow.protocol != Protocol::Icmp),
        ];
        let fates = gateway.carry(ends, flow, [now, later]);
        let expected_fates = expected.map(|passes| if passes { Fate::Passed } else { Fate::Denied });
        assert_eq!(fates, expected_fates, "{ends:?} {flow:?} at {now}, {later}\n{}", self.realm.yaml());
        let count = if expected[0] { &mut counts.passed } else { &mut counts.dropped };
        *count += 1;
        counts.cut += u32::from(expected[0] && !expected[1]);
    }

    /// Questions of all kinds, and whether the verdict changes when the answer says so and not before.
    fn check_answers(&self, random: &mut Random, at: i64, counts: &mut Counts) {
        let scene = Scene::of(self.compiled);
        for _ in 0..12 {
            let (source, destination, flow) = (self.named(random), self.named(random), flow(random));
            let aim = match flow.protocol {
                Protocol::Icmp | Protocol::Any => format!("{}/icmp", destination.text),
                Protocol::Tcp => format!("{}:{}", destination.text, flow.port),
                Protocol::Udp => format!("{}:{}/udp", destination.text, flow.port),
            };
            let question = Question::parse(&source.text, &aim, &self.realm.namespace).unwrap();
            let expected = |at| self.can(&source, &destination, flow, at);

            let answer = scene.why(&question, at).unwrap();

            let say = || format!("{} {aim} at {at}: {answer:?}\n{}", source.text, self.realm.yaml());
            assert_eq!(answer.allowed, expected(at), "{}", say());
            let count = if answer.allowed { &mut counts.allowed } else { &mut counts.denied };
            *count += 1;
            let end = answer.change.as_ref().map_or(at + 9 * 86_400, |change| change.at);
            let span = u64::try_from(end - at).unwrap();
            for _ in 0..5 {
                let between = at + random.below(span) as i64;
                assert_eq!(answer.allowed, expected(between), "at {between}: {}", say());
            }
            if let Some(change) = &answer.change {
                assert_eq!(change.allowed, expected(change.at), "{}", say());
                counts.changes += u32::from(change.allowed != answer.allowed);
            }
        }
    }

    /// Says whether every pair that is meant may: by any network and any addresses.
    fn can(&self, source: &Named, destination: &Named, flow: Flow, at: i64) -> bool {
        let pairs = source.ends.iter().flat_map(|from| destination.ends.iter().map(move |to| (from, to)));
        let is_same = |from: &Place, to: &Place| matches!(from.end, End::Device(_)) && from.end == to.end;
        let mut pairs = pairs.filter(|(from, to)| !is_same(from, to)).peekable();
        pairs.peek().is_some() && pairs.all(|(from, to)| self.can_pair(from, to, flow, at))
    }

    fn can_pair(&self, from: &Place, to: &Place, flow: Flow, at: i64) -> bool {
        let is_on = [from, to].iter().all(|place| self.reference.is_on(place.end, at));
        let has_device =
            [from, to].iter().any(|place| matches!(place.end, End::Device(_) | End::Imagined(_)));
        let networks = (0..self.realm.networks.len()).filter(|network| self.reference.is_carried(*network));
        let mut paths = networks.flat_map(|network| {
            let sources = from.addresses[network].iter();
            sources.flat_map(move |a| to.addresses[network].iter().map(move |b| (network, *a, *b)))
        });
        let may = |(network, a, b): (usize, IpAddr, IpAddr)| {
            a.is_ipv4() == b.is_ipv4() && self.reference.may(network, [(from.end, a), (to.end, b)], flow, at)
        };
        is_on && has_device && paths.any(may)
    }

    fn named(&self, random: &mut Random) -> Named {
        let index = |random: &mut Random, count: usize| random.below(count as u64) as usize;
        match random.below(6) {
            0 | 1 => {
                let device = index(random, self.realm.devices.len());
                Named { text: format!("device:d{device}"), ends: vec![self.place(End::Device(device))] }
            }
            2 => {
                let user = index(random, self.realm.users.len());
                let devices = self.realm.devices.iter().enumerate().filter(|(_, device)| device.user == user);
                let mut ends: Vec<_> = devices.map(|(device, _)| self.place(End::Device(device))).collect();
                if ends.is_empty() {
                    ends.push(self.place(End::Imagined(user)));
                }
                Named { text: format!("user:u{user}"), ends }
            }
            3 => {
                let server = index(random, self.realm.servers.len());
                Named { text: format!("server:s{server}"), ends: vec![self.place(End::Server(server))] }
            }
            4 => {
                let network = index(random, self.realm.networks.len());
                let device = index(random, self.realm.devices.len());
                let addresses = self.reference.addresses(End::Device(device), network);
                match addresses.first() {
                    Some(address) => self.at_address(*address),
                    None => self.at_address("10.99.0.1".parse().unwrap()),
                }
            }
            _ => self.at_address(pick(random, &HOSTS).parse().unwrap()),
        }
    }

    fn place(&self, end: End) -> Place {
        let networks = 0..self.realm.networks.len();
        let is_there = |network| match end {
            End::Server(server) => self.is_carried_by(server, network),
            End::Device(_) | End::Imagined(_) | End::Host => true,
        };
        let addresses = networks
            .map(|network| if is_there(network) { self.reference.addresses(end, network) } else { vec![] });
        Place { end, addresses: addresses.collect() }
    }

    fn at_address(&self, address: IpAddr) -> Named {
        let text = if address.is_ipv4() { address.to_string() } else { format!("[{address}]") };
        let mut place = Place { end: End::Host, addresses: vec![] };
        for network in 0..self.realm.networks.len() {
            let owner = self.reference.owner(address, network);
            let mut servers = 0..self.realm.servers.len();
            let is_behind = servers.any(|server| self.reference.is_behind(server, address, network));
            place.end = owner.unwrap_or(place.end);
            let is_there = owner.is_some() || is_behind;
            place.addresses.push(if is_there { vec![address] } else { vec![] });
        }
        Named { text, ends: vec![place] }
    }

    /// Who sends and receives through a gateway in a network.
    fn ends_at(&self, server: usize, network: usize) -> Vec<(End, IpAddr)> {
        let devices = (0..self.realm.devices.len()).map(End::Device);
        let members = devices.chain([End::Server(server)]);
        let members = members.flat_map(|end| {
            self.reference.addresses(end, network).into_iter().map(move |address| (end, address))
        });
        let hosts = HOSTS.iter().map(|host| host.parse().unwrap());
        let hosts = hosts.filter(|host| self.reference.is_behind(server, *host, network));
        members.chain(hosts.map(|host| (End::Host, host))).collect()
    }

    fn is_carried_by(&self, server: usize, network: usize) -> bool {
        let server = &self.realm.servers[server];
        !server.is_disabled && server.networks.contains(&network)
    }

    fn identities(&self, ends: [(End, IpAddr); 2]) -> [Identity; 2] {
        ends.map(|(end, _)| match end {
            End::Device(index) => {
                let key = ObjectKey::new(Kind::Device, &self.realm.namespace, format!("d{index}"));
                self.compiled.effective.devices[&key].identity.clone()
            }
            End::Server(index) => Identity { device: format!("s{index}").into(), ..Identity::default() },
            End::Host | End::Imagined(_) => Identity::default(),
        })
    }

    fn query<'b>(&self, ends: [(End, IpAddr); 2], flow: Flow, identities: &'b [Identity; 2]) -> Query<'b> {
        let party = |index: usize| {
            let (end, address) = ends[index];
            let who = match end {
                End::Device(_) | End::Imagined(_) => Who::Device(&identities[index]),
                End::Server(_) => Who::Server(&identities[index].device),
                End::Host => Who::Host,
            };
            Party { who, address }
        };
        let port = (flow.protocol != Protocol::Icmp).then_some(flow.port);
        let protocol = number(flow.protocol, ends[0].1.is_ipv4());
        Query { source: party(0), destination: party(1), protocol, port }
    }
}

fn flow(random: &mut Random) -> Flow {
    let protocol = *pick(random, &[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Icmp]);
    Flow { protocol, port: *pick(random, &PORTS) }
}
