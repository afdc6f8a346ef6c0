//! Devices: how they enrol without a person, wait, and go.

use anyhow::{Context, ensure};
use horizon_api::{key::SecretKey, verdict::Posture};
use horizon_tests::{
    folder::POLICY,
    joiner,
    page::Page,
    scenario::in_world,
    traffic::{ping, wait_ping},
    wait::wait_for,
    world::{LAN, World},
};

const RUNNERS: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: RegistrationKey
metadata: {name: runners}
spec:
  role: Device
  generate: {}
  maxUses: 5
  expiresAt: 2099-01-01T00:00:00Z
  ephemeral: true
  grants: {networkRefs: [{name: office}], tags: [runner]}
---
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: runners}
spec:
  networkRef: {name: office}
  action: Allow
  from: [{tag: runner}]
  rules: [{to: [{cidr: 198.51.100.0/24}]}]
";

/// Enrols alice's host as a device of nobody.
fn enrol(world: &mut World) -> anyhow::Result<String> {
    world.manifests.write("runners.yaml", RUNNERS)?;
    world.start_servers()?;
    wait_for("the key is there", || {
        Ok(world.controller.verb(&["status", "RegistrationKey/runners"])?.code == 0)
    })?;
    let link = world.controller.invite("device", "runners")?;
    world.alice.start()?;
    world.alice.verb(&["login", &link, "--name", "runner-1"])?.success()?;
    Ok(link)
}

#[test]
fn a_device_of_nobody_enrols_by_a_registration_key_and_reaches_what_its_tags_may() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        enrol(world)?;

        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)?;

        let devices = world.controller.devices_of("")?;
        ensure!(devices.len() == 1 && devices[0].name == "runner-1", "{devices:?}");
        let said = world.alice.verb(&["status"])?.success()?;
        ensure!(said.contains("device runner-1 of nobody"), "{said}");
        Ok(())
    });
}

#[test]
fn an_ephemeral_device_that_signs_out_is_forgotten_and_its_link_ends() {
    in_world(|world| {
        let link = enrol(world)?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)?;

        world.alice.verb(&["logout"])?.success()?;

        ensure!(world.controller.devices_of("")?.is_empty(), "it is still there");
        ensure!(ping(&world.net.cli, LAN)?.is_none(), "it still gets through");
        // The same host with the same key is welcome again.
        world.alice.verb(&["login", &link, "--name", "runner-1"])?.success()?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_key_of_servers_signs_no_device_in_and_one_of_devices_joins_no_gateway() {
    in_world(|world| {
        world.manifests.write("runners.yaml", RUNNERS)?;
        world.controller.start()?;
        let (join, link) =
            (world.controller.invite("server", "gw-1")?, world.controller.invite("device", "runners")?);
        world.alice.start()?;

        world.alice.verb(&["login", &join])?.refused(3, &["enrols servers", "horizon-gateway join"])?;
        world.gateway.join(&link)?.refused(3, &["enrols devices", "horizon login"])
    });
}

/// Lets nobody new into the network by a key alone.
fn with_approval(world: &World) -> anyhow::Result<()> {
    let text = world.manifests.read("network.yaml")?;
    world.manifests.write("network.yaml", &format!("{text}  newDevices: Approve\n"))
}

#[test]
fn a_device_that_must_be_approved_waits_and_then_connects_by_itself() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        with_approval(world)?;
        world.start_servers()?;
        let link = world.controller.invite("user", "alice")?;
        world.alice.start()?;

        let said = world.alice.verb(&["login", &link, "--name", "laptop"])?.success()?;
        world.alice.verb(&["connect"])?.refused(3, &["approval"])?;

        ensure!(said.contains("waits for an admin's approval"), "{said}");
        let said = world.alice.verb(&["status"])?.success()?;
        ensure!(said.contains("approve Device/laptop"), "{said}");
        ensure!(ping(&world.net.cli, LAN)?.is_none(), "it gets through unapproved");
        let view = world.controller.view()?;
        ensure!(view.devices.len() == 1 && view.devices[0].awaits_approval, "{:?}", view.devices);
        ensure!(view.events.iter().any(|event| event.kind == "DeviceAwaitsApproval"), "{:?}", view.events);
        // The wait outlasts both processes.
        world.alice.kill()?;
        world.controller.kill()?;
        world.alice.start()?;
        world.controller.start()?;
        wait_for("it still waits", || Ok(world.alice.status()?.message.contains("approval")))?;

        world.controller.verb(&["approve", "Device/laptop"])?.success()?;

        world.alice.wait_connected()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_device_that_is_denied_never_gets_in() {
    in_world(|world| {
        with_approval(world)?;
        world.start_servers()?;
        let link = world.controller.invite("user", "alice")?;
        world.alice.start()?;
        world.alice.verb(&["login", &link, "--name", "laptop"])?.success()?;

        let hold = ["hold", "Device/laptop", "--reason", "nobody knows it", "--for", "1h"];
        world.controller.verb(&hold)?.success()?;
        world.controller.verb(&["approve", "Device/laptop"])?.success()?;

        wait_for("it hears that it may not connect", || {
            Ok(world.alice.verb(&["status"])?.success()?.contains("an admin holds it"))
        })?;
        ensure!(!world.alice.status()?.is_connected(), "it got in");
        Ok(())
    });
}

/// The system that this host says it is.
fn system() -> anyhow::Result<String> {
    let release = std::fs::read_to_string("/etc/os-release")?;
    let id = release.lines().find_map(|line| line.strip_prefix("ID=")).context("no ID in os-release")?;
    Ok(id.trim_matches('"').to_owned())
}

/// The staff reach what is behind the gateway, with devices that state this.
fn demanding(posture: &str) -> String {
    POLICY.replace("{group: staff}", &format!("{{group: staff, posture: {posture}}}"))
}

#[test]
fn a_policy_by_posture_lets_through_who_states_it_and_says_why_not() {
    in_world(|world| {
        let system = system()?;
        let _page = Page::serve(&world.net.lan, LAN)?;
        world.manifests.write("policy.yaml", &demanding(&format!("{{os: [{system}]}}")))?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let section = world.gateway.status()?.revision;

        world
            .manifests
            .write("policy.yaml", &demanding(&format!("{{os: [{system}], osVersionAtLeast: \"999\"}}")))?;

        wait_for("nothing gets through", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        ensure!(
            world.alice.status()?.is_connected() && world.gateway.status()?.revision != section,
            "not the policy"
        );
        let why = world.controller.verb(&["policy", "why", "alice", "198.51.100.7:80"])?;
        ensure!(why.code == 3, "{why:?}");
        for words in ["version 999 or later", "self-reported", &system] {
            ensure!(why.stdout.contains(words), "no `{words}` in {}", why.stdout);
        }
        let status = world.controller.verb(&["status"])?.success()?;
        ensure!(status.contains(&format!("self-reported: {system}")), "{status}");
        Ok(())
    });
}

#[test]
fn a_device_that_states_nothing_meets_no_allow_by_posture() {
    in_world(|world| {
        world.manifests.write("policy.yaml", &demanding("{os: [debian, ubuntu, fedora, arch]}"))?;
        world.start_servers()?;
        let link = world.controller.invite("user", "bob")?.parse()?;
        let key = SecretKey::from_seed(&[21; 32]);
        let granted = joiner::login(&world.net.cli2, &key, &link, "silent")?;
        granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;

        let silent = world.controller.verb(&["policy", "can", "bob", "198.51.100.7:80"])?;
        let said = Posture { os: "debian".into(), ..Posture::default() };
        let refreshed = joiner::refresh(&world.net.cli2, &key, &link, Some(said))?;
        refreshed.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let speaking = world.controller.verb(&["policy", "can", "bob", "198.51.100.7:80"])?;

        ensure!((silent.code, speaking.code) == (3, 0), "{silent:?} {speaking:?}");
        Ok(())
    });
}
