//! Attacks of those who were let in once: what was taken away stays so, wherever the controller can be heard from.

use anyhow::ensure;
use horizon_tests::{
    scenario::in_world,
    traffic::wait_ping,
    wait::{PATIENCE, wait_for, wait_until},
    world::{LAN, World},
};

#[test]
fn a_gateway_that_cannot_reach_the_controller_hears_of_a_revocation_from_a_device() {
    in_world(|world| {
        world.start_with_alice()?;
        world.bob.sign_in(&world.controller)?;
        world.bob.connect()?;
        wait_ping(&world.net.cli2, LAN)?;
        cut_off_from_controller(world)?;

        world.controller.verb(&["hold", "User/bob", "--reason", "a test", "--for", "1h"])?.success()?;

        wait_for("bob is cut off", || Ok(!world.bob.status()?.is_connected()))?;
        ensure!(world.alice.status()?.is_connected(), "alice lost her link");
        ensure!(world.gateway.status()?.standby_since_ms.is_some(), "the gateway heard of it by itself");
        // It outlives the gateway's process, and ends with the controller's next word.
        world.gateway.kill()?;
        world.gateway.start()?;
        world.alice.wait_connected()?;
        ensure!(!world.bob.status()?.is_connected(), "bob came back with a restart");
        world.net.gw.ip("route del blackhole 192.0.2.10/32")?;
        wait_for("the gateway is followed again", || Ok(world.gateway.status()?.standby_since_ms.is_none()))?;
        world.wait_ready()?;
        world.controller.verb(&["release", "User/bob"])?.success()?;
        world.wait_ready()?;
        world.bob.connect()
    });
}

/// The gateway's way to the controller leads nowhere; everybody else reaches both.
fn cut_off_from_controller(world: &World) -> anyhow::Result<()> {
    world.net.gw.ip("route add blackhole 192.0.2.10/32")?;
    wait_until("the gateway is on its own", PATIENCE, || {
        Ok(world.gateway.status()?.standby_since_ms.map(|_| ()))
    })
}
