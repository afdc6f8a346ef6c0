//! Packets between two devices of a network with `e2e: Required`, through the real gateway.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::ensure;
use horizon_tests::{
    folder::{NETWORK, POLICY},
    memory,
    process::Daemon,
    scenario::in_world,
    traffic::{no_ping, ping, throughput, wait_ping},
    wait::{PATIENCE, wait_for, wait_until},
    world::{GATEWAY_INSIDE, LAN, SealedPeer, World},
};

/// What `ping -p` puts into each packet, again and again.
const PATTERN: &str = "686f72697a6f6e2d6d61726b65722121";
const MARKER: &[u8] = b"horizon-marker!!horizon-marker!!";

#[test]
fn two_devices_talk_and_the_gateway_holds_nothing_that_they_say() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;
        wait_ping(&world.net.cli, GATEWAY_INSIDE)?;
        wait_ping(&world.net.cli, LAN)?;

        ensure!(
            !gateway_holds_marker(world, bob)?,
            "the gateway has in memory what one device says to the other"
        );

        let peer = peer(world, bob)?;
        ensure!(peer.device == "bob-laptop" && peer.handshakes > 0, "{peer:?}");
        ensure!(peer.sealed > 10 && peer.opened > 10 && peer.refused == 0 && peer.broken == 0, "{peer:?}");
        let said = world.alice.verb(&["status"])?.success()?;
        ensure!(said.contains("from end to end") && said.contains("Noise_IK_25519_AESGCM_SHA256"), "{said}");
        ensure!(said.contains("not the gateway's own services"), "what is not sealed is not said: {said}");
        let said = horizon_tests::process::run(world.gateway.command(&["status"])?)?.success()?;
        ensure!(said.contains("this gateway cannot read them"), "{said}");
        Ok(())
    });
}

#[test]
fn two_devices_talk_over_ipv6_with_a_seal_as_well() {
    in_world(|world| {
        start(world, true)?;
        let [alice, bob] = [world.alice.status()?.ipv6()?, world.bob.status()?.ipv6()?];

        wait_ping(&world.net.cli, bob)?;
        ensure!(ping(&world.net.cli2, alice)?.is_some(), "the other way does not work");

        let peer = peer(world, bob)?;
        ensure!(peer.sealed > 0 && peer.opened > 0 && peer.refused == 0, "{peer:?}");
        Ok(())
    });
}

/// The test before is worth something because this one finds what it looks for, and a network may change its mind.
#[test]
fn a_network_that_does_not_demand_it_is_open_to_its_gateway_until_it_does() {
    in_world(|world| {
        let bob = start(world, false)?;
        wait_ping(&world.net.cli, bob)?;
        ensure!(world.alice.status()?.sealing.is_none(), "nothing was demanded");
        ensure!(gateway_holds_marker(world, bob)?, "the marker is not in the gateway's memory at all");

        demand(world, true)?;

        wait_for("both devices seal", || {
            Ok(world.alice.status()?.sealing.is_some() && world.bob.status()?.sealing.is_some())
        })?;
        wait_ping(&world.net.cli, bob)?;
        wait_for("the pings go with a seal", || Ok(peer(world, bob)?.sealed > 0))?;
        Ok(())
    });
}

#[test]
fn a_device_learns_nothing_of_one_with_which_it_may_not_talk() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;
        // The staff reach each other no more.
        world.manifests.write("policy.yaml", POLICY)?;
        wait_for("policy keeps them apart", || Ok(ping(&world.net.cli, bob)?.is_none()))?;
        // What was learnt before is forgotten.
        world.alice.kill()?;
        world.alice.start()?;
        world.alice.wait_connected()?;

        no_ping(&world.net.cli, bob)?;

        let peers = world.alice.status()?.sealing.map(|sealing| sealing.peers).unwrap_or_default();
        ensure!(peers.iter().all(|peer| peer.device.is_empty()), "{peers:?}");
        Ok(())
    });
}

#[test]
fn whoever_sends_to_a_device_that_is_not_there_is_told_so() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;
        world.bob.verb(&["disconnect"])?.success()?;
        world.alice.verb(&["disconnect"])?.success()?;
        world.alice.connect()?;

        wait_for("the kernel is told", || {
            let mut ping = world.net.cli.command("ping");
            ping.args(["-n", "-c", "3", "-i", "0.3", "-W", "1", &bob.to_string()]);
            let said = horizon_tests::process::run(ping)?.stdout;
            Ok(said.contains("Host Unreachable") && said.contains(&format!("From {bob}")))
        })
    });
}

#[test]
fn a_device_that_starts_anew_is_spoken_with_at_once() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;

        world.bob.kill()?;
        no_ping(&world.net.cli, bob)?;
        world.bob.start()?;
        world.bob.wait_connected()?;

        wait_ping(&world.net.cli, bob)?;
        let alice = world.alice.status()?.ipv4()?;
        ensure!(ping(&world.net.cli2, alice)?.is_some(), "the other way does not work");
        Ok(())
    });
}

/// Its next grant, and the card in it, may come while the link is being made.
#[test]
fn a_device_that_takes_another_key_is_spoken_with_soon() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;
        let former = world.alice.status()?;

        world.alice.verb(&["rotate-key"])?.success()?;

        world.alice.wait_connected()?;
        let latter = world.alice.status()?;
        ensure!(former.key != latter.key, "the key is the one before");
        wait_ping(&world.net.cli2, latter.ipv4()?)?;
        wait_for("it has a card", || {
            Ok(world.alice.status()?.sealing.is_some_and(|sealing| sealing.has_card))
        })
    });
}

#[test]
fn keys_are_renewed_by_volume_while_a_stream_goes_on() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;

        let sealed = throughput(&world.net.cli, &world.net.cli2, bob, 10)?;

        wait_for("keys were renewed before their time", || {
            let peer = peer(world, bob)?;
            let renewed = peer.handshakes > 1 && peer.age_s.is_some_and(|age_s| age_s < 100);
            if !renewed {
                throughput(&world.net.cli, &world.net.cli2, bob, 5)?;
            }
            Ok(renewed)
        })?;
        ensure!(sealed > 20.0, "{sealed} Mbit/s");
        demand(world, false)?;
        wait_for("nothing is sealed", || {
            Ok(world.alice.status()?.sealing.is_none() && world.bob.status()?.sealing.is_none())
        })?;
        wait_ping(&world.net.cli, bob)?;
        let open = throughput(&world.net.cli, &world.net.cli2, bob, 10)?;
        say(&format!("sealed {sealed:.0} Mbit/s, open {open:.0} Mbit/s: {:.2}", sealed / open));
        Ok(())
    });
}

#[test]
fn a_revoked_device_is_heard_no_more() {
    in_world(|world| {
        let bob = start(world, true)?;
        wait_ping(&world.net.cli, bob)?;

        world.controller.verb(&["hold", "User/bob", "--reason", "a test", "--for", "1h"])?.success()?;

        wait_for("it does not answer", || Ok(ping(&world.net.cli, bob)?.is_none()))?;
        wait_for("its card is worth nothing", || {
            let peer = peer(world, bob)?;
            Ok(peer.suite.is_none())
        })
    });
}

/// Starts all programs with a network that demands the seal or does not; returns bob's address.
fn start(world: &mut World, is_sealed: bool) -> anyhow::Result<Ipv4Addr> {
    // The staff reach each other as well.
    world.manifests.write("policy.yaml", &format!("{POLICY}    - to: [{{group: staff}}]\n"))?;
    demand(world, is_sealed)?;
    world.start_with_alice()?;
    world.bob.sign_in(&world.controller)?;
    world.bob.connect()?;
    world.bob.status()?.ipv4()
}

fn demand(world: &World, is_sealed: bool) -> anyhow::Result<()> {
    let e2e = if is_sealed { "Required" } else { "Disabled" };
    world.manifests.write("network.yaml", &format!("{NETWORK}  e2e: {e2e}\n"))
}

/// What alice's agent says of another device; it looks at its links twice a second.
fn peer(world: &World, address: impl Into<IpAddr>) -> anyhow::Result<SealedPeer> {
    let address = address.into();
    wait_until("something is known of the device", PATIENCE, || {
        Ok(world.alice.status()?.sealed_with(address).cloned())
    })
}

/// Pings with a pattern, and looks through all of the gateway's memory meanwhile.
fn gateway_holds_marker(world: &mut World, to: Ipv4Addr) -> anyhow::Result<bool> {
    let pid = world.gateway.daemon()?.pid();
    let mut pings = world.net.cli.command("ping");
    pings.args(["-n", "-q", "-i", "0.005", "-s", "1000", "-p", PATTERN, &to.to_string()]);
    let log = world.folder.path().join("pings.log");
    let _pings = Daemon::start("ping", pings, &log)?;
    std::thread::sleep(Duration::from_secs(1));
    for _ in 0..5 {
        if memory::holds(pid, MARKER)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(clippy::print_stderr, reason = "a figure that a person compares")]
fn say(text: &str) {
    eprintln!("{text}");
}
