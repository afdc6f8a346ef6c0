//! Between a text and its effect: what a change does is told before, and one that nobody confirms is taken back.

use std::time::{Duration, Instant};

use anyhow::ensure;
use horizon_tests::{
    folder::{Folder, POLICY, POLICY_GATEWAY_ONLY},
    scenario::in_world,
    traffic::{ping, wait_ping},
    wait::wait_for,
    world::{GATEWAY_INSIDE, LAN, World},
};

#[test]
fn a_plan_says_who_loses_what_and_changes_nothing() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let draft = Folder::copy_of(world.manifests.path(), world.folder.path().join("draft"))?;
        draft.write("policy.yaml", POLICY_GATEWAY_ONLY)?;
        let path = draft.path().to_string_lossy().into_owned();

        let said = world.controller.verb(&["plan", &path])?.success()?;
        let json = world.controller.verb(&["plan", &path, "--json"])?.success()?;
        let nothing = world.controller.verb(&["plan"])?.success()?;
        let again = world.controller.verb(&["plan", &path, "--json"])?.success()?;

        let line = "- group staff → 198.51.100.0/24 everything (1 device loses) [policy.yaml:1]";
        ensure!(said.lines().any(|said| said == line), "{said}");
        ensure!(json.contains(r#""gains":false"#), "{json}");
        ensure!(nothing.contains("no object changes"), "{nothing}");
        // What is compared against is still the same revision.
        ensure!(again == json, "something was committed: {again}");
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_change_that_cuts_people_off_comes_back_when_nobody_confirms_it() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        arm_and_cut(world)?;
        let said = world.controller.verb(&["status"])?.success()?;
        ensure!(said.contains("is taken back at "), "{said}");
        wait_for("the way is back", || Ok(ping(&world.net.cli, LAN)?.is_some()))?;

        wait_for("the controller says so", || Ok(!world.controller.view()?.stale.is_empty()))?;
        let said = world.controller.verb(&["status"])?.success()?;
        let line = "last good   AccessPolicy/staff (policy.yaml:1): Reverted: it was taken back because nobody confirmed it in time";
        ensure!(said.lines().any(|said| said.starts_with(line)), "{said}");
        let object = world.controller.verb(&["status", "AccessPolicy/staff"])?.success()?;
        ensure!(object.contains("Stale       True Reverted"), "{object}");
        // It stays back until a person says otherwise.
        let waits = world.controller.verb(&["plan"])?;
        waits.refused(3, &["a part waits for an approval"])?;
        let hash = waits.stderr.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        world.controller.verb(&["approve", "0123456789ab"])?.refused(3, &[&hash])?;
        world.controller.verb(&["approve", &hash])?.success()?;
        wait_for("what was approved is in force", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        world.manifests.write("policy.yaml", POLICY)?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_change_that_is_confirmed_stays() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        arm_and_cut(world)?;
        world.controller.verb(&["confirm"])?.success()?;
        let start = Instant::now();
        while start.elapsed() < WITHIN + Duration::from_secs(3) {
            ensure!(ping(&world.net.cli, LAN)?.is_none(), "it was taken back");
        }
        world.controller.verb(&["confirm"])?.refused(3, &["nothing waits for a confirmation"])?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, GATEWAY_INSIDE)
    });
}

/// The deadline is in what the controller signed: the gateway needs nobody to go back.
#[test]
fn a_gateway_without_a_controller_goes_back_by_itself() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        arm_and_cut(world)?;
        world.controller.kill()?;
        // A restart inside of the time forgets nothing.
        world.gateway.kill()?;
        world.gateway.start()?;
        wait_for("the way is back", || Ok(ping(&world.net.cli, LAN)?.is_some()))?;

        // The controller comes to the same: the time was over while it was away.
        world.controller.start()?;
        wait_for("the controller has taken it back", || {
            Ok(world.controller.view()?.stale.iter().any(|stale| stale.reason == "Reverted"))
        })?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_gateway_that_goes_back_by_itself_lets_nobody_in_again_who_was_held_meanwhile() {
    in_world(|world| {
        world.start_with_alice()?;
        world.bob.sign_in(&world.controller)?;
        world.bob.connect()?;
        wait_ping(&world.net.cli, LAN)?;
        wait_ping(&world.net.cli2, LAN)?;

        arm_and_cut(world)?;
        let hold = ["hold", "User/alice", "--reason", "lost laptop", "--for", "1h"];
        world.controller.verb(&hold)?.success()?;
        wait_for("she is told", || Ok(world.alice.status()?.state == "Blocked"))?;
        world.controller.kill()?;
        wait_for("the way of others is back", || Ok(ping(&world.net.cli2, LAN)?.is_some()))?;
        ensure!(world.alice.verb(&["connect"])?.code == 3, "the hold was taken back");

        world.gateway.kill()?;
        world.gateway.start()?;
        wait_ping(&world.net.cli2, LAN)?;
        ensure!(world.alice.verb(&["connect"])?.code == 3, "a restart took the hold back");
        Ok(())
    });
}

#[test]
fn a_hold_cuts_a_person_off_within_two_seconds_and_ends_by_itself() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        let start = Instant::now();
        let said = world
            .controller
            .verb(&["hold", "User/alice", "--reason", "lost laptop", "--for", "6s"])?
            .success()?;
        wait_for("the link is gone", || Ok(world.gateway.status()?.links.is_empty()))?;
        let cut = start.elapsed();

        ensure!(said.starts_with("User/alice is held by operator until "), "{said}");
        ensure!(cut < Duration::from_secs(2), "it took {cut:?}");
        let status = world.controller.verb(&["status"])?.success()?;
        ensure!(status.contains("hold        User/alice by operator until "), "{status}");
        wait_for("the hold is over", || Ok(world.controller.view()?.holds.is_empty()))?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)
    });
}

const WITHIN: Duration = Duration::from_secs(8);

/// Makes the next change one to confirm, and makes one that takes the LAN away.
fn arm_and_cut(world: &World) -> anyhow::Result<()> {
    let within = format!("{}s", WITHIN.as_secs());
    world.controller.verb(&["arm", "--confirm-within", &within])?.success()?;
    world.manifests.write("policy.yaml", POLICY_GATEWAY_ONLY)?;
    wait_for("the LAN is cut off", || Ok(ping(&world.net.cli, LAN)?.is_none()))
}
