//! A realm made by chance: who is there and what is written about them, and the same as manifests.

use std::fmt::Write;

use horizon_api::key::{PublicKey, SecretKey};
use horizon_tests::random::Random;

/// One namespace.
pub(crate) struct Realm {
    pub(crate) namespace: String,
    pub(crate) networks: Vec<Network>,
    pub(crate) servers: Vec<Server>,
    pub(crate) users: Vec<User>,
    pub(crate) devices: Vec<Device>,
    pub(crate) policies: Vec<Policy>,
}

pub(crate) struct Network {
    pub(crate) pools: Vec<String>,
}

pub(crate) struct Server {
    pub(crate) networks: Vec<usize>,
    pub(crate) routes: Vec<(&'static str, usize)>,
    pub(crate) is_disabled: bool,
}

pub(crate) struct User {
    pub(crate) groups: Vec<usize>,
    pub(crate) is_disabled: bool,
    pub(crate) expires_at: Option<i64>,
}

pub(crate) struct Device {
    pub(crate) user: usize,
    pub(crate) networks: Vec<usize>,
    pub(crate) tags: Vec<usize>,
    pub(crate) is_disabled: bool,
    pub(crate) said: Option<Said>,
}

/// What a device says of itself; nothing where it does not know.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) system: Option<usize>,
    pub(crate) version: Option<u32>,
    pub(crate) is_encrypted: Option<bool>,
}

/// What a policy wants that a device says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) systems: Vec<usize>,
    /// With one system only.
    pub(crate) version_least: Option<u32>,
    pub(crate) is_encrypted: Option<bool>,
}

pub(crate) struct Policy {
    pub(crate) network: usize,
    pub(crate) is_deny: bool,
    pub(crate) from: Vec<Selector>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) windows: Vec<Window>,
    pub(crate) valid_until: Option<i64>,
}

pub(crate) struct Rule {
    pub(crate) to: Vec<Selector>,
    pub(crate) protocol: Protocol,
    pub(crate) ports: Vec<(u16, u16)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Any,
    Tcp,
    Udp,
    Icmp,
}

#[derive(Clone, Debug)]
pub(crate) enum Selector {
    Any,
    User(usize),
    Group(usize),
    Tag(usize),
    Device(usize),
    Cidr(String),
    Server(usize),
    Network,
    Service,
    Stated(Box<Self>, Wanted),
}

pub(crate) const SYSTEMS: [&str; 2] = ["debian", "fedora"];

pub(crate) struct Window {
    /// Monday first; every day when empty.
    pub(crate) days: Vec<usize>,
    pub(crate) start_min: u32,
    pub(crate) end_min: u32,
    pub(crate) zone: &'static str,
}

pub(crate) const ROUTES: [&str; 4] =
    ["198.51.100.0/24", "192.168.7.0/24", "203.0.113.0/28", "2001:db8:7::/64"];
pub(crate) const HOSTS: [&str; 6] =
    ["198.51.100.7", "198.51.100.200", "192.168.7.9", "203.0.113.3", "2001:db8:7::9", "8.8.8.8"];
pub(crate) const PORTS: [u16; 7] = [1, 22, 80, 443, 445, 8005, 65535];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "UTC",
];

impl Realm {
    /// Makes a realm whose times lie around `moment` (unix seconds).
    pub(crate) fn draw(random: &mut Random, namespace: &str, block: u8, moment: i64) -> Self {
        let network = |index: u8| Network {
            pools: match index {
                0 => vec![format!("10.{block}.0.0/24"), format!("fd77:{block}::/64")],
                _ => vec![format!("10.{}.0.0/24", block + index)],
            },
        };
        let mut realm = Self {
            namespace: namespace.to_owned(),
            networks: (0..2).map(network).collect(),
            servers: vec![],
            users: vec![],
            devices: vec![],
            policies: vec![],
        };
        realm.servers = (0..3).map(|_| server(random)).collect();
        realm.users = (0..4).map(|_| user(random, moment)).collect();
        realm.devices = (0..6).map(|_| device(random)).collect();
        let policies = 1 + random.below(6);
        realm.policies = (0..policies).map(|_| policy(random, block, moment)).collect();
        realm
    }

    /// Returns the public key of a device.
    pub(crate) fn key_of(&self, device: usize) -> PublicKey {
        let mut seed = [0; 32];
        let text = format!("{} {device}", self.namespace);
        seed[..text.len()].copy_from_slice(text.as_bytes());
        SecretKey::from_seed(&seed).public()
    }

    /// Returns the manifests.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::new();
        let mut object = |kind: &str, name: String, spec: &str| {
            let namespace = &self.namespace;
            let _ = write!(
                text,
                "---\napiVersion: horizon.dev/v1alpha1\nkind: {kind}\n\
                 metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{spec}"
            );
        };
        for (index, network) in self.networks.iter().enumerate() {
            let pools = list(&network.pools, |pool| format!("{{cidr: \"{pool}\"}}"));
            object("Network", format!("n{index}"), &format!("  addressPools: {pools}\n"));
        }
        for (index, server) in self.servers.iter().enumerate() {
            let routes = list(&server.routes, |(prefix, network)| {
                format!("{{cidr: \"{prefix}\", networkRef: {{name: n{network}}}}}")
            });
            let spec = format!(
                "  networkRefs: {}\n  endpoints: [{{host: 192.0.2.{index}}}]\n  subnetRoutes: {routes}\n  \
                 adminState: {}\n  identity: {{registrationKeyRef: {{name: k{index}}}}}\n",
                names("n", &server.networks),
                if server.is_disabled { "Disabled" } else { "Active" }
            );
            object("Server", format!("s{index}"), &spec);
            object("RegistrationKey", format!("k{index}"), "  generate: {}\n");
        }
        for (index, user) in self.users.iter().enumerate() {
            let expires_at = user.expires_at.map(|at| format!("  expiresAt: {}\n", moment_text(at)));
            let groups = list(&user.groups, |group| format!("g{group}"));
            let spec = format!(
                "  groups: {groups}\n  maxDevices: 50\n  disabled: {}\n{}",
                user.is_disabled,
                expires_at.unwrap_or_default()
            );
            object("User", format!("u{index}"), &spec);
        }
        for (index, device) in self.devices.iter().enumerate() {
            let spec = format!(
                "  userRef: {{name: u{}}}\n  publicKey: {}\n  networkRefs: {}\n  tags: {}\n  disabled: {}\n",
                device.user,
                self.key_of(index),
                names("n", &device.networks),
                list(&device.tags, |tag| format!("t{tag}")),
                device.is_disabled
            );
            object("Device", format!("d{index}"), &spec);
        }
        for (index, policy) in self.policies.iter().enumerate() {
            object("AccessPolicy", format!("p{index}"), &policy.yaml());
        }
        text
    }
}

impl Policy {
    fn yaml(&self) -> String {
        let rules = list(&self.rules, |rule| {
            let ports = list(&rule.ports, |(start, end)| match start == end {
                true => format!("\"{start}\""),
                false => format!("\"{start}-{end}\""),
            });
            let to = list(&rule.to, |selector| selector.yaml(self.network));
            format!("{{to: {to}, protocol: {:?}, ports: {ports}}}", rule.protocol)
        });
        let windows = list(&self.windows, |window| {
            let days = list(&window.days, |day| DAYS[*day].to_owned());
            let clock = |minute: u32| format!("\"{:02}:{:02}\"", minute / 60, minute % 60);
            let (start, end) = (clock(window.start_min), clock(window.end_min));
            format!("{{days: {days}, start: {start}, end: {end}, timeZone: {}}}", window.zone)
        });
        let valid_until = self.valid_until.map(|at| format!("  validUntil: {}\n", moment_text(at)));
        format!(
            "  networkRef: {{name: n{}}}\n  action: {}\n  from: {}\n  rules: {rules}\n  windows: {windows}\n{}",
            self.network,
            if self.is_deny { "Deny" } else { "Allow" },
            list(&self.from, |selector| selector.yaml(self.network)),
            valid_until.unwrap_or_default()
        )
    }
}

impl Selector {
    fn yaml(&self, network: usize) -> String {
        match self {
            Self::Any => "{any: true}".to_owned(),
            Self::User(index) => format!("{{user: u{index}}}"),
            Self::Group(index) => format!("{{group: g{index}}}"),
            Self::Tag(index) => format!("{{tag: t{index}}}"),
            Self::Device(index) => format!("{{device: d{index}}}"),
            Self::Cidr(prefix) => format!("{{cidr: \"{prefix}\"}}"),
            Self::Server(index) => format!("{{server: s{index}}}"),
            Self::Network => format!("{{network: n{network}}}"),
            Self::Service => "{service: web}".to_owned(),
            Self::Stated(who, wanted) => {
                let who = who.yaml(network);
                format!("{}, posture: {}}}", who.trim_end_matches('}'), wanted.yaml())
            }
        }
    }
}

impl Wanted {
    fn yaml(&self) -> String {
        let systems = (!self.systems.is_empty())
            .then(|| format!("os: {}", list(&self.systems, |system| SYSTEMS[*system].to_owned())));
        let version = self.version_least.map(|least| format!("osVersionAtLeast: \"{least}\""));
        let disk = self.is_encrypted.map(|is_encrypted| format!("diskEncrypted: {is_encrypted}"));
        format!("{{{}}}", [systems, version, disk].into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

fn said(random: &mut Random) -> Said {
    Said {
        system: (random.below(4) > 0).then(|| random.below(2) as usize),
        version: (random.below(4) > 0).then(|| 11 + random.below(3) as u32),
        is_encrypted: (random.below(3) > 0).then(|| random.below(2) == 0),
    }
}

fn wanted(random: &mut Random) -> Wanted {
    let systems = some_of(random, 2);
    let version_least = (systems.len() == 1 && random.below(2) == 0).then(|| 11 + random.below(3) as u32);
    let is_encrypted = (systems.is_empty() || random.below(2) == 0).then(|| random.below(3) > 0);
    Wanted { systems, version_least, is_encrypted }
}

fn server(random: &mut Random) -> Server {
    let networks = some_of(random, 2);
    let networks = if networks.is_empty() { vec![0] } else { networks };
    let routes = some_of(random, ROUTES.len()).into_iter();
    let routes = routes.map(|route| (ROUTES[route], *pick(random, &networks))).collect();
    Server { networks, routes, is_disabled: random.below(8) == 0 }
}

fn user(random: &mut Random, moment: i64) -> User {
    let expires_at = (random.below(4) == 0).then(|| moment + *pick(random, &[-1, 0, 1, 3600, 86_400]));
    User { groups: some_of(random, 3), is_disabled: random.below(8) == 0, expires_at }
}

fn device(random: &mut Random) -> Device {
    let networks = some_of(random, 2);
    Device {
        // The last user has no device.
        user: random.below(3) as usize,
        networks: if networks.is_empty() { vec![random.below(2) as usize] } else { networks },
        tags: some_of(random, 2),
        is_disabled: random.below(10) == 0,
        said: (random.below(5) > 0).then(|| said(random)),
    }
}

fn policy(random: &mut Random, block: u8, moment: i64) -> Policy {
    let selectors = |random: &mut Random, is_destination| {
        (0..=random.below(2)).map(|_| selector(random, block, is_destination)).collect::<Vec<_>>()
    };
    let rules = (0..=random.below(2)).map(|_| {
        let protocol = *pick(random, &[Protocol::Any, Protocol::Tcp, Protocol::Udp, Protocol::Icmp]);
        let has_ports = matches!(protocol, Protocol::Tcp | Protocol::Udp) && random.below(2) == 0;
        let mut ports: Vec<(u16, u16)> = vec![];
        for _ in 0..if has_ports { 1 + random.below(2) } else { 0 } {
            let range =
                *pick(random, &[(80, 80), (22, 443), (445, 445), (8000, 8010), (1, 65535), (444, 65535)]);
            if !ports.contains(&range) {
                ports.push(range);
            }
        }
        Rule { to: selectors(random, true), protocol, ports }
    });
    let rules = rules.collect();
    let windows = if random.below(2) == 0 { 0 } else { 1 + random.below(2) };
    Policy {
        network: random.below(2) as usize,
        is_deny: random.below(4) == 0,
        from: selectors(random, false)
            .into_iter()
            .map(|who| match random.below(3) {
                0 => Selector::Stated(Box::new(who), wanted(random)),
                _ => who,
            })
            .collect(),
        rules,
        windows: (0..windows).map(|_| window(random)).collect(),
        valid_until: (random.below(4) == 0).then(|| moment + *pick(random, &[-1, 0, 1, 1800, 90_000])),
    }
}

fn selector(random: &mut Random, block: u8, is_destination: bool) -> Selector {
    let prefixes = [
        format!("10.{block}.0.0/24"),
        format!("10.{block}.0.4/30"),
        format!("10.{}.0.0/29", block + 1),
        format!("fd77:{block}::/64"),
        "198.51.100.0/25".to_owned(),
        "198.51.100.7/32".to_owned(),
        "192.168.7.0/24".to_owned(),
        "0.0.0.0/0".to_owned(),
        "::/0".to_owned(),
    ];
    let index = |random: &mut Random, end| random.below(end) as usize;
    match random.below(if is_destination { 12 } else { 9 }) {
        0 => Selector::Any,
        1 | 2 => Selector::User(index(random, 4)),
        3 | 4 => Selector::Group(index(random, 3)),
        5 | 6 => Selector::Tag(index(random, 2)),
        7 => Selector::Device(index(random, 6)),
        8 | 9 => Selector::Cidr(pick(random, &prefixes).clone()),
        10 if random.below(4) == 0 => Selector::Service,
        10 => Selector::Server(index(random, 3)),
        _ => Selector::Network,
    }
}

fn window(random: &mut Random) -> Window {
    let minute = |random: &mut Random| match random.below(3) {
        // Around the hours at which clocks are set.
        0 => random.below(4 * 60) as u32,
        1 => random.below(24) as u32 * 60,
        _ => random.below(24 * 60) as u32,
    };
    let start_min = minute(random);
    let end_min = if random.below(5) == 0 { 24 * 60 } else { minute(random) };
    Window { days: some_of(random, 7), start_min, end_min, zone: pick::<&str>(random, &ZONES) }
}

pub(crate) fn pick<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[random.below(of.len() as u64) as usize]
}

fn some_of(random: &mut Random, count: usize) -> Vec<usize> {
    (0..count).filter(|_| random.below(2) == 0).collect()
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", "))
}

fn names(prefix: &str, indices: &[usize]) -> String {
    list(indices, |index| format!("{{name: {prefix}{index}}}"))
}

fn moment_text(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap().to_string()
}
