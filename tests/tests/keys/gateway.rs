//! A gateway takes another key, while devices go on.

use std::{thread, time::Duration};

use anyhow::{Context, ensure};
use horizon_node::clock;
use horizon_tests::{
    scenario::in_world,
    traffic::{Pings, wait_ping},
    wait::{PATIENCE, wait_for, wait_until},
    world::{LAN, World},
};

fn rotate(world: &World, overlap: &str) -> anyhow::Result<String> {
    let command = world.gateway.command(&["rotate-key", "--overlap", overlap])?;
    horizon_tests::process::run(command)?.success()
}

/// Waits until the next key is the gateway's, and the controller says so.
fn wait_rotated(world: &World, before: &str) -> anyhow::Result<String> {
    let status = world.gateway.wait_status("the gateway has another key", |status| {
        status.key != before && status.next_key.is_none() && status.standby_since_ms.is_none()
    })?;
    world.wait_ready()?;
    Ok(status.key)
}

/// Has the device ask for its next grant, as it does by itself at half of the life of one. What it shows then is what
/// the controller just said.
fn refresh(world: &World) -> anyhow::Result<()> {
    let asked_at = clock::unix_s();
    let said = world.alice.verb(&["servers", "--json"])?.success()?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let as_of: jiff::Timestamp = said["as_of"].as_str().context("no time")?.parse()?;
    ensure!(as_of.as_second() >= asked_at, "it shows what was said before");
    Ok(())
}

/// Makes the link anew.
fn reconnect(world: &World) -> anyhow::Result<()> {
    world.alice.verb(&["disconnect"])?.success()?;
    world.alice.connect()?;
    wait_ping(&world.net.cli, LAN)
}

/// What a controller tells of a gateway that behaves.
fn events(world: &World) -> anyhow::Result<Vec<String>> {
    Ok(world.controller.view()?.events.into_iter().map(|event| event.kind).collect())
}

#[test]
fn a_gateway_takes_another_key_under_a_ping_and_everything_is_restarted() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut pings = Pings::start(&world.net.cli, LAN)?;
        let before = world.gateway.wait_status("the link is shown", |status| status.links.len() == 1)?;

        let said = rotate(world, "8s")?;
        ensure!(said.contains(&before.key), "it does not say which key goes: {said}");
        let status = world.gateway.wait_status("the controller knows the next key", |status| {
            status.next_key.as_ref().is_some_and(|next| next.due_ms.is_some())
        })?;
        let next = status.next_key.context("no next key")?;
        ensure!(said.contains(&next.key) && status.key == before.key && next.waits_for.is_none(), "{said}");
        let listed = world.controller.verb(&["keys", "list"])?.success()?;
        ensure!(listed.contains(&format!("{} is to follow", next.key)), "{listed}");
        refresh(world)?;
        let after = wait_rotated(world, &before.key)?;
        ensure!(after == next.key, "it is another key than was told");
        refresh(world)?;
        thread::sleep(Duration::from_secs(3));
        let lost = pings.lost()?;
        ensure!(lost == 0, "{lost} pings were lost");
        let link =
            |status: &horizon_tests::world::GatewayStatus| status.links.first().map(|link| link.since_ms);
        ensure!(link(&world.gateway.status()?) == link(&before), "the link was made anew");
        ensure!(world.alice.status()?.is_connected(), "the device does not know its server any more");
        reconnect(world)?;
        let events = events(world)?;
        let told = |kind: &str| events.iter().any(|event| event == kind);
        ensure!(told("KeyAnnounced") && told("KeyRotated"), "{events:?}");
        for kind in
            ["ServerCloned", "HeartbeatReplayed", "TrafficDiffers", "HostChanged", "ConfigurationRolledBack"]
        {
            ensure!(!told(kind), "a rotation is no {kind}");
        }

        world.controller.kill()?;
        world.gateway.kill()?;
        world.alice.kill()?;
        world.gateway.start()?;
        world.alice.start()?;
        wait_ping(&world.net.cli, LAN)?;
        world.controller.start()?;
        world.wait_ready()?;
        ensure!(world.gateway.status()?.key == after);
        refresh(world)?;
        reconnect(world)
    });
}

#[test]
fn devices_that_heard_of_the_next_key_need_no_controller() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = world.gateway.status()?.key;
        rotate(world, "6s")?;
        world.gateway.wait_status("the controller knows the next key", |status| {
            status.next_key.as_ref().is_some_and(|next| next.due_ms.is_some())
        })?;
        refresh(world)?;
        world.net.cli.ip("route add blackhole 192.0.2.10/32")?;

        wait_rotated(world, &before)?;

        reconnect(world)?;
        // Once nobody else is there either: the gateway's own restart with a configuration of before.
        world.controller.kill()?;
        world.gateway.kill()?;
        world.gateway.start()?;
        reconnect(world)?;
        world.net.cli.ip("route del blackhole 192.0.2.10/32").map(drop)
    });
}

#[test]
fn a_device_that_heard_nothing_of_the_next_key_asks_the_controller() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut pings = Pings::start(&world.net.cli, LAN)?;
        let before = world.gateway.status()?.key;

        rotate(world, "0s")?;
        wait_rotated(world, &before)?;

        ensure!(pings.lost()? == 0, "a link that is there does not end");
        drop(pings);
        reconnect(world)
    });
}

#[test]
fn without_the_controller_the_next_key_waits() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = world.gateway.status()?.key;
        world.controller.kill()?;
        world.gateway.wait_status("the gateway is on its own", |status| status.standby_since_ms.is_some())?;

        rotate(world, "0s")?;
        let status = world.gateway.status()?;
        let next = status.next_key.context("no next key")?;
        ensure!(status.key == before && next.due_ms.is_none(), "nobody knows it");
        ensure!(next.waits_for.is_some_and(|reason| reason.contains("controller")));
        let text = horizon_tests::process::run(world.gateway.command(&["status"])?)?.success()?;
        ensure!(text.contains("next key    "), "{text}");
        reconnect(world)?;
        world.gateway.kill()?;
        world.gateway.start()?;
        reconnect(world)?;

        world.controller.start()?;
        let after = wait_rotated(world, &before)?;
        ensure!(after == next.key, "a restart made another one");
        reconnect(world)
    });
}

#[test]
fn a_controller_that_was_restored_to_before_a_rotation_knows_the_gateway_again() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = world.gateway.status()?.key;
        let copy = world.folder.path().join("before.backup").display().to_string();
        world.controller.verb(&["backup", &copy])?.success()?;
        rotate(world, "0s")?;
        let after = wait_rotated(world, &before)?;
        world.controller.stop()?;
        world.controller.verb(&["restore", &copy])?.success()?;

        world.controller.start()?;

        world.wait_ready()?;
        ensure!(world.gateway.status()?.key == after, "it went back to the key before");
        let status = world.controller.verb(&["status", "Server/gw-1"])?.success()?;
        ensure!(status.contains(&after), "{status}");
        world.alice.wait_connected()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn kill_9_at_any_moment_of_a_rotation_leaves_a_gateway_that_serves() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = world.gateway.status()?.key;
        let (mut unfinished, mut finished) = (0, 0);
        rotate(world, "3s")?;
        for wait_ms in [0, 700, 1_900, 10, 400] {
            thread::sleep(Duration::from_millis(wait_ms));
            world.gateway.kill()?;
            let is_pending = world.gateway.data().join("node.key.next").exists();
            *if is_pending { &mut unfinished } else { &mut finished } += 1;
            world.gateway.start()?;
            wait_until("the device has a link", PATIENCE, || {
                ensure!(world.alice.status()?.is_connected());
                Ok(Some(()))
            })?;
            wait_ping(&world.net.cli, LAN)?;
        }
        ensure!(unfinished > 0, "no kill fell into the rotation: {finished} came after it");
        wait_rotated(world, &before)?;
        reconnect(world)
    });
}

#[test]
fn a_controller_that_dies_when_it_is_to_take_the_key_up_takes_it_up_later() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = world.gateway.status()?.key;
        rotate(world, "3s")?;
        world.gateway.wait_status("the controller knows the next key", |status| {
            status.next_key.as_ref().is_some_and(|next| next.due_ms.is_some())
        })?;
        refresh(world)?;
        world.controller.kill()?;
        thread::sleep(Duration::from_secs(5));
        // Links are answered with the next key, which the device knows.
        reconnect(world)?;
        world.controller.start()?;
        wait_rotated(world, &before)?;
        reconnect(world)?;
        wait_for("the controller sees the link", || Ok(world.controller.server("gw-1")?.links == 1))
    });
}
