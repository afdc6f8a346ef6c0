//! The host's TPM, where it has one: what it signs beside what this gateway says of its host.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context;

use horizon_api::{
    key::RootFingerprint,
    signed::Signed,
    tpm::{self, Quote},
};
use horizon_tpm::Tpm;
use tokio::sync::{Mutex as Turn, oneshot};
use tracing::{info, warn};

/// Which TPM to use, by the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TpmChoice {
    None,
    At(PathBuf),
}

/// Where the kernel shows a TPM that several programs share.
const DEVICE: &str = "/dev/tpmrm0";

impl FromStr for TpmChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "none" { Self::None } else { Self::At(text.into()) })
    }
}

impl TpmChoice {
    /// Returns the TPM that is chosen; where nothing is, the host's if it has one.
    pub(crate) fn path(choice: Option<&Self>) -> Option<PathBuf> {
        match choice {
            Some(Self::None) => None,
            Some(Self::At(path)) => Some(path.clone()),
            None => Path::new(DEVICE).exists().then(|| DEVICE.into()),
        }
    }
}

/// Has the TPM sign. Clones share what was seen of it.
#[derive(Clone, Debug)]
pub(crate) struct Quoter {
    path: Option<PathBuf>,
    /// One key for each controller: two of them cannot tell by it that they have the same host.
    seed: [u8; 32],
    is_key_sealed: bool,
    seen: Arc<Mutex<Seen>>,
    /// One at a time: what a TPM that hangs holds up is one thread.
    turn: Arc<Turn<()>>,
    patience: Duration,
}

/// Most make a key within a second, and nothing waits for the others: without a quote the controller is told so.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen of the TPM last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Nothing,
    Signed,
    Trouble(String),
}

impl Quoter {
    pub(crate) fn new(path: Option<PathBuf>, root: &RootFingerprint, is_key_sealed: bool) -> Self {
        let (seed, patience) = (*root.as_bytes(), PATIENCE);
        Self { path, seed, is_key_sealed, seen: Arc::default(), turn: Arc::default(), patience }
    }

    /// With as much patience with the TPM.
    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether this gateway's key is kept so that only this TPM opens it.
    pub(crate) fn is_key_sealed(&self) -> bool {
        self.is_key_sealed
    }

    /// Has the TPM sign the state of this host for an attestation. What fails, or takes too long, is told, and proves
    /// nothing.
    pub(crate) async fn quote(&self, attestation: &Signed) -> Option<Quote> {
        let signing = self.sign(self.path.clone()?, tpm::qualify(attestation));
        let signed = tokio::time::timeout(self.patience, signing).await.unwrap_or_else(|_| {
            let path = self.path.iter().map(|path| path.display().to_string()).collect::<String>();
            Err(anyhow::anyhow!("{path} did not answer within {} s", self.patience.as_secs()))
        });
        self.note(signed.as_ref().err().map(|error| format!("{error:#}")));
        signed.ok()
    }

    /// On a thread of its own: a read that hangs cannot be ended, and must not keep this program from its end.
    async fn sign(&self, path: PathBuf, qualifying: [u8; 32]) -> anyhow::Result<Quote> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (answer, signed) = oneshot::channel();
        let seed = self.seed;
        let sign = move || {
            let signed = Tpm::open(&path).and_then(|mut tpm| tpm.quote(&seed, &qualifying));
            drop(turn);
            // Who asked may have gone on without.
            drop(answer.send(signed));
        };
        thread::Builder::new().name("tpm".into()).spawn(sign).context("ask the TPM")?;
        Ok(signed.await.context("ask the TPM")??)
    }

    /// Says what the evidence of this gateway is worth, as far as its host knows.
    pub(crate) fn sentence(&self) -> String {
        let Some(path) = &self.path else {
            return format!("self-reported: this gateway uses no TPM; without --tpm PATH it is {DEVICE}");
        };
        let key = if self.is_key_sealed { "; the key is sealed to it" } else { "" };
        match self.seen() {
            Seen::Nothing => format!("no quote yet of the TPM at {}{key}", path.display()),
            Seen::Signed => format!("TPM quote, by {}{key}", path.display()),
            Seen::Trouble(reason) => format!("no quote of the TPM{key}: {reason}"),
        }
    }

    fn note(&self, trouble: Option<String>) {
        let newest = trouble.map_or(Seen::Signed, Seen::Trouble);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == newest {
            return;
        }
        match &newest {
            Seen::Trouble(reason) => warn!(%reason, "the TPM cannot sign what this host is"),
            Seen::Signed | Seen::Nothing => info!("the TPM signs what this host is"),
        }
        *seen = newest;
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::key::SecretKey;

    use super::*;

    #[test]
    fn a_tpm_is_chosen_by_its_path_or_by_none() {
        let path = |text: &str| TpmChoice::path(Some(&text.parse().expect("any text is a choice")));

        assert_eq!(path("none"), None);
        assert_eq!(path("/run/tpm.sock"), Some("/run/tpm.sock".into()));
    }

    fn root() -> RootFingerprint {
        RootFingerprint::of(&SecretKey::from_seed(&[1; 32]).public())
    }

    fn attestation() -> Signed {
        let (exporter, nonce, evidence) = ([1; 32], [2; 32], Default::default());
        let attestation = horizon_api::wire::Attestation { exporter, nonce, evidence, seal: None };
        Signed::new(&attestation, &SecretKey::from_seed(&[2; 32]))
    }

    #[tokio::test]
    async fn a_tpm_that_hangs_is_not_waited_for_and_holds_one_thread_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tpm");
        // Connections wait in its queue, and none is answered.
        let hanging = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        let quoter = Quoter::new(Some(path), &root(), false).with_patience(Duration::from_millis(50));

        for _ in 0..3 {
            assert_eq!(quoter.quote(&attestation()).await, None);
        }

        let _asked = hanging.accept().expect("asked");
        hanging.set_nonblocking(true).expect("set");
        assert!(hanging.accept().is_err(), "the TPM was asked more than once");
        let said = quoter.sentence();
        assert!(
            said.starts_with("no quote of the TPM: ") && said.contains("did not answer within"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_tpm_that_is_not_there_is_named_and_nothing_is_signed() {
        let [none, missing] =
            [None, Some("/nowhere/tpm".into())].map(|path| Quoter::new(path, &root(), false));

        assert_eq!(none.quote(&attestation()).await, None);
        assert_eq!(missing.quote(&attestation()).await, None);

        assert!(none.sentence().starts_with("self-reported: this gateway uses no TPM"));
        assert!(missing.sentence().starts_with("no quote of the TPM: there is no TPM at /nowhere/tpm"));
    }
}
