//! Clients that others wrote, in programs of a page each: Kubernetes' Go library, the `kubernetes` package of Python,
//! and kube-rs. Each lives through a `kill -9` of the controller.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "clients/rust.rs"]
mod rust;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use horizon_tests::{
    process::{run, run_within},
    standalone::Standalone,
};

/// Fetching and compiling a library is done once a machine, and takes minutes on two cores.
const BUILD: Duration = Duration::from_secs(15 * 60);

#[test]
fn a_client_in_go_lives_with_the_controller() {
    if is_missing("go", "version", "install Go 1.24 or later: https://go.dev/dl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("client");
    // As kubectl is built, so that what both need is compiled once a machine.
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]).arg(&program).arg(".");
    build.current_dir(sources("go")).env("CGO_ENABLED", "0");
    run_within(build, BUILD).unwrap().success().unwrap();

    lives_with_the_controller(Command::new(program)).unwrap();
}

#[test]
fn a_client_in_python_lives_with_the_controller() {
    if is_missing("python3", "--version", "install python3 and python3-venv") {
        return;
    }
    let sources = sources("python");
    let environment = environment(&sources.join("requirements.txt")).unwrap();
    let mut command = Command::new(environment.join("bin/python"));
    command.arg(sources.join("client.py")).env("PYTHONDONTWRITEBYTECODE", "1");

    lives_with_the_controller(command).unwrap();
}

/// Says whether a test cannot run here, and need not.
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
fn is_missing(program: &str, word: &str, how: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(word);
    let is_there = run(command).is_ok_and(|said| said.code == 0);
    if !is_there {
        assert!(env::var_os("HORIZON_E2E_REQUIRED").is_none(), "{program} is missing: {how}");
        eprintln!("SKIPPED: {program} is missing: {how}");
    }
    !is_there
}

fn sources(language: &str) -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("clients").join(language)
}

/// Returns a virtual environment that holds what the file lists: made once a machine and list.
fn environment(requirements: &Path) -> anyhow::Result<PathBuf> {
    let list = fs::read_to_string(requirements)?;
    let cache = env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = cache.or_else(home).context("no HOME")?.join("horizon/python");
    fs::create_dir_all(&folder)?;
    let is_whole =
        |path: &Path| fs::read_to_string(path.join("requirements.txt")).is_ok_and(|had| had == list);
    let finished = folder.join("clients");
    if is_whole(&finished) {
        return Ok(finished);
    }
    // Scripts of an environment know their path, but its python does not care, so it may be moved when it is whole.
    let draft = tempfile::Builder::new().prefix("draft-").tempdir_in(&folder)?;
    let path = draft.path().join("clients");
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&path);
    run_within(make, BUILD)?.success().context("make a virtual environment: install python3-venv")?;
    let mut install = Command::new(path.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements);
    run_within(install, BUILD)?.success().context("install the requirements")?;
    fs::write(path.join("requirements.txt"), list)?;
    if finished.exists() {
        fs::remove_dir_all(&finished)?;
    }
    fs::rename(&path, &finished)?;
    Ok(finished)
}

/// Runs a client to its end. When it says `restart`, the controller is killed and started again.
fn lives_with_the_controller(mut command: Command) -> anyhow::Result<()> {
    let mut controller = Standalone::empty()?;
    let log = controller.path().join("client.log");
    command.env("KUBECONFIG", controller.kubeconfig(&[])?).env("HOME", controller.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&log)?);
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("no stdin")?;
    let output = BufReader::new(child.stdout.take().context("no stdout")?);
    let mut lines = Vec::new();
    for line in output.lines() {
        let line = line?;
        if line == "restart" {
            controller.kill()?;
            controller.start()?;
            writeln!(input, "started")?;
        }
        lines.push(line);
    }
    let status = child.wait()?;
    let said = fs::read_to_string(&log)?;
    ensure!(status.success() && lines == ["restart", "done"], "{lines:?}\n{said}\n{}", controller.log());
    Ok(())
}
