//! A network namespace: made, entered and removed. Processes that still run in one are ended with it.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context, ensure};

use crate::process::{kill_process, run};

/// A namespace that exists for as long as a clone of this value does.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    name: String,
}

impl Namespace {
    /// # Errors
    /// Without root, and when the name is taken.
    pub fn create(name: &str) -> anyhow::Result<Self> {
        ip(&format!("netns add {name}"))?;
        let namespace = Self(Arc::new(Owned { name: name.to_owned() }));
        namespace.enter(|| {
            // Addresses that are usable at once, and that nothing outside chooses.
            fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")?;
            fs::write("/proc/sys/net/ipv6/conf/default/accept_ra", "0")
        })??;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns a command that runs in here. Its process id is the program's own.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name()]).arg(program.as_ref());
        command
    }

    /// Runs `ip` in here.
    ///
    /// # Errors
    /// When it fails: with what it said.
    pub fn ip(&self, arguments: &str) -> anyhow::Result<String> {
        ip(&format!("-n {} {arguments}", self.name()))
    }

    /// Runs a command line of plain words in here and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, line: &str) -> anyhow::Result<String> {
        let mut words = line.split_whitespace();
        let program = words.next().context("an empty command")?;
        let mut command = self.command(program);
        command.args(words);
        run(command)?.success()
    }

    /// Calls `act` on a thread that is in here. Sockets that it opens stay in here wherever they go.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let file = File::open(path_of(self.name())).context("open the namespace")?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                #[allow(unsafe_code, reason = "setns has no safe form")]
                // SAFETY: the descriptor is open, and it is this new thread alone that moves.
                let answer = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
                if answer != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(act())
            });
            match thread.join() {
                Ok(result) => result.context("enter the namespace"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Joins the two by a veth pair.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn wire(&self, own: &str, other: &Self, others: &str) -> anyhow::Result<()> {
        ip(&format!(
            "link add {own} netns {} type veth peer name {others} netns {}",
            self.name(),
            other.name()
        ))?;
        self.ip(&format!("link set {own} up"))?;
        other.ip(&format!("link set {others} up"))?;
        Ok(())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        drop(remove(&self.name));
    }
}

/// Removes namespaces that an earlier, killed run left, with what still runs in them.
///
/// # Errors
/// When one cannot be removed.
pub fn remove_stale(is_stale: impl Fn(&str) -> bool) -> anyhow::Result<usize> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return Ok(0) };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let stale: Vec<String> = names.filter(|name| is_stale(name)).collect();
    for name in &stale {
        remove(name)?;
    }
    Ok(stale.len())
}

fn remove(name: &str) -> anyhow::Result<()> {
    for pid in ip(&format!("netns pids {name}"))?.split_whitespace() {
        kill_process(pid.parse().context("read a process id")?);
    }
    ip(&format!("netns delete {name}"))?;
    ensure!(!path_of(name).exists(), "{name} is still there");
    Ok(())
}

fn path_of(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

fn ip(arguments: &str) -> anyhow::Result<String> {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace());
    run(command)?.success()
}
