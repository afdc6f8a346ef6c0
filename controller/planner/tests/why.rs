//! `policy why` and cases of tests, in a small office whose every answer is known.

#[path = "world/folder.rs"]
mod world;

use horizon_api::{
    http::PolicyAnswer,
    resource::{AccessCase, Kind, ObjectKey},
    verdict::{DiskEncryption, Posture},
};
use horizon_planner::{
    compile::Compiled,
    why::{Question, Scene},
};
use world::{Folder, Memory};

/// A second user with a server of files, hours for the LAN, a time-boxed way in, and what nobody may.
const MORE: &str = "apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: bob}
spec: {groups: [ops]}
---
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: zoe}
spec: {groups: [staff]}
---
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: gone}
spec: {groups: [staff], expiresAt: 2026-06-01T00:00:00Z}
---
apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: old}
spec: {userRef: {name: gone}, networkRefs: [{name: office}]}
---
apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: nas}
spec: {userRef: {name: bob}, networkRefs: [{name: office}], addresses: [10.77.0.9], tags: [fileserver]}
---
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: hours}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{group: staff}]
  rules: [{to: [{tag: fileserver}], protocol: Tcp, ports: [\"445\", \"8000-8010\"]}]
  windows: [{days: [Mon, Tue, Wed, Thu, Fri], start: \"08:00\", end: \"18:00\", timeZone: Europe/Berlin}]
---
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: boxed}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{user: alice}]
  rules: [{to: [{server: gw-1}], protocol: Icmp}]
  validUntil: 2026-03-01T00:00:00Z
---
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: never}
spec:
  networkRef: {name: office}
  action: Deny
  from: [{any: true}]
  rules: [{to: [{cidr: 198.51.100.66/32}]}, {to: [{device: nas}], protocol: Tcp, ports: [\"8005\"]}]
---
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: lab}
spec: {addressPools: [{cidr: 10.78.0.0/24}]}
---
apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: bench}
spec: {userRef: {name: bob}, networkRefs: [{name: lab}]}
";

/// Monday, 2026-02-02, 12:00 in Berlin.
const MONDAY: &str = "2026-02-02T11:00:00Z";
const SUNDAY: &str = "2026-02-01T11:00:00Z";

fn second(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("a timestamp").as_second()
}

fn office() -> Compiled {
    Memory { now: second(MONDAY), ..Memory::default() }.apply(&Folder::office().with("more.yaml", MORE))
}

fn ask(compiled: &Compiled, source: &str, destination: &str, at: &str) -> Result<PolicyAnswer, String> {
    let question = Question::parse(source, destination, "default").expect("a question");
    Scene::of(compiled).why(&question, second(at)).map_err(|error| error.to_string())
}

fn reason(source: &str, destination: &str, at: &str) -> String {
    ask(&office(), source, destination, at).map_or_else(|error| error, |answer| answer.reason)
}

#[test]
fn the_rule_that_decides_is_named_with_its_place() {
    let cases = [
        ("alice", "198.51.100.7:80", "allowed by staff-to-web#0 (policy.yaml:1)"),
        ("laptop", "nas:445", "allowed by hours#0 (more.yaml:26)"),
        (
            "laptop",
            "bob:8000",
            "it depends: allowed for 1 of 2, but not for others, such as device laptop of alice \
                                to device bench of bob: denied: device laptop of alice is in default/office, but \
                                device bench of bob is in default/lab",
        ),
        (
            "group:staff",
            "device:nas:8010",
            "it depends: allowed for 1 of 2, but not for others, such as device old \
                                            of gone to device nas of bob: denied: device old of gone cannot connect, \
                                            because its user has expired",
        ),
        ("10.77.0.2", "10.77.0.9:445", "allowed by hours#0 (more.yaml:26)"),
        ("alice", "server:gw-1/icmp", "allowed by boxed#0 (more.yaml:36)"),
        ("alice", "198.51.100.66:80", "denied by never#0 (more.yaml:46)"),
        ("alice", "nas:8005", "denied by never#1 (more.yaml:46)"),
        ("alice", "nas:8005/udp", "denied: no rule of network default/office allows it"),
        ("nas", "laptop:445", "denied: no rule of network default/office allows it"),
    ];
    for (source, destination, expected) in cases {
        let at = if source == "group:staff" { "2026-07-06T10:00:00Z" } else { MONDAY };

        assert_eq!(reason(source, destination, at), expected, "{source} {destination}");
    }
}

#[test]
fn what_no_policy_can_change_is_said_instead() {
    let cases = [
        ("alice", "203.0.113.1:80", "denied: no server has a subnet route for 203.0.113.1"),
        (
            "alice",
            "bench:80",
            "denied: device laptop of alice is in default/office, but device bench of bob is in default/lab",
        ),
        ("alice", "10.77.0.200:80", "denied: no device or server has 10.77.0.200 of network office"),
        ("alice", "127.0.0.1:80", "denied: 127.0.0.1 is no address that gateways forward"),
        (
            "server:gw-1",
            "198.51.100.7:80",
            "denied: between server gw-1 and 198.51.100.7 behind gw-1 there is no link of a device",
        ),
        ("laptop", "laptop:80", "denied: device laptop of alice is on both ends"),
        ("bench", "10.78.0.9:80", "denied: no device or server has 10.78.0.9 of network lab"),
    ];
    for (source, destination, expected) in cases {
        assert_eq!(reason(source, destination, MONDAY), expected, "{source} {destination}");
    }
}

#[test]
fn who_has_no_device_yet_is_judged_as_one_that_would_come() {
    let answer = ask(&office(), "zoe", "nas:445", MONDAY).expect("an answer");

    assert!(answer.allowed);
    assert_eq!(answer.path.expect("a path").source, "a device of zoe");
    assert_eq!(
        reason("tag:fileserver", "server:gw-1:22", MONDAY),
        "denied: no rule of network default/office allows it"
    );
}

#[test]
fn the_answer_says_when_time_changes_it() {
    let office = office();
    let on_monday = ask(&office, "laptop", "nas:445", MONDAY).expect("an answer");
    let on_sunday = ask(&office, "laptop", "nas:445", SUNDAY).expect("an answer");
    let boxed = ask(&office, "laptop", "server:gw-1/icmp", MONDAY).expect("an answer");
    let before_expiry = ask(&office, "old", "nas:445", "2026-05-31T23:00:00Z").expect("an answer");

    let change = on_monday.change.expect("a change");
    assert_eq!(change.when, "2026-02-02T17:00:00Z (Mon 18:00 Europe/Berlin)");
    assert_eq!(change.reason, "denied: no rule of network default/office allows it");
    assert!(!on_sunday.allowed);
    assert_eq!(on_sunday.notes, ["hours#0 (more.yaml:26) would allow it, but none of its windows is open"]);
    assert_eq!(on_sunday.change.expect("a change").when, "2026-02-02T07:00:00Z (Mon 08:00 Europe/Berlin)");
    assert_eq!(boxed.change.expect("a change").when, "2026-03-01T00:00:00Z");
    assert_eq!(before_expiry.change.expect("a change").when, "2026-06-01T00:00:00Z");
    assert_eq!(ask(&office, "alice", "198.51.100.7:80", MONDAY).expect("an answer").change, None);
}

#[test]
fn hours_follow_the_clocks_across_a_change() {
    let office = office();
    let ask = |at| ask(&office, "laptop", "nas:445", at).expect("an answer").allowed;

    // 08:00 in Berlin is 07:00 UTC until the last Sunday of March and 06:00 from then on.
    assert!(!ask("2026-03-27T06:59:59Z"));
    assert!(ask("2026-03-27T07:00:00Z"));
    assert!(!ask("2026-03-30T05:59:59Z"));
    assert!(ask("2026-03-30T06:00:00Z"));
}

#[test]
fn near_misses_are_told() {
    let other_port = ask(&office(), "laptop", "nas:22", MONDAY).expect("an answer");
    let ended = ask(&office(), "laptop", "server:gw-1/icmp", "2026-04-01T00:00:00Z").expect("an answer");

    assert_eq!(other_port.notes, ["hours#0 (more.yaml:26) allows tcp 445, 8000-8010 only"]);
    assert_eq!(ended.notes, ["boxed#0 (more.yaml:36) would allow it, but ended at 2026-03-01T00:00:00Z"]);
}

#[test]
fn names_that_nobody_has_are_refused_with_the_nearest() {
    let cases = [
        (
            "alise",
            "nas:1",
            "no user and no device of namespace default is called `alise` (did you mean `alice`?)",
        ),
        (
            "gw-1",
            "nas:1",
            "no user and no device of namespace default is called `gw-1` (did you mean `server:gw-1`?)",
        ),
        ("alice", "server:gw-2:1", "no server of namespace default is called `gw-2` (did you mean `gw-1`?)"),
        (
            "group:stuff",
            "nas:1",
            "nobody in namespace default has the group `stuff`, and no policy names it (did you mean `group:staff`?)",
        ),
        ("alice", "device:xyz:1", "no device of namespace default is called `xyz`"),
        (
            "other/alice",
            "nas:1",
            "no user and no device of namespace other is called `alice` (did you mean `default/alice`?)",
        ),
    ];
    for (source, destination, expected) in cases {
        assert_eq!(reason(source, destination, MONDAY), expected);
    }
    let both = Folder::office().with("more.yaml", MORE).with("alice.yaml", "apiVersion: horizon.dev/v1alpha1\nkind: Device\nmetadata: {name: alice}\nspec: {userRef: {name: alice}, networkRefs: [{name: office}]}\n");
    let compiled = Memory::default().apply(&both);
    assert_eq!(
        ask(&compiled, "alice", "nas:1", MONDAY).expect_err("two"),
        "`alice` is a user and a device (write user:alice or device:alice)"
    );
}

#[test]
fn a_prefix_is_judged_wherever_a_verdict_could_differ() {
    let web = ask(&office(), "laptop", "198.51.100.0/24:80", MONDAY).expect("an answer");
    let half = ask(&office(), "laptop", "198.51.100.0/26:80", MONDAY).expect("an answer");

    assert!(half.allowed, "{}", half.reason);
    assert!(!web.allowed);
    assert_eq!((web.pairs, web.pairs_allowed), (3, 2));
    assert!(
        web.reason.ends_with("198.51.100.66 behind gw-1: denied by never#0 (more.yaml:46)"),
        "{}",
        web.reason
    );
}

fn try_case(case: &str) -> (bool, String) {
    let case: AccessCase = serde_json::from_str(case).expect("a case");
    let compiled = office();
    let network = ObjectKey::new(Kind::Network, "default", "office");
    let result = Scene::of(&compiled).try_case(&network, &case, second(MONDAY));
    result.map_or_else(|error| (false, error.to_string()), |result| (result.passes, result.sentence))
}

#[test]
fn cases_are_tried_with_everybody_whom_they_mean() {
    let cases = [
        (
            r#"{"from": {"user": "alice"}, "to": {"tag": "fileserver"}, "protocol": "Tcp", "port": 445, "expect": "Allow"}"#,
            true,
            "device laptop of alice to device nas of bob, tcp 445: allowed by hours#0 (more.yaml:26)",
        ),
        (
            r#"{"from": {"group": "staff"}, "to": {"device": "nas"}, "protocol": "Tcp", "port": 445, "expect": "Deny"}"#,
            false,
            "device laptop of alice to device nas of bob, tcp 445: allowed by hours#0 (more.yaml:26)",
        ),
        (
            r#"{"from": {"group": "staff"}, "to": {"device": "nas"}, "protocol": "Tcp", "port": 445, "expect": "Deny", "at": "2026-02-01T11:00:00Z"}"#,
            true,
            "device laptop of alice to device nas of bob, tcp 445: denied: no rule of network default/office allows it",
        ),
        (
            r#"{"from": {"user": "alice"}, "to": {"cidr": "198.51.100.66/32"}, "expect": "Deny"}"#,
            true,
            "device laptop of alice to 198.51.100.66 behind gw-1, icmp: denied by never#0 (more.yaml:46)",
        ),
        (
            r#"{"from": {"user": "alice"}, "to": {"device": "nas"}, "expect": "Deny"}"#,
            false,
            "device laptop of alice to device nas of bob, tcp 445: allowed by hours#0 (more.yaml:26)",
        ),
        (
            r#"{"from": {"user": "alice"}, "to": {"server": "gw-1"}, "protocol": "Icmp", "expect": "Allow"}"#,
            true,
            "device laptop of alice to server gw-1, icmp: allowed by boxed#0 (more.yaml:36)",
        ),
        (
            r#"{"from": {"user": "carol"}, "to": {"server": "gw-1"}, "protocol": "Icmp", "expect": "Deny"}"#,
            false,
            "no user of namespace default is called `carol`",
        ),
        (
            r#"{"from": {"user": "alice"}, "to": {"device": "bench"}, "protocol": "Tcp", "port": 80, "expect": "Deny"}"#,
            true,
            "device laptop of alice to device bench of bob, tcp 80: denied: device laptop of alice is in default/office, but device bench of bob is in no network",
        ),
    ];
    for (case, passes, sentence) in cases {
        assert_eq!(try_case(case), (passes, sentence.to_owned()), "{case}");
    }
}

#[test]
fn a_test_asks_policies_and_not_whether_somebody_may_connect() {
    let case = r#"{"from": {"user": "gone"}, "to": {"device": "nas"}, "protocol": "Tcp", "port": 445, "expect": "Allow", "at": "2026-07-06T10:00:00Z"}"#;

    assert!(try_case(case).0);
}

#[test]
fn a_group_that_must_never_reach_something_is_tried_beside_its_members() {
    // A rule against alice alone must not hide that the group gets in.
    let deny = "apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: not-alice}
spec: {networkRef: {name: office}, action: Deny, from: [{user: alice}], rules: [{to: [{any: true}]}]}
";
    let compiled = Memory::default().apply(&Folder::office().with("deny.yaml", deny));
    let case = r#"{"from": {"group": "staff"}, "to": {"cidr": "198.51.100.7/32"}, "protocol": "Tcp", "port": 80, "expect": "Deny"}"#;
    let case: AccessCase = serde_json::from_str(case).expect("a case");

    let result = Scene::of(&compiled).try_case(&ObjectKey::new(Kind::Network, "default", "office"), &case, 0);

    let result = result.expect("a result");
    assert!(!result.passes);
    assert_eq!(result.rule.expect("a rule").policy, "staff-to-web");
}

/// Who may reach the web from devices that say something of themselves, and who may not reach the files.
const BY_POSTURE: &str = "apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: staff-to-web}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{user: alice, posture: {os: [debian], osVersionAtLeast: \"12\"}}]
  rules: [{to: [{cidr: 198.51.100.0/24}]}]
---
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open-disks}
spec:
  networkRef: {name: office}
  action: Deny
  from: [{any: true, posture: {diskEncrypted: false}}]
  rules: [{to: [{device: nas}]}]
";

#[test]
fn what_a_device_did_not_say_is_named_beside_what_was_asked_of_it() {
    let folder = || Folder::office().with("more.yaml", MORE).with("policy.yaml", BY_POSTURE);
    let with = |version: &str, disk| {
        let mut memory = Memory { now: second(MONDAY), ..Memory::default() };
        let posture = Posture { os: "debian".into(), os_version: version.into(), disk, ..Posture::default() };
        let laptop = "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=".parse().expect("a key");
        memory.input.facts.postures.insert(laptop, posture.into());
        memory.apply(&folder())
    };
    let silent = Memory { now: second(MONDAY), ..Memory::default() }.apply(&folder());
    let web = |compiled| ask(compiled, "alice", "198.51.100.7:80", MONDAY).expect("an answer");
    let files = |compiled| ask(compiled, "alice", "nas:445", MONDAY).expect("an answer");

    let (old, new) = (with("11", DiskEncryption::Unknown), with("12", DiskEncryption::Encrypted));

    assert_eq!([&silent, &old, &new].map(|compiled| web(compiled).allowed), [false, false, true]);
    assert_eq!([&silent, &old, &new].map(|compiled| files(compiled).allowed), [false, false, true]);
    for (compiled, words) in [(&silent, "it states nothing"), (&old, "it states debian 11")] {
        let notes = web(compiled).notes.join("; ");
        assert!(notes.contains("debian, version 12 or later") && notes.contains(words), "{notes}");
        assert!(notes.contains("self-reported"), "{notes}");
    }
    let notes = files(&silent).notes.join("; ");
    assert!(notes.contains("disk not encrypted, and all that do not say"), "{notes}");
}
