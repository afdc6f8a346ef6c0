//! The demonstration behind `scripts/try`: each promise, what was done, what was seen.

mod console;
mod promise;

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::Context;
use serde_json::json;

pub use console::Console;

use crate::{folder::Folder, namespace, page::Page, process::kill_process, world::LAN, world::World};

/// All namespaces of a demonstration begin with this; there is one demonstration at a time.
pub const PREFIX: &str = "hzn-try";
/// Where the files of a demonstration are, so that a later one finds what a killed one left.
const FOLDER_PREFIX: &str = "hzn-try-";
/// In it: whose folder it is.
const PID_FILE: &str = "try.pid";

/// What a demonstration measured and found.
#[derive(Debug, Default)]
pub struct Findings {
    pub ping_ms: f64,
    pub http_bytes: usize,
    pub mbit_per_s: f64,
    pub revision: u64,
    pub key_exchange: String,
    pub policy_cut_ms: u128,
    pub gateway_back_ms: u128,
}

/// A running demonstration.
#[derive(Debug)]
pub struct Demo {
    // In this order they are dropped.
    page: Page,
    pub world: World,
    pub findings: Findings,
    is_quiet: bool,
}

impl Demo {
    /// Takes away what an earlier one left, and makes the namespaces.
    ///
    /// # Errors
    /// Without root, and when a tool is missing.
    pub fn prepare(quickstart: &Path, is_quiet: bool) -> anyhow::Result<Self> {
        clean()?;
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir()?;
        fs::write(folder.path().join(PID_FILE), process::id().to_string())?;
        let manifests = Folder::copy_of(quickstart, folder.path().join("manifests"))?;
        let world = World::new(PREFIX, folder, manifests).context("make the namespaces")?;
        let page = Page::serve(&world.net.lan, LAN)?;
        Ok(Self { page, world, findings: Findings::default(), is_quiet })
    }

    /// Shows every promise.
    ///
    /// # Errors
    /// The first that was not kept.
    pub fn show(&mut self) -> anyhow::Result<()> {
        self.show_start()?;
        self.show_allowed()?;
        self.show_denied()?;
        self.show_typo()?;
        self.show_outages()
    }

    /// Returns the line for `--json`.
    pub fn json(&self, console: &str) -> String {
        let found = &self.findings;
        json!({
            "ok": true,
            "ping_ms": found.ping_ms,
            "http_bytes": found.http_bytes,
            "mbit_per_s": (found.mbit_per_s * 10.0).round() / 10.0,
            "revision": found.revision,
            "console": console,
            "key_exchange": found.key_exchange,
            "policy_cut_ms": found.policy_cut_ms,
            "gateway_back_ms": found.gateway_back_ms,
        })
        .to_string()
    }

    /// Says a line of the demonstration: to whom watches, or, where one line of JSON is wanted, beside it.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "what the program is for")]
    fn say(&self, line: &str) {
        if self.is_quiet { eprintln!("{line}") } else { println!("{line}") }
    }

    fn promise(&self, title: &str) {
        self.say(&format!("\n{title}"));
    }

    fn did(&self, text: &str) {
        self.say(&format!("  done  {text}"));
    }

    fn saw(&self, text: &str) {
        self.say(&format!("  seen  {text}"));
    }
}

/// Ends and removes what other demonstrations left: their processes, namespaces with all in them, files.
///
/// # Errors
/// When something cannot be removed.
pub fn clean() -> anyhow::Result<()> {
    let left = left_folders();
    for owner in left.iter().filter_map(|folder| owner(folder)).filter(|owner| *owner != process::id()) {
        kill_process(owner);
    }
    namespace::remove_stale(|name| name.starts_with(&format!("{PREFIX}-")))?;
    for folder in left {
        drop(fs::remove_dir_all(folder));
    }
    Ok(())
}

/// Returns the demonstration that made this folder, if it still runs.
fn owner(folder: &Path) -> Option<u32> {
    let pid = fs::read_to_string(folder.join(PID_FILE)).ok()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (name.trim() == "horizon-try").then_some(pid)
}

fn left_folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.join(PID_FILE).is_file() && is_ours(path)).collect()
}

fn is_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_PREFIX))
}
