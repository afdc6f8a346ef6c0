//! A mistake never takes anything down: what was good stays, everything else goes on.

#[path = "world/folder.rs"]
mod world;

use horizon_planner::compile::SourceSnapshot;
use world::{Folder, Memory, codes, condition, config, key};

#[test]
fn a_broken_file_leaves_its_objects_as_they_were_and_the_others_free() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let broken = Folder::office()
        .edit("policy.yaml", "from: [{group: staff}]", "from: [{group: staff}")
        .edit("network.yaml", "spec:", "spec:\n  mtu: 1300");
    let after = memory.apply(&broken);

    assert_eq!(config(&after).policies, config(&before).policies);
    assert_eq!(config(&after).networks.values().next().map(|network| network.mtu), Some(1300));
    assert_eq!(codes(&after), ["Syntax"]);
    let stale = condition(&after, "AccessPolicy/staff-to-web", "Stale").expect("it is stale");
    assert_eq!(stale.message, "policy.yaml cannot be read; the last good stays");
    assert_eq!(after.pruned, []);
}

#[test]
fn a_wrong_field_leaves_its_object_as_it_was() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let after = memory.apply(&Folder::office().edit("policy.yaml", "protocol: Tcp", "prot: Tcp"));

    assert_eq!(after.sections, before.sections);
    let accepted = condition(&after, "AccessPolicy/staff-to-web", "Accepted").expect("always there");
    assert!(!accepted.is_true());
    assert!(
        accepted.message.starts_with("policy.yaml:8:43: error: AccessPolicy/staff-to-web spec.rules[0].prot: unknown field `prot`; did you mean `protocol`?"),
        "{}",
        accepted.message
    );
    assert_eq!(after.objects[&key("AccessPolicy/staff-to-web")].generation, 1);
}

#[test]
fn a_deleted_file_prunes_its_objects() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());

    let after = memory.apply(&Folder::office().without("policy.yaml"));

    assert_eq!(after.pruned, [key("AccessPolicy/staff-to-web")]);
    assert!(config(&after).policies.values().all(|table| table.rules.is_empty()));
}

#[test]
fn nothing_is_pruned_while_a_file_cannot_be_read() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    for garbage in ["a: [", "just text", "kind: Network", "a: &a 1", "\ta: b"] {
        let after = memory.apply(&Folder::office().without("policy.yaml").with("new.yaml", garbage));

        assert_eq!(after.pruned, [], "{garbage}");
        assert_eq!(after.sections, before.sections, "{garbage}");
    }
}

#[test]
fn nothing_is_pruned_while_the_folder_is_incomplete() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let nothing = Folder(std::collections::BTreeMap::new());
    let after = memory.apply_snapshot(SourceSnapshot { is_complete: false, ..nothing.snapshot() });

    assert_eq!(after.pruned, []);
    assert_eq!(after.sections, before.sections);
    let stale = condition(&after, "Network/office", "Stale").expect("it is stale");
    assert_eq!(stale.reason, "SourceMissing");
}

#[test]
fn an_empty_folder_that_is_complete_prunes_everything_once_a_person_says_so() {
    let mut memory = Memory { approves: true, ..Memory::default() };
    memory.apply(&Folder::office());

    let after = memory.apply(&Folder(std::collections::BTreeMap::new()));

    assert_eq!(after.objects.len(), 0);
    assert_eq!(after.pruned.len(), 6);
}

#[test]
fn an_object_may_move_to_another_file() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let moved = Folder::office().without("policy.yaml").with("z.yaml", world::OFFICE[1].1);
    let after = memory.apply(&moved);

    assert_eq!(after.sections, before.sections);
    assert_eq!(codes(&after), Vec::<&str>::new());
    assert_eq!(after.objects[&key("AccessPolicy/staff-to-web")].owner.origin.file, "z.yaml");
}

#[test]
fn a_source_takes_over_what_one_that_is_not_asked_any_more_declared() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let moved = SourceSnapshot { source: "files:/srv/horizon".into(), ..Folder::office().snapshot() };
    let after = memory.apply_snapshot(moved.clone());
    let edited = Folder::office().without("policy.yaml").snapshot();
    let pruned = memory.apply_snapshot(SourceSnapshot { source: moved.source.clone(), ..edited });

    assert_eq!((codes(&after), &after.sections), (vec![], &before.sections));
    let objects = after.objects.values();
    assert!(objects.clone().all(|object| object.owner.source == moved.source && object.stale.is_none()));
    assert_eq!(pruned.pruned, [key("AccessPolicy/staff-to-web")]);
}

#[test]
fn what_nobody_took_over_stays() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let other = Folder::office().without("policy.yaml").snapshot();
    let after = memory.apply_snapshot(SourceSnapshot { source: "files:/srv/horizon".into(), ..other });

    assert_eq!((&after.sections, after.pruned.len()), (&before.sections, 0));
    let stale = condition(&after, "AccessPolicy/staff-to-web", "Stale").expect("it is stale");
    assert!(stale.message.contains("is not among the sources any more"), "{}", stale.message);
}

#[test]
fn a_source_that_cannot_be_read_keeps_its_objects_from_others() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());
    let unread =
        SourceSnapshot { is_complete: false, parsed: Default::default(), ..Folder::office().snapshot() };
    let other = SourceSnapshot { source: "files:/srv/horizon".into(), ..Folder::office().snapshot() };

    memory.input.sources = vec![unread, other];
    let after = horizon_planner::compile::compile(&memory.input, 0);

    assert!(codes(&after).iter().all(|code| *code == "Conflicted"));
    assert!(after.objects.values().all(|object| object.owner.source == world::SOURCE));
}

#[test]
fn the_established_one_of_two_stays() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let rival = world::OFFICE[1].1.replace("action: Allow", "action: Deny");
    let after = memory.apply(&Folder::office().with("a.yaml", &rival));

    assert_eq!(after.sections, before.sections);
    assert_eq!(
        after.problems[0].to_string(),
        "a.yaml:1:1: error: AccessPolicy/staff-to-web: is declared in policy.yaml:1 too, and that one stays in force; remove one of them"
    );
    assert_eq!(after.problems.len(), 1);
}

#[test]
fn of_two_new_ones_neither_is_in_force() {
    let twice = Folder::office().with("a.yaml", world::OFFICE[1].1);

    let compiled = Memory::default().apply(&twice);

    assert!(!compiled.objects.contains_key(&key("AccessPolicy/staff-to-web")));
    assert_eq!(codes(&compiled), ["Conflicted", "Conflicted"]);
}

#[test]
fn a_network_over_another_one_is_refused_and_the_older_one_stays() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let other = world::OFFICE[0].1.replace("name: office", "name: a-lab");
    let after = memory.apply(&Folder::office().with("lab.yaml", &other));

    assert_eq!(after.sections, before.sections);
    assert_eq!(
        after.problems[0].to_string().split(": error: ").nth(1),
        Some(
            "Network/a-lab spec.addressPools[0].cidr: overlaps with 10.77.0.0/24 of Network/office; choose another range"
        )
    );
}

#[test]
fn a_pool_with_addresses_in_use_is_not_taken_away() {
    let mut memory = Memory::default();
    let before = memory.apply(&Folder::office());

    let after = memory.apply(&Folder::office().edit("network.yaml", "10.77.0.0/24", "10.78.0.0/24"));

    assert_eq!(after.sections, before.sections);
    assert_eq!(codes(&after), ["PoolInUse"]);
    assert!(
        after.problems[0].message.contains("2 addresses in use would be lost (Server/gw-1, Device/laptop)")
    );
}

#[test]
fn a_missing_reference_heals_by_itself() {
    let mut memory = Memory::default();
    let before = memory
        .apply(&Folder::office().without("users.yaml").with("users.yaml", &world::user_and_device("bob")));
    let orphan = memory.apply(&Folder::office().edit(
        "users.yaml",
        "kind: User\nmetadata: {name: alice}",
        "kind: User\nmetadata: {name: alicia}",
    ));

    let healed = memory.apply(&Folder::office());

    assert!(condition(&before, "Device/bob-pc", "ResolvedRefs").is_some_and(|c| c.is_true()));
    let missing = condition(&orphan, "Device/laptop", "ResolvedRefs").expect("always there");
    assert_eq!((missing.is_true(), missing.reason.as_str()), (false, "RefNotFound"));
    assert!(condition(&healed, "Device/laptop", "ResolvedRefs").is_some_and(|c| c.is_true()));
}

#[test]
fn only_the_spec_raises_the_generation() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());

    let commented = memory.apply(&Folder::office().edit("network.yaml", "kind:", "# why\nkind:"));
    let changed = memory.apply(&Folder::office().edit("network.yaml", "spec:", "spec:\n  mtu: 1300"));

    assert_eq!(commented.objects[&key("Network/office")].generation, 1);
    assert_eq!(changed.objects[&key("Network/office")].generation, 2);
}

/// A copy of an object in another file is refused; a mistake in the first must not let it in.
#[test]
fn a_rival_does_not_take_over_because_of_a_mistake() {
    let rival = world::OFFICE[1].1.replace("\"80\"", "\"22\"");
    let two = Folder::office().with("z-copy.yaml", &rival);
    let mistakes = [("protocol: Tcp", "prot: Tcp"), ("from: [{group: staff}]", "from: [{group: staff}")];
    for (from, to) in mistakes {
        let mut memory = Memory::default();
        let before = memory.apply(&Folder::office());
        memory.apply(&two);

        let after = memory.apply(&two.clone().edit("policy.yaml", from, to));

        assert_eq!(config(&after).policies, config(&before).policies, "{to}");
        let origin = &after.objects[&key("AccessPolicy/staff-to-web")].owner.origin;
        assert_eq!(origin.file, "policy.yaml");
        let stale = condition(&after, "AccessPolicy/staff-to-web", "Stale").expect("it is stale");
        assert_eq!(stale.reason, "SourceInvalid");
        let conflict =
            after.problems.iter().find(|problem| problem.code == "Conflicted").expect("it is told");
        assert_eq!(
            (conflict.file.as_str(), conflict.message.as_str()),
            ("z-copy.yaml", "is declared in policy.yaml:1 too, and that one stays in force")
        );
        let healed = memory.apply(&two);
        assert_eq!(config(&healed).policies, config(&before).policies);
    }
}

#[test]
fn the_same_file_of_two_folders_is_told_apart() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());
    let copy = SourceSnapshot { source: "files:/srv/copy".into(), ..Folder::office().snapshot() };
    memory.input.sources = vec![Folder::office().snapshot(), copy];

    let compiled = horizon_planner::compile::compile(&memory.input, 0);

    let conflicts: Vec<_> = compiled.problems.iter().filter(|problem| problem.code == "Conflicted").collect();
    assert_eq!(conflicts.len(), 6);
    assert!(
        conflicts.iter().any(|problem| problem.message
            == "is declared in policy.yaml:1 of /etc/horizon too, and that one stays in force"),
        "{conflicts:?}"
    );
}

#[test]
fn of_two_changed_texts_in_one_file_neither_is_said_to_be_in_force() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());
    let policy = world::OFFICE[1].1;
    let twice = format!("{}---\n{}", policy.replace("80", "81"), policy.replace("80", "82"));

    let after = memory.apply(&Folder::office().with("policy.yaml", &twice));

    let messages: Vec<_> = after.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "is declared in policy.yaml:10 too, and the last good stays in force",
            "is declared in policy.yaml:1 too, and the last good stays in force",
        ]
    );
}

/// Nothing is lost by a typo in the name of something else.
#[test]
fn an_edit_that_leads_nowhere_leaves_its_object_as_it_was() {
    let edits = [
        (
            "policy.yaml",
            "networkRef: {name: office}",
            "networkRef: {name: ofice}",
            "AccessPolicy/staff-to-web",
        ),
        ("users.yaml", "userRef: {name: alice}", "userRef: {name: alcie}", "Device/laptop"),
        ("users.yaml", "networkRefs: [{name: office}]", "networkRefs: [{name: ofice}]", "Device/laptop"),
    ];
    for (file, from, to, object) in edits {
        let mut memory = Memory::default();
        let before = memory.apply(&Folder::office());

        let after = memory.apply(&Folder::office().edit(file, from, to));

        assert_eq!((&after.sections, &after.allocations), (&before.sections, &before.allocations), "{to}");
        assert_eq!(after.effective.devices, before.effective.devices, "{to}");
        assert_eq!(codes(&after), ["RefNotFound"], "{to}");
        assert!(condition(&after, object, "Stale").is_some(), "{to}");
    }
}

#[test]
fn an_edit_waits_for_what_it_names_and_takes_effect_with_it() {
    let mut memory = Memory::default();
    memory.apply(&Folder::office());
    let edit = Folder::office().edit("users.yaml", "userRef: {name: alice}", "userRef: {name: bob}");
    memory.apply(&edit);

    let bob = "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: bob}\nspec: {}\n";
    let after = memory.apply(&edit.with("bob.yaml", bob));

    assert_eq!(after.effective.devices[&key("Device/laptop")].user, Some(key("User/bob")));
    assert_eq!(codes(&after), Vec::<&str>::new());
}

const KEY_2: &str = "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=";

/// One device takes the key of another, whose own change is refused: both would have one key.
#[test]
fn what_falls_back_on_its_last_good_is_settled_with_the_others_again() {
    let mut memory = Memory::default();
    let other = world::user_and_device("bob");
    let folder = Folder::office().with("a.yaml", &other);
    memory.apply(&folder);

    let change = folder
        .edit(
            "a.yaml",
            "networkRefs: [{name: office}]}",
            &format!("networkRefs: [{{name: office}}], publicKey: \"{KEY_2}\"}}"),
        )
        .edit("users.yaml", KEY_2, "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
        .edit("users.yaml", "  publicKey:", "  addresses: [192.0.2.77]\n  publicKey:");
    let after = memory.apply(&change);

    let keys: Vec<_> = after.effective.devices.values().filter_map(|device| device.public_key).collect();
    assert_eq!(keys.len(), 1, "{:?}", codes(&after));
}

#[test]
fn two_devices_may_change_their_addresses_with_each_other() {
    let mut memory = Memory::default();
    let at = |address: &str| format!("networkRefs: [{{name: office}}], addresses: [{address}]}}");
    let device = |user: &str, address: &str| {
        world::user_and_device(user).replace("networkRefs: [{name: office}]}", &at(address))
    };
    let folder = |a: &str, b: &str| {
        Folder::office().with("a.yaml", &device("ann", a)).with("b.yaml", &device("bob", b))
    };
    memory.apply(&folder("10.77.0.40", "10.77.0.41"));

    let after = memory.apply(&folder("10.77.0.41", "10.77.0.40"));

    assert_eq!(codes(&after), Vec::<&str>::new());
    let first = |object: &str| world::addresses(&after, object).split(' ').next().map(str::to_owned);
    assert_eq!(first("Device/ann-pc").as_deref(), Some("10.77.0.41"));
    assert_eq!(first("Device/bob-pc").as_deref(), Some("10.77.0.40"));
}
