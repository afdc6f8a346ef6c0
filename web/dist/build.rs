//! Builds the page and writes the table of its files, which `lib.rs` includes.
//!
//! `HORIZON_WEB=skip` embeds nothing: for quick checks that need no page.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use horizon_web_bundle::{Options, bundle, table};

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-env-changed=HORIZON_WEB");
    println!("cargo::rerun-if-changed=build.rs");
    let out = directory("OUT_DIR")?;
    let source =
        if env::var("HORIZON_WEB").is_ok_and(|value| value == "skip") { table(&[]) } else { build(&out)? };
    fs::write(out.join("files.rs"), source).context("write the table of files")
}

fn build(out: &Path) -> anyhow::Result<String> {
    let here = directory("CARGO_MANIFEST_DIR")?;
    let workspace = here.ancestors().nth(2).context("find the workspace above web/dist")?;
    let inputs = [
        "web/src",
        "web/static",
        "web/index.html",
        "web/Cargo.toml",
        "api/src",
        "api/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ];
    for input in inputs {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    // OUT_DIR is TARGET/PROFILE/build/NAME-HASH/out. The nested target does not hang on the hash,
    // so another set of features does not compile the page's dependencies again.
    let target = out.ancestors().nth(4).context("find the target directory above OUT_DIR")?;
    let options = Options { workspace, target_dir: &target.join("web"), out: &out.join("files") };
    let files = bundle(&options).context("the page did not build; HORIZON_WEB=skip builds without it")?;
    Ok(table(&files))
}

fn directory(variable: &str) -> anyhow::Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).with_context(|| format!("{variable} is not set"))
}
