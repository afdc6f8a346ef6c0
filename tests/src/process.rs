//! Processes: a command that ends, and a daemon that is watched, stopped, killed and started again.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};

use crate::wait::{PATIENCE, wait_until};

/// How a command ended and what it said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; 128 and the signal where one ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Returns what it printed.
    ///
    /// # Errors
    /// When it did not succeed.
    pub fn success(self) -> anyhow::Result<String> {
        ensure!(self.code == 0, "exit code {}: {}{}", self.code, self.stderr.trim(), self.stdout.trim());
        Ok(self.stdout)
    }

    /// Checks that it failed with this code, and with one line on stderr that says `words`.
    ///
    /// # Errors
    /// When it did not.
    pub fn refused(&self, code: i32, words: &[&str]) -> anyhow::Result<()> {
        let said = self.stderr.trim();
        ensure!(self.code == code, "exit code {} and not {code}: {said}", self.code);
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        ensure!(errors.len() == 1, "not one line that begins with `error: `: {said}");
        ensure!(said.lines().last() == errors.last().copied(), "the error is not the last line: {said}");
        for word in words {
            ensure!(errors[0].to_lowercase().contains(&word.to_lowercase()), "{word:?} is not in: {said}");
        }
        Ok(())
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or does not end in time.
pub fn run(command: Command) -> anyhow::Result<Outcome> {
    run_within(command, PATIENCE)
}

/// Runs a command to its end, or ends it when the time is over.
///
/// # Errors
/// As [`run`].
pub fn run_within(mut command: Command, patience: Duration) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let shown = format!("{command:?}");
    let child = command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?).spawn();
    let mut child = child.with_context(|| format!("start {shown}"))?;
    let ended = wait_until(&shown, patience, || Ok(child.try_wait()?));
    if ended.is_err() {
        drop(child.kill());
        drop(child.wait());
    }
    let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (stdout, stderr) = (read(out)?, read(err)?);
    let status = ended.with_context(|| format!("it said: {stderr}"))?;
    Ok(Outcome { code: code_of(status), stdout, stderr })
}

fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// A process that runs until it is told not to. It is killed with the value.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; what it says is appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// When it ended: with the end of its log.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                Err(anyhow!("{} ended with {}: {}", self.name, code_of(status), self.last_lines()))
            }
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Has it do nothing until [`Daemon::thaw`]; its connections stay.
    pub fn freeze(&self) {
        signal(self.child.id(), libc::SIGSTOP);
    }

    /// Has it go on.
    pub fn thaw(&self) {
        signal(self.child.id(), libc::SIGCONT);
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop, or not cleanly.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        signal(self.child.id(), libc::SIGTERM);
        let what = format!("{} stops", self.name);
        let status = wait_until(&what, PATIENCE, || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "{} stopped with {}: {}", self.name, code_of(status), self.last_lines());
        Ok(())
    }

    /// Returns the memory that is resident, in bytes.
    ///
    /// # Errors
    /// When it ended.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Returns everything that it said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn last_lines(&self) -> String {
        last_lines(&self.log(), 12)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the end of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// `kill -9` for a process that is not a child.
pub(crate) fn kill_process(pid: u32) {
    signal(pid, libc::SIGKILL);
}

fn signal(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        #[allow(unsafe_code, reason = "std sends SIGKILL only, and only to children")]
        // SAFETY: kill takes two numbers and touches no memory. A process that is gone is no error here.
        let _ = unsafe { libc::kill(pid, signal) };
    }
}
