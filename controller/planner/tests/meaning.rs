//! What is written is what happens: access, addresses, revocations, times, conditions.

#[path = "world/folder.rs"]
mod world;

use std::collections::BTreeMap;

use horizon_api::{
    assignment::Version,
    resource::{Kind, Metadata, ResourceSpec},
    verdict::{self, Party, Query, Who, evaluate},
    wire::cfg::Nack,
};
use horizon_planner::{
    compile::{Compiled, Standing},
    manifest::Manifest,
    status::{Answer, GatewayReport, Progress, changed},
};
use world::{Folder, Memory, addresses, codes, condition, config, key};

/// Asks the compiled policy whether a device may reach a host behind the gateway.
fn is_allowed(compiled: &Compiled, device: &str, port: u16) -> bool {
    let config = config(compiled);
    let table = config.policies.values().next().expect("a policy");
    let identity = &compiled.effective.devices[&key(device)].identity;
    let query = Query {
        source: Party { who: Who::Device(identity), address: [10, 77, 0, 2].into() },
        destination: Party { who: Who::Host, address: [198, 51, 100, 7].into() },
        protocol: 6,
        port: Some(port),
    };
    evaluate(table, &query, 0).action == verdict::Action::Allow
}

#[test]
fn a_policy_allows_what_it_says_and_nothing_else() {
    let compiled = Memory::default().apply(&Folder::office());

    assert!(is_allowed(&compiled, "Device/laptop", 80));
    assert!(!is_allowed(&compiled, "Device/laptop", 443));
}

#[test]
fn who_is_in_no_group_reaches_nothing() {
    let compiled =
        Memory::default().apply(&Folder::office().edit("users.yaml", "groups: [staff]", "groups: []"));

    assert!(!is_allowed(&compiled, "Device/laptop", 80));
}

#[test]
fn a_deny_wins_in_whatever_file_it_stands() {
    let deny = world::OFFICE[1].1.replace("Allow", "Deny").replace("staff-to-web", "a-freeze");

    let compiled = Memory::default().apply(&Folder::office().with("a.yaml", &deny));

    assert!(!is_allowed(&compiled, "Device/laptop", 80));
}

#[test]
fn every_selector_and_protocol_arrives_in_the_table() {
    let rules = "rules:
    - {to: [{user: alice}, {group: ops}, {tag: nas}, {device: laptop}, {cidr: 10.0.0.0/8}, {server: gw-1}, {network: office}, {any: true}]}
    - {to: [{any: true}], protocol: Udp, ports: [\"53\", \"1000-2000\"]}
    - {to: [{any: true}], protocol: Icmp}";
    let from = "from: [{user: alice}, {group: staff}, {tag: nas}, {device: laptop}, {cidr: 10.0.0.0/8}, {any: true}]";
    let folder = Folder::office()
        .edit(
            "policy.yaml",
            "rules: [{to: [{cidr: 198.51.100.0/24}], protocol: Tcp, ports: [\"80\"]}]",
            rules,
        )
        .edit("policy.yaml", "from: [{group: staff}]", from);

    let compiled = Memory::default().apply(&folder);

    let shown: Vec<_> = config(&compiled)
        .policies
        .values()
        .flat_map(|table| table.rules.clone())
        .map(|rule| {
            format!("{} {:?} -> {:?} {:?} {:?}", rule.id, rule.from, rule.to, rule.protocol, rule.ports)
        })
        .collect();
    let sources = r#"[User("alice"), Group("staff"), Tag("nas"), Device("laptop"), Cidr(10.0.0.0/8), Any]"#;
    assert_eq!(
        shown,
        [
            format!(
                r#"staff-to-web#0 {sources} -> [User("alice"), Group("ops"), Tag("nas"), Device("laptop"), Cidr(10.0.0.0/8), Server("gw-1"), Members, Any] Any []"#
            ),
            format!("staff-to-web#1 {sources} -> [Any] Udp [53..=53, 1000..=2000]"),
            format!("staff-to-web#2 {sources} -> [Any] Icmp []"),
        ]
    );
}

#[test]
fn a_gateway_gets_its_networks_and_routes() {
    let config = config(&Memory::default().apply(&Folder::office()));

    let network = config.networks.values().next().expect("a network");
    assert_eq!(
        network.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.77.0.1", "fd77:1::1"]
    );
    assert_eq!((network.mtu, network.offline_grace_s), (1380, 12 * 3600));
    let routes: Vec<_> = config.routes.iter().map(|r| (r.prefix.to_string(), r.masquerade)).collect();
    assert_eq!(routes, [("198.51.100.0/24".to_owned(), true)]);
}

#[test]
fn a_disabled_server_gets_an_empty_configuration() {
    let folder = Folder::office().edit("server.yaml", "networkRefs:", "adminState: Disabled\n  networkRefs:");

    let config = config(&Memory::default().apply(&folder));

    assert!(config.networks.is_empty() && config.routes.is_empty() && config.policies.is_empty());
}

#[test]
fn devices_keep_their_addresses_when_others_come_and_go() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());
    let crowd = Folder::office()
        .with("a.yaml", &world::user_and_device("a"))
        .with("b.yaml", &world::user_and_device("b"));

    let more = memory.apply(&crowd);
    let fewer = memory.apply(&crowd.clone().without("a.yaml"));

    assert_eq!(addresses(&before, "Device/laptop"), "10.77.0.2 fd77:1::2");
    assert_eq!(addresses(&more, "Device/laptop"), "10.77.0.2 fd77:1::2");
    assert_eq!(addresses(&more, "Device/b-pc"), "10.77.0.4 fd77:1::4");
    assert_eq!(addresses(&fewer, "Device/b-pc"), "10.77.0.4 fd77:1::4");
}

#[test]
fn an_exhausted_pool_blocks_the_newcomer_only() {
    let mut memory = Memory::default();
    let small = Folder::office().edit(
        "network.yaml",
        "[{cidr: 10.77.0.0/24}, {cidr: \"fd77:1::/64\"}]",
        "[{cidr: 10.77.0.0/30}]",
    );
    let before = memory.apply(&small);

    let after = memory.apply(&small.with("b.yaml", &world::user_and_device("b")));

    assert_eq!(after.sections, before.sections);
    assert_eq!(codes(&after), ["PoolExhausted"]);
    assert_eq!(after.blocked[&key("Device/b-pc")].reason, "PoolExhausted");
    assert!(condition(&after, "Device/b-pc", "Accepted").is_some_and(|c| c.is_true()));
}

#[test]
fn whoever_loses_access_is_revoked_and_comes_back_with_it() {
    let ways = [
        ("groups: [staff]", "groups: [staff], disabled: true"),
        ("groups: [staff]", "groups: [staff], expiresAt: \"1970-01-01T00:01:00Z\""),
        ("networkRefs: [{name: office}]", "networkRefs: [{name: office}]\n  disabled: true"),
    ];
    for (from, to) in ways {
        let mut memory = Memory { now: 60, ..Memory::default() };
        let fine = memory.apply(&Folder::office());
        let cut = memory.apply(&Folder::office().edit("users.yaml", from, to));
        let back = memory.apply(&Folder::office());

        assert_eq!(config(&fine).revoked.len(), 0, "{to}");
        assert_eq!(config(&cut).revoked.len(), 1, "{to}");
        assert_ne!(cut.effective.devices[&key("Device/laptop")].standing, Standing::Active, "{to}");
        assert_eq!(config(&back).revoked.len(), 0, "{to}");
    }
}

#[test]
fn the_key_of_a_device_that_is_gone_stays_revoked() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());

    let gone = memory.apply(&Folder::office().without("users.yaml"));
    let later = memory.apply(&Folder::office().without("users.yaml"));

    assert_eq!(config(&gone).revoked.len(), 1);
    assert_eq!(config(&later).revoked.len(), 1);
}

#[test]
fn the_former_key_of_a_device_is_revoked() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());
    let old = "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=";
    let new = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    let changed = memory.apply(&Folder::office().edit("users.yaml", old, new));

    assert_eq!(changed.revoked.iter().map(ToString::to_string).collect::<Vec<_>>(), [old]);
}

#[test]
fn time_alone_wakes_the_compiler() {
    let key_text = "apiVersion: horizon.dev/v1alpha1
kind: RegistrationKey
metadata: {name: many}
spec: {generate: {}, maxUses: 5, expiresAt: \"1970-01-01T00:02:00Z\"}
";
    let mut memory = Memory { now: 60, ..Memory::default() };
    let folder = Folder::office().with("key.yaml", key_text);

    let before = memory.apply(&folder);
    memory.now = 120;
    let after = memory.apply(&folder);

    assert_eq!((before.next_wake, after.next_wake), (Some(120), None));
    assert!(condition(&before, "RegistrationKey/many", "Usable").is_some_and(|c| c.is_true()));
    let expired = condition(&after, "RegistrationKey/many", "Usable").expect("always there");
    assert_eq!((expired.reason.as_str(), expired.last_transition_time.as_second()), ("Expired", 120));
}

#[test]
fn a_key_that_was_used_up_is_exhausted() {
    let mut memory = Memory::default();
    memory.input.facts.uses.insert(key("RegistrationKey/gw-1"), 1);

    let compiled = memory.apply(&Folder::office());

    assert_eq!(
        compiled.effective.registration_keys[&key("RegistrationKey/gw-1")].standing,
        Standing::Exhausted
    );
}

#[test]
fn a_device_that_a_login_made_counts_like_any_other() {
    let spec = serde_json::json!({
        "userRef": {"name": "alice"}, "networkRefs": [{"name": "office"}],
        "publicKey": "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    });
    let spec = ResourceSpec::from_json(Kind::Device, spec).expect("a device");
    let metadata =
        Metadata { name: "alice-phone".into(), namespace: "default".into(), ..Metadata::default() };
    let mut memory =
        Memory { api: vec![Manifest::without_file(metadata, spec, "login")], ..Memory::default() };
    memory.apply(&Folder::office());

    let compiled = memory.apply(&Folder::office());

    assert_eq!(addresses(&compiled, "Device/alice-phone"), "10.77.0.2 fd77:1::2");
    assert_eq!(compiled.effective.users[&key("User/alice")].devices, 2);
    assert_eq!(compiled.effective.devices[&key("Device/alice-phone")].identity.user, "alice");
    assert_eq!(codes(&compiled), Vec::<&str>::new());
}

#[test]
fn a_grant_is_for_the_gateways_that_carry_its_networks() {
    let bound = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse().expect("a key");
    let mut memory = Memory::default();
    memory.input.facts.servers.insert(key("Server/gw-1"), bound);

    let compiled = memory.apply(&Folder::office());

    let networks = &compiled.effective.devices[&key("Device/laptop")].networks;
    assert_eq!(compiled.effective.audience(networks), [bound].into());
    assert_eq!(compiled.effective.audience(&[]), [].into());
}

/// A gateway that carries its networks since revision 3 and applied no assignment before the one that it answers.
fn answered(answer: Answer) -> GatewayReport {
    GatewayReport {
        is_connected: true,
        since: 0,
        answer,
        applied_through: 0,
        carries_since: 3,
        warnings: vec![],
    }
}

fn ready(compiled: &Compiled, report: Option<GatewayReport>, object: &str) -> String {
    let reports = report.map(|report| (key("Server/gw-1"), report)).into_iter().collect();
    // Revision 3 added the server, 4 changed the policy.
    let revisions = [("Network/office", 2), ("Server/gw-1", 3), ("AccessPolicy/staff-to-web", 4)];
    let revisions = BTreeMap::from(revisions.map(|(object, revision)| (key(object), revision)));
    let progress = Progress { gateways: &reports, earlier: &revisions, now: 0 };
    let statuses = changed(compiled, progress);
    let conditions = &statuses[&key(object)];
    let ready = conditions.iter().find(|condition| condition.kind == "Ready").expect("always there");
    format!("{:?} {}", ready.status, ready.reason)
}

#[test]
fn ready_says_what_stands_in_the_way() {
    let mut memory = Memory::default();
    let alone = memory.apply(&Folder::office());
    memory.input.facts.servers.insert(
        key("Server/gw-1"),
        "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse().expect("a key"),
    );
    let joined = memory.apply(&Folder::office());
    let report = |is_connected, answer| Some(GatewayReport { is_connected, ..answered(answer) });

    assert_eq!(ready(&alone, None, "Server/gw-1"), "False NotEnrolled");
    assert_eq!(ready(&joined, None, "Server/gw-1"), "False NeverConnected");
    assert_eq!(ready(&joined, report(false, Answer::Applied), "Server/gw-1"), "False Disconnected");
    assert_eq!(ready(&joined, report(true, Answer::Pending), "Server/gw-1"), "False Pending");
    assert_eq!(ready(&joined, report(true, Answer::Applied), "Server/gw-1"), "True Ready");
    let hindered = report(true, Answer::Applied)
        .map(|report| GatewayReport { warnings: vec!["a chain drops it".into()], ..report });
    assert_eq!(ready(&joined, hindered, "Server/gw-1"), "False ForwardingBlocked");
    assert_eq!(ready(&joined, report(true, Answer::Applied), "AccessPolicy/staff-to-web"), "True Ready");
    assert_eq!(ready(&joined, None, "AccessPolicy/staff-to-web"), "False NoGateways");
    assert_eq!(ready(&joined, None, "User/alice"), "True Ready");
}

#[test]
fn what_was_applied_stays_so_while_something_else_is_under_way() {
    let mut memory = Memory::default();
    memory.input.facts.servers.insert(
        key("Server/gw-1"),
        "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse().expect("a key"),
    );
    let compiled = memory.apply(&Folder::office());
    let check = |applied_through, expected: [&str; 3]| {
        let report = GatewayReport { applied_through, ..answered(Answer::Pending) };
        let said = ["Network/office", "Server/gw-1", "AccessPolicy/staff-to-web"]
            .map(|object| ready(&compiled, Some(report.clone()), object));
        assert_eq!(said, expected, "through {applied_through}");
    };

    // The network is older than the server that carries it.
    check(2, ["False Pending", "False Pending", "False Pending"]);
    check(3, ["True Ready", "True Ready", "False Pending"]);
    check(4, ["True Ready", "True Ready", "True Ready"]);
}

#[test]
fn a_refusal_is_told_on_the_object_that_caused_it() {
    let compiled = Memory::default().apply(&Folder::office());
    let nack = Nack {
        version: Version { epoch: 1, revision: 2 },
        section: Some("policy/default/office".into()),
        objects: vec![],
        reason: "too many rules".into(),
        running: None,
    };
    let answer = Answer::Refused(nack);
    let report = Some(answered(answer));

    assert_eq!(ready(&compiled, report.clone(), "AccessPolicy/staff-to-web"), "False RejectedByGateway");
    assert_eq!(ready(&compiled, report, "Network/office"), "False Pending");
}

/// A policy with windows, an end and a service, which nobody advertises yet.
const TIMED: &str = "apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: timed}
spec:
  networkRef: {name: office}
  action: ACTION
  from: [{user: alice}, {group: staff}, {tag: t}, {device: d}, {cidr: 10.77.0.0/24}]
  rules: [{to: [{service: web}, {cidr: 198.51.100.0/24}], protocol: Tcp, ports: [\"443\"]}]
  windows:
    - {days: [Fri], start: \"22:00\", end: \"06:00\", timeZone: Europe/Berlin}
    - {start: \"12:00\", end: \"13:00\"}
  validUntil: 2026-03-01T00:00:00.5Z
";

#[test]
fn times_travel_in_the_table_and_are_named_as_a_feature() {
    let timed = TIMED.replace("ACTION", "Allow");
    let compiled = Memory::default().apply(&Folder::office().with("timed.yaml", &timed));

    let config = config(&compiled);
    let table = config.policies.values().next().expect("a policy");
    let rule = table.rules.iter().find(|rule| rule.id == "timed#0").expect("the rule");
    assert_eq!(rule.valid_until, Some(1_772_323_201));
    let zones: Vec<_> = rule.windows.iter().map(|window| window.zone().to_string()).collect();
    assert_eq!(zones, ["Europe/Berlin", "UTC"]);
    assert_eq!(rule.to, [verdict::Selector::Cidr("198.51.100.0/24".parse().expect("a prefix"))]);
    // 1970-01-01 was a Thursday: of the first window nothing is open then, of the second the hour after noon.
    assert!(!rule.is_valid(0) && rule.is_valid(12 * 3600) && rule.is_valid(86_400 + 21 * 3600));
    let requires = |compiled: &Compiled| {
        let sections = compiled.sections.values().next().expect("a server");
        sections
            .iter()
            .find(|s| s.header.name.starts_with("policy/"))
            .expect("a policy")
            .header
            .requires
            .clone()
    };
    assert_eq!(requires(&compiled), ["time-windows"]);
    assert!(requires(&Memory::default().apply(&Folder::office())).is_empty());
    assert_eq!(compiled.next_wake, None, "gateways keep to it by themselves");
}
