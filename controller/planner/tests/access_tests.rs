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
