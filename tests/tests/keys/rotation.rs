//! The controller's online key is rotated under traffic, with the root key here and elsewhere.

use std::{fs, process::Stdio, thread, time::Duration};

use anyhow::{Context, ensure};
use horizon_api::http::{KeyState, OwnKeys};
use horizon_tests::{
    scenario::in_world,
    traffic::{Pings, wait_ping},
    wait::{PATIENCE, wait_for, wait_until},
    world::{LAN, World},
};

fn keys(world: &World) -> anyhow::Result<OwnKeys> {
    let said = world.controller.verb(&["keys", "list", "--json"])?.success()?;
    serde_json::from_str(&said).context("read what `keys list --json` printed")
}

fn states(world: &World) -> anyhow::Result<Vec<KeyState>> {
    Ok(keys(world)?.online_keys.iter().map(|key| key.state).collect())
}

fn wait_states(world: &World, what: &str, wanted: &[KeyState]) -> anyhow::Result<()> {
    wait_until(what, PATIENCE, || {
        let found = states(world)?;
        ensure!(found == wanted, "{found:?}");
        Ok(Some(()))
    })
}

/// Has the device ask for its next grant, as it does by itself at half of the life of one.
fn refresh(world: &World) -> anyhow::Result<()> {
    world.alice.verb(&["servers"])?.success().map(drop)
}

#[test]
fn the_online_key_is_rotated_under_a_ping_and_survives_kill_9_of_everything() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut pings = Pings::start(&world.net.cli, LAN)?;
        let before = keys(world)?.online;

        let said = world.controller.verb(&["keys", "rotate", "online", "--overlap", "10s"])?.success()?;
        ensure!(said.contains(&before), "it does not say which key goes: {said}");
        wait_states(world, "the next key signs", &[KeyState::Previous, KeyState::Current])?;
        let again = world.controller.verb(&["keys", "rotate", "online"])?;
        again.refused(3, &["under way", "keys withdraw"])?;
        world.wait_ready()?;
        refresh(world)?;
        wait_states(world, "the key before is withdrawn", &[KeyState::Withdrawn, KeyState::Current])?;
        // The gateway makes its link to the controller anew, which no device notices.
        wait_for("the gateway is followed by the next key", || {
            let status = world.gateway.status()?;
            Ok(status.standby_since_ms.is_none() && world.controller.server("gw-1")?.ready)
        })?;
        thread::sleep(Duration::from_secs(2));
        let lost = pings.lost()?;
        ensure!(lost == 0, "{lost} pings were lost");
        let after = keys(world)?.online;
        ensure!(after != before && world.alice.status()?.is_connected());
        ensure!(!world.controller.data().join("online.key").exists(), "the old secret is still there");

        world.controller.kill()?;
        world.gateway.kill()?;
        world.alice.kill()?;
        world.gateway.start()?;
        world.alice.start()?;
        wait_ping(&world.net.cli, LAN)?;
        world.controller.start()?;
        world.wait_ready()?;
        ensure!(keys(world)?.online == after);
        refresh(world)?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn kill_9_in_the_middle_of_a_rotation_loses_no_key() {
    in_world(|world| {
        world.start_with_alice()?;
        let before = keys(world)?.online;
        // While the gateway says nothing, the next key is only announced.
        world.gateway.daemon()?.freeze();
        let said = world.controller.verb(&["keys", "rotate", "online", "--overlap", "1h"])?.success()?;
        ensure!(said.contains("does not sign yet") && said.contains("Server/gw-1"), "{said}");
        ensure!(states(world)? == [KeyState::Current, KeyState::Next], "{:?}", states(world)?);
        world.controller.kill()?;
        world.gateway.daemon()?.thaw();
        world.controller.start()?;
        wait_states(world, "the next key signs", &[KeyState::Previous, KeyState::Current])?;
        world.controller.verb(&["keys", "withdraw"])?.success()?;
        wait_states(world, "the key before is withdrawn", &[KeyState::Withdrawn, KeyState::Current])?;
        let after = keys(world)?.online;
        ensure!(after != before);
        world.wait_ready()?;

        // After the switch.
        world.controller.verb(&["keys", "rotate", "online", "--overlap", "8s"])?.success()?;
        wait_states(
            world,
            "the next key signs",
            &[KeyState::Withdrawn, KeyState::Previous, KeyState::Current],
        )?;
        world.controller.kill()?;
        world.gateway.kill()?;
        world.gateway.start()?;
        wait_ping(&world.net.cli, LAN)?;
        world.controller.start()?;
        let done = [KeyState::Withdrawn, KeyState::Withdrawn, KeyState::Current];
        wait_states(world, "the key before is withdrawn", &done)?;
        ensure!(keys(world)?.online != after);
        world.wait_ready()?;
        refresh(world)?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_key_that_leaked_is_withdrawn_though_its_successor_is_only_announced() {
    in_world(|world| {
        world.start_with_alice()?;
        world.gateway.daemon()?.freeze();
        world.controller.verb(&["keys", "rotate", "online", "--overlap", "1h"])?.success()?;
        ensure!(states(world)? == [KeyState::Current, KeyState::Next], "{:?}", states(world)?);

        let said = world.controller.verb(&["keys", "withdraw"])?.success()?;

        ensure!(said.contains("as soon as the next one signs") && said.contains("Server/gw-1"), "{said}");
        world.gateway.daemon()?.thaw();
        wait_states(world, "the key before is withdrawn", &[KeyState::Withdrawn, KeyState::Current])?;
        world.wait_ready()?;
        refresh(world)?;
        wait_ping(&world.net.cli, LAN)?;
        world.controller.verb(&["keys", "withdraw"])?.refused(3, &["no key that was rotated away"])
    });
}

#[test]
fn with_the_root_elsewhere_a_key_is_asked_for_signed_there_and_installed_here() {
    in_world(|world| {
        world.start_with_alice()?;
        let file = |name: &str| world.folder.path().join(name).display().to_string();
        fs::create_dir(file("vault"))?;
        let (root, asked, signed) = (file("vault/root.key"), file("asked"), file("asked.signed"));
        let verb = |words: &[&str]| world.controller.verb(words);
        // Whatever needs no controller knows no data folder either.
        let offline = |words: &[&str]| -> anyhow::Result<_> {
            let mut command = std::process::Command::new(horizon_tests::program::path("horizon-controller")?);
            command.args(words);
            horizon_tests::process::run(command)
        };

        verb(&["keys", "root", "remove", "--copy", &root])?.refused(2, &["there is no"])?;
        verb(&["keys", "root", "export", &root])?.success()?;
        // A name of the data folder itself, where the verb is run in that.
        let mut here = std::process::Command::new(horizon_tests::program::path("horizon-controller")?);
        here.current_dir(world.controller.data());
        here.args(["keys", "root", "remove", "--data", ".", "--copy", "root.key"]);
        horizon_tests::process::run(here)?.refused(3, &["nothing was removed"])?;
        verb(&["keys", "root", "remove", "--copy", &root])?.success()?;
        ensure!(!world.controller.data().join("root.key").exists());
        let list = verb(&["keys", "list"])?.success()?;
        ensure!(list.contains("root        not here"), "{list}");
        verb(&["keys", "rotate", "online"])?.refused(3, &["keys request"])?;

        verb(&["keys", "request", &asked])?.success()?;
        verb(&["keys", "request", &asked])?.refused(2, &["is there already"])?;
        let stranger = file("vault/seal.key");
        fs::copy(world.controller.data().join("seal.key"), &stranger)?;
        offline(&["keys", "sign", &asked, "--root", &stranger])?.refused(3, &["another controller's"])?;
        let text = fs::read_to_string(&asked)?;
        let at = text.len() - 40;
        let altered =
            format!("{}{}{}", &text[..at], if &text[at..=at] == "A" { "B" } else { "A" }, &text[at + 1..]);
        fs::write(file("altered"), altered)?;
        offline(&["keys", "sign", &file("altered"), "--root", &root])?.refused(3, &["altered"])?;
        let said = offline(&["keys", "sign", &asked, "--root", &root])?.success()?;
        ensure!(said.contains("ed25519:") && said.contains("Link, Config, Grant"), "{said}");

        let before = keys(world)?.online;
        verb(&["keys", "install", &asked])?.refused(3, &["not a file of"])?;
        let mut pings = Pings::start(&world.net.cli, LAN)?;
        verb(&["keys", "install", &signed, "--overlap", "6s"])?.success()?;
        refresh(world)?;
        wait_states(world, "the key before is withdrawn", &[KeyState::Withdrawn, KeyState::Current])?;
        ensure!(keys(world)?.online != before && pings.lost()? == 0);
        verb(&["keys", "install", &signed])?.refused(3, &["asked for no key"])?;
        verb(&["keys", "request", &file("second")])?.success()?;
        verb(&["keys", "install", &signed])?.refused(3, &["did not ask for"])?;

        world.controller.kill()?;
        world.controller.start()?;
        world.wait_ready()?;
        refresh(world)
    });
}

#[test]
fn a_gateway_that_was_away_for_all_of_it_comes_back_and_one_on_its_own_believes_devices() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        world.net.gw.ip("route add blackhole 192.0.2.10/32")?;
        wait_for("the gateway is on its own", || Ok(world.gateway.status()?.standby_since_ms.is_some()))?;
        wait_for("the controller knows", || Ok(!world.controller.server("gw-1")?.ready))?;

        world.controller.verb(&["keys", "rotate", "online", "--overlap", "1s"])?.success()?;
        wait_states(world, "the key before is withdrawn", &[KeyState::Withdrawn, KeyState::Current])?;
        refresh(world)?;
        // A link that is made anew shows a grant by a key of which this gateway has never heard.
        world.alice.verb(&["disconnect"])?.success()?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)?;
        ensure!(world.gateway.status()?.standby_since_ms.is_some(), "the gateway heard of it by itself");

        world.net.gw.ip("route del blackhole 192.0.2.10/32")?;
        wait_for("the gateway is followed again", || Ok(world.gateway.status()?.standby_since_ms.is_none()))?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_device_takes_another_key_under_a_ping_and_keeps_name_and_address() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut pings = Pings::start(&world.net.cli, LAN)?;
        let before = world.alice.status()?;

        let said = world.alice.verb(&["rotate-key"])?.success()?;
        world.alice.wait_connected()?;
        wait_for("the gateway has one link, by the next key", || {
            Ok(world.gateway.status()?.links.len() == 1)
        })?;
        thread::sleep(Duration::from_secs(3));
        let lost = pings.lost()?;
        // The link is made anew: a handshake, in which one ping may fall.
        ensure!(lost <= 2, "{lost} pings were lost");
        let after = world.alice.status()?;
        ensure!(after.key != before.key && said.contains(&after.key), "{said}");
        ensure!(after.ipv4()? == before.ipv4()?, "it has another address");
        ensure!(world.controller.devices_of("alice")?.len() == 1, "it is another device");
        let kinds = world.controller.view()?.events.into_iter().map(|event| event.kind);
        ensure!(kinds.collect::<Vec<_>>().contains(&"KeyRotated".to_owned()), "no event tells of it");

        world.controller.kill()?;
        world.gateway.kill()?;
        world.alice.kill()?;
        world.gateway.start()?;
        world.alice.start()?;
        wait_ping(&world.net.cli, LAN)?;
        world.controller.start()?;
        world.wait_ready()?;
        world.alice.verb(&["rotate-key"])?.success()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn kill_9_of_a_device_in_the_middle_of_its_rotation_leaves_it_with_one_of_the_two_keys() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let next = world.alice.data().join("device.key.next");
        let before = world.alice.status()?.key;
        // Nobody takes the next key, so that it is made and no more.
        world.controller.kill()?;
        let mut command = world.alice.command(&["rotate-key"])?;
        let mut rotation = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        wait_for("the next key is made", || Ok(next.exists()))?;
        world.alice.kill()?;
        rotation.wait()?;
        ensure!(next.exists());
        world.alice.start()?;
        wait_ping(&world.net.cli, LAN)?;
        ensure!(world.alice.status()?.key == before, "it has a key of which nobody knows");
        world.controller.start()?;
        world.wait_ready()?;
        for wait_ms in [8, 16] {
            let mut command = world.alice.command(&["rotate-key"])?;
            let mut rotation = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            thread::sleep(Duration::from_millis(wait_ms));
            world.alice.kill()?;
            rotation.wait()?;
            world.alice.start()?;
            world.alice.wait_connected()?;
            wait_ping(&world.net.cli, LAN)?;
        }
        world.alice.verb(&["rotate-key"])?.success()?;
        world.alice.wait_connected()?;
        wait_ping(&world.net.cli, LAN)?;
        ensure!(!next.exists() && world.alice.status()?.key != before);
        ensure!(world.controller.devices_of("alice")?.len() == 1);
        Ok(())
    });
}
