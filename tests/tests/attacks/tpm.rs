//! Against servers whose host has a TPM: a copy of the disk, no quote any more, another boot loader, a TPM that was put
//! back; with the real programs and a TPM in software.

use std::{fs, path::Path};

use anyhow::ensure;
use horizon_api::http::{EventView, EvidenceLevel};
use horizon_tests::{
    process::run,
    scenario::in_world,
    software_tpm::SoftwareTpm,
    wait::{PATIENCE, wait_for, wait_until},
    world::{Gateway, World},
};

use super::servers::{QUARANTINE, copy_data, declare};

/// Makes a world whose gateway's host has a TPM, and runs the test in it.
fn in_world_with_tpm(test: impl FnOnce(&mut World, SoftwareTpm) -> anyhow::Result<()>) {
    in_world(|world| {
        if !SoftwareTpm::is_installed() {
            return Ok(());
        }
        let tpm = SoftwareTpm::start(world.folder.path().join("tpm"))?;
        world.gateway.tell(&["--tpm", socket(&tpm).as_str()]);
        world.controller.tell(&["--challenge-every", "1s"]);
        test(world, tpm)
    });
}

fn socket(tpm: &SoftwareTpm) -> String {
    tpm.socket().display().to_string()
}

fn wait_level(world: &World, level: EvidenceLevel) -> anyhow::Result<()> {
    wait_for(&format!("the evidence is {level:?}"), || {
        let trust = world.controller.server("gw-1")?.trust;
        ensure!(trust.level == level, "it is {:?}", trust.level);
        Ok(trust.answered > 0)
    })
}

fn event(world: &World, kind: &str) -> anyhow::Result<EventView> {
    wait_until(&format!("a security event {kind}"), PATIENCE, || {
        Ok(world.controller.view()?.events.into_iter().find(|event| event.kind == kind))
    })
}

fn said_of_server(world: &World) -> anyhow::Result<String> {
    world.controller.verb(&["status", "Server/gw-1"])?.success()
}

#[test]
fn a_gateway_with_a_tpm_shows_quotes_for_life_and_one_without_says_so() {
    in_world_with_tpm(|world, mut tpm| {
        tpm.turn_off()?;
        world.start_servers()?;
        wait_level(world, EvidenceLevel::SelfReported)?;
        world.gateway.wait_status("the gateway knows", |it| it.evidence.contains("there is no TPM at"))?;
        ensure!(said_of_server(world)?.contains("evidence    self-reported"), "it says more than it proves");

        tpm.turn_on()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;

        let status =
            world.gateway.wait_status("the gateway knows", |it| it.evidence.starts_with("TPM quote"))?;
        ensure!(status.warnings.is_empty(), "{status:?}");
        let said = said_of_server(world)?;
        for words in ["evidence    TPM quote", "its maker is not verified", "tpm         ", " resets"] {
            ensure!(said.contains(words), "{words:?} is not in {said}");
        }
        let answered = world.controller.server("gw-1")?.trust.answered_total;
        world.controller.kill()?;
        world.controller.start()?;
        wait_for("it goes on", || Ok(world.controller.server("gw-1")?.trust.answered_total > answered + 2))?;
        let trust = world.controller.server("gw-1")?.trust;
        ensure!(trust.failed_total == 0, "an honest one fails: {trust:?}");
        ensure!(trust.noticed.keys().all(|kind| kind == "TpmSeen"), "an honest one is noticed: {trust:?}");
        event(world, "TpmSeen").map(drop)
    });
}

#[test]
fn a_copy_of_a_disk_on_a_host_with_another_tpm_is_noticed_and_quarantined() {
    in_world_with_tpm(|world, _tpm| {
        declare(world, QUARANTINE)?;
        world.start_servers()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;
        world.gateway.stop()?;
        let copy = world.folder.path().join("copy");
        copy_data(world.gateway.data(), &copy)?;
        let other = SoftwareTpm::start(world.folder.path().join("other-tpm"))?;
        let mut clone = Gateway::new(world.net.cli2.clone(), copy);
        clone.tell(&["--tpm", socket(&other).as_str()]);

        clone.start()?;

        let noticed = event(world, "TpmReplaced")?;
        ensure!(noticed.message.contains("another TPM"), "{noticed:?}");
        let held = event(world, "ServerQuarantined")?;
        ensure!(held.message.contains("another TPM"), "{held:?}");
        clone.stop()?;
        world.gateway.start()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;
        // The copy has acknowledged something newer: the right one is told that too, before it is released.
        world.controller.verb(&["release", "Server/gw-1"])?.success()?;
        world.wait_ready()?;
        ensure!(world.controller.view()?.holds.is_empty(), "the right one is held");
        Ok(())
    });
}

#[test]
fn a_gateway_that_shows_no_quote_any_more_is_quarantined_in_the_end() {
    in_world_with_tpm(|world, mut tpm| {
        declare(world, QUARANTINE)?;
        world.start_servers()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;

        tpm.turn_off()?;

        event(world, "QuoteMissing")?;
        let held = event(world, "ServerQuarantined")?;
        ensure!(
            held.message.contains("3 failures in a row") && held.message.contains("no quote"),
            "{held:?}"
        );
        let said = said_of_server(world)?;
        ensure!(said.contains("evidence    self-reported"), "{said}");
        ensure!(said.contains("failed after") && said.contains("shows no quote"), "{said}");
        Ok(())
    });
}

#[test]
fn a_host_that_was_started_with_something_else_is_noticed_by_its_registers() {
    in_world_with_tpm(|world, mut tpm| {
        world.start_servers()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;

        tpm.reset()?;
        tpm.measure(4)?;

        let noticed = event(world, "PlatformChanged")?;
        ensure!(noticed.message.contains("PCR 4"), "{noticed:?}");
        ensure!(world.controller.view()?.holds.is_empty(), "an alert holds nothing");
        let said = said_of_server(world)?;
        ensure!(said.contains("another state of the host by PCR 4"), "{said}");
        Ok(())
    });
}

#[test]
fn a_virtual_tpm_that_was_put_back_is_noticed_by_its_counter() {
    in_world_with_tpm(|world, mut tpm| {
        declare(world, QUARANTINE)?;
        world.start_servers()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;
        let kept = world.folder.path().join("kept-tpm");
        tpm.turn_off()?;
        tpm.copy_state(&kept)?;
        for _ in 0..2 {
            tpm.turn_on()?;
            let quoted = world.controller.server("gw-1")?.trust.answered_total;
            wait_for("it quotes", || Ok(world.controller.server("gw-1")?.trust.answered_total > quoted + 1))?;
            tpm.turn_off()?;
        }

        let state = world.folder.path().join("tpm");
        for entry in fs::read_dir(&kept)? {
            let entry = entry?;
            fs::copy(entry.path(), state.join(entry.file_name()))?;
        }
        tpm.turn_on()?;

        let noticed = event(world, "TpmWentBack")?;
        ensure!(noticed.message.contains("put back"), "{noticed:?}");
        event(world, "ServerQuarantined").map(drop)
    });
}

#[test]
fn a_key_that_is_sealed_is_on_no_copy_of_the_disk() {
    in_world_with_tpm(|world, tpm| {
        world.start_servers()?;
        wait_level(world, EvidenceLevel::TpmQuote)?;
        let seed = fs::read(world.gateway.data().join("node.key"))?;
        let running = run(world.gateway.command(&["key", "seal", "--tpm", &socket(&tpm)])?)?;
        running.refused(1, &["is in use by process"])?;
        world.gateway.stop()?;

        let path = socket(&tpm);
        let key =
            |world: &World, word| run(world.gateway.command(&["key", word, "--tpm", &path])?)?.success();
        ensure!(key(world, "seal")?.contains("only this TPM opens it"), "it is not said");
        ensure!(key(world, "seal")?.contains("sealed before"), "it is sealed twice");

        for file in files(world.gateway.data())? {
            let bytes = fs::read(&file)?;
            ensure!(!bytes.windows(32).any(|part| part == seed), "the key is in {}", file.display());
        }
        world.gateway.start()?;
        world.wait_ready()?;
        wait_for("the controller knows", || {
            Ok(said_of_server(world)?.contains("sealed to a TPM (stated by the host)"))
        })?;
        world.gateway.stop()?;
        copied_key_opens_nowhere(world)?;

        ensure!(key(world, "unseal")?.contains("in a file again"), "it is not said");
        ensure!(fs::read(world.gateway.data().join("node.key"))? == seed, "it is another key");
        world.gateway.start()?;
        world.wait_ready()
    });
}

/// With another TPM, and with none.
fn copied_key_opens_nowhere(world: &World) -> anyhow::Result<()> {
    let copy = world.folder.path().join("copy");
    copy_data(world.gateway.data(), &copy)?;
    let other = SoftwareTpm::start(world.folder.path().join("other-tpm"))?;
    let thief = Gateway::new(world.net.cli2.clone(), copy);
    let with_another = run(thief.command(&["run", "--tpm", &socket(&other)])?)?;
    with_another.refused(1, &["sealed to a TPM", "this TPM did not seal it"])?;
    run(thief.command(&["run", "--tpm", "none"])?)?.refused(1, &["sealed to a TPM", "--tpm PATH"])
}

fn files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => found.extend(files(&entry.path())?),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(found)
}
