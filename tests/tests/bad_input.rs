//! What is wrong with a host, said in one line with what to do about it, and an exit code for scripts.
//!
//! A clock that is far off is tested where it is read (`api/node/src/clock.rs`): no namespace shifts the wall clock.

use std::{fs, net::UdpSocket, os::unix::fs::PermissionsExt, process::Command};

use anyhow::{Context, ensure};
use horizon_tests::{
    folder::{POLICY, POLICY_GATEWAY_ONLY},
    namespace::Namespace,
    process::{Outcome, run},
    program,
    scenario::in_world,
    wait::wait_for,
    world::{GATEWAY_PORT, World},
};

/// A gateway that has run and stopped: it would come up from its cache.
fn with_cached_gateway(world: &mut World) -> anyhow::Result<()> {
    world.start_servers()?;
    world.gateway.stop()
}

/// Runs a shell line in the namespace, in a mount namespace of its own.
fn in_shell(namespace: &Namespace, line: &str, words: &[&str]) -> anyhow::Result<Outcome> {
    let mut command = namespace.command("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", line, "sh"]).args(words);
    run(command)
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

#[test]
fn a_missing_tun_device_is_named() {
    in_world(|world| {
        with_cached_gateway(world)?;
        let program = text(&program::path("horizon-gateway")?);
        let hidden = "mount -t tmpfs none /dev/net && exec \"$1\" run --data \"$2\"";

        let outcome = in_shell(&world.net.gw, hidden, &[&program, &text(world.gateway.data())])?;

        outcome.refused(1, &["/dev/net/tun"])
    });
}

#[test]
fn a_missing_permission_is_named() {
    in_world(|world| {
        with_cached_gateway(world)?;
        // Others must get as far as the data folder, which is theirs.
        fs::set_permissions(world.folder.path(), fs::Permissions::from_mode(0o755))?;
        world.net.gw.run(&format!("chown -R 65534:65534 {}", text(world.gateway.data())))?;
        let program = world.folder.path().join("horizon-gateway");
        fs::copy(program::path("horizon-gateway")?, &program)?;

        let mut command = world.net.gw.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all"]);
        command.arg(program).args(["run", "--data"]).arg(world.gateway.data());

        run(command)?.refused(1, &["root"])
    });
}

#[test]
fn a_port_in_use_is_named() {
    in_world(|world| {
        with_cached_gateway(world)?;
        let _holder = world.net.gw.enter(|| UdpSocket::bind(("0.0.0.0", GATEWAY_PORT)))??;

        // A gateway goes on and says so: the controller may send another port.
        world.gateway.start()?;
        let names_it = |warning: &String| warning.contains("7444") && warning.contains("another process");
        world.gateway.wait_status("it names the port", |status| status.warnings.iter().any(names_it))?;

        let mut second = world.net.ctl.command(program::path("horizon-controller")?);
        second.arg("run").arg("--manifests").arg(world.manifests.path());
        second.arg("--data").arg(world.folder.path().join("second")).args(["--advertise", "192.0.2.10:7443"]);
        run(second)?.refused(1, &["7443"])
    });
}

#[test]
fn two_controllers_on_one_folder_are_told_of_each_other() {
    in_world(|world| {
        world.controller.start()?;
        let first = world.controller.daemon()?.pid().to_string();
        let mut second = world.controller.run_command()?;
        second.args(["--http", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);

        run(second)?.refused(1, &[&first, "--data"])?;

        ensure!(world.controller.status()?.readiness.ready, "the first one suffered");
        world.controller.daemon().map(drop)
    });
}

#[test]
fn two_gateways_on_one_folder_are_told_of_each_other() {
    in_world(|world| {
        world.start_servers()?;
        let first = world.gateway.daemon()?.pid().to_string();

        run(world.gateway.command(&["run"])?)?.refused(1, &["in use", &first])
    });
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    in_world(|world| {
        let file = world.folder.path().join("file");
        fs::write(&file, "not a folder")?;
        let folder = file.join("data");
        for (program, words) in DAEMONS {
            let mut command = Command::new(program::path(program)?);
            command.args(words.iter()).arg("--data").arg(&folder);
            let manifests = world.manifests.path();
            if program == "horizon-controller" {
                command.arg("--manifests").arg(manifests);
            }
            run(command)?.refused(1, &[&text(&folder), "--data"])?;
        }
        Ok(())
    });
}

const DAEMONS: [(&str, &[&str]); 3] =
    [("horizon-controller", &["run"]), ("horizon-gateway", &["run"]), ("horizon", &["agent", "run"])];

#[test]
fn a_folder_without_the_right_to_it_is_named() {
    in_world(|world| {
        fs::set_permissions(world.folder.path(), fs::Permissions::from_mode(0o755))?;
        let folder = world.folder.path().join("locked");
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for (name, words) in DAEMONS {
            let program = world.folder.path().join(name);
            fs::copy(program::path(name)?, &program)?;
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
            command.args(words.iter()).arg("--data").arg(&folder);
            if name == "horizon-controller" {
                command.arg("--manifests").arg(world.manifests.path());
            }
            run(command)?.refused(1, &[&text(&folder)])?;
        }
        Ok(())
    });
}

#[test]
fn a_full_disk_is_named() {
    in_world(|world| {
        let full = "mount -t tmpfs -o size=16k,mode=700 none \"$2\" && dd if=/dev/zero of=\"$2/filler\" bs=1k status=none; \
                    exec \"$1\" run --manifests \"$3\" --advertise 192.0.2.10:7443 --data \"$2\"";
        let folder = world.folder.path().join("full");
        fs::create_dir(&folder)?;
        let program = text(&program::path("horizon-controller")?);

        let words = [program.as_str(), &text(&folder), &text(world.manifests.path())];
        let mut outcome = in_shell(&world.net.ctl, full, &words)?;

        // What dd says of the full disk is not ours.
        outcome.stderr =
            outcome.stderr.lines().filter(|line| !line.starts_with("dd:")).collect::<Vec<_>>().join("\n");
        outcome.refused(1, &[&text(&folder), "space"])
    });
}

/// The controller goes on with what it has, says so, and takes the edit when there is space again.
#[test]
fn a_disk_that_fills_up_stops_nothing_that_runs() {
    in_world(|world| {
        let folder = world.controller.data().to_owned();
        fs::create_dir_all(&folder)?;
        let mounted = Mounted::tmpfs(&folder, "4m")?;
        world.start_servers()?;
        let filler = folder.join("filler");
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=1k"]).arg(format!("of={}", text(&filler)));
        ensure!(run(dd)?.code != 0, "the disk is not full");

        // A log that was copied into the database has room for a few edits more.
        let edits = [POLICY_GATEWAY_ONLY, POLICY].into_iter().cycle();
        let mut refused_after = None;
        for policy in edits.take(100) {
            let revision = world.controller.view()?.revision;
            world.manifests.write("policy.yaml", policy)?;
            wait_for("the edit is taken, or the full disk is told", || {
                let report = world.controller.status()?;
                let is_told = !report.readiness.ready || !report.view.problems.is_empty();
                refused_after = is_told.then_some(revision);
                Ok(is_told || report.view.revision > revision)
            })?;
            if refused_after.is_some() {
                break;
            }
        }
        let revision = refused_after.context("the disk never was full")?;
        ensure!(world.controller.view()?.revision == revision, "a revision was promised that is not on disk");
        fs::remove_file(&filler)?;
        wait_for("the edit is taken", || Ok(world.controller.view()?.revision > revision))?;

        world.controller.stop()?;
        drop(mounted);
        Ok(())
    });
}

/// A small disk, taken away with the value.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(path: &std::path::Path, size: &str) -> anyhow::Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "none"]).arg(path);
        run(mount)?.success()?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: the controller of a test that failed still holds it.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn whoever_reads_only_the_first_lines_ends_a_verb_without_a_word() {
    in_world(|world| {
        world.controller.start()?;
        let program = text(&program::path("horizon-controller")?);
        let data = text(world.controller.data());
        // Its output is closed before it prints.
        let line = "{ sleep 1; \"$1\" keys list --data \"$2\"; echo \"code $?\" >&2; } | true";

        let outcome = in_shell(&world.net.ctl, line, &[&program, &data])?;

        ensure!(outcome.stderr.trim() == "code 141", "{outcome:?}");
        Ok(())
    });
}
