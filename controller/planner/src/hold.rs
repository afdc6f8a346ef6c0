//! Holds: an admin takes an object out of force, whoever owns it, until a moment. A hold can only take away.

use std::collections::BTreeMap;

use horizon_api::resource::{Action, Kind, ObjectKey, ResourceSpec};
use jiff::Timestamp;

/// The word of an admin over that of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub reason: String,
    /// When it ends by itself (unix seconds), or [`UNTIL_RELEASED`].
    pub until: i64,
    /// Who said so.
    pub by: String,
}

/// Who holds a server that fails its verification.
pub const CONTROLLER: &str = "controller";
/// The end of a hold that only a release ends: the last second that can be written.
pub const UNTIL_RELEASED: i64 = 253_402_207_200;

/// Every hold, by its object.
pub type Holds = BTreeMap<ObjectKey, Hold>;

/// Why an object cannot be held.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    #[error("{0} denies: without it more would be allowed, and a hold can only take away")]
    Widens(ObjectKey),
    #[error("{key} gives no access by itself, so there is nothing to take away")]
    TakesNothing { key: ObjectKey },
}

impl Hold {
    /// Returns whether it is in effect.
    pub fn is_active(&self, now: i64) -> bool {
        now < self.until
    }

    /// Says whether the controller itself holds it, and not an admin.
    pub fn is_quarantine(&self) -> bool {
        self.by == CONTROLLER
    }

    /// Returns the reason for conditions.
    pub fn reason(&self) -> &'static str {
        if self.is_quarantine() { "Quarantined" } else { "HoldActive" }
    }

    /// Returns one sentence for conditions.
    pub fn sentence(&self) -> String {
        if self.until >= UNTIL_RELEASED {
            return format!("held by {} until it is released: {}", self.by, self.reason);
        }
        let until = Timestamp::from_second(self.until).unwrap_or(Timestamp::MAX);
        format!("held by {} until {until}: {}", self.by, self.reason)
    }
}

/// Checks that a hold on an object would take access away.
///
/// # Errors
/// When it would give access, or change nothing.
pub fn check(key: &ObjectKey, spec: &ResourceSpec) -> Result<(), HoldError> {
    if let ResourceSpec::AccessPolicy(policy) = spec
        && policy.action == Action::Deny
    {
        return Err(HoldError::Widens(key.clone()));
    }
    if can_be_held(key.kind) { Ok(()) } else { Err(HoldError::TakesNothing { key: key.clone() }) }
}

fn can_be_held(kind: Kind) -> bool {
    match kind {
        Kind::Network
        | Kind::Server
        | Kind::RegistrationKey
        | Kind::User
        | Kind::PersonalKey
        | Kind::Device
        | Kind::ConnectionProfile
        | Kind::Admin
        | Kind::AccessPolicy => true,
        Kind::AccessTest | Kind::AlertRule => false,
    }
}
