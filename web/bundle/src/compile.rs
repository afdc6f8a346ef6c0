//! The nested `cargo build`, shielded from what the outer one says about the host.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, ensure};

use crate::Options;

const TARGET: &str = "wasm32-unknown-unknown";
/// Always optimised: an unoptimised page is ten times the size and slower to bind than to compile.
const PROFILE: &str = "web";

pub(crate) fn compile(options: &Options<'_>) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(options.workspace)
        .args(["build", "--locked", "--package", "horizon-web", "--bin", "horizon-web"])
        .args(["--target", TARGET, "--profile", PROFILE, "--target-dir"])
        .arg(options.target_dir);
    for (key, _) in env::vars_os() {
        if key.to_str().is_some_and(is_about_the_host) {
            cargo.env_remove(key);
        }
    }
    let status = cargo.status().context("run cargo")?;
    ensure!(status.success(), "{status}; if the target is missing: rustup target add {TARGET}");
    Ok(options.target_dir.join(TARGET).join(PROFILE).join("horizon-web.wasm"))
}

/// The outer cargo, clippy or a coverage tool set these for the build that they run, not for this one.
/// `CARGO_MAKEFLAGS` stays: both builds share one job server.
fn is_about_the_host(key: &str) -> bool {
    const KEPT: [&str; 5] =
        ["CARGO", "CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_OFFLINE", "CARGO_TERM_COLOR"];
    const HOST: [&str; 13] = [
        "DEBUG",
        "HOST",
        "LLVM_PROFILE_FILE",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
        "TARGET",
    ];
    let is_registry = key.starts_with("CARGO_REGISTR") || key.starts_with("CARGO_HTTP");
    let is_cargo = key.starts_with("CARGO") && !is_registry && !KEPT.contains(&key);
    is_cargo || key.starts_with("DEP_") || HOST.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_settings_do_not_reach_the_page() {
        for key in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "DEP_Z_ROOT", "OUT_DIR"] {
            assert!(is_about_the_host(key), "{key}");
        }
    }

    #[test]
    fn registry_and_job_server_reach_it() {
        for key in ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_REGISTRIES_X_INDEX", "PATH", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_about_the_host(key), "{key}");
        }
    }
}
