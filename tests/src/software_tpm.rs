//! A TPM in software, as a program beside the others: swtpm.

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use horizon_tpm::Tpm;

use crate::{
    process::Daemon,
    wait::{PATIENCE, wait_until},
};

/// One TPM with a state of its own. It ends with the value.
#[derive(Debug)]
pub struct SoftwareTpm {
    folder: PathBuf,
    daemon: Option<Daemon>,
}

impl SoftwareTpm {
    /// Makes a TPM that was never used before, and starts it with its host.
    ///
    /// # Errors
    /// When swtpm cannot be started.
    pub fn start(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut tpm = Self { folder, daemon: None };
        tpm.turn_on()?;
        Ok(tpm)
    }

    /// Says whether tests that need one can run.
    ///
    /// # Panics
    /// When they cannot although `HORIZON_E2E_REQUIRED` is set.
    pub fn is_installed() -> bool {
        let is_there = Command::new("swtpm").arg("--version").output().is_ok_and(|it| it.status.success());
        assert!(is_there || env::var_os("HORIZON_E2E_REQUIRED").is_none(), "install the package swtpm");
        is_there
    }

    /// The host is switched off and on: its registers are empty again, and its keys are the same.
    ///
    /// # Errors
    /// When swtpm cannot be started.
    pub fn reset(&mut self) -> anyhow::Result<()> {
        self.turn_off()?;
        self.turn_on()
    }

    /// # Errors
    /// When it does not run.
    pub fn turn_off(&mut self) -> anyhow::Result<()> {
        self.daemon.take().context("the TPM does not run")?.kill()?;
        fs::remove_file(self.socket()).context("remove its socket")
    }

    /// # Errors
    /// When swtpm cannot be started.
    pub fn turn_on(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new("swtpm");
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"]);
        command.arg(format!("dir={}", self.folder.display())).arg("--server");
        command.arg(format!("type=unixio,path={}", self.socket().display()));
        self.daemon = Some(Daemon::start("swtpm", command, &self.folder.with_extension("log"))?);
        wait_until("swtpm listens", PATIENCE, || Ok(self.socket().exists().then_some(())))
    }

    /// # Errors
    /// When it does not run.
    pub fn open(&self) -> anyhow::Result<Tpm> {
        Ok(Tpm::open(&self.socket())?)
    }

    /// Measures something into a register, as firmware does (`TPM2_PCR_Extend`).
    ///
    /// # Errors
    /// When the TPM refuses.
    pub fn measure(&self, register: u8) -> anyhow::Result<()> {
        let head: [u8; 10] = [0x80, 0x02, 0, 0, 0, 65, 0, 0, 0x01, 0x82];
        let session: [u8; 17] = [0, 0, 0, register, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
        let digest: [u8; 6] = [0, 0, 0, 1, 0, 0x0b];
        let mut stream = UnixStream::connect(self.socket())?;
        stream.write_all(&[&head[..], &session, &digest, &[7; 32]].concat())?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        ensure!(answer[6..] == [0; 4], "refused: {answer:x?}");
        Ok(())
    }

    /// Returns what `--tpm` is told.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("tpm.sock")
    }

    /// Copies all that is in it, which no TPM in hardware lets anybody do.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn copy_state(&self, to: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(&self.folder)?.collect::<Result<Vec<_>, _>>()? {
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}
