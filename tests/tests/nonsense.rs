//! Garbage against every port: processes stay healthy and bounded, and who is right is still served.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use horizon_api::wire::{ALPN_CFG, ALPN_DEV, ALPN_LINK};
use horizon_tests::{
    garbage::{
        babble, is_closed, never_read, offers_versions, refuses_protocol, throw_at_socket, throw_at_tcp,
        throw_datagrams,
    },
    random::Random,
    scenario::in_world,
    traffic::{ping, wait_ping},
    wait::wait_for,
    world::{CONTROLLER, CONTROLLER_PORT, GATEWAY, GATEWAY_PORT, LAN, World},
};

/// What a process may grow by, however much nonsense it is told.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
const DATAGRAMS: u32 = 20_000;

fn controller() -> SocketAddr {
    (CONTROLLER, CONTROLLER_PORT).into()
}

fn gateway() -> SocketAddr {
    (GATEWAY, GATEWAY_PORT).into()
}

fn memory(world: &mut World) -> anyhow::Result<[u64; 3]> {
    Ok([
        world.controller.daemon()?.memory_bytes()?,
        world.gateway.daemon()?.memory_bytes()?,
        world.alice.daemon()?.memory_bytes()?,
    ])
}

/// Everybody lives, nobody grew without bound, packets pass, the controller answers, and others get in.
fn check_healthy(world: &mut World, before: [u64; 3]) -> anyhow::Result<()> {
    let after = memory(world)?;
    for (before, after) in before.iter().zip(after) {
        ensure!(after < before + GROWTH_BYTES_MAX, "memory grew from {before} to {after} bytes");
    }
    wait_ping(&world.net.cli, LAN)?;
    ensure!(world.alice.status()?.is_connected(), "alice was disconnected");
    wait_for("the controller answers", || Ok(world.controller.status()?.readiness.ready))?;
    world.wait_ready()
}

#[test]
fn datagrams_of_nonsense_hurt_nobody() {
    in_world(|world| {
        let mut random = Random::start("datagrams");
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = memory(world)?;

        throw_datagrams(&world.net.cli2, gateway(), DATAGRAMS, &mut random)?;
        throw_datagrams(&world.net.cli2, controller(), DATAGRAMS, &mut random)?;

        check_healthy(world, before)?;
        ensure!(offers_versions(&world.net.cli2, gateway())?, "the gateway did not offer its versions");
        ensure!(offers_versions(&world.net.cli2, controller())?, "the controller did not offer its versions");
        Ok(())
    });
}

#[test]
fn wrong_protocols_are_refused_and_babble_hurts_nobody() {
    in_world(|world| {
        let mut random = Random::start("babble");
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = memory(world)?;

        for alpn in [&b"h3"[..], b"hzn-cfg/2", ALPN_LINK] {
            refuses_protocol(&world.net.cli2, controller(), alpn)?;
        }
        for alpn in [&b"h3"[..], b"hzn-link/2", ALPN_CFG, ALPN_DEV] {
            refuses_protocol(&world.net.cli2, gateway(), alpn)?;
        }
        babble(&world.net.cli2, controller(), ALPN_CFG, &mut random)?;
        babble(&world.net.cli2, controller(), ALPN_DEV, &mut random)?;
        babble(&world.net.cli2, gateway(), ALPN_LINK, &mut random)?;

        check_healthy(world, before)?;
        world.bob.sign_in(&world.controller)?;
        world.bob.connect()?;
        wait_ping(&world.net.cli2, LAN)
    });
}

/// More than may wait unproven from one address, so that some have to prove it.
#[test]
fn who_never_reads_is_shown_out() {
    in_world(|world| {
        world.start_with_alice()?;
        let before = memory(world)?;

        for alpn in [ALPN_CFG, ALPN_DEV] {
            let left = never_read(&world.net.cli2, controller(), alpn, 100, Duration::from_secs(40))?;
            ensure!(left == 0, "{left} that never read are still there");
        }

        check_healthy(world, before)?;
        world.bob.sign_in(&world.controller)
    });
}

#[test]
fn slow_and_silent_visitors_of_the_console_are_shown_out() {
    in_world(|world| {
        let mut random = Random::start("console");
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = memory(world)?;

        let mut open = throw_at_tcp(&world.net.cli2, controller(), 400, &mut random)?;
        check_healthy(world, before)?;

        for stream in &mut open {
            ensure!(is_closed(stream, Duration::from_secs(40)), "a silent visitor is still there");
        }
        check_healthy(world, before)
    });
}

#[test]
fn nonsense_on_the_local_sockets_hurts_nobody() {
    in_world(|world| {
        let mut random = Random::start("sockets");
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let before = memory(world)?;
        let sockets = [world.controller.socket(), world.gateway.socket(), world.alice.socket()];
        let mut open = Vec::new();

        for _ in 0..20 {
            for socket in &sockets {
                open.extend(throw_at_socket(socket, &mut random)?);
            }
        }

        check_healthy(world, before)?;
        world.gateway.status()?;
        ensure!(ping(&world.net.cli, LAN)?.is_some(), "traffic stopped");
        drop(open);
        check_healthy(world, before)
    });
}
