//! Revoking a key does to what it enrolled exactly what it says, and takes it back when the key is there again.

#[path = "world/folder.rs"]
mod world;

use std::sync::Arc;

use horizon_api::{key::SecretKey, resource::OnRevoke};
use horizon_planner::{
    compile::{Compiled, Enrolled, Standing},
    hold::Hold,
};
use world::{Folder, Memory, config, key};

const GATEWAY: u8 = 7;

fn personal_key(on_revoke: &str, more: &str) -> String {
    format!(
        "apiVersion: horizon.dev/v1alpha1\nkind: PersonalKey\nmetadata: {{name: alice}}\n\
         spec: {{userRef: {{name: alice}}, networkRefs: [{{name: office}}], generate: {{}}, onRevoke: {on_revoke}{more}}}\n"
    )
}

fn registration_key(on_revoke: &str, more: &str) -> String {
    format!(
        "apiVersion: horizon.dev/v1alpha1\nkind: RegistrationKey\nmetadata: {{name: gate}}\n\
         spec: {{generate: {{}}, onRevoke: {on_revoke}{more}}}\n"
    )
}

/// Keys with which the laptop signed in and the gateway joined.
fn keys(on_revoke: &str, more: &str) -> Folder {
    Folder::office()
        .with("personal.yaml", &personal_key(on_revoke, more))
        .with("registration.yaml", &registration_key(on_revoke, more))
}

fn enrolled(on_revoke: OnRevoke) -> Memory {
    let mut memory = Memory { now: 60, ..Memory::default() };
    let server = SecretKey::from_seed(&[GATEWAY; 32]).public();
    memory.input.facts.servers.insert(key("Server/gw-1"), server);
    let name = match on_revoke {
        OnRevoke::Keep => "Keep",
        OnRevoke::Expire => "Expire",
        OnRevoke::Disconnect => "Disconnect",
    };
    let before = memory.apply(&keys(name, ""));
    let laptop = before.effective.devices[&key("Device/laptop")].public_key.expect("declared");
    let by = |object: &str| Enrolled { key: Some(key(object)), on_revoke };
    let by = [(laptop, by("PersonalKey/alice")), (server, by("RegistrationKey/gate"))];
    memory.input.facts.enrolled = Arc::new(by.into());
    memory
}

/// Whether the device is let in and gets grants, and the server serves and is named by them.
fn outcome(compiled: &Compiled) -> [bool; 4] {
    let device = &compiled.effective.devices[&key("Device/laptop")];
    let is_let_in = !config(compiled).revoked.contains(&device.public_key.expect("declared"));
    assert_eq!(is_let_in, device.standing == Standing::Active);
    let is_named = compiled.effective.audience(&device.networks).len() == 1;
    [is_let_in, device.is_granted, !config(compiled).networks.is_empty(), is_named]
}

const KEEP: [bool; 4] = [true; 4];
const EXPIRE: [bool; 4] = [true, false, true, false];
const DISCONNECT: [bool; 4] = [false; 4];

#[test]
fn a_disabled_key_does_what_it_says_and_takes_it_back_when_it_is_enabled() {
    let cases = [(OnRevoke::Keep, KEEP), (OnRevoke::Expire, EXPIRE), (OnRevoke::Disconnect, DISCONNECT)];
    for (on_revoke, expected) in cases {
        let mut memory = enrolled(on_revoke);

        let before = memory.apply(&keys(on_revoke.as_str(), ""));
        let disabled = memory.apply(&keys(on_revoke.as_str(), ", disabled: true"));
        let enabled = memory.apply(&keys(on_revoke.as_str(), ""));

        assert_eq!(outcome(&before), KEEP);
        assert_eq!(outcome(&disabled), expected, "{on_revoke:?}");
        assert_eq!(outcome(&enabled), KEEP, "{on_revoke:?}");
        let is_told = disabled.blocked.get(&key("Device/laptop")).is_some_and(|b| b.reason == "KeyRevoked");
        assert_eq!(is_told, on_revoke != OnRevoke::Keep);
    }
}

#[test]
fn a_key_that_goes_does_what_it_said_last() {
    let cases = [(OnRevoke::Keep, KEEP), (OnRevoke::Expire, EXPIRE), (OnRevoke::Disconnect, DISCONNECT)];
    for (on_revoke, expected) in cases {
        let mut memory = enrolled(on_revoke);

        let gone = memory.apply(&Folder::office());

        assert!(gone.plans.is_empty(), "it waits for nobody: {:?}", gone.plans);
        assert_eq!(outcome(&gone), expected, "{on_revoke:?}");
    }
}

#[test]
fn a_held_key_is_as_good_as_disabled() {
    let mut memory = enrolled(OnRevoke::Disconnect);
    for object in ["PersonalKey/alice", "RegistrationKey/gate"] {
        let hold = Hold { reason: "leaked".into(), until: 120, by: "root".into() };
        memory.input.holds.insert(key(object), hold);
    }

    let during = memory.apply(&keys("Disconnect", ""));
    memory.now = 120;
    let after = memory.apply(&keys("Disconnect", ""));

    assert_eq!((outcome(&during), during.next_wake), (DISCONNECT, Some(120)));
    assert_eq!(outcome(&after), KEEP);
}

#[test]
fn a_key_that_expires_or_is_used_up_takes_nothing_back() {
    let expiring = keys("Disconnect", ", expiresAt: \"1970-01-01T00:02:00Z\"");
    let mut memory = enrolled(OnRevoke::Disconnect);
    memory.input.facts.uses = [(key("RegistrationKey/gate"), 1)].into();
    memory.apply(&expiring);

    memory.now = 120;
    let expired = memory.apply(&expiring);

    assert_eq!(expired.effective.personal_keys[&key("PersonalKey/alice")].standing, Standing::Expired);
    assert_eq!(outcome(&expired), KEEP);
}

#[test]
fn what_a_key_did_not_enrol_is_not_touched() {
    let mut memory = enrolled(OnRevoke::Disconnect);
    memory.input.facts.enrolled = Arc::default();

    assert_eq!(outcome(&memory.apply(&Folder::office())), KEEP);
}
