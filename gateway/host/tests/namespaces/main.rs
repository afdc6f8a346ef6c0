//! A real kernel, in a network namespace of its own: what we change is taken back to the last byte.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper of a test fails the test, and a skip is said aloud"
)]

mod namespace;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::time::Duration;

use horizon_dataplane::apply::{
    Firewall, HostState, Interface, InterfaceName, Link, Masquerade, Route, SysctlKey,
};
use horizon_host::tun::HEADER_BYTES;
use horizon_host::{Host, Leftovers, Linux, Tun, TunError, TunQueue, sysctl};
use tokio::io::unix::{AsyncFd, AsyncFdReadyMutGuard};
use tokio::time::timeout;

use namespace::{Snapshot, in_namespace, ip, nft};

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A gateway with two families, a subnet route and masquerade.
fn gateway() -> HostState {
    let link = Link { mtu: 1380, queue_packets: 32, is_up: true };
    let addresses = ["10.7.0.1/24", "fd07::1/64"].map(|text| text.parse().unwrap());
    let masquerade =
        |from: &str, to: &str| Masquerade::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    let mut sysctls = sysctl::forwarding(sysctl::Family::Ipv4);
    sysctls.extend(sysctl::forwarding(sysctl::Family::Ipv6));
    let routes = [
        Route::new("10.8.0.0/16".parse().unwrap(), name("hzn0")),
        Route::new("10.9.0.0/16".parse().unwrap(), name("hzn0"))
            .with_metric(Some(50))
            .with_source(Some("10.7.0.1".parse().unwrap())),
        Route::new("fd08::/64".parse().unwrap(), name("hzn0")),
    ];
    HostState {
        interfaces: BTreeMap::from([(name("hzn0"), Interface { link, addresses: addresses.into() })]),
        routes: routes.into(),
        sysctls,
        firewall: Some(Firewall {
            tuns: BTreeSet::from([name("hzn0")]),
            masquerades: [masquerade("10.7.0.0/24", "192.168.1.0/24"), masquerade("fd07::/64", "::/0")]
                .into(),
            guards: BTreeSet::new(),
        }),
    }
}

/// A host with a LAN, an odd per-interface setting and a table of somebody else.
fn prepare() {
    ip("link set lo up");
    // Without a peer nothing about them changes by itself while a test looks on.
    ip("tuntap add dev lan0 mode tun");
    ip("tuntap add dev lan1 mode tun");
    ip("link set lan0 up");
    ip("link set lan1 up");
    ip("addr add 192.168.1.1/24 dev lan0");
    namespace::write_sysctl("net/ipv4/conf/lan1/forwarding", "1");
    namespace::write_sysctl("net/ipv4/conf/all/accept_redirects", "0");
    nft("add table inet theirs; add chain inet theirs input { type filter hook input priority 0; }");
}

fn open(folder: &tempfile::TempDir) -> Host<Linux> {
    Host::open(folder.path(), Linux::connect().unwrap()).unwrap()
}

#[test]
fn apply_then_undo_leaves_the_host_as_it_was() {
    in_namespace(async || {
        prepare();
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take();
        let mut host = open(&folder);

        host.converge(&gateway()).await.unwrap();
        let during = Snapshot::take();
        assert!(during.addresses.contains("10.7.0.1") && during.addresses.contains("fd07::1"));
        assert!(during.routes.contains("10.8.0.0/16") && during.routes.contains("fd08::/64"));
        assert!(during.ruleset.contains("masquerade") && during.ruleset.contains("theirs"));
        assert_eq!(during.sysctls["net/ipv4/ip_forward"], "1");
        assert_eq!(host.converge(&gateway()).await.unwrap(), 0);
        host.undo_all().await.unwrap();

        before.assert_same(&Snapshot::take());
    });
}

#[test]
fn the_next_start_undoes_what_a_kill_left() {
    in_namespace(async || {
        prepare();
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take();
        open(&folder).converge(&gateway()).await.unwrap();

        open(&folder).recover(Leftovers::Undo).await.unwrap();

        before.assert_same(&Snapshot::take());
    });
}

#[test]
fn the_next_start_adopts_what_it_still_wants() {
    in_namespace(async || {
        prepare();
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take();
        open(&folder).converge(&gateway()).await.unwrap();
        let index = ip("-o link show hzn0");

        let mut host = open(&folder);
        let mut wanted = gateway();
        wanted.routes.pop_first();
        host.recover(Leftovers::Adopt(&wanted)).await.unwrap();
        host.converge(&wanted).await.unwrap();

        assert_eq!(ip("-o link show hzn0"), index, "the interface is the same one");
        assert!(!Snapshot::take().routes.contains("10.8.0.0/16"));
        host.undo_all().await.unwrap();
        before.assert_same(&Snapshot::take());
    });
}

#[test]
fn what_somebody_flushed_comes_back() {
    in_namespace(async || {
        prepare();
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take();
        let mut host = open(&folder);
        host.converge(&gateway()).await.unwrap();
        let during = Snapshot::take();

        let vandals: [fn(); 6] = [
            || {
                drop(nft(
                    "flush ruleset; add table inet theirs; add chain inet theirs input { type filter hook input priority 0; }",
                ))
            },
            || drop(nft("flush table inet horizon")),
            || drop(ip("addr flush dev hzn0 scope global")),
            || drop(ip("route flush proto static dev hzn0")),
            || drop(ip("link del hzn0")),
            || namespace::write_sysctl("net/ipv4/ip_forward", "0"),
        ];
        for vandal in vandals {
            vandal();
            assert!(host.reassert().await.unwrap() > 0);
            assert_eq!(host.reassert().await.unwrap(), 0);
            let after = Snapshot::take();
            assert_eq!(during.route_count(), after.route_count());
            assert_eq!(during.ruleset, after.ruleset);
            assert_eq!(after.sysctls["net/ipv4/ip_forward"], "1");
        }
        host.undo_all().await.unwrap();

        before.assert_same(&Snapshot::take());
    });
}

#[test]
fn a_route_of_somebody_else_stops_and_takes_back_the_whole_change() {
    in_namespace(async || {
        prepare();
        ip("route add 10.8.0.0/16 dev lan0");
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take();
        let mut host = open(&folder);

        let error = host.converge(&gateway()).await.unwrap_err().to_string();

        assert!(error.contains("add route 10.8.0.0/16") && error.contains("ip route show"), "{error}");
        before.assert_same(&Snapshot::take());
    });
}

#[test]
fn a_host_becomes_no_router_for_others_unless_it_was_one() {
    in_namespace(async || {
        let folder = tempfile::tempdir().unwrap();
        let mut host = open(&folder);
        host.converge(&gateway()).await.unwrap();
        let guarded = nft("list chain inet horizon forward");
        assert_eq!(host.converge(&gateway()).await.unwrap(), 0);
        host.undo_all().await.unwrap();

        namespace::write_sysctl("net/ipv4/ip_forward", "1");
        host.converge(&gateway()).await.unwrap();
        let router = nft("list chain inet horizon forward");

        for family in ["ipv4", "ipv6"] {
            assert!(guarded.contains(&format!("nfproto {family} iifname")), "{guarded}");
        }
        assert!(!router.contains("nfproto ipv4") && router.contains("nfproto ipv6"), "{router}");
    });
}

#[test]
fn a_setting_of_an_interface_that_left_is_left_out() {
    in_namespace(async || {
        ip("tuntap add dev lan0 mode tun");
        let key = SysctlKey::of_interface("ipv6", &name("lan0"), "accept_ra").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut host = open(&folder);
        let wanted = HostState { sysctls: [(key, "2".to_owned())].into(), ..gateway() };
        host.converge(&wanted).await.unwrap();

        ip("link del lan0");
        ip("addr flush dev hzn0 scope global");

        assert!(host.reassert().await.unwrap() > 0);
    });
}

#[test]
fn an_interface_that_is_not_ours_is_never_touched() {
    in_namespace(async || {
        prepare();
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take();
        let interface = gateway().interfaces.remove(&name("hzn0")).unwrap();
        let interfaces = BTreeMap::from([(name("lan0"), interface)]);
        let wanted = HostState { interfaces, ..HostState::default() };

        let error = open(&folder).converge(&wanted).await.unwrap_err().to_string();

        assert!(error.contains("choose another name"), "{error}");
        before.assert_same(&Snapshot::take());
        assert!(matches!(Tun::open(&name("lan0"), 1), Err(TunError::Foreign { .. })));
    });
}

#[test]
fn a_host_that_listens_to_routers_goes_on_listening() {
    in_namespace(async || {
        prepare();
        let key = SysctlKey::of_interface("ipv6", &name("lan0"), "accept_ra").unwrap();

        let wanted = sysctl::forwarding(sysctl::Family::Ipv6);

        assert_eq!(wanted.get(&key).map(String::as_str), Some("2"));
        let folder = tempfile::tempdir().unwrap();
        let mut host = open(&folder);
        host.converge(&HostState { sysctls: wanted.clone(), ..HostState::default() }).await.unwrap();
        assert_eq!(sysctl::forwarding(sysctl::Family::Ipv6), wanted, "the same answer once it forwards");
    });
}

#[test]
fn a_foreign_chain_that_drops_is_named_until_it_accepts() {
    in_namespace(async || {
        let linux = Linux::connect().unwrap();
        nft(
            "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
        );

        let blocked = linux.forwarding_blocked(&name("hzn0")).await.unwrap();
        assert_eq!(blocked.len(), 1);
        assert_eq!(blocked[0].chain, "ip filter FORWARD");
        assert!(blocked[0].hint.contains("hzn0"), "{}", blocked[0].hint);
        nft("insert rule ip filter FORWARD iifname hzn0 accept");
        assert_eq!(linux.forwarding_blocked(&name("hzn0")).await.unwrap().len(), 1, "answers are dropped");
        nft("insert rule ip filter FORWARD ct state established,related accept");

        assert_eq!(linux.forwarding_blocked(&name("hzn0")).await.unwrap(), []);
    });
}

#[test]
fn a_ping_goes_in_and_its_answer_comes_out() {
    in_namespace(async || {
        let folder = tempfile::tempdir().unwrap();
        let mut host = open(&folder);
        host.converge(&gateway()).await.unwrap();
        let mut tun = Tun::open(&name("hzn0"), 1).unwrap();
        #[allow(unsafe_code, reason = "tokio asks for a promise")]
        // SAFETY: a queue owns its descriptor and gives the same one until it is dropped.
        let mut queue = unsafe { AsyncFd::register(tun.queues.remove(0)) }.unwrap();

        let header = [0; HEADER_BYTES];
        let ping = namespace::ping([10, 7, 0, 2], [10, 7, 0, 1]);
        let (first, second) = ping.split_at(20);
        let pieces = [IoSlice::new(&header), IoSlice::new(first), IoSlice::new(second)];
        let answer = loop {
            assert_eq!(queue.get_ref().writev(&pieces).unwrap(), HEADER_BYTES + ping.len());
            // The kernel drops what leaves by an interface whose carrier it has not noticed yet.
            let wait = timeout(Duration::from_millis(100), queue.readable_mut()).await;
            if let Ok(ready) = wait
                && let Some(answer) = read_ipv4(ready.unwrap())
            {
                break answer;
            }
        };

        assert_eq!((&answer[12..16], answer[20]), (&[10, 7, 0, 1][..], 0), "an echo reply");
    });
}

/// The first IPv4 packet that is there; IPv6 says some things of its own.
fn read_ipv4(mut ready: AsyncFdReadyMutGuard<'_, TunQueue>) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 65_536 + HEADER_BYTES];
    loop {
        let length = ready.try_io(|queue| queue.get_mut().read(&mut buffer)).ok()?.unwrap();
        if buffer[HEADER_BYTES] >> 4 == 4 {
            return Some(buffer[HEADER_BYTES..length].to_vec());
        }
    }
}

#[test]
fn a_tun_has_as_many_queues_as_asked_and_one_owner() {
    in_namespace(async || {
        let tun = Tun::open(&name("hzn0"), 2).unwrap();
        assert_eq!(tun.queues.len(), 2);

        assert!(matches!(Tun::open(&name("hzn0"), 1), Err(TunError::InUse { .. })));
        drop(tun);

        assert!(Tun::open(&name("hzn0"), 1).is_ok());
        assert!(matches!(Tun::open(&name("hzn0"), 0), Err(TunError::Queues { .. })));
        ip("tuntap add dev other mode tun");
        assert!(matches!(Tun::open(&name("other"), 1), Err(TunError::Foreign { .. })));
    });
}
