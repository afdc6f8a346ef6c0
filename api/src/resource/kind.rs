//! The kinds of resources and the names that `kubectl` knows them by.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Network,
    Server,
    RegistrationKey,
    User,
    PersonalKey,
    Device,
    AccessPolicy,
    AccessTest,
    ConnectionProfile,
    Admin,
    AlertRule,
}

/// Text that names no kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of {group}", group = super::GROUP)]
pub struct UnknownKind(pub String);

impl Kind {
    /// Every kind, in the order in which people read about them.
    pub const ALL: [Self; 11] = [
        Self::Network,
        Self::Server,
        Self::RegistrationKey,
        Self::User,
        Self::PersonalKey,
        Self::Device,
        Self::AccessPolicy,
        Self::AccessTest,
        Self::ConnectionProfile,
        Self::Admin,
        Self::AlertRule,
    ];

    /// Returns what stands behind `kind:` in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Server => "Server",
            Self::RegistrationKey => "RegistrationKey",
            Self::User => "User",
            Self::PersonalKey => "PersonalKey",
            Self::Device => "Device",
            Self::AccessPolicy => "AccessPolicy",
            Self::AccessTest => "AccessTest",
            Self::ConnectionProfile => "ConnectionProfile",
            Self::Admin => "Admin",
            Self::AlertRule => "AlertRule",
        }
    }

    /// Returns the name in paths, such as `networks`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::Server => "servers",
            Self::RegistrationKey => "registrationkeys",
            Self::User => "users",
            Self::PersonalKey => "personalkeys",
            Self::Device => "devices",
            Self::AccessPolicy => "accesspolicies",
            Self::AccessTest => "accesstests",
            Self::ConnectionProfile => "connectionprofiles",
            Self::Admin => "admins",
            Self::AlertRule => "alertrules",
        }
    }

    /// Returns the name for hurried fingers, such as `hnet`.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Network => "hnet",
            Self::Server => "hsrv",
            Self::RegistrationKey => "hrk",
            Self::User => "hu",
            Self::PersonalKey => "hpk",
            Self::Device => "hdev",
            Self::AccessPolicy => "hap",
            Self::AccessTest => "hat",
            Self::ConnectionProfile => "hcp",
            Self::Admin => "hadm",
            Self::AlertRule => "hal",
        }
    }

    /// Finds a kind by any name that a person may type: kind, plural or short name, in any case.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            [kind.as_str(), kind.plural(), kind.short_name()]
                .iter()
                .any(|name| name.eq_ignore_ascii_case(text))
        })
    }
}

/// Exactly as `kind:` in a manifest.
impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
