//! Apply, from the client's side and the server's; what prunes, and what a diff says.

use anyhow::ensure;
use horizon_tests::{kubectl::is_told, process::run};

use super::{BOB, alone, manifests, with_people};

/// What kubectl says behind each conflict.
const ADVICE: &str = "\
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
";

#[test]
fn apply_says_created_configured_and_unchanged() {
    alone(|_, kubectl| {
        kubectl.write("bob.yaml", BOB)?;
        let apply = ["apply", "-f", "bob.yaml"];

        kubectl.prints(&apply, "user.horizon.dev/bob created")?;
        kubectl.prints(&apply, "user.horizon.dev/bob unchanged")?;
        kubectl.write("bob.yaml", &BOB.replace("maxDevices: 2", "maxDevices: 3"))?;
        kubectl.prints(
            &[&apply[..], &["--dry-run=server"]].concat(),
            "user.horizon.dev/bob configured (server dry run)",
        )?;
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "2")?;
        kubectl.prints(&apply, "user.horizon.dev/bob configured")?;
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "3")?;
        // What a manifest says no more is taken back to what it is by default.
        kubectl.write("bob.yaml", &BOB.replace(", maxDevices: 2", ""))?;
        kubectl.prints(&apply, "user.horizon.dev/bob configured")?;
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "5")
    });
}

#[test]
fn the_examples_apply_and_apply_again() {
    for (folder, created) in [("quickstart", QUICKSTART), ("examples", EXAMPLES)] {
        alone(|_, kubectl| {
            let path = manifests().join(folder);
            let apply = ["apply", "-f", path.to_str().unwrap()];

            let said = kubectl.run(&apply)?;
            let again = kubectl.done(&apply)?;

            ensure!(said.code == 0 && said.stdout == created, "{said:?}");
            // The examples hold what takes effect with later versions, and each such field is told of.
            let is_warning = |line: &str| {
                line.starts_with("Warning: spec") && line.ends_with("the version that enforces it")
            };
            ensure!(said.stderr.lines().all(is_warning), "{}", said.stderr);
            ensure!(again == created.replace(" created", " unchanged"), "{again}");
            Ok(())
        });
    }
}

const QUICKSTART: &str = "\
network.horizon.dev/office created
user.horizon.dev/alice created
personalkey.horizon.dev/alice-laptop created
accesspolicy.horizon.dev/staff-to-web created
server.horizon.dev/gw-1 created
registrationkey.horizon.dev/gw-1 created
";

const EXAMPLES: &str = "\
registrationkey.horizon.dev/gateways created
registrationkey.horizon.dev/kiosks created
personalkey.horizon.dev/alice-2037 created
connectionprofile.horizon.dev/office-split created
connectionprofile.horizon.dev/everything-through-frankfurt created
alertrule.horizon.dev/gateway-down created
network.horizon.dev/office created
network.horizon.dev/lab created
user.horizon.dev/alice created
user.horizon.dev/bob created
user.horizon.dev/storage created
device.horizon.dev/nas created
device.horizon.dev/door-display created
admin.horizon.dev/first-owner created
accesspolicy.horizon.dev/staff-to-files created
accesspolicy.horizon.dev/contractors-not-to-subnet created
accesstest.horizon.dev/contractors-never-reach-files created
server.horizon.dev/fra-1 created
server.horizon.dev/ams-1 created
";

#[test]
fn server_side_apply_knows_who_manages_what() {
    alone(|_, kubectl| {
        kubectl.write("bob.yaml", BOB)?;
        kubectl.write("more.yaml", &BOB.replace("maxDevices: 2", "maxDevices: 3"))?;
        let applied = "user.horizon.dev/bob serverside-applied";
        let devices = ["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"];
        let other = ["apply", "--server-side", "--field-manager=other", "-f", "more.yaml"];

        kubectl.prints(&["apply", "--server-side", "-f", "bob.yaml"], applied)?;
        let conflict = "error: Apply failed with 1 conflict: conflict with \"kubectl\": .spec.maxDevices\n";
        kubectl.is_refused(&other, &format!("{conflict}{ADVICE}"))?;
        kubectl.prints(&devices, "2")?;
        kubectl.prints(&[&other[..], &["--force-conflicts"]].concat(), applied)?;
        kubectl.prints(&devices, "3")?;

        kubectl.prints(
            &["get", "user", "bob", "--show-managed-fields", "-o", "jsonpath={range .metadata.managedFields[*]}{.manager} {.operation} {.fieldsV1.f:spec}{\"\\n\"}{end}"],
            "\
kubectl Apply {\"f:groups\":{\"v:\\\"guests\\\"\":{}}}
other Apply {\"f:groups\":{\"v:\\\"guests\\\"\":{}},\"f:maxDevices\":{}}
",
        )?;
        // The one who managed a field gives it up, and it goes back to what it is by default.
        kubectl.write("more.yaml", &BOB.replace(", maxDevices: 2", ""))?;
        kubectl.prints(&other, applied)?;
        kubectl.prints(&devices, "5")
    });
}

#[test]
fn apply_of_one_kind_follows_apply_of_the_other() {
    alone(|_, kubectl| {
        kubectl.write("bob.yaml", BOB)?;
        kubectl.prints(&["apply", "-f", "bob.yaml"], "user.horizon.dev/bob created")?;
        kubectl.write("bob.yaml", &BOB.replace("maxDevices: 2", "maxDevices: 4"))?;

        kubectl.prints(
            &["apply", "--server-side", "-f", "bob.yaml"],
            "user.horizon.dev/bob serverside-applied",
        )?;

        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "4")?;
        kubectl.prints(&["apply", "-f", "bob.yaml"], "user.horizon.dev/bob configured")?;
        kubectl.prints(&["apply", "-f", "bob.yaml"], "user.horizon.dev/bob unchanged")
    });
}

#[test]
fn apply_prunes_what_an_allow_list_names() {
    with_people(|kubectl| {
        let apply =
            ["apply", "-f", "set", "--prune", "-l", "app=x", "--prune-allowlist=horizon.dev/v1alpha1/User"];
        kubectl.write("set/carol.yaml", &BOB.replace("bob", "carol").replace("team: a", "app: x"))?;
        kubectl.write("set/dave.yaml", &BOB.replace("bob", "dave").replace("team: a", "app: x"))?;

        kubectl.prints(&apply, "user.horizon.dev/carol created\nuser.horizon.dev/dave created")?;
        std::fs::remove_file(kubectl.folder().join("set/dave.yaml"))?;
        kubectl.prints(&apply, "user.horizon.dev/carol unchanged\nuser.horizon.dev/dave pruned")?;

        let names = ["get", "users", "-o", "jsonpath={.items[*].metadata.name}"];
        kubectl.prints(&names, "alice bob carol")
    });
}

#[test]
fn apply_prunes_what_left_an_applyset() {
    with_people(|kubectl| {
        let apply = |expected: &str| {
            let words = ["apply", "-n", "default", "-f", "set", "--prune", "--applyset=mine"];
            let mut command = kubectl.command(&words);
            command.env("KUBECTL_APPLYSET", "true");
            let said = run(command)?;
            is_told("apply of a set", &said, 0, [expected, ""])
        };
        kubectl.write("set/carol.yaml", &BOB.replace("bob", "carol"))?;
        kubectl.write("set/dave.yaml", &BOB.replace("bob", "dave"))?;

        apply("user.horizon.dev/carol created\nuser.horizon.dev/dave created")?;
        std::fs::remove_file(kubectl.folder().join("set/dave.yaml"))?;
        apply("user.horizon.dev/carol unchanged\nuser.horizon.dev/dave pruned")?;

        let names = ["get", "users", "-o", "jsonpath={.items[*].metadata.name}"];
        kubectl.prints(&names, "alice bob carol")?;
        kubectl.prints(
            &[
                "get",
                "secret",
                "mine",
                "-o",
                "jsonpath={.metadata.annotations.applyset\\.kubernetes\\.io/contains-group-kinds}",
            ],
            "User.horizon.dev",
        )
    });
}

#[test]
fn diff_ends_with_a_code_that_scripts_go_by() {
    with_people(|kubectl| {
        kubectl.write("bob.yaml", BOB)?;
        kubectl.done(&["apply", "--server-side", "-f", "bob.yaml"])?;
        kubectl.prints(&["diff", "--server-side", "-f", "bob.yaml"], "")?;
        kubectl.write("bob.yaml", &BOB.replace("maxDevices: 2", "maxDevices: 3"))?;

        let said = kubectl.run(&["diff", "--server-side", "--force-conflicts", "-f", "bob.yaml"])?;
        let absent = kubectl.run(&["diff", "-f", "absent.yaml"])?;

        ensure!(said.code == 1 && said.stderr.is_empty(), "{said:?}");
        let changes: Vec<&str> =
            said.stdout.lines().filter(|line| line.starts_with([' ', '+', '-'])).collect();
        let is_change =
            |line: &&&str| !line.starts_with(' ') && !line.starts_with("---") && !line.starts_with("+++");
        let changes: Vec<&&str> = changes.iter().filter(is_change).collect();
        let expected = ["-  generation: 1", "+  generation: 2", "-  maxDevices: 2", "+  maxDevices: 3"];
        ensure!(changes.iter().map(|line| **line).eq(expected), "{}", said.stdout);
        ensure!(absent.code == 2, "{absent:?}");
        // A diff writes nothing.
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "2")
    });
}
