//! Against keys that were rotated away: whoever has one of them is believed by nobody who heard so.

use std::{fs, time::Duration};

use anyhow::{Context, ensure};
use horizon_api::{
    cbor,
    delegation::{Delegation, Role},
    grant::Grant,
    key::SecretKey,
    signed::Signed,
    wire::{RefusalCode, link::ToDevice},
};
use horizon_node::{clock, secret_file};
use horizon_tests::{
    joiner, rogue,
    scenario::in_world,
    stranger::{Impostor, MiddleMan, knock},
    traffic::wait_ping,
    wait::{PATIENCE, wait_for, wait_until},
    world::{LAN, World},
};

/// What a thief of the controller's disk has, before a rotation.
struct Thief {
    online: SecretKey,
    root: SecretKey,
}

impl Thief {
    fn steal(world: &World) -> anyhow::Result<Self> {
        let key = |name: &str| -> anyhow::Result<SecretKey> {
            let seed = secret_file::load(&world.controller.data().join(name))?;
            let seed = seed.with_context(|| format!("no {name}"))?;
            Ok(SecretKey::from_seed(&seed))
        };
        Ok(Self { online: key("online.key")?, root: key("root.key")? })
    }

    /// What the root said of the key before the rotation: it is public.
    fn delegation(&self) -> Signed {
        let roles = vec![Role::Link, Role::Config, Role::Grant];
        let (root, online) = (self.root.public(), self.online.public());
        let not_after = clock::unix_s() + 3_600;
        Delegation { root, online, roles, epoch: 1, serial: 0, floor: 0, not_after }.sign(&self.root)
    }
}

#[test]
fn an_online_key_that_was_rotated_away_pushes_nothing_and_grants_nothing() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let thief = Thief::steal(world)?;
        let key = SecretKey::from_seed(&[31; 32]);
        let link = world.controller.invite("user", "bob")?.parse()?;
        let granted = joiner::login(&world.net.cli2, &key, &link, "strange")?;
        let granted = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let server = granted.servers.first().context("no server")?;
        let network = server.networks.first().context("no network")?.network.clone();
        let signed: Signed = cbor::decode(&granted.grant)?;
        let genuine: Grant = signed.verify(&thief.online.public())?;
        // As long as the thief likes.
        let forged = Grant { expires_at: genuine.expires_at + 1_000_000, ..genuine }.sign(&thief.online);
        let show = |grant: &[u8]| knock(&world.net.cli2, &key, server.key, grant.to_vec(), network.clone());
        ensure!(matches!(show(&forged)?, ToDevice::Accept(_)), "the key is good before it is rotated");

        world.controller.verb(&["keys", "rotate", "online", "--overlap", "0s"])?.success()?;
        wait_for("the gateway believes it no more", || {
            let refused =
                matches!(show(&forged)?, ToDevice::Refuse(refusal) if refusal.code == RefusalCode::BadGrant);
            Ok(refused)
        })?;
        world.wait_ready()?;
        world.alice.wait_connected()?;
        wait_ping(&world.net.cli, LAN)?;

        // In the controller's place, with all that it said before.
        world.controller.kill()?;
        let impostor = Impostor::with(&world.net.ctl, &thief.online, thief.delegation())?;
        wait_until("the gateway says why it does not believe who answers", PATIENCE, || {
            let reason = world.gateway.status()?.away_reason.unwrap_or_default();
            ensure!(reason.contains("rotated away"), "{reason}");
            Ok(Some(()))
        })?;
        // After a restart it is believed no more either.
        world.gateway.kill()?;
        world.gateway.start()?;
        wait_until("it has not forgotten", PATIENCE, || {
            let reason = world.gateway.status()?.away_reason.unwrap_or_default();
            ensure!(reason.contains("rotated away"), "{reason}");
            Ok(Some(()))
        })?;
        ensure!(matches!(show(&forged)?, ToDevice::Refuse(_)), "a restart brought the key back");
        world.alice.verb(&["servers"])?.success()?;
        let invitations = world.controller.invitations();
        let of = |kind: &str| invitations.iter().find(|text| text.contains(kind));
        let (login, join) = (of("hzc_").context("no link")?, of("hzr_").context("no join string")?);
        // Who enrols once more has not forgotten either: no token is sent.
        let again = world.alice.verb(&["login", login, "--name", "laptop"])?;
        ensure!(again.code == 3 && again.stderr.contains("rotated away"), "{again:?}");
        world.gateway.kill()?;
        let again = world.gateway.join(join)?;
        ensure!(again.code == 3 && again.stderr.contains("rotated away"), "{again:?}");
        let heard = impostor.heard();
        let told = |word: &str| heard.iter().any(|message| message.starts_with(word));
        ensure!(told("Hello") && !told("Attach") && !told("Refresh"), "{heard:?}");
        ensure!(!told("Login") && !told("Join"), "{heard:?}");
        drop(impostor);
        fs::metadata(world.controller.data().join("online.key.2"))?;
        world.controller.start()?;
        world.gateway.start()?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_gateway_on_its_own_hears_from_a_device_that_an_online_key_is_withdrawn() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let thief = Thief::steal(world)?;
        let key = SecretKey::from_seed(&[31; 32]);
        let link = world.controller.invite("user", "bob")?.parse()?;
        let granted = joiner::login(&world.net.cli2, &key, &link, "strange")?;
        let granted = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let server = granted.servers.first().context("no server")?;
        let network = server.networks.first().context("no network")?.network.clone();
        let signed: Signed = cbor::decode(&granted.grant)?;
        let genuine: Grant = signed.verify(&thief.online.public())?;
        let forged = Grant { expires_at: genuine.expires_at + 1_000_000, ..genuine }.sign(&thief.online);
        let show = |grant: &[u8]| knock(&world.net.cli2, &key, server.key, grant.to_vec(), network.clone());
        world.net.gw.ip("route add blackhole 192.0.2.10/32")?;
        wait_for("the gateway is on its own", || Ok(world.gateway.status()?.standby_since_ms.is_some()))?;
        wait_for("the controller knows", || Ok(!world.controller.server("gw-1")?.ready))?;
        world.controller.verb(&["keys", "rotate", "online", "--overlap", "0s"])?.success()?;
        wait_for("the key before is withdrawn", || Ok(!world.controller.data().join("online.key").exists()))?;
        ensure!(matches!(show(&forged)?, ToDevice::Accept(_)), "the gateway heard of it by itself");

        // The next grant of a device, and the root's word with it.
        world.alice.verb(&["servers"])?.success()?;

        let is_refused = || {
            let said = show(&forged)?;
            Ok(matches!(said, ToDevice::Refuse(refusal) if refusal.code == RefusalCode::BadGrant))
        };
        wait_for("the gateway believes it no more", is_refused)?;
        ensure!(world.gateway.status()?.standby_since_ms.is_some(), "the gateway heard of it by itself");
        world.gateway.kill()?;
        world.gateway.start()?;
        ensure!(is_refused()?, "a restart brought the key back");
        world.alice.wait_connected()?;
        world.net.gw.ip("route del blackhole 192.0.2.10/32")?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_device_key_that_was_rotated_away_opens_nothing() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let seed = secret_file::load(&world.alice.data().join("device.key"))?;
        let stolen = SecretKey::from_seed(&*seed.context("no device.key")?);
        let link = world.controller.invite("user", "alice")?.parse()?;
        let ask = || joiner::refresh(&world.net.cli2, &stolen, &link, None);
        let granted = ask()?.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let server = granted.servers.first().context("no server")?;
        let network = server.networks.first().context("no network")?.network.clone();

        world.alice.verb(&["rotate-key"])?.success()?;
        world.alice.wait_connected()?;
        wait_ping(&world.net.cli, LAN)?;

        let refused = ask()?.err().context("the controller grants to the key before")?;
        ensure!(refused.code == RefusalCode::NotEnrolled, "{refused:?}");
        wait_for("the gateway keeps the key before out", || {
            let (key, grant) = (server.key, granted.grant.clone());
            let said = knock(&world.net.cli2, &stolen, key, grant, network.clone())?;
            Ok(matches!(said, ToDevice::Refuse(refusal) if refusal.code == RefusalCode::Revoked))
        })?;
        let again = joiner::login(&world.net.cli2, &stolen, &link, "thief")?;
        ensure!(again.is_err(), "the key before signs in again: {again:?}");
        ensure!(world.controller.devices_of("alice")?.len() == 1);
        ensure!(world.alice.status()?.is_connected(), "the device lost its link");
        Ok(())
    });
}

#[test]
fn a_gateway_key_that_was_rotated_away_serves_nobody() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let seed = secret_file::load(&world.gateway.data().join("node.key"))?;
        let stolen = SecretKey::from_seed(&*seed.context("no node.key")?);
        let before = world.gateway.status()?.key;
        let join = world.controller.invite("user", "alice")?.parse()?;
        let rotate = world.gateway.command(&["rotate-key", "--overlap", "0s"])?;
        horizon_tests::process::run(rotate)?.success()?;
        world.gateway.wait_status("the gateway has another key", |status| status.key != before)?;
        world.wait_ready()?;
        world.alice.verb(&["servers"])?.success()?;

        let refused = rogue::stay_silent(&world.net.cli2, &stolen, &join, Duration::from_secs(1));
        let reason = format!("{:#}", refused.err().context("the controller lets the key before in")?);
        ensure!(reason.contains("no Server has this gateway's key"), "{reason}");
        world.gateway.kill()?;
        let thief = MiddleMan::stand_in(&world.net.gw, &stolen)?;
        wait_for("the device tries him", || Ok(thief.dialled() > 2))?;
        ensure!(thief.heard() == 0, "he was told something");
        ensure!(!world.alice.status()?.is_connected(), "the device believes the key before");
        drop(thief);
        world.gateway.start()?;
        world.alice.wait_connected()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn nobody_announces_a_key_that_he_does_not_have() {
    in_world(|world| {
        world.start_with_alice()?;
        let seed = secret_file::load(&world.gateway.data().join("node.key"))?;
        let stolen = SecretKey::from_seed(&*seed.context("no node.key")?);
        let join = world.controller.invite("user", "alice")?.parse()?;
        let device = world.controller.devices_of("alice")?.into_iter().next().context("no device")?;

        for (how, words) in [
            (rogue::Announced::ByOne, "did not sign"),
            (rogue::Announced::Elsewhere, "another connection"),
            (rogue::Announced::Somebodys(device.public_key.parse()?), "another key"),
        ] {
            let said = rogue::announce(&world.net.cli2, &stolen, &join, how)?;
            ensure!(said.contains(words), "{said}");
        }
        ensure!(world.gateway.status()?.next_key.is_none());
        wait_ping(&world.net.cli, LAN)
    });
}
