//! The host's TPM, where it has one: what it signs beside what this gateway says of its host.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use horizon_api::{
    key::RootFingerprint,
    signed::Signed,
    tpm::{self, Quote},
};
use horizon_tpm::{Tpm, TpmError};
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
}

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
        Self { path, seed: *root.as_bytes(), is_key_sealed, seen: Arc::default() }
    }

    /// Whether this gateway's key is kept so that only this TPM opens it.
    pub(crate) fn is_key_sealed(&self) -> bool {
        self.is_key_sealed
    }

    /// Has the TPM sign the state of this host for an attestation. What fails is told, and proves nothing.
    pub(crate) async fn quote(&self, attestation: &Signed) -> Option<Quote> {
        let (path, seed, qualifying) = (self.path.clone()?, self.seed, tpm::qualify(attestation));
        let signing = move || Tpm::open(&path)?.quote(&seed, &qualifying);
        let signed = tokio::task::spawn_blocking(signing).await.ok()?;
        self.note(signed.as_ref().err());
        signed.ok()
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

    fn note(&self, error: Option<&TpmError>) {
        let newest = error.map_or(Seen::Signed, |error| Seen::Trouble(error.to_string()));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == newest {
            return;
        }
        match error {
            Some(reason) => warn!(%reason, "the TPM cannot sign what this host is"),
            None => info!("the TPM signs what this host is"),
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

    #[tokio::test]
    async fn a_tpm_that_is_not_there_is_named_and_nothing_is_signed() {
        let root = RootFingerprint::of(&SecretKey::from_seed(&[1; 32]).public());
        let attestation = Signed::new(
            &horizon_api::wire::Attestation {
                exporter: [1; 32],
                nonce: [2; 32],
                evidence: Default::default(),
                seal: None,
            },
            &SecretKey::from_seed(&[2; 32]),
        );
        let [none, missing] = [None, Some("/nowhere/tpm".into())].map(|path| Quoter::new(path, &root, false));

        assert_eq!(none.quote(&attestation).await, None);
        assert_eq!(missing.quote(&attestation).await, None);

        assert!(none.sentence().starts_with("self-reported: this gateway uses no TPM"));
        assert!(missing.sentence().starts_with("no quote of the TPM: there is no TPM at /nowhere/tpm"));
    }
}
