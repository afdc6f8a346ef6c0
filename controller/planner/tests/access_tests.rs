//! A change after which somebody could do what must never be, or not do what must always be, stays out.

#[path = "world/folder.rs"]
mod world;

use world::{Folder, Memory, codes, condition, config, key};

const TEST: &str = "apiVersion: horizon.dev/v1alpha1
kind: AccessTest
metadata: {name: lan}
spec:
  networkRef: {name: office}
  cases:
    - {from: {user: alice}, to: {cidr: 198.51.100.7/32}, protocol: Tcp, port: 80, expect: Allow}
    - {from: {user: alice}, to: {cidr: 198.51.100.7/32}, protocol: Tcp, port: 22, expect: Deny}
";

fn tested() -> Folder {
    Folder::office().with("test.yaml", TEST)
}

#[test]
fn a_change_that_makes_a_case_fail_stays_out_and_the_rest_goes_on() {
    let mut memory = Memory::default();
    let before = memory.apply(&tested());

    let edit =
        tested().edit("policy.yaml", "\"80\"", "\"81\"").edit("network.yaml", "spec:", "spec:\n  mtu: 1300");
    let after = memory.apply(&edit);

    assert_eq!(codes(&before), Vec::<&str>::new());
    assert!(condition(&before, "AccessTest/lan", "Accepted").is_some_and(|c| c.is_true()));
    assert_eq!(config(&after).policies, config(&before).policies);
    assert_eq!(config(&after).networks.values().next().map(|network| network.mtu), Some(1300));
    let stale = condition(&after, "AccessPolicy/staff-to-web", "Stale").expect("it is at last good");
    assert_eq!(stale.reason, "TestsFailed");
    let accepted = condition(&after, "AccessTest/lan", "Accepted").expect("always there");
    assert_eq!((accepted.is_true(), accepted.reason.as_str()), (false, "TestsFailed"));
    assert!(
        accepted.message.starts_with("AccessTest/lan spec.cases[0] must be allowed: "),
        "{}",
        accepted.message
    );
    let problem = after.problems.iter().find(|problem| problem.code == "TestFailed").expect("it is told");
    assert_eq!((problem.file.as_str(), problem.line, problem.is_error()), ("test.yaml", 7, true));
    assert_eq!(after.blocked[&key("AccessTest/lan")].reason, "TestsFailed");

    let healed = memory.apply(&tested());
    assert!(condition(&healed, "AccessTest/lan", "Accepted").is_some_and(|c| c.is_true()));
}

#[test]
fn a_rule_that_opens_what_must_stay_shut_is_named() {
    let mut memory = Memory::default();
    let before = memory.apply(&tested());
    let open = world::OFFICE[1].1.replace("staff-to-web", "staff-to-ssh").replace("\"80\"", "\"22\"");
    let fine = world::OFFICE[1].1.replace("staff-to-web", "staff-to-tls").replace("\"80\"", "\"443\"");

    let after = memory.apply(&tested().with("ssh.yaml", &open).with("tls.yaml", &fine));

    assert!(!after.objects.contains_key(&key("AccessPolicy/staff-to-ssh")));
    assert!(after.objects.contains_key(&key("AccessPolicy/staff-to-tls")), "it is not at fault");
    assert_ne!(config(&after).policies, config(&before).policies);
    let accepted = condition(&after, "AccessTest/lan", "Accepted").expect("always there");
    assert!(accepted.message.contains("spec.cases[1] must be denied"), "{}", accepted.message);
    assert!(accepted.message.contains("staff-to-ssh"), "{}", accepted.message);
}

#[test]
fn a_person_who_joins_a_group_may_be_the_cause() {
    let mut memory = Memory::default();
    let ssh = world::OFFICE[1]
        .1
        .replace("staff-to-web", "ops-to-ssh")
        .replace("\"80\"", "\"22\"")
        .replace("group: staff", "group: ops");
    let folder = tested().with("ssh.yaml", &ssh);
    memory.apply(&folder);

    let after = memory.apply(&folder.edit("users.yaml", "groups: [staff]", "groups: [staff, ops]"));

    let stale = condition(&after, "User/alice", "Stale").expect("it is at last good");
    assert_eq!(stale.reason, "TestsFailed");
}

#[test]
fn a_test_that_warns_holds_nothing_back() {
    let mut memory = Memory::default();
    let warns = tested().edit("test.yaml", "  cases:", "  onFailure: Warn\n  cases:");
    let before = memory.apply(&warns);

    let after = memory.apply(&warns.edit("policy.yaml", "\"80\"", "\"81\""));

    assert_ne!(config(&after).policies, config(&before).policies);
    assert_eq!(codes(&after), ["TestFailed"]);
    assert!(!after.problems[0].is_error());
    assert!(condition(&after, "AccessTest/lan", "Accepted").is_some_and(|c| c.is_true()));
}

#[test]
fn what_fails_already_takes_nothing_away_and_blocks_nothing() {
    let mut memory = Memory::default();
    let failing = tested().edit("policy.yaml", "\"80\"", "\"81\"");

    let first = memory.apply(&failing);
    let second = memory.apply(&failing.edit("policy.yaml", "\"81\"", "\"82\""));

    assert_eq!(codes(&first), ["TestFailed"]);
    assert_eq!(config(&first).policies.values().next().map(|table| table.rules.len()), Some(1));
    assert_ne!(config(&second).policies, config(&first).policies);
    assert!(condition(&second, "AccessTest/lan", "Accepted").is_some_and(|c| !c.is_true()));
}

/// A group renamed with its policy takes nothing from anybody; half of it would.
#[test]
fn what_a_test_keeps_out_is_judged_again() {
    let mut memory = Memory::default();
    let people = |folder: Folder, group: &str| {
        (0..9).fold(folder, |folder, number| {
            let person = world::user_and_device(&format!("p{number}")).replace("staff", group);
            folder.with(&format!("person-{number}.yaml"), &person)
        })
    };
    let before = memory.apply(&people(tested(), "staff"));

    let renamed = people(tested(), "crew")
        .edit("users.yaml", "staff", "crew")
        .edit("policy.yaml", "group: staff", "group: crew")
        .edit("policy.yaml", "\"80\"", "\"80\", \"22\"");
    let after = memory.apply(&renamed);

    assert_eq!(config(&after).policies, config(&before).policies, "port 22 stays shut");
    let groups = |name: &str| &after.effective.devices[&key(&format!("Device/{name}"))].identity.groups;
    assert_eq!((groups("p0-pc"), groups("laptop")), (&["staff".into()].into(), &["staff".into()].into()));
}

#[test]
fn nobody_who_is_disabled_or_gone_stays_because_of_a_test() {
    let mut memory = Memory::default();
    let bob = world::user_and_device("bob");
    // It fails already, and nothing of the change is the cause.
    let old =
        TEST.replace("name: lan", "name: old").replace("port: 22, expect: Deny", "port: 25, expect: Allow");
    let folder = tested()
        .with("bob.yaml", &bob)
        .with("carol.yaml", &world::user_and_device("carol"))
        .with("old.yaml", &old);
    memory.apply(&folder);

    let edit = folder
        .edit("bob.yaml", "{groups: [staff]}", "{groups: [staff], disabled: true}")
        .without("carol.yaml")
        .edit("policy.yaml", "\"80\"", "\"22\"");
    let after = memory.apply(&edit);

    assert!(condition(&after, "AccessPolicy/staff-to-web", "Stale").is_some(), "the policy is the cause");
    assert_eq!(after.effective.users[&key("User/bob")].standing.as_str(), "Disabled");
    assert!(!after.objects.contains_key(&key("Device/carol-pc")));
    assert!(condition(&after, "User/bob", "Stale").is_none());
}

#[test]
fn a_route_that_opens_what_must_stay_shut_stays_out() {
    let mut memory = Memory::default();
    let test = TEST.replace(
        "{user: alice}, to: {cidr: 198.51.100.7/32}, protocol: Tcp, port: 22",
        "{user: alice}, to: {cidr: 203.0.113.9/32}, protocol: Tcp, port: 80",
    );
    let open = world::OFFICE[1].1.replace("staff-to-web", "all").replace("198.51.100.0/24", "203.0.113.0/24");
    let folder = Folder::office().with("test.yaml", &test).with("all.yaml", &open);
    let before = memory.apply(&folder);

    let after = memory.apply(&folder.edit(
        "server.yaml",
        "[{cidr: 198.51.100.0/24}]",
        "[{cidr: 198.51.100.0/24}, {cidr: 203.0.113.0/24}]",
    ));

    assert_eq!(codes(&before), Vec::<&str>::new());
    assert_eq!(config(&after).routes, config(&before).routes);
    assert_eq!(
        condition(&after, "Server/gw-1", "Stale").map(|stale| stale.reason.as_str()),
        Some("TestsFailed")
    );
}

#[test]
fn a_device_of_another_network_is_nobody_in_a_test_of_this_one() {
    let mut memory = Memory::default();
    let lab = "apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: lab}
spec: {addressPools: [{cidr: 10.78.0.0/24}]}
";
    let phone = "apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: phone}
spec: {userRef: {name: alice}, networkRefs: [{name: lab}]}
";
    let compiled = memory.apply(&tested().with("lab.yaml", lab).with("phone.yaml", phone));

    assert_eq!(codes(&compiled), Vec::<&str>::new());
}

/// Two realms may have the same addresses: a case of one is never about the other.
#[test]
fn an_address_in_a_case_is_one_of_its_own_realm() {
    let mut memory = Memory::default();
    let there = world::OFFICE.map(|(name, text)| {
        (format!("z-{name}"), text.replace("metadata: {", "metadata: {namespace: zoo, "))
    });
    let test = TEST.replace(
        "to: {cidr: 198.51.100.7/32}, protocol: Tcp, port: 22, expect: Deny",
        "to: {cidr: 10.77.0.3/32}, protocol: Tcp, port: 80, expect: Deny",
    );
    let allowed = world::OFFICE[1]
        .1
        .replace("staff-to-web", "between")
        .replace("{cidr: 198.51.100.0/24}", "{device: bob-pc}");
    let folder = there.iter().fold(Folder::office(), |folder, (name, text)| folder.with(name, text));
    let folder = folder.with("bob.yaml", &world::user_and_device("bob")).with("between.yaml", &allowed);
    let address = world::addresses(&memory.apply(&folder), "Device/bob-pc");
    let address = address.split(' ').next().expect("one of IPv4").to_owned();

    let compiled = memory.apply(&folder.with("test.yaml", &test.replace("10.77.0.3", &address)));

    let accepted = condition(&compiled, "AccessTest/lan", "Ready").or(condition(
        &compiled,
        "AccessTest/lan",
        "Accepted",
    ));
    assert!(
        codes(&compiled).contains(&"TestFailed"),
        "it is allowed here: {accepted:?} {:?}",
        codes(&compiled)
    );
}

#[test]
fn a_thousand_devices_of_a_group_are_few_cases() {
    let mut memory = Memory::default();
    let people: String =
        (0..1_000).map(|number| format!("---\n{}", world::user_and_device(&format!("p{number}")))).collect();
    let test = TEST.replace(
        "{user: alice}, to: {cidr: 198.51.100.7/32}, protocol: Tcp, port: 22",
        "{group: staff}, to: {group: staff}, protocol: Any",
    );
    let test = test.replace("protocol: Any, expect", "expect");

    let network = world::OFFICE[0].1.replace("10.77.0.0/24", "10.64.0.0/12");
    let folder = Folder::office().with("network.yaml", &network).with("people.yaml", &people);
    let compiled = memory.apply(&folder.with("test.yaml", &test));

    assert_eq!(codes(&compiled), Vec::<&str>::new());
}
