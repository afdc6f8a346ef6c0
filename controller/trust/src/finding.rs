//! What is noticed of a server, how bad that is, and what it counts for.

use std::{net::IpAddr, time::Duration};

use horizon_api::{assignment::Version, http::EventSeverity};

use crate::{quote::Clock, tpm};

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A challenge was not answered in time.
    Silent { waited: Duration },
    /// A challenge was answered with what proves nothing.
    WrongAnswer { reason: String },
    /// It says that it answers no challenges, and has answered some.
    AnswersNoMore,
    /// A heartbeat was heard before, or a later one of the same boot was.
    Replayed { counter: u64, highest: u64 },
    /// Two daemons speak with the server's key.
    Cloned { here: IpAddr, there: IpAddr },
    /// It runs an older configuration than it acknowledged: its disk was put back.
    RolledBack { running: Version, acknowledged: Version },
    /// Its clock is not the controller's.
    ClockSkewed { by_ms: i64 },
    /// The host is another one, by its own word.
    HostChanged { what: String },
    /// The program is another one: an upgrade, or not.
    ProgramChanged { from: String, to: String },
    /// A TPM is seen first, and believed to be its own from here on.
    TpmSeen { key: String },
    /// Its TPM is known, and signed nothing.
    QuoteMissing,
    /// What a TPM is said to have signed proves nothing. `is_expected`: its TPM is known.
    QuoteWrong { reason: String, is_expected: bool },
    /// Another TPM signed than the one that is known, by the first digits of their keys.
    AnotherTpm { known: String, found: String },
    /// Its TPM counts less than it did: a virtual one was put back, or it was cleared.
    TpmWentBack { from: Clock, to: Clock },
    /// Its host was started with something else than before, by the registers of its TPM.
    PlatformChanged { registers: Vec<usize> },
}

/// What a finding counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Somebody may want to know.
    Notice,
    /// A failure where it comes again and again.
    Repeated,
    /// A failure.
    AtOnce,
}

impl Finding {
    /// Returns the kind of its security event.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Silent { .. } => "ChallengeUnanswered",
            Self::WrongAnswer { .. } => "ChallengeFailed",
            Self::AnswersNoMore => "ChallengesRefused",
            Self::Replayed { .. } => "HeartbeatReplayed",
            Self::Cloned { .. } => "ServerCloned",
            Self::RolledBack { .. } => "ConfigurationRolledBack",
            Self::ClockSkewed { .. } => "ClockSkewed",
            Self::HostChanged { .. } => "HostChanged",
            Self::ProgramChanged { .. } => "ProgramChanged",
            Self::TpmSeen { .. } => "TpmSeen",
            Self::QuoteMissing => "QuoteMissing",
            Self::QuoteWrong { .. } => "QuoteWrong",
            Self::AnotherTpm { .. } => "TpmReplaced",
            Self::TpmWentBack { .. } => "TpmWentBack",
            Self::PlatformChanged { .. } => "PlatformChanged",
        }
    }

    pub fn severity(&self) -> EventSeverity {
        match self {
            Self::WrongAnswer { .. }
            | Self::Replayed { .. }
            | Self::Cloned { .. }
            | Self::RolledBack { .. }
            | Self::QuoteMissing
            | Self::AnotherTpm { .. }
            | Self::TpmWentBack { .. } => EventSeverity::High,
            Self::QuoteWrong { is_expected, .. } if *is_expected => EventSeverity::High,
            Self::Silent { .. }
            | Self::AnswersNoMore
            | Self::ClockSkewed { .. }
            | Self::HostChanged { .. }
            | Self::QuoteWrong { .. }
            | Self::PlatformChanged { .. } => EventSeverity::Medium,
            Self::ProgramChanged { from, to } if from == to => EventSeverity::Medium,
            Self::ProgramChanged { .. } | Self::TpmSeen { .. } => EventSeverity::Low,
        }
    }

    /// Clocks and hosts go wrong or are changed by those who run them; a network loses a packet, and a TPM may be busy.
    pub fn gravity(&self) -> Gravity {
        match self {
            Self::Replayed { .. }
            | Self::Cloned { .. }
            | Self::RolledBack { .. }
            | Self::AnotherTpm { .. }
            | Self::TpmWentBack { .. }
            | Self::PlatformChanged { .. } => Gravity::AtOnce,
            Self::QuoteWrong { is_expected, .. } if *is_expected => Gravity::AtOnce,
            Self::Silent { .. } | Self::WrongAnswer { .. } | Self::AnswersNoMore | Self::QuoteMissing => {
                Gravity::Repeated
            }
            Self::ClockSkewed { .. }
            | Self::HostChanged { .. }
            | Self::ProgramChanged { .. }
            | Self::TpmSeen { .. }
            | Self::QuoteWrong { .. } => Gravity::Notice,
        }
    }

    /// Returns one sentence for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Silent { waited } => format!("it did not answer a challenge within {} s", waited.as_secs()),
            Self::WrongAnswer { reason } => format!("its answer to a challenge is not believed: {reason}"),
            Self::AnswersNoMore => {
                "it says that it answers no challenges, and has answered some before".into()
            }
            Self::Replayed { counter, highest } => {
                format!("its heartbeat {counter} came after {highest} of the same boot: it is a replay")
            }
            Self::Cloned { here, there } => {
                format!("two daemons speak with its key at the same time, from {here} and from {there}")
            }
            Self::RolledBack { running, acknowledged } => format!(
                "it runs revision {} of epoch {}, and acknowledged revision {} of epoch {}: its data was put back",
                running.revision, running.epoch, acknowledged.revision, acknowledged.epoch
            ),
            Self::ClockSkewed { by_ms } => {
                let way = if *by_ms > 0 { "ahead of" } else { "behind" };
                format!("its clock is {} s {way} the controller's", by_ms.unsigned_abs() / 1000)
            }
            Self::HostChanged { what } => format!("its host has another {what} than before"),
            Self::ProgramChanged { from, to } if from == to => {
                format!("it runs another program than before, which says that it is {to} too")
            }
            Self::ProgramChanged { from, to } => format!("it runs {to}, and ran {from} before"),
            Self::TpmSeen { key } => {
                format!(
                    "it shows a TPM ({key}) for the first time, which is believed to be its own from here on"
                )
            }
            Self::QuoteMissing => {
                "its TPM is known, and it shows no quote of one; `horizon-gateway status` there says why"
                    .into()
            }
            Self::QuoteWrong { reason, .. } => format!("the quote of its TPM is not believed: {reason}"),
            Self::AnotherTpm { known, found } => format!(
                "it shows a quote of another TPM ({found}) than its own ({known}): its disk or its key is elsewhere; a host whose TPM was replaced joins again with another token"
            ),
            Self::TpmWentBack { from, to } => format!(
                "its TPM counts {} resets where it counted {} before, or has an earlier clock: a virtual TPM was put back, or it was cleared",
                to.resets, from.resets
            ),
            Self::PlatformChanged { registers } => format!(
                "its host was started with something else than before ({}): firmware, its settings or the boot loader",
                tpm::named(registers)
            ),
        }
    }
}
