//! Why a TPM does not do what it is asked, and what a person does about it.

use std::{io, path::PathBuf};

use horizon_api::tpm::reader::Malformed;

/// Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    #[error("there is no TPM at {0}: name another with --tpm PATH, or switch one on in the firmware")]
    Missing(PathBuf),
    #[error("no access to {0}: run as root, or as a user of the group `tss`")]
    NoAccess(PathBuf),
    #[error("{path} is no TPM and no socket of one ({reason})")]
    Unusable { path: PathBuf, reason: io::Error },
    #[error("the TPM does not answer ({0})")]
    Silent(#[from] io::Error),
    #[error("the answer of the TPM is not understood: {0}")]
    Malformed(#[from] Malformed),
    #[error(
        "this TPM did not seal it, or was cleared since: start on the host that sealed it, or join again with a new key"
    )]
    Foreign,
    #[error(
        "a hierarchy of the TPM has a password, which Horizon does not know: take it away with `tpm2_changeauth`"
    )]
    Password,
    #[error("a hierarchy of the TPM is switched off: switch it on in the firmware")]
    Disabled,
    #[error(
        "the TPM is locked out after wrong passwords: wait, or clear the lockout with `tpm2_dictionarylockout`"
    )]
    Lockout,
    #[error("the TPM has no registers of SHA-256: switch that bank on in the firmware")]
    NoBank,
    #[error("the registers of the TPM change all the time")]
    Restless,
    #[error("the TPM is busy, and was for several tries")]
    Busy,
    #[error("the TPM refuses with code {0:#x} (TPM 2.0 Library, Part 2 §6.6)")]
    Refused(u32),
}

impl TpmError {
    /// Sorts a response code by what a person does about it.
    pub(crate) fn of_code(code: u32) -> Self {
        // Bit 7 is set where the code is about a handle, a session or a parameter, whose number is in bits 6 and 8 to 11.
        let base = if code & 0x80 != 0 { code & 0xbf } else { code };
        match (code & 0x80 != 0, base) {
            // TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY, TPM_RC_NV_RATE.
            (false, 0x908 | 0x90a | 0x922 | 0x920) => Self::Busy,
            (false, 0x921) => Self::Lockout,
            // TPM_RC_AUTH_FAIL, TPM_RC_BAD_AUTH, TPM_RC_AUTH_MISSING.
            (true, 0x8e | 0xa2) | (false, 0x125) => Self::Password,
            // TPM_RC_HIERARCHY.
            (true, 0x85) => Self::Disabled,
            _ => Self::Refused(code),
        }
    }

    /// What it means when a sealed secret cannot be loaded: TPM_RC_INTEGRITY, or what else a foreign one may meet.
    pub(crate) fn of_loading(self) -> Self {
        let is_about_it = matches!(self, Self::Refused(code) if code & 0x80 != 0);
        if is_about_it { Self::Foreign } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_to_do() {
        let said = |code| TpmError::of_code(code).to_string();

        assert!(said(0x922).contains("busy"));
        assert!(said(0x9a2).contains("password") && said(0x98e).contains("password"));
        assert!(said(0x085).contains("switched off") && said(0x185).contains("switched off"));
        assert!(said(0x1c4).contains("0x1c4"));
        assert!(matches!(TpmError::of_code(0x1df).of_loading(), TpmError::Foreign));
        assert!(matches!(TpmError::of_code(0x902).of_loading(), TpmError::Refused(0x902)));
    }
}
