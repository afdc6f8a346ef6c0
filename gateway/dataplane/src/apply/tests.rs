//! The laws of the diff, on a machine that is a few maps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A host as a value: an [`Observed`] that knows every sysctl.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Machine(Observed);

impl Machine {
    fn apply(&mut self, action: &Action) {
        let host = &mut self.0;
        match action.clone() {
            Action::AddTun { name } => {
                let interface = Interface { link: Link::NEW_TUN, addresses: BTreeSet::new() };
                assert!(host.interfaces.insert(name, interface).is_none(), "{action} twice");
            }
            Action::RemoveTun { name } => {
                assert!(host.interfaces.remove(&name).is_some(), "{action} of none");
                host.routes.retain(|route| *route.interface() != name);
            }
            Action::SetFirewall { was, value } => {
                assert_eq!(host.firewall, was);
                host.firewall = value;
            }
            Action::SetSysctl { key, value, .. } => {
                assert!(host.sysctls.insert(key, value).is_some());
            }
            Action::SetLink { name, was, value } => {
                let link = &mut host.interfaces.get_mut(&name).unwrap().link;
                assert_eq!(*link, was);
                *link = value;
            }
            Action::AddAddress { name, address } => {
                assert!(host.interfaces.get_mut(&name).unwrap().addresses.insert(address));
            }
            Action::RemoveAddress { name, address } => {
                assert!(host.interfaces.get_mut(&name).unwrap().addresses.remove(&address));
            }
            Action::AddRoute(route) => {
                assert!(host.interfaces.contains_key(route.interface()));
                assert!(host.routes.insert(route));
            }
            Action::RemoveRoute(route) => assert!(host.routes.remove(&route)),
        }
    }

    fn converge(&mut self, applied: &mut Applied, wanted: &HostState) {
        for action in diff(applied, &self.0, wanted) {
            self.apply(&action);
            applied.record(action);
        }
    }

    /// What the wanted state says and this machine does not.
    fn lacks(&self, wanted: &HostState) -> Vec<Action> {
        diff(&Applied::default(), &self.0, wanted)
    }
}

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn keys() -> Vec<SysctlKey> {
    let redirects: SysctlKey = "net.ipv4.conf.all.accept_redirects".parse().unwrap();
    vec![SysctlKey::ipv4_forwarding(), SysctlKey::ipv6_forwarding(), redirects]
}

fn addresses() -> Vec<ipnet::IpNet> {
    ["10.7.0.1/24", "10.8.0.1/16", "fd00::1/64"].map(|text| text.parse().unwrap()).to_vec()
}

fn any_interface() -> impl Strategy<Value = Interface> {
    let link = (prop_oneof![Just(1280_u32), Just(1500)], prop_oneof![Just(32_u32), Just(500)], any::<bool>())
        .prop_map(|(mtu, queue_packets, is_up)| Link { mtu, queue_packets, is_up });
    let addresses = proptest::sample::subsequence(addresses(), 0..=3);
    (link, addresses)
        .prop_map(|(link, addresses)| Interface { link, addresses: addresses.into_iter().collect() })
}

fn any_firewall() -> impl Strategy<Value = Firewall> {
    any::<bool>().prop_map(|hides| Firewall {
        tuns: BTreeSet::from([name("hzn0")]),
        masquerades: hides
            .then(|| {
                Masquerade::new("10.7.0.0/24".parse().unwrap(), "192.168.1.0/24".parse().unwrap()).unwrap()
            })
            .into_iter()
            .collect(),
        guards: BTreeSet::new(),
    })
}

fn any_state() -> impl Strategy<Value = HostState> {
    let interfaces = proptest::collection::btree_map(
        prop_oneof![Just(name("hzn0")), Just(name("hzn1"))],
        any_interface(),
        0..=2,
    );
    let destinations = proptest::sample::subsequence(addresses(), 0..=3);
    let metric = prop_oneof![Just(None), Just(Some(7)), Just(Some(1024))];
    let values = prop_oneof![Just("0".to_owned()), Just("1".to_owned())];
    let sysctls = proptest::collection::btree_map(proptest::sample::select(keys()), values, 0..=3);
    (interfaces, destinations, metric, sysctls, proptest::option::of(any_firewall())).prop_map(
        |(interfaces, destinations, metric, sysctls, firewall)| {
            let routes = (interfaces.keys().flat_map(|name| {
                destinations.iter().map(|to| Route::new(*to, name.clone()).with_metric(metric))
            }))
            .collect();
            HostState { interfaces, routes, sysctls, firewall }
        },
    )
}

/// Anything may be there before us, but a table of our name.
fn any_machine() -> impl Strategy<Value = Machine> {
    any_state().prop_map(|state| {
        let value_of = |key: &SysctlKey| state.sysctls.get(key).map_or("0", String::as_str);
        let sysctls: BTreeMap<_, _> =
            keys().into_iter().map(|key| (key.clone(), Setting::from(value_of(&key)))).collect();
        Machine(Observed { interfaces: state.interfaces, routes: state.routes, sysctls, firewall: None })
    })
}

proptest! {
    #[test]
    fn diff_then_apply_equals_wanted_and_undo_equals_the_start(
        start in any_machine(),
        wanted in proptest::collection::vec(any_state(), 1..5),
    ) {
        let mut machine = start.clone();
        let mut applied = Applied::default();

        for wanted in &wanted {
            machine.converge(&mut applied, wanted);
            prop_assert_eq!(machine.lacks(wanted), vec![]);
            prop_assert_eq!(diff(&applied, &machine.0, wanted), vec![]);
        }
        machine.converge(&mut applied, &HostState::default());

        prop_assert_eq!(machine, start);
        prop_assert!(applied.is_empty());
    }

    #[test]
    fn undoing_the_ledger_equals_the_start(start in any_machine(), wanted in any_state()) {
        let mut machine = start.clone();
        let mut applied = Applied::default();
        machine.converge(&mut applied, &wanted);

        for action in applied.undo() {
            prop_assert_eq!(action.undo().undo(), action.clone());
            machine.apply(&action);
        }

        prop_assert_eq!(machine, start);
    }

    #[test]
    fn what_was_flushed_comes_back_and_is_still_undone(start in any_machine(), wanted in any_state()) {
        let mut machine = start.clone();
        let mut applied = Applied::default();
        machine.converge(&mut applied, &wanted);
        machine.0.firewall = None;
        machine.0.routes.retain(|route| start.0.routes.contains(route));
        for (name, interface) in &mut machine.0.interfaces {
            let before = start.0.interfaces.get(name);
            interface.addresses.retain(|address| before.is_some_and(|before| before.addresses.contains(address)));
        }

        machine.converge(&mut applied, &wanted);
        prop_assert_eq!(machine.lacks(&wanted), vec![]);
        machine.converge(&mut applied, &HostState::default());

        prop_assert_eq!(machine, start);
    }
}

#[test]
fn rules_stand_before_the_host_forwards_and_fall_after() {
    let machine = Machine(Observed {
        sysctls: keys().into_iter().map(|key| (key, Setting::from("0"))).collect(),
        ..Observed::default()
    });
    let link = Link { mtu: 1400, queue_packets: 32, is_up: true };
    let wanted = HostState {
        interfaces: BTreeMap::from([(
            name("hzn0"),
            Interface { link, addresses: BTreeSet::from([addresses()[0]]) },
        )]),
        routes: BTreeSet::from([Route::new(addresses()[1], name("hzn0"))]),
        sysctls: keys().into_iter().map(|key| (key, "1".to_owned())).collect(),
        firewall: Some(Firewall::default()),
    };
    let made: Vec<String> = machine.lacks(&wanted).iter().map(ToString::to_string).collect();

    assert_eq!(
        made,
        [
            "add TUN hzn0",
            "install nftables table inet horizon",
            "set sysctl net.ipv4.conf.all.accept_redirects to 1",
            "set sysctl net.ipv4.ip_forward to 1",
            "set sysctl net.ipv6.conf.all.forwarding to 1",
            "set hzn0 up mtu 1400 txqueuelen 32",
            "add address 10.7.0.1/24 to hzn0",
            "add route 10.8.0.0/16 dev hzn0",
        ]
    );
}

#[test]
fn a_change_that_was_perhaps_made_stays_in_the_ledger() {
    let add = Action::AddAddress { name: name("hzn0"), address: addresses()[0] };
    let mut applied = Applied::default();

    applied.suspect(add.clone());
    assert_eq!(applied.undo(), [add.undo()]);
    applied.suspect(add.undo());
    assert_eq!(applied.undo(), [add.undo()], "the undo is not known to be made");
    applied.record(add.undo());

    assert!(applied.is_empty());
}

#[test]
fn a_metric_of_the_kernel_counts_as_none() {
    let route = |to: &str| Route::new(to.parse().unwrap(), name("hzn0"));

    assert_eq!(route("fd00::1/64").with_metric(Some(1024)), route("fd00::/64"));
    assert_eq!(route("10.0.0.0/8").with_metric(Some(0)), route("10.0.0.0/8"));
    assert_ne!(route("10.0.0.0/8").with_metric(Some(1024)), route("10.0.0.0/8"));
}

#[test]
fn a_host_that_forwards_only_because_of_us_is_guarded_and_a_router_is_left_alone() {
    let switch = SysctlKey::ipv4_forwarding();
    let wanted = HostState {
        sysctls: BTreeMap::from([(switch.clone(), "1".to_owned())]),
        firewall: Some(Firewall::default()),
        ..HostState::default()
    };
    let guards_on = |setting: Setting| {
        let sysctls = BTreeMap::from([(switch.clone(), setting)]);
        let mut machine = Machine(Observed { sysctls, ..Observed::default() });
        let mut applied = Applied::default();
        let first = guarded(&applied, &machine.0, &wanted);
        machine.converge(&mut applied, &first);
        assert_eq!(guarded(&applied, &machine.0, &wanted), first, "the same answer once it forwards");
        first.firewall.map(|firewall| firewall.guards)
    };
    let one_interface = BTreeMap::from([("net.ipv4.conf.lan0.forwarding".parse().unwrap(), "1".to_owned())]);

    assert_eq!(guards_on("0".into()), Some(BTreeSet::from([switch.clone()])));
    assert_eq!(guards_on("1".into()), Some(BTreeSet::new()));
    assert_eq!(guards_on(Setting { value: "0".into(), beside: one_interface }), Some(BTreeSet::new()));
}
