//! The controller for a real API server, with the rights that manifests/kubernetes give it: what the cluster says is in
//! force, and it hears what becomes of that; what only looks like a delete takes nothing away.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use horizon_api::{join::JoinString, key::SecretKey};
use horizon_tests::{
    cluster::Cluster,
    joiner::{login_here, meet_after},
    kubectl::Kubectl,
    process::run,
    standalone::Standalone,
    wait::{PATIENCE, wait_for, wait_until},
};
use serde_json::Value;

/// A cluster with the controller in it.
struct World {
    // In this order they are dropped.
    controller: Standalone,
    admin: Kubectl,
    cluster: Cluster,
}

/// Runs a test in a cluster of its own, where this machine has the programs.
fn in_cluster(test: impl FnOnce(&mut World) -> anyhow::Result<()>) {
    in_cluster_with("kubernetes", Standalone::in_cluster, test);
}

/// As [`in_cluster`], with the rights that these manifests give.
fn in_cluster_with(
    rights: &str,
    start: impl FnOnce(&Path) -> anyhow::Result<Standalone>,
    test: impl FnOnce(&mut World) -> anyhow::Result<()>,
) {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let admin = cluster.kubectl("people").unwrap();
    admin.done(&["apply", "--server-side", "-k", &manifests(rights)]).unwrap();
    cluster.wait_for_crds().unwrap();
    let account = cluster.kubeconfig_of("horizon", "horizon-controller").unwrap();
    let controller = start(&account).unwrap();
    let mut world = World { controller, admin, cluster };
    if let Err(error) = test(&mut world) {
        panic!("{error:#}\n{}\n{}", world.controller.log(), world.cluster.log());
    }
}

/// Returns a path below `manifests/`.
fn manifests(name: &str) -> String {
    let tests = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    tests.parent().unwrap().join("manifests").join(name).display().to_string()
}

impl World {
    fn apply(&self, text: &str) -> anyhow::Result<String> {
        self.admin.write("it.yaml", text)?;
        self.admin.done(&["apply", "-f", "it.yaml"])
    }

    fn get(&self, what: &[&str]) -> anyhow::Result<Value> {
        let said = self.admin.done(&[&["get", "-o", "json"], what].concat())?;
        Ok(serde_json::from_str(&said)?)
    }

    /// Waits for a condition of an object: `True Ready`, and returns its message.
    fn wait_condition(&self, object: &str, kind: &str, expected: &str) -> anyhow::Result<String> {
        wait_until(&format!("{object} is {kind}={expected}"), PATIENCE, || {
            let object = self.get(&[object])?;
            let (condition, generation) = (condition(&object, kind)?, &object["metadata"]["generation"]);
            let word = |name: &str| condition[name].as_str().unwrap_or_default();
            let found = format!("{} {}", word("status"), word("reason"));
            ensure!(found == expected, "it is {found}");
            ensure!(condition["observedGeneration"] == *generation, "it is of another generation");
            Ok(Some(word("message").to_owned()))
        })
    }

    /// Waits until the controller says that it sees all of the cluster, or why not.
    fn wait_source(&self, word: Option<&str>) -> anyhow::Result<()> {
        wait_for(&format!("the cluster is seen: {word:?}"), || {
            let view = self.controller.status()?.view;
            let source = view.sources.iter().find(|source| source.path.contains("cluster"));
            let source = source.context("no cluster")?;
            let is_so = match word {
                Some(word) => !source.complete && source.reason.contains(word),
                None => source.complete,
            };
            ensure!(is_so, "{}", source.reason);
            Ok(true)
        })
    }

    /// Says what is in force of an object.
    fn object(&self, name: &str) -> anyhow::Result<String> {
        self.controller.verb(&["status", name])?.success()
    }

    fn secret(&self, name: &str, key: &str) -> anyhow::Result<String> {
        let template = format!("go-template={{{{.data.{key} | base64decode}}}}");
        self.admin.done(&["get", "secret", name, "-o", &template])
    }

    fn join(&self, secret: &str) -> anyhow::Result<JoinString> {
        let text = wait_until("the secret is there", PATIENCE, || self.secret(secret, "join").map(Some))?;
        Ok(text.parse()?)
    }
}

fn condition<'o>(object: &'o Value, kind: &str) -> anyhow::Result<&'o Value> {
    let conditions = object["status"]["conditions"].as_array().context("no conditions yet")?;
    conditions.iter().find(|condition| condition["type"] == kind).context("no such condition")
}

const ALICE: &str =
    "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: alice}\nspec: {groups: [staff]}\n";
const OFFICE: &str = "apiVersion: horizon.dev/v1alpha1\nkind: Network\nmetadata: {name: office}\nspec: {addressPools: [{cidr: 10.77.0.0/24}]}\n";
const KEY: &str = "apiVersion: horizon.dev/v1alpha1\nkind: RegistrationKey\nmetadata: {name: gw-1}\nspec: {role: Server, generate: {}}\n";

#[test]
fn the_cluster_hears_what_becomes_of_its_objects() {
    in_cluster(|world| {
        world.admin.done(&["apply", "-f", &manifests("quickstart")])?;

        world.wait_condition("user/alice", "Ready", "True Ready")?;
        world.wait_condition("server/gw-1", "Ready", "False NotEnrolled")?;
        let again = world.admin.done(&["apply", "-f", &manifests("quickstart")])?;
        ensure!(again.lines().all(|line| line.ends_with("unchanged")), "{again}");
        wait_for("the server tells what happened", || {
            Ok(world.admin.done(&["describe", "server", "gw-1"])?.contains("NotEnrolled  "))
        })?;
        let managers = world.admin.done(&["get", "user/alice", "-o", "yaml", "--show-managed-fields"])?;
        ensure!(
            managers.contains("manager: horizon-controller") && managers.contains("subresource: status"),
            "{managers}"
        );
        // An idle controller writes nothing.
        let version =
            || Ok::<_, anyhow::Error>(world.get(&["user/alice"])?["metadata"]["resourceVersion"].clone());
        let before = version()?;
        std::thread::sleep(Duration::from_secs(2));
        ensure!(version()? == before, "a status is written again and again");
        // Somebody else's word about it does not stay.
        let wrong = "{\"status\":{\"revision\":999}}";
        world.admin.done(&[
            "patch",
            "user",
            "alice",
            "--subresource",
            "status",
            "--type",
            "merge",
            "-p",
            wrong,
        ])?;
        wait_for("the status says the truth again", || {
            Ok(world.get(&["user/alice"])?["status"]["revision"] != 999)
        })
    });
}

#[test]
fn a_mistake_is_told_at_the_object_and_the_last_good_stays() {
    in_cluster(|world| {
        world.apply(OFFICE)?;
        world.wait_condition("network/office", "Accepted", "True Accepted")?;
        let lab =
            |pools: &str| OFFICE.replace("name: office", "name: lab").replace("{cidr: 10.77.0.0/24}", pools);
        let overlapping = "{cidr: 10.77.0.0/16}";

        world.apply(&lab(overlapping))?;
        let message = world.wait_condition("network/lab", "Accepted", "False Overlap")?;
        world.wait_condition("network/lab", "Stalled", "True Overlap")?;
        world.wait_condition("network/office", "Reconciling", "True NoGateways")?;
        ensure!(message.contains("10.77.0.0/24 of Network/office"), "{message}");
        world.admin.done(&["delete", "network", "lab"])?;
        world.apply(&lab("{cidr: 10.78.0.0/24}"))?;
        world.wait_condition("network/lab", "Accepted", "True Accepted")?;
        world.apply(&lab(&format!("{{cidr: 10.78.0.0/24}}, {overlapping}")))?;
        let message = world.wait_condition("network/lab", "Stale", "True SourceInvalid")?;
        ensure!(message.contains("10.77.0.0/24 of Network/office"), "{message}");
        ensure!(world.object("Network/lab")?.contains("Stale"), "it is not at its last good");

        world.admin.done(&["delete", "network", "office"])?;
        world.wait_condition("network/lab", "Accepted", "True Accepted")?;
        ensure!(
            world.get(&["network/lab"]).is_ok_and(|lab| condition(&lab, "Stale").is_err()),
            "it is stale"
        );
        Ok(())
    });
}

#[test]
fn what_only_looks_like_a_delete_takes_nothing_away() {
    in_cluster(|world| {
        world.apply(&format!("{ALICE}---\n{OFFICE}"))?;
        world.wait_condition("user/alice", "Ready", "True Ready")?;

        // The definition goes, and all objects with it.
        world.admin.done(&["delete", "crd", "users.horizon.dev"])?;
        world.wait_source(Some("users.horizon.dev"))?;
        world.object("User/alice")?;
        world.cluster.install_crds()?;
        world.wait_source(Some("was made anew"))?;
        world.object("User/alice")?;
        // The other kinds go on meanwhile.
        world.admin.done(&["delete", "network", "office"])?;
        wait_for("the network goes", || Ok(world.object("Network/office").is_err()))?;
        world.apply(ALICE)?;
        world.wait_source(None)?;

        // The right to read them goes.
        world.admin.done(&["delete", "clusterrolebinding", "horizon-controller"])?;
        world.cluster.kill_api_server()?;
        world.wait_source(Some("is not reached"))?;
        world.object("User/alice")?;
        world.cluster.start_api_server()?;
        world.wait_source(Some("may not list and watch"))?;
        world.object("User/alice")?;
        // A start makes no difference.
        world.controller.kill()?;
        world.controller.start()?;
        world.wait_source(Some("may not list and watch"))?;
        world.object("User/alice")?;
        world.admin.done(&["apply", "--server-side", "-k", &manifests("kubernetes")])?;
        world.wait_source(None)?;

        world.admin.done(&["delete", "user", "alice"])?;
        wait_for("the user goes, who was deleted", || Ok(world.object("User/alice").is_err()))
    });
}

#[test]
fn a_key_has_its_token_in_a_secret_and_a_device_that_joins_is_the_clusters() {
    in_cluster(|world| {
        let personal = "apiVersion: horizon.dev/v1alpha1\nkind: PersonalKey\nmetadata: {name: alice}\nspec: {userRef: {name: alice}, networkRefs: [{name: office}], generate: {}, expiresAt: 2100-01-01T00:00:00Z}\n";
        world.apply(&[ALICE, OFFICE, KEY, personal].join("---\n"))?;
        let join = world.join("alice-personal-key")?;
        let owner = world.get(&["secret/alice-personal-key"])?["metadata"]["ownerReferences"][0].clone();
        ensure!(owner["kind"] == "PersonalKey" && owner["name"] == "alice", "{owner}");

        let node = SecretKey::from_seed(&[7; 32]);
        let granted = login_here(&node, &join, "laptop")?;
        ensure!(granted.is_ok(), "{:?}", granted.err());
        world.wait_condition("device/laptop", "Ready", "True Ready")?;
        let device = world.get(&["device/laptop"])?;
        ensure!(device["spec"]["publicKey"] == node.public().to_string(), "{device}");

        world.admin.done(&["delete", "device", "laptop"])?;
        wait_for("the device goes", || Ok(world.object("Device/laptop").is_err()))?;
        // Its key is not forgiven.
        let refused = login_here(&node, &join, "laptop")?;
        ensure!(refused.is_err(), "a revoked device signed in");
        // Whoever declares the key anew has another token.
        world.admin.done(&["delete", "registrationkey", "gw-1"])?;
        wait_for("the key goes", || Ok(world.object("RegistrationKey/gw-1").is_err()))?;
        let before = world.secret("gw-1-registration-key", "token")?;
        // In a cluster with all of its controllers the secret goes with its owner.
        world.admin.done(&["delete", "secret", "gw-1-registration-key"])?;
        world.apply(KEY)?;
        wait_for("there is another token", || Ok(world.secret("gw-1-registration-key", "token")? != before))
    });
}

#[test]
fn in_one_namespace_it_sees_and_needs_no_other() {
    let start = |account: &Path| Standalone::in_namespace(account, "horizon");
    in_cluster_with("kubernetes-one-namespace", start, |world| {
        world.apply(ALICE)?;
        world.admin.done(&["apply", "-n", "horizon", "-f", "it.yaml"])?;

        wait_for("alice of the namespace has a status", || {
            let alice = world.get(&["user/alice", "-n", "horizon"])?;
            Ok(condition(&alice, "Ready")?["status"] == "True")
        })?;
        world.wait_source(None)?;
        let other = world.get(&["user/alice", "-n", "default"])?;
        ensure!(other.get("status").is_none(), "{other}");
        Ok(())
    });
}

#[test]
fn a_secret_of_somebody_else_is_left_alone() {
    in_cluster(|world| {
        world.admin.done(&[
            "create",
            "secret",
            "generic",
            "gw-1-registration-key",
            "--from-literal=token=mine",
        ])?;

        world.apply(KEY)?;

        wait_for("it is told at the key", || {
            Ok(world.admin.done(&["describe", "registrationkey", "gw-1"])?.contains("SecretNotWritten"))
        })?;
        ensure!(world.secret("gw-1-registration-key", "token")? == "mine", "it was overwritten");
        // What is deleted and declared again is another key, also where nobody saw it go.
        world.admin.done(&["delete", "secret", "gw-1-registration-key"])?;
        let first = world.join("gw-1-registration-key")?;
        world.admin.done(&["delete", "secret", "gw-1-registration-key"])?;
        world.admin.done(&["replace", "--force", "-f", "it.yaml"])?;
        let second = world.join("gw-1-registration-key")?;
        ensure!(first.token.reveal() != second.token.reveal(), "the token of a key that was deleted is good");
        world.wait_condition("registrationkey/gw-1", "Ready", "True Ready").map(drop)
    });
}

#[test]
fn a_name_that_only_kubernetes_takes_is_told_so_and_holds_no_delete_back() {
    in_cluster(|world| {
        world.apply(&format!("{ALICE}---\n{}", ALICE.replace("alice", "a.b")))?;
        world.wait_condition("user/alice", "Ready", "True Ready")?;

        let message = world.wait_condition("user/a.b", "Accepted", "False Format")?;
        ensure!(message.contains("metadata.name"), "{message}");
        world.admin.done(&["delete", "user", "alice"])?;

        wait_for("the user goes", || Ok(world.object("User/alice").is_err()))
    });
}

#[test]
fn a_delete_that_waits_for_somebody_elses_finalizer_is_in_force() {
    in_cluster(|world| {
        world.apply(&ALICE.replace("{name: alice}", "{name: alice, finalizers: [example.com/wait]}"))?;
        world.wait_condition("user/alice", "Ready", "True Ready")?;

        world.admin.done(&["delete", "user", "alice", "--wait=false"])?;

        wait_for("the user goes", || Ok(world.object("User/alice").is_err()))
    });
}

#[test]
fn the_resource_api_shows_the_cluster_and_takes_no_writes() {
    in_cluster(|world| {
        world.apply(&format!("{ALICE}---\n{OFFICE}"))?;
        world.wait_condition("user/alice", "Ready", "True Ready")?;
        let own = world.controller.kubeconfig(&[])?;
        let own = world.cluster.kubectl_with(own, "operator")?;

        let shown = own.done(&["get", "user/alice", "-o", "jsonpath={.spec.groups}"])?;
        ensure!(shown == "[\"staff\"]", "{shown}");
        own.write("ben.yaml", &ALICE.replace("alice", "ben"))?;
        for words in [
            &["create", "-f", "ben.yaml"][..],
            &["label", "user", "alice", "a=b"],
            &["delete", "user", "alice"],
        ] {
            let said = own.run(words)?;
            ensure!(said.code == 1 && said.stderr.contains("kubectl"), "{words:?}: {}", said.stderr);
        }
        world.object("User/alice").map(drop)
    });
}

#[test]
fn who_is_killed_is_followed_by_another_with_a_higher_epoch_and_gateways_refuse_the_old_one() {
    in_cluster(|world| {
        let node = SecretKey::from_seed(&[7; 32]);
        world.apply(&format!("{ALICE}---\n{KEY}"))?;
        world.wait_condition("user/alice", "Ready", "True Ready")?;
        let old = world.join("gw-1-registration-key")?;
        meet_after(&node, &old, 1)?;
        let rival = world.controller.rival(&world.controller.data(), "127.0.0.1:0")?;
        wait_for("it waits for its turn", || Ok(rival.log().contains("waiting for its turn to end")))?;
        let copy = world.controller.path().join("copy");

        world.controller.kill()?;
        copy_folder(&world.controller.data(), &copy)?;
        world.controller.adopt(rival)?;

        ensure!(world.controller.status()?.view.epoch == 2, "the epoch is not the next one");
        let lease =
            world.admin.done(&["get", "lease", "horizon-controller", "-n", "horizon", "-o", "yaml"])?;
        ensure!(lease.contains("holderIdentity: "), "{lease}");
        // Elsewhere the old state does not come up beside it, and where it has come up no gateway believes it.
        let beside = world.controller.rival(&copy, "127.0.0.1:0")?;
        wait_for("it waits for the Lease", || {
            Ok(beside.log().contains("another controller holds the Lease"))
        })?;
        drop(beside);
        let alone = old_controller(&copy, &old)?;
        let refused = meet_after(&node, &old, 2).err().context("a gateway believes the old one")?;
        ensure!(format!("{refused:#}").contains("epoch"), "{refused:#}");
        meet_after(&node, &old, 1)?;
        drop(alone);
        Ok(())
    });
}

#[test]
fn who_stops_in_order_is_followed_at_once_and_in_the_same_epoch() {
    in_cluster(|world| {
        world.apply(ALICE)?;
        world.wait_condition("user/alice", "Ready", "True Ready")?;

        world.controller.stop()?;
        let holder =
            world.get(&["lease/horizon-controller", "-n", "horizon"])?["spec"]["holderIdentity"].clone();
        ensure!(holder == "" || holder.is_null(), "{holder}");
        world.controller.start()?;

        ensure!(world.controller.status()?.view.epoch == 1, "the epoch has changed");
        // Without an API server what was in force is served all the same.
        world.controller.stop()?;
        world.cluster.kill_api_server()?;
        world.controller.start()?;
        world.object("User/alice")?;
        world.wait_source(Some("is not reached"))?;
        world.cluster.start_api_server()?;
        world.wait_source(None)
    });
}

/// Starts what was copied, as if nobody watched over it, where it was reached before.
fn old_controller(data: &Path, join: &JoinString) -> anyhow::Result<horizon_tests::process::Daemon> {
    let address = format!("127.0.0.1:{}", join.port);
    let mut command = Command::new(horizon_tests::program::path("horizon-controller")?);
    command.arg("run").arg("--data").arg(data).args(["--http", "127.0.0.1:0", "--quic", &address]);
    let log = data.with_extension("log");
    let daemon = horizon_tests::process::Daemon::start("the old controller", command, &log)?;
    wait_for("the old one is up", || Ok(daemon.log().contains("controller runs")))?;
    Ok(daemon)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("cp");
    command.arg("-a").arg(from).arg(to);
    run(command)?.success()?;
    // A socket is nobody's state.
    drop(fs::remove_file(to.join("control.sock")));
    Ok(())
}
