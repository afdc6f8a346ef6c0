//! What revoking a key does to the device that signed in and to the gateway that joined with it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use horizon_tests::{
    folder::{PEOPLE, SERVER},
    page::Page,
    scenario::in_world,
    traffic::{Flow, ping, wait_ping},
    wait::{wait_for, wait_until},
    world::{LAN, World},
};
use serde_json::Value;

const PERSONAL: &str =
    "metadata: {name: alice}\nspec: {userRef: {name: alice}, networkRefs: [{name: office}], generate: {}";
const REGISTRATION: &str = "metadata: {name: gw-1}\nspec: {generate: {}";

/// Declares alice's personal key with something more.
fn personal(world: &World, more: &str) -> anyhow::Result<()> {
    world.manifests.write("people.yaml", &PEOPLE.replace(PERSONAL, &format!("{PERSONAL}{more}")))
}

/// Declares the gateway's registration key with something more.
fn registration(world: &World, more: &str) -> anyhow::Result<()> {
    world.manifests.write("server.yaml", &SERVER.replace(REGISTRATION, &format!("{REGISTRATION}{more}")))
}

/// Returns the document without the key's.
fn without(text: &str, document: &str) -> String {
    let others = text.split("---\n").filter(|one| !one.contains(document));
    others.collect::<Vec<_>>().join("---\n")
}

/// The reason why the controller gives alice no grant, once it was asked.
fn refusal(world: &World) -> anyhow::Result<String> {
    world.alice.verb(&["servers"])?.success()?;
    let status: Value = serde_json::from_str(&world.alice.verb(&["status", "--json"])?.success()?)?;
    Ok(status["controller"]["refusal"].as_str().unwrap_or_default().to_owned())
}

fn wait_committed(world: &World, before: u64) -> anyhow::Result<()> {
    wait_for("the change is in force", || Ok(world.controller.view()?.revision > before))
}

/// Changes something, and waits until it is in force.
fn change(world: &World, edit: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let before = world.controller.view()?.revision;
    edit()?;
    wait_committed(world, before)
}

#[test]
fn a_personal_key_with_keep_leaves_the_device_as_it_is() {
    in_world(|world| {
        personal(world, ", onRevoke: Keep")?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        change(world, || personal(world, ", onRevoke: Keep, disabled: true"))?;
        ensure!(refusal(world)?.is_empty(), "the device gets no grant");
        change(world, || world.manifests.write("people.yaml", &without(PEOPLE, PERSONAL)))?;

        ensure!(refusal(world)?.is_empty(), "the device gets no grant once the key is gone");
        ensure!(world.alice.status()?.is_connected() && ping(&world.net.cli, LAN)?.is_some());
        Ok(())
    });
}

#[test]
fn a_personal_key_with_expire_gives_no_new_grant_and_ends_no_link() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        personal(world, ", onRevoke: Expire")?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut flow = Flow::open(&world.net.cli, LAN)?;

        change(world, || world.manifests.write("people.yaml", &without(PEOPLE, PERSONAL)))?;
        let refused = refusal(world)?;
        let lost = (0..50).filter(|_| !flow.exchange()).count();

        ensure!(refused.contains("the key that it signed in with was revoked"), "{refused}");
        ensure!(world.alice.status()?.is_connected() && lost <= 2, "{lost} of 50 datagrams were lost");
        // What was granted before is good for a new link too.
        world.alice.verb(&["disconnect"])?.success()?;
        world.alice.connect()
    });
}

#[test]
fn a_personal_key_with_disconnect_cuts_the_device_off_and_lets_it_back() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        personal(world, ", onRevoke: Disconnect")?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut flow = Flow::open(&world.net.cli, LAN)?;

        let start = Instant::now();
        let before = world.controller.view()?.revision;
        world
            .controller
            .verb(&["hold", "PersonalKey/alice", "--reason", "leaked", "--for", "1h"])?
            .success()?;
        let silent = flow.last_answer(start, Duration::from_secs(1))?;
        wait_committed(world, before)?;

        ensure!(silent < Duration::from_secs(2), "traffic went on for {silent:?}");
        ensure!(refusal(world)?.contains("was revoked"), "{}", refusal(world)?);
        ensure!(!world.alice.status()?.is_connected());
        world.controller.verb(&["release", "PersonalKey/alice"])?.success()?;
        wait_until("the device gets a grant again", Duration::from_secs(40), || {
            Ok(refusal(world)?.is_empty().then_some(()))
        })?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_registration_key_with_keep_leaves_the_server_as_it_is() {
    in_world(|world| {
        registration(world, ", onRevoke: Keep")?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        change(world, || registration(world, ", onRevoke: Keep, disabled: true"))?;

        world.wait_ready()?;
        ensure!(refusal(world)?.is_empty() && ping(&world.net.cli, LAN)?.is_some());
        ensure!(world.alice.verb(&["servers"])?.success()?.contains("gw-1"), "the server is not offered");
        Ok(())
    });
}

#[test]
fn a_registration_key_with_expire_is_named_by_no_new_grant_and_ends_no_link() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        registration(world, ", onRevoke: Expire")?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut flow = Flow::open(&world.net.cli, LAN)?;

        change(world, || registration(world, ", onRevoke: Expire, disabled: true"))?;
        wait_for("the server is offered no more", || {
            Ok(!world.alice.verb(&["servers", "--json"])?.success()?.contains("gw-1"))
        })?;
        let lost = (0..50).filter(|_| !flow.exchange()).count();
        world.bob.sign_in(&world.controller)?;

        ensure!(lost <= 2 && world.alice.status()?.is_connected(), "{lost} of 50 datagrams were lost");
        ensure!(world.bob.verb(&["connect"])?.code != 0, "a new device connects");
        let server = world.controller.server("gw-1")?;
        ensure!(server.connected && server.reason == "KeyRevoked", "{server:?}");
        change(world, || registration(world, ", onRevoke: Expire"))?;
        wait_for("the server is offered again", || {
            Ok(world.alice.verb(&["servers", "--json"])?.success()?.contains("gw-1"))
        })
    });
}

#[test]
fn a_registration_key_with_disconnect_ends_what_the_server_does_and_gives_it_back() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        registration(world, ", onRevoke: Disconnect")?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let mut flow = Flow::open(&world.net.cli, LAN)?;

        let start = Instant::now();
        world
            .controller
            .verb(&["hold", "RegistrationKey/gw-1", "--reason", "leaked", "--for", "1h"])?
            .success()?;
        let silent = flow.last_answer(start, Duration::from_secs(1))?;

        ensure!(silent < Duration::from_secs(2), "traffic went on for {silent:?}");
        world.gateway.wait_status("the gateway serves nobody", |status| status.links.is_empty())?;
        wait_for("the server says why", || {
            let server = world.controller.server("gw-1")?;
            Ok(server.connected && !server.ready && server.reason == "KeyRevoked")
        })?;
        world.controller.verb(&["release", "RegistrationKey/gw-1"])?.success()?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, LAN)
    });
}
