//! The real kubectl, which `HORIZON_KUBECTL` names, in a folder of its own: files that it reads, and what a person
//! sees of it, line by line. What differs from run to run is masked.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::process::{Daemon, Outcome, run};

/// One person at a shell.
#[derive(Debug)]
pub struct Kubectl {
    program: PathBuf,
    config: PathBuf,
    folder: PathBuf,
}

impl Kubectl {
    /// Returns the program that `HORIZON_KUBECTL` names; none when it names none.
    pub fn program() -> Option<PathBuf> {
        env::var_os("HORIZON_KUBECTL").filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Makes a person who uses this kubeconfig, and works in this folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(program: PathBuf, config: PathBuf, folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { program, config, folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(&path, text).with_context(|| format!("write {file}"))
    }

    /// Returns the command, to which a test may add variables.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(&self.folder)
            .env("KUBECONFIG", &self.config)
            .env("HOME", &self.folder);
        for variable in ["KUBECACHEDIR", "KUBECTL_APPLYSET", "KUBE_EDITOR", "KUBERC", "EDITOR"] {
            command.env_remove(variable);
        }
        command
    }

    /// # Errors
    /// When it cannot be started, or does not end.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Outcome> {
        run(self.command(words))
    }

    /// Starts one that goes on, such as `get -w`; what it says is appended to the file.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, words: &[&str], log: &str) -> anyhow::Result<Daemon> {
        Daemon::start(&format!("kubectl {}", words.join(" ")), self.command(words), &self.folder.join(log))
    }

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// When it does not succeed.
    pub fn done(&self, words: &[&str]) -> anyhow::Result<String> {
        self.run(words)?.success().with_context(|| format!("kubectl {}", words.join(" ")))
    }

    /// Checks that it succeeds, prints exactly these lines, and has nothing to say aside.
    ///
    /// # Errors
    /// When it does not.
    pub fn prints(&self, words: &[&str], expected: &str) -> anyhow::Result<()> {
        self.answers(words, 0, expected, "")
    }

    /// Checks that it ends with code 1, prints nothing, and says exactly these lines aside.
    ///
    /// # Errors
    /// When it does not.
    pub fn is_refused(&self, words: &[&str], expected: &str) -> anyhow::Result<()> {
        self.answers(words, 1, "", expected)
    }

    /// Checks the code, what it prints, and what it says aside, all of it.
    ///
    /// # Errors
    /// When one of them differs.
    pub fn answers(&self, words: &[&str], code: i32, stdout: &str, stderr: &str) -> anyhow::Result<()> {
        let said = self.run(words)?;
        is_told(&format!("kubectl {}", words.join(" ")), &said, code, [stdout, stderr])
    }
}

/// Leaves out what client-go logs by the way, such as that a watch ended with the patience of its user.
fn without_log(text: &str) -> String {
    let is_log = |line: &&str| {
        let digits = line.strip_prefix(['E', 'W', 'I']).unwrap_or_default();
        digits.len() > 4 && digits.bytes().take(4).all(|byte| byte.is_ascii_digit())
    };
    text.lines().filter(|line| !is_log(line)).fold(String::new(), |kept, line| kept + line + "\n")
}

/// Checks how a command ended and what it said, both after [`masked`].
///
/// # Errors
/// When something differs.
pub fn is_told(what: &str, said: &Outcome, code: i32, [stdout, stderr]: [&str; 2]) -> anyhow::Result<()> {
    let told = [masked(&said.stdout), masked(&without_log(&said.stderr))];
    let is_right = said.code == code
        && told[0].trim_end() == stdout.trim_end()
        && told[1].trim_end() == stderr.trim_end();
    ensure!(
        is_right,
        "{what}\nexpected {code}:\n{}\n{}\nand not {}:\n{}\n{}",
        stdout.trim_end(),
        stderr.trim_end(),
        said.code,
        told[0].trim_end(),
        told[1].trim_end()
    );
    Ok(())
}

/// Returns the text with what differs from run to run put the same: ages are `0s`, moments are `TIME`. No line ends
/// with blanks.
pub fn masked(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words: String = line.split_inclusive(' ').map(masked_word).collect();
        words.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// A word with the blank behind it.
fn masked_word(word: &str) -> String {
    let (bare, blank) = word.strip_suffix(' ').map_or((word, ""), |bare| (bare, " "));
    let digits = bare.trim_end_matches('s');
    if digits.len() + 1 == bare.len()
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        // The width stays, so that columns do.
        return format!("{:width$}{blank}", "0s", width = if blank.is_empty() { 0 } else { bare.len() });
    }
    let quoteless = bare.trim_matches('"');
    let is_moment = quoteless.len() == "2026-01-01T00:00:00Z".len()
        && quoteless.ends_with('Z')
        && quoteless.as_bytes()[10] == b'T'
        && quoteless.starts_with("20");
    if is_moment { format!("{}{blank}", bare.replace(quoteless, "TIME")) } else { word.to_owned() }
}
