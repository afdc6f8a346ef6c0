//! How a program ends: one line on stderr that says what and how to fix, and an exit code that scripts can read.

use std::{io, net::SocketAddr, process::ExitCode};

use horizon_api::{
    redact::redacted,
    wire::{Refusal, RefusalCode},
};

/// Why a command failed, by what a script does about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3: refused by policy or authority.
    #[error("{0}")]
    Refused(String),
    /// Exit code 3: an admin has to approve it first, and then it goes on by itself.
    #[error("{0}")]
    Waits(String),
    /// Exit code 4: nobody answers.
    #[error("{0}")]
    Unreachable(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) | Self::Waits(_) => 3,
            Self::Unreachable(_) => 4,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if refusal.code == RefusalCode::AwaitingApproval {
            Self::Waits(refusal.to_string())
        } else if refusal.code.is_final() {
            Self::Refused(refusal.to_string())
        } else {
            Self::Unreachable(refusal.to_string())
        }
    }
}

/// Says why an address cannot be listened on, and what to do.
pub fn cannot_listen(protocol: &str, address: SocketAddr, flag: &str, error: &io::Error) -> Failure {
    let fix = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            format!("another process has this port; stop it, or give another with {flag} ADDR:PORT")
        }
        Some(libc::EACCES | libc::EPERM) => "run as root, or use a port above 1023".to_owned(),
        Some(libc::EADDRNOTAVAIL) => "this host does not have that address".to_owned(),
        Some(_) | None => error.to_string(),
    };
    Failure::Failed(format!("cannot listen on {protocol} {address}: {fix}"))
}

/// Prints the chain of an error on one line and returns its exit code.
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let code = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(1, Failure::code);
    let line = redacted(&format!("{error:#}")).replace('\n', " ");
    #[expect(clippy::print_stderr, reason = "the one line that a person reads when a command fails")]
    {
        eprintln!("error: {line}");
    }
    ExitCode::from(code)
}
