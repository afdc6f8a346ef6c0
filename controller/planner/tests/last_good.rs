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
