//! The folder of manifests: what is wrong in it takes nothing down, and everybody is told where.

use std::fs;

use anyhow::{Context, ensure};
use horizon_tests::{
    folder::{Folder, POLICY_GATEWAY_ONLY},
    scenario::in_world,
    traffic::{no_ping, ping, wait_ping},
    wait::{PATIENCE, wait_for, wait_until},
    world::{GATEWAY_INSIDE, LAN, World},
};

const SECOND_PERSON: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Server
metadata: {name: gw-2}
spec:
  networkRefs: [{name: office}]
  endpoints: [{host: 192.0.2.2}]
  identity: {registrationKeyRef: {name: gw-2}}
---
apiVersion: horizon.dev/v1alpha1
kind: RegistrationKey
metadata: {name: gw-2}
spec: {generate: {}}
";

#[test]
fn a_broken_file_is_named_with_its_place_and_the_other_files_still_apply() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let broken = world.manifests.read("policy.yaml")?.replace("  action: Allow", "  action: \"Allow");

        world.manifests.write("policy.yaml", &broken)?;
        let problem = wait_until("the problem is told", PATIENCE, || {
            Ok(world.controller.view()?.problems.into_iter().find(|problem| problem.is_error()))
        })?;
        world.manifests.write("more.yaml", SECOND_PERSON)?;
        wait_for("the other file applies", || Ok(world.controller.server("gw-2").is_ok()))?;

        ensure!(problem.file.ends_with("policy.yaml") && problem.line == 6, "{problem}");
        ensure!(ping(&world.net.cli, LAN)?.is_some(), "traffic stopped");
        let text = world.controller.verb(&["status"])?.success()?;
        ensure!(text.contains("policy.yaml:6:"), "status does not name the place: {text}");
        world.manifests.write("policy.yaml", POLICY_GATEWAY_ONLY)?;
        wait_for("the repaired file applies", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        wait_for("the problem is gone", || Ok(world.controller.view()?.problems.is_empty()))
    });
}

#[test]
fn a_wrong_field_keeps_the_last_good_object() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let wrong = world.manifests.read("policy.yaml")?.replace("action:", "akzion:");

        world.manifests.write("policy.yaml", &wrong)?;
        let problem = wait_until("the problem is told", PATIENCE, || {
            let problems = world.controller.view()?.problems;
            Ok(problems.into_iter().find(|problem| problem.message.contains("akzion")))
        })?;

        ensure!(problem.line == 6 && problem.fix.contains("action"), "{problem}");
        ensure!(ping(&world.net.cli, LAN)?.is_some(), "traffic stopped");
        Ok(())
    });
}

#[test]
fn a_deleted_folder_prunes_nothing() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let path = world.manifests.path().to_owned();

        world.manifests.remove_all()?;
        let view = wait_until("the missing folder is told", PATIENCE, || {
            let view = world.controller.view()?;
            Ok((!view.complete).then_some(view))
        })?;

        ensure!(view.sources.iter().any(|source| !source.reason.is_empty()), "{:?}", view.sources);
        check_serves(world)?;
        // A restart with nothing to read knows everything still.
        world.controller.kill()?;
        world.controller.start()?;
        world.wait_ready()?;
        check_serves(world)?;
        Folder::office(path)?;
        wait_for("the folder is read again", || Ok(world.controller.view()?.complete))?;
        check_serves(world)
    });
}

fn check_serves(world: &World) -> anyhow::Result<()> {
    world.controller.server("gw-1")?;
    ensure!(world.controller.devices_of("alice")?.len() == 1, "alice's device is gone");
    ensure!(ping(&world.net.cli, LAN)?.is_some(), "traffic stopped");
    Ok(())
}

#[test]
fn an_emptied_folder_prunes_nothing() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        for entry in fs::read_dir(world.manifests.path())? {
            fs::remove_file(entry?.path())?;
        }
        wait_for("the empty folder is told", || Ok(!world.controller.view()?.complete))?;

        check_serves(world)
    });
}

#[test]
fn a_removed_policy_is_pruned_and_what_it_allowed_is_denied() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = world.controller.view()?.revision;

        fs::remove_file(world.manifests.path().join("policy.yaml"))?;
        wait_for("the policy is gone", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;

        no_ping(&world.net.cli, GATEWAY_INSIDE)?;
        ensure!(world.controller.view()?.revision > before, "no new revision");
        ensure!(world.alice.status()?.is_connected(), "the link is gone");
        Ok(())
    });
}

#[test]
fn check_says_the_same_offline() {
    in_world(|world| {
        let folder = world.manifests.path().to_str().context("a path that is not text")?.to_owned();
        let check = |words: &[&str]| {
            let mut command = std::process::Command::new(horizon_tests::program::path("horizon-controller")?);
            command.arg("check").args(words);
            horizon_tests::process::run(command)
        };

        ensure!(check(&[&folder])?.code == 0, "the office has a problem");
        let wrong = world.manifests.read("policy.yaml")?.replace("action:", "akzion:");
        world.manifests.write("policy.yaml", &wrong)?;
        let outcome = check(&[&folder])?;
        let lines = check(&[&folder, "--json"])?.stdout;
        let absent = check(&["/nonexistent/folder"])?;

        ensure!(outcome.code == 1 && outcome.stdout.contains("policy.yaml:6:"), "{outcome:?}");
        for line in lines.lines() {
            let problem: horizon_api::problem::Problem = serde_json::from_str(line)?;
            ensure!(!problem.code.is_empty(), "{line}");
        }
        ensure!(absent.code == 2, "{absent:?}");
        Ok(())
    });
}
