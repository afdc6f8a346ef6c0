//! Against servers: a copy, an old disk, old words, silence, and hosts from where none should be.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use horizon_api::{http::EventView, join::JoinString, key::SecretKey};
use horizon_node::secret_file;
use horizon_tests::{
    folder::SERVER,
    joiner, rogue,
    scenario::in_world,
    wait::{PATIENCE, wait_for, wait_until},
    world::{Gateway, World},
};

pub(super) const QUARANTINE: &str =
    "identity: {registrationKeyRef: {name: gw-1}}\n  verification: {onFailure: Quarantine}";

/// Declares the server with another identity.
pub(super) fn declare(world: &World, identity: &str) -> anyhow::Result<()> {
    let server = SERVER.replace("identity: {registrationKeyRef: {name: gw-1}}", identity);
    ensure!(server != SERVER, "nothing was replaced");
    world.manifests.write("server.yaml", &server)
}

fn event(world: &World, kind: &str) -> anyhow::Result<EventView> {
    wait_until(&format!("a security event {kind}"), PATIENCE, || {
        Ok(world.controller.view()?.events.into_iter().find(|event| event.kind == kind))
    })
}

fn has_event(world: &World, kind: &str) -> anyhow::Result<bool> {
    Ok(world.controller.view()?.events.iter().any(|event| event.kind == kind))
}

/// Copies what a thief of the disk has.
pub(super) fn copy_data(from: &Path, to: &Path) -> anyhow::Result<()> {
    for folder in [to.to_owned(), to.join("config")] {
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    }
    for name in ["node.key", "enrolment"] {
        fs::copy(from.join(name), to.join(name)).with_context(|| format!("copy {name}"))?;
    }
    for entry in fs::read_dir(from.join("config"))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join("config").join(entry.file_name()))?;
    }
    Ok(())
}

/// What a rogue needs: the key that the gateway joined with, and where the controller is.
fn stolen(world: &World) -> anyhow::Result<(SecretKey, JoinString)> {
    let key = secret_file::node_key(&world.gateway.data().join("node.key"))?;
    Ok((key, world.controller.invite("user", "alice")?.parse()?))
}

#[test]
fn a_cloned_gateway_is_noticed_quarantined_and_comes_back_by_a_release() {
    in_world(|world| {
        declare(world, QUARANTINE)?;
        world.controller.tell(&["--challenge-every", "2s"]);
        world.start_servers()?;
        let copy = world.folder.path().join("copy");
        copy_data(world.gateway.data(), &copy)?;
        let mut clone = Gateway::new(world.net.cli2.clone(), copy);
        ensure!(!has_event(world, "ServerCloned")?, "noticed before there is one");

        clone.start()?;
        let noticed = event(world, "ServerCloned")?;
        event(world, "ServerQuarantined")?;

        for address in ["192.0.2.1", "192.0.2.102"] {
            ensure!(noticed.message.contains(address), "{noticed:?}");
        }
        let server = world.controller.server("gw-1")?;
        ensure!(server.trust.quarantine.is_some() && server.reason == "Quarantined", "{server:?}");
        ensure!(world.controller.view()?.holds[0].by == "controller", "somebody else holds it");
        let key = SecretKey::from_seed(&[9; 32]);
        let link: JoinString = world.controller.invite("user", "bob")?.parse()?;
        let granted = joiner::login(&world.net.cli, &key, &link, "laptop")?;
        let granted = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        ensure!(granted.servers.is_empty(), "a device is sent there: {granted:?}");
        let said = world.controller.verb(&["status", "Server/gw-1"])?.success()?;
        ensure!(said.contains("quarantine  two daemons speak with its key"), "{said}");

        world.controller.kill()?;
        world.controller.start()?;
        ensure!(world.controller.server("gw-1")?.trust.quarantine.is_some(), "a restart released it");
        clone.stop()?;
        world.controller.verb(&["release", "Server/gw-1"])?.success()?;
        world.wait_ready()?;
        let released = world.controller.view()?;
        ensure!(released.holds.is_empty(), "{:?}", released.holds);
        wait_for("it is verified after its release", || {
            let trust = world.controller.server("gw-1")?.trust;
            Ok(trust.quarantine.is_none() && trust.answered_total > 0)
        })?;
        event(world, "ServerReleased").map(drop)
    });
}

#[test]
fn a_gateway_on_an_older_disk_is_noticed_and_runs_the_newest_again() {
    in_world(|world| {
        world.start_servers()?;
        let old = world.folder.path().join("old");
        copy_data(world.gateway.data(), &old)?;
        let before = world.controller.server("gw-1")?.applied_revision;
        world.manifests.write("policy.yaml", horizon_tests::folder::POLICY_GATEWAY_ONLY)?;
        wait_for("the gateway runs something newer", || {
            let server = world.controller.server("gw-1")?;
            Ok(server.ready && server.applied_revision > before)
        })?;

        world.gateway.stop()?;
        copy_data(&old, world.gateway.data())?;
        world.gateway.start()?;

        let noticed = event(world, "ConfigurationRolledBack")?;
        ensure!(noticed.message.contains(&format!("it runs revision {before} ")), "{noticed:?}");
        world.wait_ready()?;
        ensure!(world.controller.view()?.holds.is_empty(), "an alert holds nothing");
        Ok(())
    });
}

#[test]
fn a_heartbeat_that_was_heard_is_not_believed_again_after_a_restart_of_the_controller_either() {
    in_world(|world| {
        world.start_servers()?;
        world.gateway.stop()?;
        let (key, join) = stolen(world)?;
        let gateway = world.net.gw.clone();

        rogue::beat(&gateway, &key, &join, 7)?;
        rogue::beat(&gateway, &key, &join, 8)?;
        ensure!(!has_event(world, "HeartbeatReplayed")?, "they came in order");
        // What is known of servers is kept every five seconds, and nobody outside sees when.
        std::thread::sleep(Duration::from_secs(12));
        world.controller.kill()?;
        world.controller.start()?;
        rogue::beat(&gateway, &key, &join, 7)?;

        let noticed = event(world, "HeartbeatReplayed")?;
        ensure!(noticed.message.contains("heartbeat 7 came after 8"), "{noticed:?}");
        Ok(())
    });
}

#[test]
fn a_gateway_that_answers_no_challenge_is_noticed_and_quarantined_in_the_end() {
    in_world(|world| {
        declare(world, QUARANTINE)?;
        world.controller.tell(&["--challenge-every", "1s"]);
        world.start_servers()?;
        wait_for("the honest one answers", || Ok(world.controller.server("gw-1")?.trust.answered > 1))?;
        world.gateway.stop()?;
        let (key, join) = stolen(world)?;

        let challenges = rogue::stay_silent(&world.net.gw, &key, &join, Duration::from_secs(16))?;

        ensure!(challenges >= 3, "{challenges} challenges came");
        event(world, "ChallengeUnanswered")?;
        let held = event(world, "ServerQuarantined")?;
        ensure!(held.message.contains("3 failures in a row"), "{held:?}");
        let trust = world.controller.server("gw-1")?.trust;
        ensure!(trust.answered < trust.challenges && trust.failed_total >= 3, "{trust:?}");
        Ok(())
    });
}

#[test]
fn an_answer_to_another_challenge_ends_the_session_and_is_noticed() {
    in_world(|world| {
        world.controller.tell(&["--challenge-every", "1s"]);
        world.start_servers()?;
        world.gateway.stop()?;
        let (key, join) = stolen(world)?;

        let told = rogue::answer_wrongly(&world.net.gw, &key, &join)?;

        ensure!(told.contains("made for another connection"), "{told}");
        let noticed = event(world, "ChallengeFailed")?;
        ensure!(noticed.subject == "Server/default/gw-1" || noticed.subject.contains("gw-1"), "{noticed:?}");
        Ok(())
    });
}

/// Another server, of another network.
const FAR: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: far}
spec: {addressPools: [{cidr: 10.79.0.0/24}]}
---
apiVersion: horizon.dev/v1alpha1
kind: Server
metadata: {name: gw-2}
spec:
  networkRefs: [{name: far}]
  endpoints: [{host: 192.0.2.2, port: 7444}]
  identity: {publicKey: KEY}
";

#[test]
fn a_gateway_is_given_no_section_of_another_one() {
    in_world(|world| {
        let far = SecretKey::from_seed(&[41; 32]);
        world.start_servers()?;
        world.manifests.write("far.yaml", &FAR.replace("KEY", &far.public().to_string()))?;
        wait_for("the second server is known", || Ok(world.controller.server("gw-2").is_ok()))?;
        world.gateway.stop()?;
        let (key, join) = stolen(world)?;
        let want = |key, others: &[_]| rogue::want(&world.net.gw, key, &join, others);
        let asked = |key| want(key, &[])?.map_err(|why| anyhow::anyhow!("refused its own: {why}"));
        let (own, theirs) = (asked(&key)?, asked(&far)?);
        let foreign: Vec<_> = theirs.into_iter().filter(|hash| !own.contains(hash)).collect();
        ensure!(!own.is_empty() && !foreign.is_empty(), "{own:?} {foreign:?}");
        ensure!(!has_event(world, "SectionRefused")?, "each asked for its own");

        for hash in foreign {
            let why = want(&key, &[hash])?.err().context("it was given another gateway's configuration")?;
            ensure!(why.contains(&format!("was not offered the section {hash}")), "{why}");
        }

        let noticed = event(world, "SectionRefused")?;
        ensure!(noticed.subject.contains("gw-1"), "{noticed:?}");
        Ok(())
    });
}

#[test]
fn a_host_outside_of_the_declared_ranges_does_not_join() {
    in_world(|world| {
        declare(world, "identity: {registrationKeyRef: {name: gw-1}, sourceCidrs: [203.0.113.0/24]}")?;
        world.controller.start()?;
        let join = world.controller.invite("server", "gw-1")?;

        world.gateway.join(&join)?.refused(3, &["may not connect from 192.0.2.1", "sourceCidrs"])?;

        let noticed = event(world, "KeyRefused")?;
        ensure!(noticed.message.contains("192.0.2.1") && noticed.subject.contains("gw-1"), "{noticed:?}");
        ensure!(!world.controller.server("gw-1")?.enrolled, "it was bound all the same");
        declare(world, "identity: {registrationKeyRef: {name: gw-1}, sourceCidrs: [192.0.2.0/24]}")?;
        wait_for("it joins from inside", || Ok(world.gateway.join(&join)?.code == 0))
    });
}

#[test]
fn a_gateway_outside_of_ranges_that_were_narrowed_is_sent_away_and_serves_on() {
    in_world(|world| {
        world.start_with_alice()?;
        world.gateway.wait_status("it shows alice", |status| status.links.len() == 1)?;

        declare(world, "identity: {registrationKeyRef: {name: gw-1}, sourceCidrs: [203.0.113.0/24]}")?;

        event(world, "AddressOutsideRanges")?;
        wait_for("it is away", || Ok(!world.controller.server("gw-1")?.connected))?;
        let status = world.gateway.wait_status("it knows", |status| status.standby_since_ms.is_some())?;
        ensure!(status.links.len() == 1, "alice was cut off: {status:?}");
        declare(world, "identity: {registrationKeyRef: {name: gw-1}, sourceCidrs: [192.0.2.1/32]}")?;
        world.wait_ready()
    });
}
