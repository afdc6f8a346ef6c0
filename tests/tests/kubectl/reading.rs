//! Get in all of its forms, watch, and describe.

use anyhow::ensure;
use horizon_tests::{
    kubectl::masked,
    wait::{PATIENCE, wait_for, wait_until},
};
use serde_json::Value;

use super::{alone, manifests, with_people};

const BOTH: &str = "\
NAME    GROUPS   DEVICES   DISABLED   AGE
alice   staff    0                    0s
bob     guests   0                    0s
";
const ONLY_ALICE: &str = "\
NAME    GROUPS   DEVICES   DISABLED   AGE
alice   staff    0                    0s
";
const ONLY_BOB: &str = "\
NAME   GROUPS   DEVICES   DISABLED   AGE
bob    guests   0                    0s
";

#[test]
fn a_table_has_our_columns() {
    with_people(|kubectl| {
        kubectl.prints(&["get", "users"], BOTH)?;
        kubectl.prints(&["get", "hu", "-o", "wide"], BOTH)?;
        kubectl.prints(&["get", "user", "alice"], ONLY_ALICE)?;
        kubectl.prints(&["get", "users.v1alpha1.horizon.dev/bob"], ONLY_BOB)?;
        kubectl.prints(
            &["get", "users", "-L", "team"],
            "\
NAME    GROUPS   DEVICES   DISABLED   AGE   TEAM
alice   staff    0                    0s
bob     guests   0                    0s    a
",
        )?;
        kubectl.prints(
            &["get", "horizon"],
            "\
NAME                     GROUPS   DEVICES   DISABLED   AGE
user.horizon.dev/alice   staff    0                    0s
user.horizon.dev/bob     guests   0                    0s
",
        )?;
        kubectl.answers(
            &["get", "users", "alice", "nobody"],
            1,
            ONLY_ALICE,
            "Error from server (NotFound): users.horizon.dev \"nobody\" not found",
        )?;
        kubectl.answers(&["get", "networks"], 0, "", "No resources found in default namespace.")
    });
}

const EVERY_KIND: &str = "\
NAMESPACE   NAME                                    ACTION   NETWORK   PROGRAMMED   AGE
default     accesspolicy.horizon.dev/staff-to-web   Allow    office    False        0s

NAMESPACE   NAME                         POOLS                      ALLOCATED   READY   AGE
default     network.horizon.dev/office   10.77.0.0/24,fd77:1::/64   2           False   0s

NAMESPACE   NAME                                   USER    USES   EXPIRES   USABLE   AGE
default     personalkey.horizon.dev/alice-laptop   alice   0                True     0s

NAMESPACE   NAME                               ROLE     USES   EXPIRES   USABLE   AGE
default     registrationkey.horizon.dev/gw-1   Server   0                True     0s

NAMESPACE   NAME                      CONNECTED   REVISION   READY   REASON        AGE
default     server.horizon.dev/gw-1   False       N          False   NotEnrolled   0s

NAMESPACE   NAME                     GROUPS   DEVICES   DISABLED   AGE
default     user.horizon.dev/alice   staff    0                    0s
";

#[test]
fn every_kind_has_its_table() {
    alone(|_, kubectl| {
        let quickstart = manifests().join("quickstart");
        kubectl.done(&["apply", "-f", quickstart.to_str().unwrap()])?;

        // Statuses and counters follow the objects.
        wait_for("every table is as expected", || {
            let text = masked(&kubectl.done(&["get", "horizon", "-A"])?);
            // How many revisions six objects make depends on how fast they come.
            let row = "server.horizon.dev/gw-1   False       ";
            let (before, after) = text.split_once(row).unwrap_or_default();
            let text = format!("{before}{row}N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
            ensure!(text == EVERY_KIND, "{text}");
            Ok(true)
        })
    });
}

#[test]
fn objects_come_in_every_form() {
    with_people(|kubectl| {
        kubectl.done(&["wait", "--for=condition=Accepted", "users", "--all", "--timeout=30s"])?;
        let json: Value = serde_json::from_str(&kubectl.done(&["get", "users", "-o", "json"])?)?;
        let yaml = kubectl.done(&["get", "user", "alice", "-o", "yaml"])?;

        ensure!(json["kind"] == "List" && json["items"].as_array().unwrap().len() == 2, "{json}");
        let bob = &json["items"][1];
        ensure!(bob["apiVersion"] == "horizon.dev/v1alpha1" && bob["kind"] == "User", "{bob}");
        ensure!(bob["spec"] == serde_json::json!({"groups": ["guests"], "maxDevices": 2}), "{bob}");
        ensure!(bob["metadata"]["generation"] == 1 && bob["status"]["observedGeneration"] == 1, "{bob}");
        ensure!(bob["metadata"]["managedFields"].is_null(), "{bob}");
        let head = "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata:\n  creationTimestamp: \"TIME\"\n  generation: 1\n  name: alice\n  namespace: default\n";
        ensure!(masked(&yaml).starts_with(head), "{yaml}");
        ensure!(yaml.contains("\nspec:\n  groups:\n  - staff\n  maxDevices: 5\nstatus:\n"), "{yaml}");
        kubectl.prints(&["get", "users", "-o", "name"], "user.horizon.dev/alice\nuser.horizon.dev/bob")?;
        kubectl.prints(
            &["get", "users", "-o", "jsonpath={range .items[*]}{.metadata.name}={.spec.maxDevices};{end}"],
            "alice=5;bob=2;",
        )?;
        kubectl.prints(
            &["get", "users", "-o", "custom-columns=WHO:.metadata.name,IN:.spec.groups"],
            "WHO     IN\nalice   [staff]\nbob     [guests]\n",
        )?;
        kubectl.prints(
            &["get", "users", "-o", "go-template={{range .items}}{{.metadata.name}} {{end}}"],
            "alice bob",
        )
    });
}

#[test]
fn selectors_sort_and_pages_pick_what_is_asked_for() {
    with_people(|kubectl| {
        kubectl.prints(&["get", "users", "-l", "team=a"], ONLY_BOB)?;
        kubectl.prints(&["get", "users", "-l", "!team"], ONLY_ALICE)?;
        kubectl.prints(&["get", "users", "-l", "team in (a,b),team!=c"], ONLY_BOB)?;
        kubectl.answers(
            &["get", "users", "-l", "team=b"],
            0,
            "",
            "No resources found in default namespace.",
        )?;
        kubectl.prints(&["get", "users", "--field-selector", "metadata.name!=bob"], ONLY_ALICE)?;
        kubectl.is_refused(
            &["get", "users", "--field-selector", "spec.groups=x"],
            "Error from server (BadRequest): Unable to find \"horizon.dev/v1alpha1, Resource=users\" that match label selector \"\", field selector \"spec.groups=x\": field label not supported: spec.groups",
        )?;
        kubectl.prints(
            &["get", "users", "-A", "--sort-by=.spec.maxDevices"],
            "\
NAMESPACE   NAME    GROUPS   DEVICES   DISABLED   AGE
default     bob     guests   0                    0s
default     alice   staff    0                    0s
",
        )?;
        kubectl.prints(&["get", "users", "--chunk-size=1"], BOTH)?;
        let said = kubectl.run(&["get", "users", "--chunk-size=1", "-v=6"])?;
        ensure!(said.stderr.matches("users?").count() == 2, "not two pages: {}", said.stderr);
        Ok(())
    });
}

#[test]
fn a_watch_tells_what_happens() {
    with_people(|kubectl| {
        let words = ["get", "users", "-w", "--output-watch-events"];
        let mut watch = kubectl.start(&words, "watch.log")?;
        let selected = kubectl.start(&["get", "users", "-w", "-l", "team=b"], "selected.log")?;
        wait_for("the watch has begun", || Ok(watch.log().lines().count() == 3))?;

        kubectl.done(&["label", "user", "alice", "team=b"])?;
        wait_for("the label is told", || Ok(selected.log().lines().count() >= 2))?;
        kubectl.done(&["label", "user", "alice", "team-"])?;
        kubectl.done(&["delete", "user", "bob"])?;
        wait_for("the deletion is told", || Ok(watch.log().contains("DELETED")))?;

        let log = masked(&watch.log());
        let mut events: Vec<&str> = log.lines().collect();
        // A status that follows a change is a change too.
        events.dedup();
        events.retain(|event| !event.starts_with("MODIFIED   bob"));
        let expected = [
            "EVENT      NAME    GROUPS   DEVICES   DISABLED   AGE",
            "ADDED      alice   staff    0                    0s",
            "ADDED      bob     guests   0                    0s",
            "MODIFIED   alice   staff    0                    0s",
            "DELETED    bob     guests   0                    0s",
        ];
        ensure!(events == expected, "{events:#?}");
        let rows = masked(&selected.log());
        let expected =
            "NAME    GROUPS   DEVICES   DISABLED   AGE\nalice   staff    0                    0s\n";
        ensure!(rows.starts_with(expected), "{rows}");
        watch.check_alive()
    });
}

#[test]
fn describe_tells_everything() {
    with_people(|kubectl| {
        // What the controller makes of the object follows its creation, and so does what it says of that.
        let event = "  Normal  Ready   0s    horizon-controller  it does what it is for\n";
        let text = wait_until("the event is there", PATIENCE, || {
            let text = masked(&kubectl.done(&["describe", "user", "bob"])?);
            Ok(text.ends_with(event).then_some(text))
        })?;

        let lines: Vec<&str> = text.lines().collect();
        let head = ["Name:         bob", "Namespace:    default", "Labels:       team=a"];
        ensure!(lines.starts_with(&head), "{text}");
        ensure!(text.contains("Spec:\n  Groups:\n    guests\n  Max Devices:  2\nStatus:\n"), "{text}");
        ensure!(
            text.contains("\n    Status:                True\n    Type:                  Ready\n"),
            "{text}"
        );
        // No folder declares it, so it has no line in a file.
        ensure!(!text.contains("operator:0"), "{text}");
        kubectl.is_refused(
            &["describe", "users", "nobody"],
            "Error from server (NotFound): users.horizon.dev \"nobody\" not found",
        )
    });
}

#[test]
fn events_and_secrets_can_be_listed() {
    with_people(|kubectl| {
        kubectl.done(&["get", "events"])?;
        kubectl.done(&["events", "--for", "user/bob"])?;
        kubectl.done(&["create", "secret", "generic", "token", "--from-literal=a=b"])?;
        kubectl.prints(&["get", "secrets"], "NAME    TYPE     DATA   AGE\ntoken   Opaque   1      0s\n")
    });
}

#[test]
fn a_namespace_is_a_realm() {
    with_people(|kubectl| {
        kubectl.prints(&["create", "namespace", "branch"], "namespace/branch created")?;
        kubectl.is_refused(
            &["create", "-f", "people.yaml", "-n", "nowhere"],
            "\
Error from server (NotFound): error when creating \"people.yaml\": namespaces \"nowhere\" not found
Error from server (NotFound): error when creating \"people.yaml\": namespaces \"nowhere\" not found
",
        )?;
        kubectl.done(&["create", "-f", "people.yaml", "-n", "branch"])?;
        kubectl.done(&["delete", "user", "bob", "-n", "branch"])?;

        kubectl.prints(
            &["get", "users", "-A"],
            "\
NAMESPACE   NAME    GROUPS   DEVICES   DISABLED   AGE
branch      alice   staff    0                    0s
default     alice   staff    0                    0s
default     bob     guests   0                    0s
",
        )?;
        kubectl
            .prints(&["get", "ns"], "NAME      STATUS   AGE\nbranch    Active   0s\ndefault   Active   0s\n")
    });
}
