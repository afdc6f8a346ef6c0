//! A hold takes away, whoever owns the object, and ends by itself.

#[path = "world/folder.rs"]
mod world;

use horizon_planner::{
    compile::Standing,
    hold::{CONTROLLER, Hold, HoldError, UNTIL_RELEASED, check},
};
use world::{Folder, Memory, condition, config, key};

fn held(object: &str) -> Memory {
    let mut memory = Memory { now: 60, ..Memory::default() };
    memory.apply(&Folder::office());
    let hold = Hold { reason: "stolen laptop".into(), until: 120, by: "root".into() };
    memory.input.holds.insert(key(object), hold);
    memory
}

#[test]
fn whoever_is_held_is_revoked_and_comes_back() {
    for object in ["User/alice", "Device/laptop"] {
        let mut memory = held(object);

        let during = memory.apply(&Folder::office());
        memory.now = 120;
        let after = memory.apply(&Folder::office());

        assert_eq!((config(&during).revoked.len(), during.next_wake), (1, Some(120)), "{object}");
        assert_eq!((config(&after).revoked.len(), after.next_wake), (0, None), "{object}");
        let condition = condition(&during, object, "Held").expect("it says so");
        assert_eq!(
            (condition.reason.as_str(), condition.message.as_str()),
            ("HoldActive", "held by root until 1970-01-01T00:02:00Z: stolen laptop")
        );
        assert!(world::condition(&after, object, "Held").is_none());
    }
}

#[test]
fn a_quarantine_names_itself_and_ends_by_a_release_only() {
    let mut memory = held("Server/gw-1");
    let hold = Hold { reason: "a clone".into(), until: UNTIL_RELEASED, by: CONTROLLER.into() };
    memory.input.holds.insert(key("Server/gw-1"), hold);
    memory.now = 4_000_000_000;

    let during = memory.apply(&Folder::office());

    let sentence = "held by controller until it is released: a clone";
    let condition = condition(&during, "Server/gw-1", "Held").expect("it says so");
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("Quarantined", sentence));
    assert_eq!(during.blocked[&key("Server/gw-1")].reason, "Quarantined");
    assert!(during.effective.audience(&during.effective.devices[&key("Device/laptop")].networks).is_empty());
}

#[test]
fn a_held_user_takes_what_is_theirs_along() {
    let during = held("User/alice").apply(&Folder::office());

    assert_eq!(during.effective.users[&key("User/alice")].standing, Standing::Held);
    assert_eq!(during.effective.devices[&key("Device/laptop")].standing, Standing::UserHeld);
}

#[test]
fn a_held_key_server_or_network_is_as_good_as_disabled() {
    let key_held = held("RegistrationKey/gw-1").apply(&Folder::office());
    let server_held = held("Server/gw-1").apply(&Folder::office());
    let network_held = held("Network/office").apply(&Folder::office());

    let registration_key = &key_held.effective.registration_keys[&key("RegistrationKey/gw-1")];
    assert_eq!(registration_key.standing, Standing::Held);
    assert!(config(&server_held).networks.is_empty());
    assert!(config(&network_held).networks.is_empty());
    assert_eq!(network_held.effective.devices[&key("Device/laptop")].networks, []);
    assert_eq!(network_held.allocations, server_held.allocations);
    assert_eq!(network_held.blocked[&key("Network/office")].reason, "HoldActive");
}

#[test]
fn a_held_allow_is_as_good_as_absent_and_a_deny_cannot_be_held() {
    let mut memory = held("AccessPolicy/staff-to-web");

    let during = memory.apply(&Folder::office());
    let deny = memory.apply(&Folder::office().edit("policy.yaml", "Allow", "Deny"));

    assert!(config(&during).policies.values().all(|table| table.rules.is_empty()));
    assert!(config(&deny).policies.values().all(|table| table.rules.len() == 1));
    let policy = key("AccessPolicy/staff-to-web");
    assert_eq!(check(&policy, &during.objects[&policy].spec), Ok(()));
    assert_eq!(check(&policy, &deny.objects[&policy].spec), Err(HoldError::Widens(policy)));
}
