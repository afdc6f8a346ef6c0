//! A person signs in with a key pair that they hold.

use std::os::unix::fs::PermissionsExt;

use anyhow::ensure;
use horizon_tests::{folder::PEOPLE, scenario::in_world, traffic::wait_ping, wait::wait_for, world::LAN};

#[test]
fn a_person_signs_in_with_a_key_pair_and_nobody_else_does() {
    in_world(|world| {
        world.start_servers()?;
        world.alice.start()?;
        let file = |name: &str| world.folder.path().join(name).display().to_string();
        let keygen = |file: &str| -> anyhow::Result<String> {
            let mut command = world.alice.namespace.command(horizon_tests::program::path("horizon")?);
            command.args(["keygen", file]);
            Ok(horizon_tests::process::run(command)?.success()?.trim().to_owned())
        };
        let (mine, other) = (file("alice.key"), file("other.key"));
        let public = keygen(&mine)?;
        keygen(&other)?;
        let mode = std::fs::metadata(&mine)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600 && public.starts_with("ed25519:"), "{mode:o} {public}");
        ensure!(keygen(&mine).is_err(), "a key pair was overwritten");

        let without = world.controller.verb(&["invite", "user", "alice", "--key"])?;
        without.refused(3, &["no PersonalKey with a publicKey"])?;
        let declared = PEOPLE.replacen("generate: {}", &format!("publicKey: \"{public}\""), 1);
        world.manifests.write("people.yaml", &declared)?;
        wait_for("the key pair is declared", || {
            Ok(world.controller.verb(&["invite", "user", "alice", "--key"])?.code == 0)
        })?;
        let link = world.controller.verb(&["invite", "user", "alice", "--key"])?.success()?;
        let login =
            |key: &str| world.alice.verb(&["login", link.trim(), "--key", key, "--name", "alice-laptop"]);

        ensure!(!link.contains("key="), "the link has a token: {link}");
        login(&other)?.refused(3, &["no PersonalKey is declared with the public key"])?;
        login("/nowhere")?.refused(2, &["keygen"])?;
        login(&mine)?.success()?;
        world.alice.connect()?;
        wait_ping(&world.net.cli, LAN)?;

        let said = world.controller.verb(&["status", "PersonalKey/alice"])?.success()?;
        ensure!(
            said.contains("uses        1, last at")
                && said.contains("from 192.0.2.101 by Device/alice-laptop"),
            "{said}"
        );
        Ok(())
    });
}
