//! What goes on when something dies, and what a host looks like afterwards.

use std::{net::UdpSocket, process::Command, thread};

use anyhow::ensure;
use horizon_tests::{
    folder::{PEOPLE, SERVER},
    page::Page,
    process::run,
    scenario::in_world,
    snapshot::Snapshot,
    traffic::{Flow, fetch, ping, wait_ping},
    wait::{PATIENCE, wait_for, wait_until},
    world::{Agent, Gateway, LAN, World},
};

#[test]
fn traffic_goes_on_when_the_controller_is_killed() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut flow = Flow::open(&world.net.cli, LAN)?;

        world.controller.kill()?;
        let lost = (0..50).filter(|_| !flow.exchange()).count();

        ensure!(lost <= 2, "{lost} of 50 datagrams were lost");
        ensure!(fetch(&world.net.cli, LAN)? > 0, "the page does not come");
        wait_for("the gateway says that it is on its own", || {
            Ok(world.gateway.status()?.standby_since_ms.is_some())
        })?;
        let outcome = world.controller.verb(&["status"])?;
        outcome.refused(4, &["no controller answers"])?;
        world.controller.start()?;
        wait_for("the gateway is followed again", || Ok(world.gateway.status()?.standby_since_ms.is_none()))?;
        world.wait_ready()?;
        ensure!(flow.exchange() || flow.exchange(), "the flow broke when the controller came back");
        Ok(())
    });
}

#[test]
fn without_a_controller_a_device_that_was_granted_connects_and_a_gateway_comes_back() {
    in_world(|world| {
        world.start_servers()?;
        world.alice.sign_in(&world.controller)?;
        world.bob.sign_in(&world.controller)?;
        world.controller.kill()?;

        world.bob.connect()?;
        wait_ping(&world.net.cli2, LAN)?;
        world.gateway.kill()?;
        world.gateway.start()?;
        wait_ping(&world.net.cli2, LAN)?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)?;

        world.gateway.wait_status("both links are there, and the controller is not", |status| {
            status.links.len() == 2 && status.standby_since_ms.is_some()
        })?;
        Ok(())
    });
}

#[test]
fn clients_are_back_by_themselves_after_the_gateway_was_killed() {
    in_world(|world| {
        let before = Snapshot::take(&world.net.gw)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let running = Snapshot::take(&world.net.gw)?;
        ensure!(running.has_traces(), "the test would not see a change");

        for _ in 0..2 {
            world.gateway.kill()?;
            world.gateway.start()?;
            wait_ping(&world.net.cli, LAN)?;
            world.alice.wait_connected()?;
        }

        // Nothing is there twice, and all of it can still be taken back.
        running.check_same(&Snapshot::take(&world.net.gw)?)?;
        world.gateway.stop()?;
        before.check_same(&Snapshot::take(&world.net.gw)?)
    });
}

#[test]
fn a_stopped_gateway_leaves_the_host_as_it_was() {
    in_world(|world| {
        let before = Snapshot::take(&world.net.gw)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        ensure!(Snapshot::take(&world.net.gw)?.has_traces(), "the test would not see a change");

        world.gateway.stop()?;

        before.check_same(&Snapshot::take(&world.net.gw)?)
    });
}

#[test]
fn uninstall_leaves_the_host_as_it_was_after_a_kill() {
    in_world(|world| {
        // Somebody else's table and setting, which must survive.
        world.net.gw.run("nft add table inet theirs")?;
        world.net.gw.enter(|| std::fs::write("/proc/sys/net/ipv4/conf/lan0/rp_filter", "2"))??;
        let before = Snapshot::take(&world.net.gw)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        world.gateway.kill()?;
        ensure!(Snapshot::take(&world.net.gw)?.has_traces(), "the kill left nothing to take back");

        run(world.gateway.command(&["uninstall"])?)?.success()?;

        before.check_same(&Snapshot::take(&world.net.gw)?)
    });
}

#[test]
fn a_disconnected_or_stopped_agent_leaves_the_host_as_it_was() {
    in_world(|world| {
        let before = Snapshot::take(&world.net.cli)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        ensure!(Snapshot::take(&world.net.cli)?.has_traces(), "the test would not see a change");

        world.alice.verb(&["disconnect"])?.success()?;
        wait_for("nothing is reached any more", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        before.check_same(&Snapshot::take(&world.net.cli)?)?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)?;
        world.alice.stop()?;

        before.check_same(&Snapshot::take(&world.net.cli)?)
    });
}

#[test]
fn a_killed_agent_is_connected_again_when_it_starts() {
    in_world(|world| {
        let before = Snapshot::take(&world.net.cli)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        world.alice.kill()?;
        world.alice.start()?;
        wait_ping(&world.net.cli, LAN)?;

        world.alice.stop()?;
        before.check_same(&Snapshot::take(&world.net.cli)?)
    });
}

#[test]
fn flushed_rules_are_made_again() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        world.net.gw.run("nft flush ruleset")?;
        // A ping of an old flow would pass by what the kernel remembers of it.
        wait_for("our table is there again", || has_table(world))?;

        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_gateway_that_moves_to_another_port_is_found_there() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        world.manifests.write("server.yaml", &SERVER.replace("port: 7444", "port: 7555"))?;
        wait_for("the gateway listens there", || {
            Ok(world.net.gw.run("ss -Hlun sport = :7555")?.contains("7555"))
        })?;

        wait_ping(&world.net.cli, LAN)?;
        world.gateway.daemon()?;
        world.wait_ready()
    });
}

#[test]
fn a_port_that_is_taken_keeps_what_runs() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let revision = world.gateway.status()?.revision;
        let holder = world.net.gw.enter(|| UdpSocket::bind(("0.0.0.0", 7555)))??;

        world.manifests.write("server.yaml", &SERVER.replace("port: 7444", "port: 7555"))?;
        wait_for("the operator is told", || {
            let server = world.controller.server("gw-1")?;
            Ok(!server.ready && server.message.contains("another process"))
        })?;

        ensure!(ping(&world.net.cli, LAN)?.is_some(), "the link went with the refused configuration");
        ensure!(world.gateway.status()?.revision == revision, "it says that it runs what it refused");
        world.gateway.kill()?;
        world.gateway.start()?;
        wait_ping(&world.net.cli, LAN)?;
        drop(holder);
        world.manifests.write("server.yaml", SERVER)?;
        world.wait_ready()
    });
}

#[test]
fn who_is_revoked_goes_though_the_gateway_cannot_take_the_rest() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let holder = world.net.gw.enter(|| UdpSocket::bind(("0.0.0.0", 7555)))??;
        world.manifests.write("server.yaml", &SERVER.replace("port: 7444", "port: 7555"))?;
        wait_for("it is refused", || {
            Ok(world.controller.server("gw-1")?.message.contains("another process"))
        })?;

        let disabled = PEOPLE.replacen("{groups: [staff]}", "{groups: [staff], disabled: true}", 1);
        world.manifests.write("people.yaml", &disabled)?;
        wait_for("she is told", || Ok(world.alice.status()?.state == "Blocked"))?;
        ensure!(!world.controller.server("gw-1")?.ready, "the rest was taken after all");

        // Nobody has to change anything for what is possible by now.
        drop(holder);
        world.wait_ready()
    });
}

#[test]
fn a_gateway_that_cannot_run_what_it_kept_asks_the_controller() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        world.gateway.kill()?;
        let _holder = world.net.gw.enter(|| UdpSocket::bind(("0.0.0.0", 7444)))??;
        world.gateway.start()?;
        world.gateway.wait_status("it follows the controller", |status| status.standby_since_ms.is_none())?;

        world.manifests.write("server.yaml", &SERVER.replace("port: 7444", "port: 7555"))?;
        wait_ping(&world.net.cli, LAN)?;
        world.gateway.daemon().map(drop)
    });
}

#[test]
fn an_interface_that_somebody_removed_is_made_again_and_carries_traffic() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        world.net.gw.ip("link del hzng0")?;
        wait_for("the gateway has its interface", || Ok(world.net.gw.ip("link show")?.contains("hzng0")))?;
        wait_ping(&world.net.cli, LAN)?;
        world.net.cli.ip("link del hzn0")?;
        wait_for("the agent has its interface", || Ok(world.net.cli.ip("link show")?.contains("hzn0")))?;
        wait_ping(&world.net.cli, LAN)?;

        world.gateway.daemon()?;
        world.alice.daemon().map(drop)
    });
}

#[test]
fn an_agent_goes_to_another_gateway_when_its_own_dies() {
    in_world(|world| {
        world.start_with_alice()?;
        let second = SERVER.replace("gw-1", "gw-2").replace("192.0.2.1,", "192.0.2.102,");
        let second = second.replace("  subnetRoutes: [{cidr: 198.51.100.0/24}]\n", "");
        world.manifests.write("second.yaml", &second)?;
        wait_for("the second server is known", || Ok(world.controller.server("gw-2").is_ok()))?;
        let mut other = Gateway::new(world.net.cli2.clone(), world.folder.path().join("gateway-2"));
        other.join(&world.controller.invite("server", "gw-2")?)?.success()?;
        other.start()?;
        wait_for("the second server is ready", || Ok(world.controller.server("gw-2")?.ready))?;

        ensure!(world.alice.status()?.server.as_deref() == Some("gw-1"), "{:?}", world.alice.status()?);
        world.gateway.kill()?;
        wait_for("the agent is at the second", || {
            let status = world.alice.status()?;
            Ok(status.is_connected() && status.server.as_deref() == Some("gw-2"))
        })?;
        other.stop()
    });
}

#[test]
fn a_disabled_person_is_cut_off_and_told_and_comes_back_when_enabled() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        let disabled = PEOPLE.replacen("{groups: [staff]}", "{groups: [staff], disabled: true}", 1);
        world.manifests.write("people.yaml", &disabled)?;
        wait_for("nothing passes", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        wait_for("the agent is told", || Ok(world.alice.status()?.state == "Blocked"))?;
        ensure!(world.alice.verb(&["connect"])?.code == 3, "a disabled person connects");

        world.manifests.write("people.yaml", PEOPLE)?;
        wait_for("the person may connect", || Ok(world.alice.verb(&["connect"])?.code == 0))?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn two_hosts_with_one_key_do_not_fight() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        world.alice.stop()?;
        let copy = world.folder.path().join("copy");
        let mut command = Command::new("cp");
        command.arg("-r").arg(world.alice.data()).arg(&copy);
        run(command)?.success()?;
        let mut twin = Agent::new(world.net.cli2.clone(), "alice", copy);

        world.alice.start()?;
        world.alice.wait_connected()?;
        twin.start()?;
        let told = wait_until("one of them is told", PATIENCE, || {
            let said = [world.alice.status()?, twin.status()?];
            Ok(said.into_iter().find(|status| status.state == "Blocked"))
        })?;

        ensure!(told.message.contains("another host"), "{told:?}");
        twin.stop()
    });
}

fn has_table(world: &World) -> anyhow::Result<bool> {
    Ok(world.net.gw.run("nft list tables")?.contains("inet horizon"))
}

#[test]
fn two_devices_talk_at_the_same_time() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        world.start_with_alice()?;
        world.bob.sign_in(&world.controller)?;
        world.bob.connect()?;
        wait_ping(&world.net.cli2, LAN)?;

        let fetched: Vec<usize> = thread::scope(|scope| {
            let namespaces = [&world.net.cli, &world.net.cli2];
            let threads = namespaces.map(|namespace| scope.spawn(|| fetch(namespace, LAN)));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<anyhow::Result<_>>()
        })?;

        ensure!(fetched == [200_000, 200_000], "{fetched:?}");
        Ok(())
    });
}
