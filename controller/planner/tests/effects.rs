//! A change as people meet it: who gains and who loses what, and which object does it.

#[path = "world/folder.rs"]
mod world;

use std::collections::BTreeSet;

use horizon_planner::effect::{Effects, effects};
use world::{Folder, Memory, key, user_and_device};

fn between(before: &Folder, after: &Folder) -> Effects {
    let mut memory = Memory { approves: true, ..Memory::default() };
    let old = memory.apply(before);
    let live = old.effective.devices.values().filter_map(|device| device.public_key).collect();
    effects(&old, &memory.apply(after), &live, 0)
}

#[track_caller]
fn check(before: &Folder, after: &Folder, expected: &[&str]) {
    let shown: Vec<_> = between(before, after).lines.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expected);
}

fn staff_and_ops() -> Folder {
    let ops = user_and_device("olga").replace("groups: [staff]", "groups: [ops]");
    Folder::office().with("bob.yaml", &user_and_device("bob")).with("olga.yaml", &ops)
}

const SSH: &str = "apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: ops-to-lan}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{group: ops}]
  rules: [{to: [{cidr: 198.51.100.0/28}], protocol: Tcp, ports: [\"22\"]}]
";

#[test]
fn a_new_policy_and_its_end() {
    let (before, after) = (staff_and_ops(), staff_and_ops().with("ssh.yaml", &format!("# for olga\n{SSH}")));

    check(&before, &after, &["+ group ops → 198.51.100.0/28 tcp/22 (1 device gains) [ssh.yaml:2]"]);
    check(&after, &before, &["- group ops → 198.51.100.0/28 tcp/22 (1 device loses) [ssh.yaml:2]"]);
}

#[test]
fn other_ports_for_everybody_of_a_group() {
    let after = staff_and_ops().edit("policy.yaml", "\"80\"", "\"443\"");

    check(
        &staff_and_ops(),
        &after,
        &[
            "- group staff → 198.51.100.0/24 tcp/80 (2 devices lose) [policy.yaml:1]",
            "+ group staff → 198.51.100.0/24 tcp/443 (2 devices gain) [policy.yaml:1]",
        ],
    );
}

#[test]
fn what_another_rule_allows_anyway_is_no_loss() {
    let same = world::OFFICE[1].1.replace("staff-to-web", "again");
    let twice = Folder::office().with("again.yaml", &same);

    check(&twice, &Folder::office(), &[]);
    check(&Folder::office(), &twice, &[]);
}

#[test]
fn a_deny_is_told_as_what_it_takes() {
    let deny = world::OFFICE[1].1.replace("Allow", "Deny").replace("staff-to-web", "freeze");
    let frozen = staff_and_ops().with("freeze.yaml", &deny.replace("198.51.100.0/24", "198.51.100.8/32"));

    check(
        &staff_and_ops(),
        &frozen,
        &["- group staff → 198.51.100.8/32 tcp/80 (2 devices lose) [freeze.yaml:1]"],
    );
}

#[test]
fn a_person_who_leaves_a_group() {
    let after = staff_and_ops().edit("bob.yaml", "groups: [staff]", "groups: []");

    check(
        &staff_and_ops(),
        &after,
        &["- bob → 198.51.100.0/24 tcp/80 (1 device loses) [User/bob bob.yaml:1]"],
    );
}

#[test]
fn a_person_who_is_disabled_loses_everything_and_the_link() {
    let after = Folder::office().edit("users.yaml", "groups: [staff]", "groups: [staff], disabled: true");

    let effects = between(&Folder::office(), &after);

    assert_eq!(effects.drops, BTreeSet::from([key("Device/laptop")]));
    assert_eq!(
        effects.lines.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["- alice → 198.51.100.0/24 tcp/80 (1 device loses) [User/alice users.yaml:1]"]
    );
}

#[test]
fn a_route_that_comes_is_told_on_its_server() {
    let narrow = Folder::office().edit("server.yaml", "  subnetRoutes: [{cidr: 198.51.100.0/24}]\n", "");

    check(
        &narrow,
        &Folder::office(),
        &["+ group staff → 198.51.100.0/24 tcp/80 (1 device gains) [Server/gw-1 server.yaml:1]"],
    );
}

#[test]
fn what_changes_nothing_for_anybody_says_nothing() {
    let effects =
        between(&Folder::office(), &Folder::office().edit("network.yaml", "spec:", "spec:\n  mtu: 1300"));

    assert_eq!(effects, Effects::default());
}
