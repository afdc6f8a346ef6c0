//! Attacks on what the controller remembers: an older store in the place of the newest.

use std::fs;

use anyhow::ensure;
use horizon_tests::{
    folder::{POLICY, POLICY_GATEWAY_ONLY},
    scenario::in_world,
    traffic::wait_ping,
    wait::{PATIENCE, wait_for, wait_until},
    world::{LAN, World},
};

#[test]
fn whom_a_restored_store_has_forgotten_stays_out_until_a_person_decides() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let backup = world.folder.path().join("backup");
        let file = backup.to_string_lossy().into_owned();
        world.controller.verb(&["backup", &file])?.success()?;
        world.controller.verb(&["hold", "User/alice", "--reason", "a test", "--for", "1h"])?.success()?;
        wait_for("alice is cut off", || Ok(!world.alice.status()?.is_connected()))?;
        world.controller.verb(&["restore", &file])?.refused(1, &["in use"])?;
        world.controller.stop()?;

        let said = world.controller.verb(&["restore", &file])?.success()?;
        world.controller.start()?;
        world.wait_ready()?;

        ensure!(said.contains("epoch 2 begins"), "{said}");
        let view = world.controller.view()?;
        ensure!(view.epoch == 2, "epoch {}", view.epoch);
        let held: Vec<_> = view.holds.iter().map(|hold| hold.object.to_string()).collect();
        ensure!(held == ["Device/alice-laptop"], "held are {held:?}");
        ensure!(view.events.iter().any(|event| event.kind == "RevocationsRecalled"), "{:?}", view.events);
        ensure!(!world.alice.status()?.is_connected(), "alice is back");
        world.controller.verb(&["release", "Device/alice-laptop"])?.success()?;
        world.alice.connect()
    });
}

#[test]
fn an_older_store_that_is_put_in_place_of_the_newest_is_refused() {
    in_world(|world| {
        world.start_servers()?;
        world.controller.stop()?;
        let database = world.controller.data().join("horizon.db");
        let older = fs::read(&database)?;
        world.controller.start()?;
        for policy in [POLICY_GATEWAY_ONLY, POLICY] {
            let before = world.controller.server("gw-1")?.desired_revision;
            world.manifests.write("policy.yaml", policy)?;
            wait_newer(world, before)?;
        }
        world.controller.stop()?;

        fs::write(&database, older)?;
        world.controller.start()?;

        wait_for("the gateway says why it does not follow", || {
            let server = world.controller.server("gw-1")?;
            Ok(!server.ready && server.message.contains("rolled back"))
        })
    });
}

fn wait_newer(world: &World, before: u64) -> anyhow::Result<()> {
    wait_until("the gateway runs the newer policy", PATIENCE, || {
        let server = world.controller.server("gw-1")?;
        Ok((server.ready && server.applied_revision > before).then_some(()))
    })
}
